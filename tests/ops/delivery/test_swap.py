"""A model swap, by what the platform's API is told."""

import json
from collections.abc import Iterator
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from ops.delivery.measure import Prometheus
from ops.delivery.swap import Aliases, Swap, left_unfinished, only
from ops.stack import StackError

PATH = "/api/v1/models/aliases/chat"


class Api(BaseHTTPRequestHandler):
    """Keeps one alias, as the gateways do."""

    alias: dict[str, Any]
    key = "Bearer secret"

    def do_GET(self) -> None:
        self._answer(200 if self.path == PATH else 404)

    def do_PUT(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        Api.alias = {"name": "chat:latest", **body}
        self._answer(200)

    def _answer(self, status: int) -> None:
        assert self.headers["Authorization"] == self.key
        text = json.dumps({"alias": self.alias} if status == 200 else {"error": "no such alias"}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def aliases() -> Iterator[Aliases]:
    Api.alias = {"name": "chat:latest", "targets": [{"model": "old"}], "fallbacks": ["small"]}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield Aliases(lambda: nullcontext(f"http://127.0.0.1:{server.server_port}"), "secret", None)
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_model_gets_its_share_by_weight_and_fallbacks_stay(aliases: Aliases) -> None:
    swap = Swap(aliases, lambda: nullcontext(Prometheus("", "", "", "")), "chat", "old", "new")
    swap.weigh(25)
    assert Api.alias["targets"] == [
        {"model": "old", "weight": 75, "variant": "there"},
        {"model": "new", "weight": 25, "variant": "tried"},
    ]
    assert Api.alias["fallbacks"] == ["small"]
    left = left_unfinished(aliases.get("chat"))
    assert left
    assert (left["model"], left["weight"]) == ("new", 25), "who comes next sees how far it had come"
    swap.take_back()
    assert Api.alias["targets"] == [{"model": "old"}]
    assert left_unfinished(aliases.get("chat")) is None
    swap.take_over()
    assert Api.alias["targets"] == [{"model": "new"}]


def test_an_alias_that_somebody_compares_models_behind_is_left_alone() -> None:
    assert only("chat", [{"model": "old"}]) == "old"
    with pytest.raises(StackError, match="alias chat stands for a, b: leave it one model"):
        only("chat", [{"model": "a"}, {"model": "b"}])
    with pytest.raises(StackError, match="none of its own"):
        only("chat", [])


def test_an_unknown_alias_is_named_with_what_the_platform_says(aliases: Aliases) -> None:
    with pytest.raises(StackError, match=r"aliases/caht: 404 .*no such alias"):
        aliases.get("caht")
