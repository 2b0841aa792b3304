"""The smoke test: one streamed chat over HTTP/3, as a user's client would send it."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import niquests

from ops.asking import trusting
from ops.stack import StackError

STAND_IN = "tiny"
"""The random-weight model that stands in where no model registry can be reached."""
PROMPT = "Say hello to the world in one sentence."
MAX_TOKENS = 48
TIMEOUT_S = 120
PROTOCOLS = {10: "HTTP/1.0", 11: "HTTP/1.1", 20: "HTTP/2", 30: "HTTP/3"}


class SmokeError(StackError):
    """The platform did not answer as it must; the message says what was asked and what came back."""


@dataclass(frozen=True)
class Result:
    """What the smoke test saw."""

    protocol: str
    node: str
    model: str
    first_token_s: float
    tokens: int

    @property
    def line(self) -> str:
        """One line with protocol, node and time to first token."""
        return (
            f"{self.protocol}  node {self.node}  model {self.model}  "
            f"first token after {self.first_token_s * 1000:.0f} ms  {self.tokens} tokens"
        )


def run(outputs: dict[str, Any], show: Callable[[str], None]) -> Result:
    """Send one chat to the edge, hand each piece of the answer to ``show``, and return what was seen.

    Args:
        outputs: the stack's outputs ``url`` and ``apiKey``, and ``caCertificate`` (PEM) unless every machine
            trusts the edge's.
        show: called with each piece of text as it arrives.

    Raises:
        SmokeError: if the edge cannot be reached, or answers anything but a stream over HTTP/3.
    """
    missing = [name for name in ("url", "apiKey") if name not in outputs]
    if missing:
        raise SmokeError(f"the stack has no output {missing[0]}: it is not up, make up brings it up")
    url = outputs["url"]
    address = urlsplit(url)
    with trusting(outputs.get("caCertificate")) as session:
        session.headers["Authorization"] = f"Bearer {outputs['apiKey']}"
        # Start with HTTP/3: without this the first request only learns of it from Alt-Svc.
        host, port = address.hostname or "", address.port or 443
        session.quic_cache_layer[(host, port)] = (host, port)
        try:
            model = _model(session, url)
            return _chat(session, url, model, show)
        except niquests.exceptions.RequestException as error:
            raise SmokeError(f"{url} did not answer: {error}") from error


def _model(session: niquests.Session, url: str) -> str:
    """Return the name of the first model that the platform serves."""
    answer = session.get(f"{url}/api/tags", timeout=TIMEOUT_S)
    if answer.status_code != HTTPStatus.OK:
        raise SmokeError(f"GET {url}/api/tags: {answer.status_code} {answer.text}")
    names = [model["name"] for model in answer.json()["models"]]
    if not names:
        raise SmokeError(f"{url} serves no model: see the logs of the models job (make logs SERVICE=models)")
    return str(min(names))


def _chat(session: niquests.Session, url: str, model: str, show: Callable[[str], None]) -> Result:
    started = time.monotonic()
    request = {
        "model": model,
        "messages": [{"role": "user", "content": PROMPT}],
        "options": {"num_predict": MAX_TOKENS},
    }
    with session.post(f"{url}/api/chat", json=request, stream=True, timeout=TIMEOUT_S) as answer:
        if answer.status_code != HTTPStatus.OK:
            raise SmokeError(f"POST {url}/api/chat: {answer.status_code} {answer.text}")
        first_token_s = None
        tokens = 0
        for line in answer.iter_lines():
            piece = _piece(line, f"POST {url}/api/chat")
            if first_token_s is None:
                first_token_s = time.monotonic() - started
            show(piece["message"]["content"])
            tokens = piece.get("eval_count", tokens)
        protocol = PROTOCOLS.get(answer.http_version or 0, "an unknown protocol")
        node = answer.headers.get("x-ollamamax-node", "unknown")
    if protocol != "HTTP/3":
        raise SmokeError(
            f"{url} answered over {protocol}, not HTTP/3: is UDP port {urlsplit(url).port} open?"
        )
    if first_token_s is None or tokens == 0:
        raise SmokeError(f"POST {url}/api/chat: the answer held no token")
    return Result(protocol, str(node), model, first_token_s, tokens)


def _piece(line: bytes, asked: str) -> dict[str, Any]:
    """Return one line of a streamed answer.

    Raises:
        SmokeError: if it is an error, or nothing that Ollama would stream.
    """
    try:
        piece: dict[str, Any] = json.loads(line)
        well = "error" in piece or isinstance(piece["message"]["content"], str)
    except (ValueError, TypeError, KeyError):
        well = False
    if not well:
        raise SmokeError(f"{asked}: {line!r} is no piece of an answer")
    if "error" in piece:
        raise SmokeError(f"{asked}: the stream broke off: {piece['error']}")
    return piece
