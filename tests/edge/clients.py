"""Clients that send whatever they are told, and say what was lost: what they share, and HTTP/1.1.

A client of a library mends what it can and hides the rest; these show whether an answer had begun.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

PATIENCE_S = 30
Headers = Sequence[tuple[str, str]]
Take = Callable[[bytes], None]


class LostError(Exception):
    """No whole answer came.

    Attributes:
        begun: whether a part of it did.
        unread: whether the server said, or meant by closing an idle connection, that it has not looked at the
            request: it may be sent again.
    """

    def __init__(self, why: str, *, begun: bool, unread: bool = False) -> None:
        super().__init__(why)
        self.begun, self.unread = begun, unread


@dataclass
class Answer:
    """What came back."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    pieces: int = 0


class Client(ABC):
    """One connection."""

    closing = False
    """Whether the server has said that it takes no more requests on it."""

    @abstractmethod
    async def send(self, headers: Headers, body: bytes, take: Take | None = None) -> Answer:
        """Send a request, with pseudo headers first, and return its answer; ``take`` sees each piece."""

    @abstractmethod
    async def close(self) -> None:
        """Hang up."""

    async def ask(
        self,
        path: str,
        method: str = "GET",
        headers: Headers = (),
        body: bytes = b"",
        take: Take | None = None,
        authority: str = "edge",
    ) -> Answer:
        """Send an ordinary request."""
        pseudo = [(":method", method), (":scheme", "https"), (":authority", authority), (":path", path)]
        length = [("content-length", str(len(body)))] if body or method == "POST" else []
        async with asyncio.timeout(PATIENCE_S if take is None else None):
            return await self.send([*pseudo, *headers, *length], body, take)


class Http1(Client):
    """HTTP/1.1: one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._used = False

    async def send(self, headers: Headers, body: bytes, take: Take | None = None) -> Answer:
        named = dict(headers)
        lines = [f"{named[':method']} {named[':path']} HTTP/1.1", f"host: {named[':authority']}"]
        lines += [f"{name}: {value}" for name, value in headers if not name.startswith(":")]
        answer = Answer()
        try:
            self.writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
            await self.writer.drain()
            await self._read(answer, named[":method"], take)
        except (OSError, asyncio.IncompleteReadError) as error:
            begun = bool(answer.status)
            unread = self._used and not begun  # closed while it was idle, as far as this side can know
            raise LostError(f"{type(error).__name__}: {error}", begun=begun, unread=unread) from error
        self._used = True
        self.closing = answer.headers.get("connection") == "close"
        return answer

    async def _read(self, answer: Answer, method: str, take: Take | None) -> None:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        answer.status = int(first.split(" ")[1])
        for line in lines:
            name, _, value = line.partition(":")
            answer.headers[name.lower()] = value.strip()
        if method == "HEAD" or answer.status in (101, 204, 304):
            return
        if answer.headers.get("transfer-encoding") != "chunked":
            answer.body = await self.reader.readexactly(int(answer.headers["content-length"]))
            return
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            piece = (await self.reader.readexactly(size + 2))[:-2]
            note(answer, piece, take)
        await self.reader.readline()

    async def close(self) -> None:
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()


def note(answer: Answer, piece: bytes, take: Take | None) -> None:
    """Add a piece to an answer."""
    answer.body += piece
    answer.pieces += 1
    if take:
        take(piece)
