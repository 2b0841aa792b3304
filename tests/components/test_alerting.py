"""Alertmanager in the graph."""

from typing import Any

import pytest
import yaml

from tests.components.conftest import SECRET, Graph, Plan

FILE = "/etc/ollamamax/alertmanager.yml"
WEBHOOK = {"url": "https://example.org/hook/token"}
PASSWORD = "correct-horse"
MAIL: dict[str, Any] = {
    "to": ["people@example.org", "others@example.org"],
    "sender": "platform@example.org",
    "host": "mail.example.org",
    "username": "platform",
    "password": PASSWORD,
}


def config(graph: Graph) -> dict[str, Any]:
    """Return Alertmanager's configuration."""
    return dict(yaml.safe_load(graph.files("alertmanager")[FILE]))


def receiver(graph: Graph, name: str) -> dict[str, Any]:
    """Return one of those that alerts reach."""
    (found,) = [one for one in config(graph)["receivers"] if one["name"] == name]
    return dict(found)


def test_alerts_reach_nobody_unless_a_stack_says_whom(local: Graph) -> None:
    assert config(local)["receivers"] == [{"name": "nobody"}]
    assert config(local)["route"]["receiver"] == "nobody"


def test_a_pager_is_spared_warnings_and_mails_are_not(plan: Plan) -> None:
    routes = config(plan(alerts={"webhook": {**WEBHOOK, "least": "critical"}, "mail": MAIL}))["route"][
        "routes"
    ]
    assert [(route["receiver"], route["matchers"], route["continue"]) for route in routes] == [
        ("webhook", ['severity=~"critical"'], True),
        ("mail", ['severity=~"warning|critical"'], True),
    ]


def test_a_webhook_is_posted_to_at_an_address_that_is_a_secret(plan: Plan) -> None:
    graph = plan(alerts={"webhook": WEBHOOK})
    (posted,) = receiver(graph, "webhook")["webhook_configs"]
    assert posted["url_file"] == "/etc/ollamamax/secrets/webhook-url"
    assert graph.files("alertmanager")["/etc/ollamamax/secrets/webhook-url"] == SECRET


def test_mails_reach_all_and_their_password_is_a_secret(plan: Plan) -> None:
    graph = plan(alerts={"mail": MAIL})
    assert [mail["to"] for mail in receiver(graph, "mail")["email_configs"]] == MAIL["to"]
    sent = config(graph)["global"]
    assert sent["smtp_smarthost"] == "mail.example.org:587"
    assert graph.files("alertmanager")["/etc/ollamamax/secrets/mail-password"] == SECRET


@pytest.mark.parametrize("alerts", [{"webhook": WEBHOOK}, {"mail": MAIL}])
def test_no_secret_is_among_what_all_can_read(plan: Plan, alerts: dict[str, Any]) -> None:
    graph = plan(alerts=alerts)
    shown = [text for one in graph.values() for text in map(str, one.inputs.values())]
    assert not [text for text in shown if WEBHOOK["url"] in text or PASSWORD in text]


def test_the_pages_are_on_loopback_and_behind_a_password(local: Graph) -> None:
    (port,) = local.container("alertmanager-1").inputs["ports"]
    assert (port["ip"], port["external"]) == ("127.0.0.1", 9093)
    assert local.files("alertmanager")["/etc/ollamamax/secrets/web.yml"] == SECRET


def test_silences_outlive_the_container(local: Graph) -> None:
    volumes = {volume["containerPath"] for volume in local.container("alertmanager-1").inputs["volumes"]}
    assert "/var/lib/alertmanager" in volumes
