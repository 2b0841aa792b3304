"""A reload and an end of the edge, while requests and streams are under way."""

import asyncio
import json
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from components.service import CONFIG_DIR
from stacks.settings import EdgeSettings
from tests.e2e.waiting import eventually
from tests.edge.backend import Backend
from tests.edge.clients import Client, LostError
from tests.edge.conftest import Edge, Starter, describe
from tests.templates.rendered import archive, plain_config

RELOADS, EVERY_S = 4, 1.5
CLIENTS = 8
REPLACED = 500
AWAY_S = 0.002
"""How long a certificate may be away while another takes its place."""
TOKENS, TOKEN_S = 20, 0.1
"""Of a stream, which so outlives a reload."""
PATIENCE_S = 8
"""With an answer that takes 2 s."""


@dataclass
class Load:
    """Clients that ask one after the other, and stream, until they are told to stop.

    Attributes:
        results: of what was asked: "ok"; "again", where the server had not looked at a request, which is then
            sent once more over another connection; "broke", after its beginning; "failed", before it.
    """

    running: Edge
    protocol: str
    results: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    over: bool = False

    async def client(self, path: str) -> None:
        """Be one client."""
        connection: Client | None = None
        while not self.over:
            try:
                if connection is None or connection.closing:
                    connection = await self._again(connection)
                async with asyncio.timeout(PATIENCE_S):
                    answer = await connection.ask(path, "POST", body=b"{}")
                good = answer.status == 200 and (b'"n": 19' in answer.body or "tokens" not in path)
                self.results["ok" if good else "failed"] += 1
            except (LostError, OSError, TimeoutError) as error:
                again = isinstance(error, LostError) and error.unread
                begun = isinstance(error, LostError) and error.begun
                self.results["again" if again else "broke" if begun else "failed"] += 1
                if not again:
                    self.errors.append(f"{type(error).__name__}: {error}")
                if connection:
                    connection.closing = True
        if connection:
            await connection.close()

    async def _again(self, connection: Client | None) -> Client:
        if connection:
            await connection.close()
        async with asyncio.timeout(PATIENCE_S):
            return await self.running.dial(self.protocol)

    async def reloaded(self) -> None:
        """Reload the edge a few times while clients ask and stream."""
        tasks = [
            asyncio.create_task(self.client(path))
            for path in ("/api/generate", f"/api/chat?tokens={TOKENS}&every_s={TOKEN_S}")
            for _ in range(CLIENTS)
        ]
        for _ in range(RELOADS):
            await asyncio.sleep(EVERY_S)
            await asyncio.to_thread(self.running.container.kill, "HUP")
        await asyncio.sleep(EVERY_S)
        self.over = True
        await asyncio.gather(*tasks)


@pytest.fixture
def running(start: Starter, gateway: Backend) -> Iterator[Edge]:
    with start([gateway.address]) as started:
        yield started


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
def test_a_reload_under_load_loses_no_request_and_no_stream(running: Edge, protocol: str) -> None:
    before = running.workers
    load = Load(running, protocol)
    asyncio.run(load.reloaded())
    assert load.errors == []
    assert load.results["broke"] == load.results["failed"] == 0
    assert load.results["ok"] > 100
    assert not {*before} & {*running.workers}, "all workers are new ones"


@pytest.mark.long
def test_a_reload_may_break_connections_over_http_3_and_new_ones_work_once_old_workers_have_ended(
    running: Edge,
) -> None:
    def answered() -> bool:
        with suppress(OSError, TimeoutError, LostError):
            return running.ask("/api/tags", "h3").status == 200
        return False

    load = Load(running, "h3")
    asyncio.run(load.reloaded())
    print(f"HTTP/3 over {RELOADS} reloads: {dict(load.results)}")
    assert load.results["ok"] > 100
    eventually(answered, running.settings.drain_timeout_s, "HTTP/3 works again")


@pytest.mark.long
def test_a_replaced_certificate_is_in_the_way_of_hardly_a_handshake(running: Edge) -> None:
    """Docker replaces a file by removing it first: a handshake that looks for it just then fails."""
    context = ssl.create_default_context(cafile=str(running.authority))
    results, over, address = Counter[str](), threading.Event(), running.address

    def shake() -> None:
        while not over.is_set():
            try:
                with socket.create_connection((address, 8443)) as plain:
                    context.wrap_socket(plain, server_hostname="edge").close()
                results["ok"] += 1
            except OSError as error:
                results[f"{error}"] += 1

    threads = [threading.Thread(target=shake) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    started = time.monotonic()
    for _ in range(REPLACED):
        together = running.identity.certificate + running.identity.key
        running.container.put_archive(CONFIG_DIR, archive({}, {"tls.pem": together}))
    took_s = time.monotonic() - started
    over.set()
    for thread in threads:
        thread.join()
    without_s = took_s * (1 - results["ok"] / results.total()) / REPLACED
    print(f"{REPLACED} certificates: {dict(results)}; each is away for {without_s * 1000:.2f} ms")
    assert results["ok"] > REPLACED
    assert without_s < AWAY_S


def test_a_changed_configuration_holds_from_a_reload_on(running: Edge, gateway: Backend) -> None:
    described = describe([gateway.address], EdgeSettings(alt_svc_max_age_s=60))
    running.container.put_archive(CONFIG_DIR, archive(plain_config(described), {}))
    assert running.ask("/api/tags").headers["alt-svc"].endswith("ma=86400")
    running.container.kill("HUP")
    eventually(
        lambda: running.ask("/api/tags").headers["alt-svc"].endswith("ma=60"), 10, "the new header is sent"
    )


@pytest.mark.parametrize("protocol", [pytest.param("http/1.1", marks=pytest.mark.long), "h2", "h3"])
def test_an_edge_that_ends_lets_streams_end_and_takes_no_new_clients(running: Edge, protocol: str) -> None:
    async def leave() -> None:
        client = await running.dial(protocol)
        stream = asyncio.create_task(client.ask("/api/chat?tokens=40&every_s=0.1", "POST", body=b"{}"))
        await asyncio.sleep(1)
        address = running.address
        await asyncio.to_thread(running.container.kill, "QUIT")
        started = time.monotonic()
        await asyncio.sleep(0.5)
        with pytest.raises(OSError, match=r"refused|unreachable|Connect call failed"):
            await asyncio.open_connection(address, 8443)
        answer = await stream
        assert json.loads(answer.body.splitlines()[-1]) == {"n": 39}
        assert time.monotonic() - started < running.settings.drain_timeout_s
        await client.close()

    asyncio.run(leave())
    assert running.container.wait(timeout=30)["StatusCode"] == 0
