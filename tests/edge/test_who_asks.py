"""Who asks, as the gateway and the log are told: address, identifier, and no secret."""

import json
from ipaddress import IPv4Network
from typing import Any

import pytest

from components import edge
from stacks.settings import EdgeSettings
from tests.e2e.waiting import eventually
from tests.edge.backend import Backend
from tests.edge.conftest import PROTOCOLS, Edge, Starter

SECRETS = (
    ("authorization", "Bearer hidden-1"),
    ("x-api-key", "hidden-2"),
    ("cookie", "session=hidden-3"),
    ("proxy-authorization", "Basic hidden-4"),
    ("referer", "https://example.org/?token=hidden-5"),
)


def lines(running: Edge, identifier: str) -> list[dict[str, Any]]:
    """Return what the access log says of a request, once it has been written."""

    def found() -> list[dict[str, Any]]:
        return [
            json.loads(line)
            for line in running.container.logs().decode().splitlines()
            if f'"id":"{identifier}"' in line
        ]

    eventually(lambda: bool(found()), 5, f"the log has {identifier}")
    return found()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_identifier_goes_with_a_request_into_the_gateway_the_answer_and_the_log(
    served: Edge, gateway: Backend, protocol: str
) -> None:
    mine = f"mine-{protocol.replace('/', '-')}"
    answer = served.ask("/api/tags", protocol, headers=[("x-request-id", mine)])
    assert answer.headers["x-request-id"] == gateway.seen[-1].headers["x-request-id"] == mine
    (line,) = lines(served, mine)
    assert (line["method"], line["path"], line["status"]) == ("GET", "/api/tags", 200)
    assert line["protocol"] == {"http/1.1": "HTTP/1.1", "h2": "HTTP/2.0", "h3": "HTTP/3.0"}[protocol]


@pytest.mark.parametrize("shown", ['a"b', "x" * 65, "", "a b", "ü"])
def test_an_identifier_that_is_not_safe_to_write_is_another(
    served: Edge, gateway: Backend, shown: str
) -> None:
    answer = served.ask("/api/tags", headers=[("x-request-id", shown)])
    given = answer.headers["x-request-id"]
    assert len(given) == 32
    assert given == gateway.seen[-1].headers["x-request-id"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_log_holds_a_secret(served: Edge, protocol: str) -> None:
    for n, path in enumerate(("/api/tags?key=hidden-6", "/api/generate?key=hidden-7")):
        mine = f"secret-{protocol.replace('/', '-')}-{n}"
        served.ask(path, protocol, headers=[*SECRETS, ("x-request-id", mine)], body=b"hidden-8" * n)
        lines(served, mine)
    assert "hidden" not in served.container.logs().decode()


def test_a_line_of_the_log_is_one_whatever_a_client_says(served: Edge) -> None:
    agent = 'x"}\\n{"forged": true'
    served.ask("/api/%22%0a", headers=[("user-agent", agent), ("x-request-id", "odd")])
    (line,) = lines(served, "odd")
    assert line["agent"] == agent
    assert line["path"] == "/api/%22%0a"


def seen(running: Edge, gateway: Backend, claimed: str, port: int) -> dict[str, str]:
    """Return the headers that the gateway sees of a request that claims to come from somewhere."""
    running.ask(
        "/api/tags", port=port, headers=[("x-forwarded-for", claimed), ("forwarded", f"for={claimed}")]
    )
    return gateway.seen[-1].headers


def test_a_client_is_who_connects_and_not_who_it_says_it_is(served: Edge, gateway: Backend) -> None:
    headers = seen(served, gateway, "198.51.100.1", edge.PORT)
    assert headers["x-real-ip"] == headers["x-forwarded-for"]
    assert headers["x-real-ip"] != "198.51.100.1"
    assert "forwarded" not in headers
    assert headers["x-forwarded-proto"] == "https"


def test_behind_a_cdn_a_client_is_whom_the_cdn_names_and_not_whom_that_one_names(
    served: Edge, gateway: Backend
) -> None:
    headers = seen(served, gateway, "198.51.100.1, 198.51.100.7", edge.CDN_PORT)
    assert headers["x-real-ip"] == headers["x-forwarded-for"] == "198.51.100.7"


@pytest.mark.parametrize(
    ("proxies", "client"),
    [("0.0.0.0/0", "198.51.100.1"), ("192.0.2.0/24", None)],
    ids=["trusted", "not trusted"],
)
def test_a_load_balancer_is_believed_where_it_is_trusted(
    start: Starter, gateway: Backend, proxies: str, client: str | None
) -> None:
    settings = EdgeSettings(trusted_proxies=(IPv4Network(proxies),))
    with start([gateway.address], settings) as running:
        headers = seen(running, gateway, "198.51.100.1", edge.PORT)
    assert (headers["x-real-ip"] == "198.51.100.1") == (client is not None)
