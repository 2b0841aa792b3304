"""What clients were answered by one Ollama and by the platform, written down so that it can be compared."""

import difflib
import json
import re
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import openai

CHANCE = re.compile(
    r'"(created_at|completed_at|modified_at|expires_at|created|id|item_id|digest|'
    r'total_duration|load_duration|prompt_eval_duration|eval_duration)":("[^"]*"|\d+)'
)
"""Fields that no two servers have in common."""
PARAMETERS = (re.compile(r"(?:PARAMETER \S+ [^\\]*\\n)+"), re.compile(r'(?<="parameters":")[^"]*'))
"""Lists that Ollama makes in another order each time."""


def settled(line: str, text: str) -> str:
    """Return an answer without what is left to chance in it, or different as docs/api.md says."""
    if " /api/ps " in line:  # each worker lists what it has loaded
        models = [
            CHANCE.sub("", json.dumps(one, separators=(",", ":"))) for one in json.loads(text)["models"]
        ]
        return "\n".join([line, *dict.fromkeys(models)])
    for parameters in PARAMETERS:
        text = parameters.sub(lambda found: "\\n".join(sorted(found[0].split("\\n"))), text)
    return (line + "\n" + CHANCE.sub(r'"\1":…', text)).rstrip("\n")


@dataclass
class Side:
    """One of the two servers, and what its clients were answered."""

    url: str
    key: str
    trust: ssl.SSLContext
    heard: list[str] = field(default_factory=list)

    @property
    def headers(self) -> dict[str, str]:
        """What a client sends to be let in."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def transport(self, library: Any) -> Any:
        """Return a transport of ``httpx`` or ``httpx2`` that writes down every answer."""
        heard = self.heard

        class Tee(library.SyncByteStream):  # type: ignore[misc]
            def __init__(self, stream: Any, line: str) -> None:
                self.stream, self.line, self.body = stream, line, b""

            def __iter__(self) -> Iterator[bytes]:
                for piece in self.stream:
                    self.body += piece
                    yield piece

            def close(self) -> None:
                heard.append(settled(self.line, self.body.decode()))
                self.stream.close()

        class Recording(library.HTTPTransport):  # type: ignore[misc]
            def handle_request(self, request: Any) -> Any:
                request.headers["accept-encoding"] = "identity"  # the edge compresses
                response = super().handle_request(request)
                kind = response.headers.get("content-type", "")
                line = f"{request.method} {request.url.raw_path.decode()} {response.status_code} {kind}"
                response.stream = Tee(response.stream, line)
                return response

        return Recording(verify=self.trust)


def make(call: Callable[[], object]) -> None:
    """Make a call of a client's, to the end of a stream. What the server said is heard, an error too."""
    with suppress(Exception):
        result = call()
        if isinstance(result, Iterator | openai.Stream):
            for _ in result:
                pass


def differences(one: Mapping[str, Sequence[str]], ours: Mapping[str, Sequence[str]]) -> str:
    """Return what was answered otherwise, call by call; nothing where all is alike."""
    assert one.keys() == ours.keys()
    reports = []
    for name, said in one.items():
        assert said, f"{name}: nothing was asked"
        if said != ours[name]:
            before, after = ("\n".join(part).splitlines() for part in (said, ours[name]))
            lines = difflib.unified_diff(before, after, "one Ollama", "the platform", lineterm="", n=1)
            reports.append("\n".join((f"{name}:", *(line[:2000] for line in lines))))
    return "\n".join(reports)


def answers(side: Side, calls: Mapping[str, Callable[[], object]]) -> Mapping[str, Sequence[str]]:
    """Make calls of a client that writes down what ``side`` says; return that."""
    said = {}
    for name, call in calls.items():
        side.heard.clear()
        make(call)
        said[name] = list(side.heard)
    return said
