"""The smoke test, against a real HTTP/3 server on loopback."""

import http.server
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ops import smoke
from ops.smoke import SmokeError
from tests.ops.conftest import Identity, make_identity
from tests.ops.http3 import Answer, Server, running

TAGS = Answer(pieces=[b'{"models": [{"name": "tiny:latest"}, {"name": "smollm2:135m"}]}'])
NODE = {"x-ollamamax-node": "worker-2"}


def piece(text: str, **more: Any) -> bytes:
    return json.dumps({"message": {"role": "assistant", "content": text}, **more}).encode() + b"\n"


CHAT = Answer(pieces=[piece("Hello"), piece(" world", done=True, eval_count=2)], headers=NODE)


@pytest.fixture
def edge(identity: Identity) -> Iterator[Server]:
    """Return a server that answers as the edge does."""
    with running(identity.certificate, identity.key, {"/api/tags": TAGS, "/api/chat": CHAT}) as server:
        yield server


@pytest.fixture
def ask(edge: Server, identity: Identity) -> Callable[[], smoke.Result]:
    """Return the smoke test of that server."""
    return lambda: smoke.run(outputs(edge.port, identity), lambda text: None)


def outputs(port: int, identity: Identity) -> dict[str, Any]:
    return {
        "url": f"https://localhost:{port}",
        "caCertificate": identity.authority.read_text(),
        "apiKey": "omx-key",
    }


def test_a_completion_is_seen_with_its_protocol_node_and_tokens(edge: Server, identity: Identity) -> None:
    shown: list[str] = []
    result = smoke.run(outputs(edge.port, identity), shown.append)
    assert shown == ["Hello", " world"]
    assert (result.protocol, result.node, result.model, result.tokens) == (
        "HTTP/3",
        "worker-2",
        "smollm2:135m",
        2,
    )
    assert 0 < result.first_token_s < 10


def test_the_result_fits_one_line() -> None:
    result = smoke.Result("HTTP/3", "worker-2", "tiny", 0.0123, 7)
    assert result.line == "HTTP/3  node worker-2  model tiny  first token after 12 ms  7 tokens"


def test_the_api_key_is_sent_with_every_request(edge: Server, ask: Callable[[], smoke.Result]) -> None:
    ask()
    assert [(request.method, request.path) for request in edge.requests] == [
        ("GET", "/api/tags"),
        ("POST", "/api/chat"),
    ]
    assert {request.headers["authorization"] for request in edge.requests} == {"Bearer omx-key"}
    chat = json.loads(edge.requests[1].body)
    assert chat["model"] == "smollm2:135m"
    assert "stream" not in chat, "Ollama streams unless told otherwise"


@pytest.mark.parametrize(
    ("path", "answer", "message"),
    [
        ("/api/tags", Answer(401, [b'{"error":"no key"}']), 'GET URL/api/tags: 401 {"error":"no key"}'),
        (
            "/api/tags",
            Answer(pieces=[b'{"models": []}']),
            "URL serves no model: see the logs of the models job (make logs SERVICE=models)",
        ),
        ("/api/chat", Answer(503, [b"busy"]), "POST URL/api/chat: 503 busy"),
        (
            "/api/chat",
            Answer(pieces=[piece("Hel"), b'{"error":"the worker is gone"}\n']),
            "POST URL/api/chat: the stream broke off: the worker is gone",
        ),
        ("/api/chat", Answer(pieces=[]), "POST URL/api/chat: the answer held no token"),
        (
            "/api/chat",
            Answer(pieces=[piece("", done=True, eval_count=0)]),
            "POST URL/api/chat: the answer held no token",
        ),
        (
            "/api/chat",
            Answer(pieces=[b"<html>\n"]),
            "POST URL/api/chat: b'<html>' is no piece of an answer",
        ),
        ("/api/chat", Answer(pieces=[b"{}\n"]), "POST URL/api/chat: b'{}' is no piece of an answer"),
    ],
)
def test_a_bad_answer_is_told_with_what_was_asked(
    edge: Server, ask: Callable[[], smoke.Result], path: str, answer: Answer, message: str
) -> None:
    edge.answers[path] = answer
    with pytest.raises(SmokeError) as failed:
        ask()
    assert str(failed.value) == message.replace("URL", f"https://localhost:{edge.port}")


def test_an_answer_that_is_no_json_names_the_address(edge: Server, ask: Callable[[], smoke.Result]) -> None:
    edge.answers["/api/tags"] = Answer(pieces=[b"<html>"])
    with pytest.raises(SmokeError, match=f"^https://localhost:{edge.port} did not answer: "):
        ask()


def test_a_server_that_is_gone_is_named(edge: Server, identity: Identity) -> None:
    with pytest.raises(SmokeError, match=r"^https://localhost:1 did not answer: "):
        smoke.run(outputs(1, identity), lambda text: None)


def test_a_server_with_another_authority_is_refused(edge: Server, tmp_path: Path) -> None:
    with pytest.raises(SmokeError, match=r"did not answer: .*certificate"):
        smoke.run(outputs(edge.port, make_identity(tmp_path)), lambda text: None)
    assert edge.requests == [], "the key was not shown to a stranger"


@pytest.fixture
def only_tcp(identity: Identity) -> Iterator[int]:
    """Return the port of a server that speaks HTTP/1.1 on TCP and nothing on UDP."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(TAGS)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._send(CHAT)

        def _send(self, answer: Answer) -> None:
            body = b"".join(answer.pieces)
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.certificate, identity.key)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_an_edge_without_http3_is_not_taken_for_well(only_tcp: int, identity: Identity) -> None:
    with pytest.raises(SmokeError) as failed:
        smoke.run(outputs(only_tcp, identity), lambda text: None)
    assert str(failed.value) == (
        f"https://localhost:{only_tcp} answered over HTTP/1.1, not HTTP/3: is UDP port {only_tcp} open?"
    )


@pytest.mark.parametrize("missing", ["url", "apiKey"])
def test_a_stack_that_is_not_up_is_told_so(identity: Identity, missing: str) -> None:
    known = outputs(1, identity)
    del known[missing]
    with pytest.raises(SmokeError) as failed:
        smoke.run(known, lambda text: None)
    assert str(failed.value) == f"the stack has no output {missing}: it is not up, make up brings it up"
