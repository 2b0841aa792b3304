"""Gateways of another release behind the real edge: their share of the requests, which no reload changes."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Iterator

import docker
import pytest

from stacks.delivery import SWITCHES
from tests.containers import host_in
from tests.edge.backend import Backend, backend
from tests.edge.conftest import PROTOCOLS, Edge, Starter

REQUESTS = 400


@pytest.fixture(scope="module")
def canary(daemon: docker.DockerClient, gateway: Backend) -> Iterator[Backend]:
    """Return a gateway of another release, at another address of this machine and the same port."""
    network = daemon.networks.create(f"ollamamax-edgetest-{uuid.uuid4().hex[:8]}", driver="bridge")
    try:
        network.reload()
        with backend(host_in(network), int(gateway.address.rpartition(":")[2])) as running:
            yield running
    finally:
        network.remove()


@pytest.fixture(scope="module")
def edge(start: Starter, gateway: Backend, canary: Backend) -> Iterator[Edge]:
    with start([gateway.address], canaries=[canary.address.partition(":")[0]]) as running:
        yield running


def weigh(edge: Edge, *parts: str) -> None:
    """Give the parts of these names to the other release, as the commands do."""
    script = (
        f"rm -f {SWITCHES}/*; cd {SWITCHES} && touch {' '.join(parts)}" if parts else f"rm -f {SWITCHES}/*"
    )
    done = edge.container.exec_run(["sh", "-c", script])
    assert done.exit_code == 0, done.output


def spread(
    edge: Edge, gateway: Backend, canary: Backend, path: str = "/api/tags", **headers: str
) -> Counter[str]:
    """Ask many times over one connection, and return how often each release was asked."""
    before = len(gateway.seen), len(canary.seen)

    async def all_of_them() -> None:
        client = await edge.dial("h2")
        for _ in range(REQUESTS):
            answer = await client.ask(path, headers=list(headers.items()))
            assert answer.status == 200
        await client.close()

    asyncio.run(all_of_them())
    return Counter(there=len(gateway.seen) - before[0], tried=len(canary.seen) - before[1])


def test_without_a_release_nobody_is_asked_for_it(edge: Edge, gateway: Backend, canary: Backend) -> None:
    weigh(edge)
    assert spread(edge, gateway, canary) == Counter(there=REQUESTS)
    assert spread(edge, gateway, canary, **{"x-ollamamax-release": "canary"})["tried"] == 0


@pytest.mark.parametrize(
    ("parts", "share"),
    [(["5"], 0.05), (["5", "25"], 0.25), (["5", "25", "50"], 0.5), (["5", "25", "50", "100"], 1)],
)
def test_it_has_its_share_at_once_and_no_process_of_nginx_is_new(
    edge: Edge, gateway: Backend, canary: Backend, parts: list[str], share: float
) -> None:
    workers = edge.workers
    weigh(edge, "asked", *parts)
    found = spread(edge, gateway, canary)["tried"] / REQUESTS
    assert found == pytest.approx(share, abs=4 * (share * (1 - share) / REQUESTS) ** 0.5)
    assert edge.workers == workers, "nothing was loaded anew"


def test_a_share_may_be_laid_out_as_kubelets_do_with_a_config_map(
    edge: Edge, gateway: Backend, canary: Backend
) -> None:
    """Each file is a link into the folder that the link ..data leads to, which is replaced as a whole."""
    weigh(edge)
    for number, parts, there in (("1", "5 25 50 100", 0), ("2", "", REQUESTS)):
        script = f"""
            set -e; cd {SWITCHES}; mkdir ..{number}; ln -s ..{number} ..new; mv -T ..new ..data
            for part in {parts}; do touch ..data/$part; ln -s ..data/$part $part; done
        """
        done = edge.container.exec_run(["sh", "-c", script])
        assert done.exit_code == 0, done.output
        assert spread(edge, gateway, canary)["there"] == there
    weigh(edge)


def test_a_header_asks_for_one_of_the_two(edge: Edge, gateway: Backend, canary: Backend) -> None:
    weigh(edge, "asked", "5")
    assert spread(edge, gateway, canary, **{"x-ollamamax-release": "canary"}) == Counter(tried=REQUESTS)
    weigh(edge, "asked", "5", "25", "50", "100")
    assert spread(edge, gateway, canary, **{"x-ollamamax-release": "stable"}) == Counter(there=REQUESTS)


def test_a_session_stays_with_one_release(edge: Edge, gateway: Backend, canary: Backend) -> None:
    weigh(edge, "asked", "5", "25", "50")
    for user in ("ann", "bob", "eve"):
        assert len(+spread(edge, gateway, canary, **{"x-ollamamax-session": user})) == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("path", "body"),
    [("/api/chat?x=%2F1", b"{}"), ("/api/blobs/sha256:1", b"abc"), ("/api/chat", b"x" * 120_000)],
)
def test_requests_reach_it_as_they_were_written(
    edge: Edge, canary: Backend, protocol: str, path: str, body: bytes
) -> None:
    weigh(edge, "asked", "5", "25", "50", "100")
    answer = edge.ask(path, protocol, method="POST", body=body)
    assert answer.status == 200
    assert (canary.seen[-1].target, canary.seen[-1].body) == (path, body)


def test_what_a_release_does_not_answer_the_one_before_does(start: Starter, gateway: Backend) -> None:
    with start([gateway.address], canaries=["127.0.0.1"]) as running:
        weigh(running, "asked", "5", "25", "50", "100")
        before = len(gateway.seen)
        assert running.ask("/api/chat", method="POST", body=b"{}").status == 200
        assert len(gateway.seen) == before + 1
