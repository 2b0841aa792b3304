"""What lasts: slow streams and idle WebSockets through the edge. ``make test-long`` runs these."""

import asyncio
import functools
import itertools
import json
import time
from collections.abc import Awaitable, Callable

import pytest

from tests.edge.backend import Backend
from tests.edge.clients import Client, Http1
from tests.edge.conftest import PROTOCOLS, Edge

MINUTES_S = 300
SOCKETS = 1000
SOCKET_KIB = 64
TOKENS, TOKEN_S = 60, 0.05
TRIES = 3
"""A busy machine delays what it likes."""
GREETING = (
    b"GET /ws HTTP/1.1\r\nHost: edge\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)

pytestmark = pytest.mark.long


def test_a_stream_of_a_token_a_second_lives_for_five_minutes(served: Edge) -> None:
    late: dict[str, float] = {}

    async def stream(protocol: str) -> None:
        client = await served.dial(protocol)
        gaps: list[float] = []
        last = time.monotonic()

        def take(_: bytes) -> None:
            nonlocal last
            now = time.monotonic()
            gaps.append(now - last)
            last = now

        answer = await client.ask(f"/api/chat?tokens={MINUTES_S}&every_s=1", "POST", body=b"{}", take=take)
        assert json.loads(answer.body.splitlines()[-1]) == {"n": MINUTES_S - 1}
        late[protocol] = max(gaps)
        await client.close()

    async def all_at_once() -> None:
        await asyncio.gather(*(stream(protocol) for protocol in PROTOCOLS))

    asyncio.run(all_at_once())
    print(f"longest wait for a token, seconds: {late}")
    assert max(late.values()) < 2


def test_a_thousand_idle_websockets_live_for_five_minutes_and_take_little_memory(served: Edge) -> None:
    async def open_one() -> Http1:
        client = await served.dial_plainly()
        client.writer.write(GREETING)
        head = await client.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        return client

    async def echo(client: Http1) -> None:
        client.writer.write(b"alive")
        assert await client.reader.readexactly(5) == b"ALIVE"
        await client.close()

    async def idle() -> float:
        before = served.memory_kib
        clients = [await open_one() for _ in range(SOCKETS)]
        each = (served.memory_kib - before) / SOCKETS
        await asyncio.sleep(MINUTES_S)
        async with asyncio.timeout(30):
            await asyncio.gather(*(echo(client) for client in clients))
        return each

    each = asyncio.run(idle())
    print(f"memory of the edge for each idle WebSocket: {each:.1f} KiB")
    assert each <= SOCKET_KIB


def test_no_token_of_a_stream_is_held_back(served: Edge, gateway: Backend) -> None:
    """From token to token it takes as long as at the gateway itself, at the 99th percentile."""

    async def waits(dial: Callable[[], Awaitable[Client]]) -> list[float]:
        """Return what passes between tokens of ten streams at once."""
        found: list[float] = []

        async def stream() -> None:
            client = await dial()
            times: list[float] = []
            await client.ask(
                f"/api/chat?tokens={TOKENS}&every_s={TOKEN_S}",
                "POST",
                take=lambda _: times.append(time.monotonic()),
            )
            found.extend(later - sooner for sooner, later in itertools.pairwise(times))
            await client.close()

        await asyncio.gather(*(stream() for _ in range(10)))
        return sorted(found)

    async def plainly() -> Client:
        host, _, port = gateway.address.partition(":")
        return Http1(*await asyncio.open_connection(host, int(port)))

    def p99(dial: Callable[[], Awaitable[Client]]) -> float:
        found = asyncio.run(waits(dial))
        return found[len(found) * 99 // 100]

    slower = {
        protocol: min(p99(functools.partial(served.dial, protocol)) / p99(plainly) for _ in range(TRIES))
        for protocol in PROTOCOLS
    }
    print(f"99th percentile from token to token, as a multiple of the gateway's own: {slower}")
    assert max(slower.values()) <= 1.2
