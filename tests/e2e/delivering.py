"""Clients that ask and stream without a pause, and releases that are worse on purpose."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.conftest import Checkout, Platform
from tests.e2e.waiting import eventually
from tests.edge.clients import Client, LostError
from tests.edge.multiplexed import dial

ENTER = "\tkey, refusal := g.keys.Authorize("
"""Where every request comes in: docker/gateway/internal/gate/gate.go."""
IMPORTS = "import (\n"
FAULTS = {
    "fails": (
        '\t"math/rand/v2"\n',
        "\tif rand.IntN(50) == 0 {\n\t\treturn nil, limits.Standing{}, "
        '&reply.Refusal{Status: http.StatusInternalServerError, Message: "made to fail"}\n\t}\n',
    ),
    "slow": (
        "",
        "\tfor until := x.Start.Add(SLOWER); time.Now().Before(until); {\n\t}\n",
    ),
    "leaks": (
        '\t"bytes"\n\t"sync"\n',
        "\tleak.Lock()\n\tleaked = append(leaked, bytes.Repeat([]byte{1}, 64<<10))\n\tleak.Unlock()\n",
    ),
    "good": ("", "\t_ = path // another program, with another image\n"),
}
"""What is added to the gateway's source: imports, and what is done with each request."""
BEYOND = {"leaks": "\nvar (\n\tleak   sync.Mutex\n\tleaked [][]byte\n)\n"}
"""And what is added behind it."""


@contextmanager
def changed(checkout: Checkout, how: str, slower_s: float = 0.0) -> Iterator[Path]:
    """Have the gateway's source changed inside the block."""
    file = checkout.root / "docker" / "gateway" / "internal" / "gate" / "gate.go"
    before = file.read_text()
    imports, code = FAULTS[how]
    code = code.replace("SLOWER", f"{round(slower_s * 1e9)} * time.Nanosecond")
    text = before.replace(ENTER, code + ENTER, 1).replace(IMPORTS, IMPORTS + imports, 1)
    assert code in text, "the gateway's source has changed: nothing was made worse"
    file.write_text(text + BEYOND.get(how, ""))
    try:
        yield file
    finally:
        file.write_text(before)


@dataclass
class Load:
    """Clients of all three protocols, in a thread of their own.

    Attributes:
        results: of what was asked: "ok"; "again", which the server had not looked at and its client may send
            once more; "failed"; "cut", after the beginning of its answer.
    """

    platform: Platform
    model: str = "tiny"
    results: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    _over: bool = False

    @contextmanager
    def running(self) -> Iterator["Load"]:
        """Ask inside the block; what is under way at its end is finished."""
        thread = threading.Thread(target=lambda: asyncio.run(self._all()))
        thread.start()
        try:
            self.progress()
            yield self
            self.progress()
        finally:
            self._over = True
            thread.join()

    def progress(self) -> None:
        """Wait for a hundred good answers more."""
        least = self.results["ok"] + 100
        eventually(lambda: self.results["ok"] >= least, 120, "answers come")

    @property
    def all(self) -> int:
        """Everything that was asked to its end."""
        return self.results["ok"] + self.bad

    @property
    def bad(self) -> int:
        """What no client mends."""
        return self.results["failed"] + self.results["cut"]

    async def _all(self) -> None:
        looks = [self._client("http/1.1", n) for n in range(4)] + [self._client("h2", n) for n in (4, 5)]
        await asyncio.gather(*looks, self._client("h3", 6), *(self._client("h2", n, True) for n in (7, 8)))

    async def _client(self, protocol: str, number: int, streams: bool = False) -> None:
        connection: Client | None = None
        asked = 0
        while not self._over:
            asked += 1
            try:
                if connection is None or connection.closing:
                    connection = await self._again(connection, protocol)
                await self._ask(connection, number, asked, streams)
            except (LostError, OSError, TimeoutError) as error:
                kind = "failed"
                if isinstance(error, LostError):
                    kind = "again" if error.unread else "cut" if error.begun else "failed"
                self._note(kind, f"{protocol}: {type(error).__name__}: {error}")
                if connection:
                    connection.closing = True
        if connection:
            await connection.close()

    async def _ask(self, connection: Client, number: int, asked: int, streams: bool) -> None:
        headers = [("authorization", f"Bearer {self.platform.key}"), ("content-type", "application/json")]
        if asked % 2 and not streams:
            answer = await connection.ask("/api/tags", headers=headers, authority="localhost")
            whole = b"tiny" in answer.body
        else:
            prompt = {"model": self.model, "prompt": f"{asked if streams else asked % 20}", "stream": streams}
            options = {"temperature": 0, "num_predict": 64 if streams else 8}
            body = json.dumps(prompt | {"options": options}).encode()
            answer = await connection.ask("/api/generate", "POST", headers, body, authority="localhost")
            whole = b'"done":true' in answer.body
        if answer.status != 200:
            self._note("failed", f"{number}: {answer.status} {answer.body[:200]!r}")
        elif not whole:
            self._note("cut", f"{number}: {answer.body[-200:]!r}")
        else:
            self.results["ok"] += 1
        if not streams:
            await asyncio.sleep(0.01)

    async def _again(self, connection: Client | None, protocol: str) -> Client:
        if connection:
            with suppress(OSError):
                await connection.close()
        async with asyncio.timeout(10):
            return await dial(
                protocol, "127.0.0.1", self.platform.port, self.platform.ca.read_text(), "localhost"
            )

    def _note(self, kind: str, error: str) -> None:
        self.results[kind] += 1
        if kind != "again":
            self.errors.append(error)
