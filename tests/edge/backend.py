"""A gateway of tests: it answers all, keeps what it was sent, and says of caching what is not its to say."""

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

HEAD_BYTES = 256 * 1024
LARGE = json.dumps({"models": [{"name": f"model-{n}", "size": n} for n in range(200)]}).encode()
"""Large enough to be compressed."""
TURN_S = 10
Pause = Callable[[int], Awaitable[None]]
"""What is waited for once so many tokens were sent."""


@dataclass(frozen=True)
class Request:
    """What arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


@dataclass
class Backend:
    """Where it listens, and what it has seen."""

    address: str = ""
    seen: list[Request] = field(default_factory=list)
    connections: int = 0
    taken: int = 0
    """Tokens of a stream that its client says it has; one that asks with ``in_turn`` gets no other before."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        self.connections += 1
        number = self.connections
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                request = await self._read(reader, number)
                self.seen.append(request)
                if not await self._answer(request, reader, writer):
                    break
        writer.close()

    async def _read(self, reader: asyncio.StreamReader, number: int) -> Request:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(await reader.readline(), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readline()
        else:
            body = await reader.readexactly(int(headers.get("content-length", "0")))
        return Request(method, target, headers, body, number)

    async def _answer(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer, and return whether the connection goes on."""
        url = urlsplit(request.target)
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        if request.headers.get("upgrade") == "websocket":
            writer.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
            )
            while data := await reader.read(1000):
                writer.write(data.upper())
            return False
        if "tokens" in asked:
            pause = self._until_taken if "in_turn" in asked else ticking(float(asked.get("every_s", "0")))
            await self._stream(writer, url.path, int(asked["tokens"]), pause)
            return True
        status = int(asked.get("status", "200"))
        body = (
            LARGE if "large" in asked else json.dumps({"path": url.path, "body": len(request.body)}).encode()
        )
        head = (
            f"HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            "Cache-Control: public, max-age=86400\r\nX-Request-Id: another\r\n\r\n"
        )
        writer.write(head.encode() + (b"" if request.method == "HEAD" else body))
        await writer.drain()
        return True

    async def _until_taken(self, tokens: int) -> None:
        """Wait until the client has so many tokens; close the connection of one that does not get them."""
        end = time.monotonic() + TURN_S
        while self.taken < tokens:
            if time.monotonic() > end:
                raise ConnectionError(f"the client has {self.taken} of {tokens} tokens after {TURN_S} s")
            await asyncio.sleep(0.002)

    async def _stream(self, writer: asyncio.StreamWriter, path: str, tokens: int, pause: Pause) -> None:
        kind = "text/event-stream" if path.startswith("/v1/") else "application/x-ndjson"
        writer.write(
            f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        for n in range(tokens):
            line = json.dumps({"n": n}).encode()
            piece = b"data: " + line + b"\n\n" if path.startswith("/v1/") else line + b"\n"
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
            await pause(n + 1)
        writer.write(b"0\r\n\r\n")
        await writer.drain()


def ticking(every_s: float) -> Pause:
    """Return the pauses of a stream whose tokens come as often, seconds, however long one of them took."""
    begun = time.monotonic()

    async def pause(tokens: int) -> None:
        await asyncio.sleep(max(0.0, begun + tokens * every_s - time.monotonic()))

    return pause


@contextmanager
def backend(host: str, port: int = 0) -> Iterator[Backend]:
    """Run one in a thread of its own until the context ends; on any port where none is given."""
    made = Backend()
    loop = asyncio.new_event_loop()
    ready, stop = threading.Event(), asyncio.Event()

    async def main() -> None:
        server = await asyncio.start_server(made.serve, host, port, limit=HEAD_BYTES, backlog=4096)
        made.address = f"{host}:{server.sockets[0].getsockname()[1]}"
        ready.set()
        await stop.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def run() -> None:
        loop.run_until_complete(main())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(10), "it did not start"
        yield made
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
