"""What the edge says of every answer: who may keep it, what pages may do with it, how it is packed."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from components import edge
from components.http_cache import Kept, Source, applies, rules
from components.page_policy import CONTENT_SECURITY_POLICY
from stacks.aws import CdnSettings
from tests.edge.backend import LARGE, Backend
from tests.edge.clients import Answer, Headers
from tests.edge.conftest import CONSOLE_HOST, PROTOCOLS, Edge, Starter

PRIVATE = "private, no-store"
PUBLIC = "public, max-age=0, s-maxage=300"
HASHED = "public, max-age=31536000, immutable"
REVALIDATED = "no-cache"
KEY = (("authorization", "Bearer secret"),)
NOBODY = "127.0.0.1:9"


@dataclass(frozen=True)
class Asked:
    """A request, and what is to be said of its answer."""

    path: str
    told: str
    method: str = "GET"
    headers: Headers = ()


CLASSES = {
    "public GET": Asked("/api/version", PUBLIC),
    "public GET with a query": Asked("/v1/models?page=2", PUBLIC),
    "public GET by another spelling": Asked("/api/versio%6e", PRIVATE),
    "public GET in other letters": Asked("/API/version", PRIVATE),
    "public GET through another folder": Asked("/api/tags/../version", PRIVATE),
    "public GET that failed": Asked("/api/version?status=500", PRIVATE),
    "public GET that is elsewhere": Asked("/api/version?status=302", PRIVATE),
    "public GET with a key": Asked("/api/version", PRIVATE, headers=KEY),
    "public GET with a key of the other kind": Asked(
        "/api/version", PRIVATE, headers=(("x-api-key", "secret"),)
    ),
    "public GET with a cookie": Asked("/v1/models", PRIVATE, headers=(("cookie", "a=b"),)),
    "POST to a public path": Asked("/api/version", PRIVATE, "POST"),
    "GET": Asked("/api/tags", PRIVATE),
    "GET with a key": Asked("/api/tags", PRIVATE, headers=KEY),
    "GET below a public path": Asked("/v1/models/llama", PRIVATE),
    "POST": Asked("/api/generate", PRIVATE, "POST", KEY),
    "stream": Asked("/api/chat?tokens=3", PRIVATE, "POST", KEY),
    "stream of events": Asked("/v1/chat/completions?tokens=3", PRIVATE, "POST", KEY),
    "not found": Asked("/missing?status=404", PRIVATE),
    "beside the console": Asked("/consoles/", PRIVATE),
    "out of the console": Asked("/console/../api/tags", PRIVATE),
}
CONSOLE = {
    "page": Asked("/", REVALIDATED),
    "page by its name": Asked("/index.html", REVALIDATED),
    "page with a key": Asked("/", REVALIDATED, headers=KEY),
    "service worker": Asked("/sw.js", REVALIDATED),
    "hashed program": Asked("/assets/js", HASHED),
    "hashed style sheet": Asked("/assets/css", HASHED),
    "missing file with a hash": Asked("/assets/missing-12345678.js", PRIVATE),
    "POST to the page": Asked("/", PRIVATE, "POST"),
}
"""By their paths below its root, where ``js`` and ``css`` stand for the files that its page names."""


def ask(served: Edge, asked: Asked, protocol: str, port: int = edge.PORT) -> Answer:
    return served.ask(asked.path, protocol, port, method=asked.method, headers=asked.headers)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", CLASSES)
def test_every_kind_of_answer_says_who_may_keep_it(served: Edge, name: str, protocol: str) -> None:
    asked = CLASSES[name]
    headers = ask(served, asked, protocol).headers
    assert headers["cache-control"] == asked.told
    assert "content-security-policy" not in headers
    protects(headers)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", CONSOLE)
def test_of_the_console_what_never_changes_is_kept_and_every_page_has_its_policy(
    served: Edge, name: str, protocol: str
) -> None:
    asked = CONSOLE[name]
    answer = served.ask(
        f"/console{named(served, asked.path)}",
        protocol,
        method=asked.method,
        headers=(*asked.headers, ("accept-encoding", "br")),
    )
    good = answer.status == 200
    assert good == (asked.told != PRIVATE)
    assert answer.headers["cache-control"] == asked.told
    assert answer.headers.get("content-security-policy") == (CONTENT_SECURITY_POLICY if good else None)
    assert answer.headers.get("content-encoding") == ("br" if good else None)
    protects(answer.headers)


def test_the_page_is_not_sent_again_to_whoever_has_it(served: Edge) -> None:
    tag = served.ask("/console/").headers["etag"]
    again = served.ask("/console/", headers=(("if-none-match", tag),))
    assert (again.status, again.headers["cache-control"]) == (304, REVALIDATED)
    assert served.ask("/console").headers["location"] == "/console/"


def named(served: Edge, path: str) -> str:
    """Return a path of ``CONSOLE`` with the name that the page has for the file."""
    if path not in ("/assets/js", "/assets/css"):
        return path
    kind = path.rpartition("/")[2]
    page = served.ask("/console/").body.decode()
    found = re.search(rf'"\.(/assets/[\w-]+\.{kind})"', page)
    assert found, f"the page names no such file:\n{page}"
    return found[1]


def protects(headers: dict[str, str]) -> None:
    """Assert what every answer says."""
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["alt-svc"] == 'h3=":8443"; ma=86400'
    assert headers["server"] == "nginx"


@pytest.mark.parametrize("name", CLASSES)
def test_a_cdn_keeps_what_its_rules_and_the_edge_both_allow_and_that_is_public(
    served: Edge, name: str
) -> None:
    asked = CLASSES[name]
    answer = ask(served, asked, "http/1.1", edge.CDN_PORT)
    told = answer.headers["cache-control"]
    assert told == asked.told, "as to clients"
    path = asked.path.partition("?")[0]
    for source in Source:
        rule = next(rule for rule in rules(CdnSettings(), source) if applies(rule, path))
        anonymous = not {"authorization", "x-api-key", "cookie"} & {header for header, _ in asked.headers}
        by_rule = rule.kept is Kept.ANONYMOUS and anonymous and asked.method == "GET"
        kept = by_rule and "private" not in told
        assert kept == (asked.told == PUBLIC), f"behind a CDN, from {source.value}"
        assert rule.kept is not Kept.ALWAYS


@pytest.mark.parametrize("name", CONSOLE)
def test_a_cdn_finds_the_console_at_the_root_of_its_own_host_name_and_keeps_its_hashed_files_alone(
    served: Edge, name: str
) -> None:
    asked = CONSOLE[name]
    path = named(served, asked.path)

    def ask(host: str) -> Answer:
        return served.ask(
            path, port=edge.CDN_PORT, authority=host, method=asked.method, headers=asked.headers
        )

    answer = ask(CONSOLE_HOST)
    assert answer.headers["cache-control"] == asked.told, "as to clients"
    assert (answer.status == 200) == (asked.told != PRIVATE)
    rule = next(rule for rule in rules(CdnSettings(), Source.CONSOLE) if applies(rule, path))
    kept = rule.kept is Kept.ALWAYS and "private" not in answer.headers["cache-control"]
    assert kept == (asked.told == HASHED)
    assert ask("edge").headers["cache-control"] == PRIVATE, "under any other name it is the API's"


@pytest.mark.parametrize("path", ["/api/tags", "/api/version", "/v1/models", "/ws"])
def test_the_api_beside_the_console_on_its_own_host_name_is_the_api(
    served: Edge, gateway: Backend, path: str
) -> None:
    answer = served.ask(path, port=edge.CDN_PORT, authority=CONSOLE_HOST)
    assert gateway.seen[-1].target == path
    assert answer.headers["cache-control"] == (PUBLIC if path in CdnSettings().public_paths else PRIVATE)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_body_over_the_limit_is_refused_as_the_gateway_would(served: Edge, protocol: str) -> None:
    answer = served.ask("/v1/completions", protocol, method="POST", body=b"x" * 300_000)
    assert answer.status == 413
    assert json.loads(answer.body)["error"]["message"] == "request body too large: the limit is 262144 bytes"
    assert answer.headers["cache-control"] == PRIVATE


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/api/tags", {"error": "no gateway is reachable: try again"}),
        (
            "/v1/models",
            {
                "error": {
                    "message": "no gateway is reachable: try again",
                    "type": "api_error",
                    "param": None,
                    "code": None,
                }
            },
        ),
    ],
)
def test_without_a_gateway_the_answer_is_an_error_of_the_api_that_was_asked(
    alone: Edge, protocol: str, path: str, said: object
) -> None:
    answer = alone.ask(path, protocol)
    assert answer.status == 502
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.body) == said
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["cache-control"] == PRIVATE


@pytest.fixture(scope="module")
def alone(start: Starter) -> Iterator[Edge]:
    with start([NOBODY], cdn=True) as running:
        yield running


@pytest.mark.parametrize(
    ("method", "path", "times"),
    [
        ("POST", "/api/generate", 2),
        ("GET", "/api/v1/keys", 2),
        ("POST", "/api/v1/keys", 1),
        ("POST", "/api/v1/keys/7/rotate", 1),
        ("POST", "/api/%761/keys", 1),
    ],
)
def test_what_a_gateway_refuses_is_asked_of_another_unless_it_may_have_been_done(
    served: Edge, gateway: Backend, method: str, path: str, times: int
) -> None:
    before = len(gateway.seen)
    assert served.ask(f"{path}?status=503", method=method, headers=KEY, body=b"").status == 503
    assert len(gateway.seen) - before == times


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("accepted", "used"), [("br, gzip", "br"), ("gzip", "gzip"), ("identity", None)])
def test_json_is_compressed_as_the_client_can_and_streams_never_are(
    served: Edge, protocol: str, accepted: str, used: str | None
) -> None:
    headers = (("accept-encoding", accepted),)
    answer = served.ask("/api/tags?large=1", protocol, headers=headers)
    assert answer.headers.get("content-encoding") == used
    assert (len(answer.body) < len(LARGE)) == (used is not None)
    assert answer.headers["vary"].lower() == "accept-encoding"
    for path in ("/api/chat?tokens=200", "/v1/chat/completions?tokens=200"):
        stream = served.ask(path, protocol, method="POST", headers=headers)
        assert "content-encoding" not in stream.headers
        assert b'"n": 199' in stream.body


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("path", ["/api/chat", "/v1/chat/completions"])
def test_each_token_of_a_stream_arrives_by_itself(
    served: Edge, gateway: Backend, protocol: str, path: str
) -> None:
    gateway.taken = 0

    def take(piece: bytes) -> None:
        gateway.taken += piece.count(b'{"n"')

    answer = served.ask(f"{path}?tokens=20&in_turn=1", protocol, method="POST", take=take)
    assert answer.body.count(b'{"n"') == gateway.taken == 20
    assert answer.pieces >= 20, "none was sent before the client had the last"


def test_connections_to_a_gateway_are_used_again(served: Edge, gateway: Backend) -> None:
    before = gateway.connections
    for _ in range(20):
        assert served.ask("/api/tags").status == 200
    assert gateway.connections - before <= len(served.workers), "one for each worker of nginx"
