"""The edge's image with its rendered configuration, before a gateway of tests, in a network of its own."""

import asyncio
import functools
import resource
import subprocess
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from components import edge, naming
from components.service import Service
from stacks.aws import CdnSettings
from stacks.settings import EdgeSettings
from tests.containers import host_in, serving
from tests.edge.backend import Backend, backend
from tests.edge.clients import Answer, Client, Http1
from tests.edge.multiplexed import IGNORED, dial, reserve
from tests.identity import Identity, certify
from tests.templates.rendered import NO_CERTIFICATE, wait_until_healthy

PROTOCOLS = ("http/1.1", "h2", "h3")
CONSOLE_HOST = "console.llm.example.org"
FILES = 16_384
BODY_BYTES = 256 * 1024
"""Largest body that these edges take."""


@dataclass(frozen=True)
class Edge:
    """A running edge."""

    container: Container
    network: str
    identity: Identity
    authority: Path
    """The file with the certificate of its authority."""
    settings: EdgeSettings

    @property
    def address(self) -> str:
        """Where this machine reaches it."""
        self.container.reload()
        found: str = self.container.attrs["NetworkSettings"]["Networks"][self.network]["IPAddress"]
        return found

    async def dial(self, protocol: str, port: int = edge.PORT) -> Client:
        """Connect."""
        return await dial(protocol, self.address, port, self.identity.authority)

    async def dial_plainly(self) -> Http1:
        """Connect over HTTP/1.1, to say something else than a request and its answer."""
        client = await self.dial("http/1.1")
        assert isinstance(client, Http1)
        return client

    def ask(self, path: str, protocol: str = "http/1.1", port: int = edge.PORT, **request: Any) -> Answer:
        """Send one request over a connection of its own."""

        async def once() -> Answer:
            client = await self.dial(protocol, port)
            try:
                return await client.ask(path, **request)
            finally:
                await client.close()

        return asyncio.run(once())

    @property
    def workers(self) -> list[int]:
        """Ids of nginx's worker processes."""
        self.container.reload()
        main = self.container.attrs["State"]["Pid"]
        return [int(pid) for pid in Path(f"/proc/{main}/task/{main}/children").read_text().split()]

    @property
    def memory_kib(self) -> int:
        """What the workers hold, each for itself alone."""
        pages = 0
        for pid in self.workers:
            _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
            pages += int(resident) - int(shared)
        return pages * resource.getpagesize() // 1024

    def run(self, *command: str, stdin: str = "") -> str:
        """Run curl or openssl in the edge's network, where it is called ``edge``; return what is printed."""
        options = (
            "--rm",
            "--interactive",
            "--network",
            self.network,
            "--volume",
            f"{self.authority}:/ca.pem:ro",
        )
        done = subprocess.run(
            ["docker", "run", *options, tools(), *command],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


Starter = Callable[..., AbstractContextManager[Edge]]
"""Runs an edge: the gateways' addresses, settings, whether a CDN is before it, its largest body,
and the addresses of gateways of another release."""


@pytest.fixture(scope="session", autouse=True)
def many_files() -> None:
    """Let this process have thousands of connections."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, FILES), most))


@pytest.fixture(scope="session", autouse=True)
def a_reserved_parameter() -> Iterator[None]:
    """Have HTTP/3 clients send a reserved parameter that nginx ignores, not one that it refuses.

    docs/edge.md says which; a test in test_protocols.py sends one.
    """
    with pytest.MonkeyPatch.context() as patched:
        reserve(patched, IGNORED)
        yield


@pytest.fixture(scope="session")
def daemon() -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture(scope="session")
def host(daemon: docker.DockerClient) -> str:
    """Return this machine's address, as containers reach it."""
    return host_in(daemon.networks.get("bridge"))


@pytest.fixture(scope="session")
def gateway(host: str) -> Iterator[Backend]:
    with backend(host) as running:
        yield running


@pytest.fixture(scope="session")
def start(daemon: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Starter:
    """Return a function that runs an edge in a network of its own; nothing of it is left."""
    identity = certify("edge", "localhost")
    authority = tmp_path_factory.mktemp("edge") / "ca.pem"
    authority.write_text(identity.authority)

    @contextmanager
    def run(
        gateways: Sequence[str],
        settings: EdgeSettings | None = None,
        cdn: bool = False,
        body_bytes: int = BODY_BYTES,
        canaries: Sequence[str] = (),
    ) -> Iterator[Edge]:
        settings = settings or EdgeSettings()
        described = describe(gateways, settings, cdn, body_bytes, canaries)
        network = daemon.networks.create(f"ollamamax-edgetest-{uuid.uuid4().hex[:8]}", driver="bridge")
        try:
            with serving(
                daemon,
                network,
                described,
                identity,
                read_only=True,
                cap_drop=["ALL"],
                security_opt=["no-new-privileges"],
                mem_limit=f"{described.limits.memory_mib}m",
                tmpfs={path: f"size={size}m" for path, size in described.scratch.items()}
                | ({described.switches.path: ""} if described.switches else {}),
            ) as container:
                wait_until_healthy(container, described)
                yield Edge(container, str(network.name), identity, authority, settings)
        finally:
            network.remove()

    return run


@pytest.fixture(scope="module")
def served(start: Starter, gateway: Backend) -> Iterator[Edge]:
    """Return an edge with default settings and a CDN's port, before the gateway."""
    with start([gateway.address], cdn=True) as running:
        yield running


def describe(
    gateways: Sequence[str],
    settings: EdgeSettings,
    cdn: bool = False,
    body_bytes: int = BODY_BYTES,
    canaries: Sequence[str] = (),
) -> Service:
    """Return the edge as a service."""
    return edge.describe(
        edge.EdgeArgs(
            settings=settings,
            public_port=edge.PORT,
            gateways=[address.partition(":")[0] for address in gateways],
            gateway_port=int(gateways[0].partition(":")[2]),
            max_header_bytes=8192,
            max_body_bytes=body_bytes,
            longest_silence_s=600,
            certificate=NO_CERTIFICATE,
            cdn=CdnSettings() if cdn else None,
            console_host=CONSOLE_HOST if cdn else None,
            canaries=canaries,
            canary_percents=[5, 25, 50, 100],
        )
    )


@functools.cache
def tools() -> str:
    """Build the image with curl and openssl, and return its name."""
    context = Path(__file__).parent / "curl"
    image = naming.image_name("curl", naming.content_hash(context, "tests"))
    command = ["docker", "build", "--quiet", "--tag", image, str(context)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return image
