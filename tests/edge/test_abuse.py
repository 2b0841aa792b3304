"""Clients that take all they can: the edge's memory stays bounded, and others are served meanwhile."""

import asyncio
import itertools
import json
import os
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress

import pytest
from qh3 import QuicConfiguration
from qh3.quic.connection import QuicConnection

from components import edge
from stacks.settings import ClientSettings, EdgeSettings
from tests.edge.backend import Backend
from tests.edge.clients import Client, LostError
from tests.edge.conftest import PROTOCOLS, Edge, Starter

MANY = 1000
AT_ONCE = 50
"""Connections that are made at the same time: others share this process."""
SLOWEST_S = 10
"""For those who behave: they share a busy machine, and this process, with those who don't."""
CUT_OFF_S = 120
"""Until the last of many connections that stall is made, and cut off 5 s later."""
FLOOD_S = 3
LARGE_BYTES = 30 * 1024 * 1024
"""Ten of which are more than the edge's /tmp holds."""
CONNECTION_KIB = 128
"""The most that one of many connections may take of the edge's memory."""


@pytest.fixture
def crowded(start: Starter, gateway: Backend) -> Iterator[Edge]:
    """Return an edge that only this test has."""
    with start([gateway.address]) as running:
        yield running


async def served_meanwhile(running: Edge, abuse: Awaitable[None]) -> None:
    """Let others ask over every protocol while clients misbehave, and be answered in time."""

    async def others() -> None:
        for protocol in PROTOCOLS:
            started = time.monotonic()
            client = await running.dial(protocol)
            assert (await client.ask("/api/tags")).status == 200
            await client.close()
            assert time.monotonic() - started < SLOWEST_S, protocol

    async def others_again_and_again() -> None:
        while not task.done():
            await others()

    task = asyncio.ensure_future(abuse)
    await asyncio.gather(task, others_again_and_again())
    await others()


async def hang_on(running: Edge, first: bytes) -> None:
    """Open many connections over TLS, say the beginning of a request, and wait until all are cut off."""
    few = asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        async with few:
            client = await running.dial_plainly()
        client.writer.write(first)
        with suppress(OSError):
            await client.reader.read()
        await client.close()

    async with asyncio.timeout(CUT_OFF_S):
        await asyncio.gather(*(one() for _ in range(MANY)))


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(b"", marks=pytest.mark.long),
        pytest.param(b"GET /api/tags HTTP/1.1\r\nHost: edge\r\nX-Slow: ", marks=pytest.mark.long),
        b"POST /api/generate HTTP/1.1\r\nHost: edge\r\nContent-Length: 60000\r\n\r\n{",
    ],
    ids=["nothing", "half a header", "half a body"],
)
def test_a_thousand_connections_that_stall_are_cut_off_while_others_are_served(
    crowded: Edge, first: bytes
) -> None:
    before = crowded.memory_kib
    asyncio.run(served_meanwhile(crowded, hang_on(crowded, first)))
    assert crowded.memory_kib - before < MANY * CONNECTION_KIB


