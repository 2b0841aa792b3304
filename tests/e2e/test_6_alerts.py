"""What watches the running platform: all is measured, all that is asked for is there, a fault is told."""

from typing import Any

from tests.e2e.conftest import STACK, Platform, docker
from tests.e2e.test_4_faults import Load
from tests.e2e.waiting import eventually
from tests.metrics import used

OF_CLOUDS = ("DCGM_", "aws_")
ONLY_WHEN_IT_HAPPENS = {
    "ollamamax_alias_request_seconds_bucket",
    "ollamamax_alias_requests_total",
    "ollamamax_joined_requests_total",
    "ollamamax_limited_total",
    "ollamamax_queue_refused_total",
    "ollamamax_tokens_per_second_bucket",
}
"""Series that begin with the first of what they count: tests/gateway/test_metrics.py has them all."""


def ask(platform: Platform, page: str, path: str, **query: str) -> Any:
    """Return what Prometheus or Alertmanager answers."""
    import niquests

    pages = platform.checkout.outputs()["dashboards"]
    with niquests.Session() as session:
        session.trust_env = False
        answer = session.get(
            f"{pages[page]}{path}",
            params=query,
            auth=(pages["user"], pages["password"]),
            verify=str(platform.ca),
        )
    assert answer.status_code == 200, answer.text
    return answer.json()


def firing(platform: Platform) -> set[str]:
    """Return the alerts that have reached Alertmanager."""
    return {alert["labels"]["alertname"] for alert in ask(platform, "alertmanager", "/api/v2/alerts")}


def test_every_part_is_measured(platform: Platform) -> None:
    def down() -> list[str]:
        targets = ask(platform, "prometheus", "/api/v1/targets")["data"]["activeTargets"]
        assert len(targets) >= 10
        return [target["labels"]["job"] for target in targets if target["health"] != "up"]

    eventually(lambda: down() == [], 60, "all targets are up")


def test_the_platform_emits_what_rules_and_dashboards_name(platform: Platform) -> None:
    with Load(platform, clients=4).running():
        pass
    recorded = set(ask(platform, "prometheus", "/api/v1/label/__name__/values")["data"])
    wanted = {name for name in used() if not name.startswith(OF_CLOUDS)} - ONLY_WHEN_IT_HAPPENS
    assert wanted - recorded == set()


def test_an_edge_that_does_not_answer_is_told_and_then_no_more(platform: Platform) -> None:
    edge = f"ollamamax-{STACK}-edge-1"
    assert "EdgeDown" not in firing(platform)
    docker("pause", edge)
    try:
        eventually(lambda: "EdgeDown" in firing(platform), 180, "the alert reaches Alertmanager")
    finally:
        docker("unpause", edge)
    eventually(lambda: "EdgeDown" not in firing(platform), 600, "the alert is over")