def test_an_address_that_asks_for_too_much_at_a_time_is_told_so_and_another_is_served(
    start: Starter, gateway: Backend
) -> None:
    settings = EdgeSettings(client=ClientSettings(requests_per_address=MANY // 2))
    with start([gateway.address], settings) as running:
        before = running.memory_kib

        async def crowd() -> Counter[int]:
            streams = [await running.dial("h2") for _ in range(20)]
            asked = [
                client.ask("/api/chat?tokens=4&every_s=1", method="POST")
                for client in streams
                for _ in range(MANY // 20)
            ]
            task = asyncio.gather(*asked)
            await asyncio.sleep(1)  # all of them are there
            elsewhere = await asyncio.to_thread(
                running.run,
                *("curl", "--silent", "--cacert", "/ca.pem", "--write-out", "%{response_code}"),
                *("--output", "/dev/null", "https://edge:8443/api/tags"),
            )
            assert elsewhere == "200"
            answers = await task
            for client in streams:
                await client.close()
            refused = [answer for answer in answers if answer.status == 429]
            assert all(answer.headers["retry-after"] == "1" for answer in refused)
            assert "one address may" in json.loads(refused[0].body)["error"]
            return Counter(answer.status for answer in answers)

        assert asyncio.run(crowd()) == {200: MANY // 2, 429: MANY // 2}
        assert running.memory_kib - before < MANY * CONNECTION_KIB


@pytest.mark.parametrize("header", ["authorization", pytest.param("x-api-key", marks=pytest.mark.long)])
def test_a_key_that_is_used_too_often_at_a_time_is_told_so_and_another_is_served(
    start: Starter, gateway: Backend, header: str
) -> None:
    with start([gateway.address], EdgeSettings(client=ClientSettings(requests_per_key=3))) as running:

        async def ask(client: Client, key: str) -> int:
            path = "/v1/chat/completions?tokens=2&every_s=1"
            return (await client.ask(path, method="POST", headers=[(header, key)])).status

        async def crowd() -> Counter[tuple[str, int]]:
            client = await running.dial("h2")
            keys = ["mine"] * 5 + ["other"] * 2
            statuses = await asyncio.gather(*(ask(client, key) for key in keys))
            await client.close()
            return Counter(zip(keys, statuses, strict=True))

        assert asyncio.run(crowd()) == {("mine", 200): 3, ("mine", 429): 2, ("other", 200): 2}


def test_a_key_counts_once_however_it_is_shown(start: Starter, gateway: Backend) -> None:
    ways = [
        [("authorization", "Bearer mine")],
        [("authorization", "bearer  mine")],
        [("authorization", "Bearer mine"), ("x-api-key", "of nobody")],
        [("x-api-key", "mine")],
        [("x-api-key", "mine"), ("x-api-key", "of nobody")],
    ]
    with start([gateway.address], EdgeSettings(client=ClientSettings(requests_per_key=1))) as running:

        async def crowd() -> list[int]:
            client = await running.dial("h2")
            path = "/v1/chat/completions?tokens=2&every_s=1"
            asked = (client.ask(path, method="POST", headers=headers) for headers in ways)
            answers = await asyncio.gather(*asked)
            await client.close()
            return sorted(answer.status for answer in answers)

        assert asyncio.run(crowd()) == [200, *[429] * (len(ways) - 1)]


def test_an_address_that_asks_too_often_is_told_so(start: Starter, gateway: Backend) -> None:
    with start([gateway.address], EdgeSettings(client=ClientSettings(rate_per_address=20))) as running:

        async def crowd() -> list[int]:
            client = await running.dial("h2")
            answers = await asyncio.gather(*(client.ask("/v1/models") for _ in range(60)))
            await client.close()
            assert {json.loads(one.body)["error"]["code"] for one in answers if one.status == 429} == {
                "rate_limit_exceeded"
            }
            return [answer.status for answer in answers]

        statuses = asyncio.run(crowd())
    assert 20 <= statuses.count(200) <= 40
    assert statuses.count(429) == 60 - statuses.count(200)


@pytest.mark.parametrize(
    ("protocol", "count"), [("http/1.1", 100), ("h2", 100), *((protocol, 5000) for protocol in PROTOCOLS)]
)
def test_headers_of_a_megabyte_are_refused_and_take_no_memory(
    crowded: Edge, protocol: str, count: int
) -> None:
    headers = [(f"x-{n}", "x" * (1_000_000 // count)) for n in range(count)]

    async def attack() -> None:
        for _ in range(5):
            client = await crowded.dial(protocol)
            with suppress(LostError):  # hung up on
                assert (await client.ask("/api/tags", headers=headers)).status in (400, 431)
            await client.close()

    before = crowded.memory_kib
    asyncio.run(served_meanwhile(crowded, attack()))
    assert crowded.memory_kib - before < 10 * 1024


def initials(count: int) -> list[bytes]:
    """Return first packets of so many connections over QUIC, which are good as far as anyone can tell."""
    made = []
    for _ in range(count):
        connection = QuicConnection(
            configuration=QuicConfiguration(is_client=True, alpn_protocols=["h3"], server_name="edge")
        )
        connection.connect(("127.0.0.1", 1), now=0)
        made += [data for data, _ in connection.datagrams_to_send(now=0)]
    return made


def noise(count: int) -> list[bytes]:
    """Return packets that are none of QUIC."""
    return [os.urandom(1200) for _ in range(count)]


@pytest.mark.parametrize("packets", [pytest.param(noise, marks=pytest.mark.long), initials])
def test_a_flood_of_udp_takes_no_memory_and_others_are_served(
    crowded: Edge, packets: Callable[[int], list[bytes]]
) -> None:
    flood, address = itertools.cycle(packets(2000)), (crowded.address, edge.PORT)

    def send() -> None:
        until = time.monotonic() + FLOOD_S
        while time.monotonic() < until:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as source:  # from another port each time
                for packet in itertools.islice(flood, 500):
                    source.sendto(packet, address)

    before = crowded.memory_kib
    asyncio.run(served_meanwhile(crowded, asyncio.to_thread(send)))
    assert crowded.memory_kib - before < 32 * 1024


@pytest.fixture(scope="module")
def large(start: Starter, gateway: Backend) -> Iterator[Edge]:
    """Return an edge that takes large bodies."""
    with start([gateway.address], body_bytes=LARGE_BYTES) as running:
        yield running


def test_bodies_that_never_end_leave_room_for_those_of_others(large: Edge) -> None:
    head = f"POST /api/generate HTTP/1.1\r\nHost: edge\r\nContent-Length: {LARGE_BYTES}\r\n\r\n".encode()

    async def never_end() -> None:
        clients = [await large.dial_plainly() for _ in range(10)]
        for client in clients:
            client.writer.write(head + bytes(LARGE_BYTES - 1))
        await asyncio.gather(*(client.writer.drain() for client in clients))
        other = await large.dial("h2")
        answer = await other.ask("/api/generate", "POST", body=b"x" * 60_000)
        assert json.loads(answer.body)["body"] == 60_000
        await other.close()
        for client in clients:
            await client.close()

    asyncio.run(never_end())


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("size", [99_999, 100_000, 1_000_000])
def test_a_large_body_arrives_whole_and_under_its_path(
    large: Edge, gateway: Backend, protocol: str, size: int
) -> None:
    body = os.urandom(size)
    assert large.ask("/api/some%2fthing?a=b", protocol, method="POST", body=body).status == 200
    assert gateway.seen[-1].body == body
    assert gateway.seen[-1].target == "/api/some%2fthing?a=b"
