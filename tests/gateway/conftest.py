"""A container with Go and the gateway's sources, and the real parts that a gateway talks to."""

import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import docker
import pytest
from docker.models.containers import Container
from docker.models.networks import Network

from components.service import Service
from tests.containers import REPOSITORY, build, running, serving
from tests.identity import Identity
from tests.templates.conftest import identity, services
from tests.templates.rendered import PASSWORD, archive, wait_until_healthy

__all__ = ["identity", "services"]

SOURCES = REPOSITORY / "docker" / "gateway"
PREFIX = "ollamamax-gwtest-"
DAEMON = "/var/run/docker.sock"
CACHE = "ollamamax-go-cache"
"""Volume of Go's build cache. It stays, as images do: without it each run compiles everything anew."""
WORKERS = ("worker-1", "worker-2")
LOAD_S = 120


@dataclass(frozen=True)
class Parts:
    """Real PostgreSQL, PgBouncer, Redis and Ollama servers on a network of their own."""

    network: str
    environment: Mapping[str, str]
    """What the tests tagged ``integration`` need to know."""
    secrets: bytes
    """The files of ``OLLAMAMAX_TEST_SECRETS``, as an archive."""


Go = Callable[..., tuple[int, str]]
"""Runs a command beside the sources; returns its exit status and output."""


def run_to_end(container: Container, timeout_s: float | None = None) -> tuple[int, str]:
    """Start a container and return its exit status and output once it has ended.

    The SDK's own way leaves connections open.
    """
    done = subprocess.run(
        ["docker", "start", "--attach", str(container.id)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.fixture(scope="session")
def client() -> Iterator[docker.DockerClient]:
    """Return the Docker daemon."""
    connection = docker.from_env()
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def go(client: docker.DockerClient) -> Go:
    """Return a function that runs a command in a container with Go, a C compiler and the sources."""
    image = build("gateway", "--target", "test")

    def run(*command: str, parts: Parts | None = None, memory_mib: int | None = None) -> tuple[int, str]:
        limit = f"{memory_mib}m" if memory_mib else None
        container = client.containers.create(
            image,
            command=list(command),
            name=f"{PREFIX}go-{uuid.uuid4().hex[:8]}",
            network=parts.network if parts else None,
            environment=dict(parts.environment) if parts else {},
            mem_limit=limit,
            memswap_limit=limit,
            volumes={
                str(SOURCES): {"bind": "/src", "mode": "ro"},
                CACHE: {"bind": "/root/.cache/go-build", "mode": "rw"},
                # To stop parts and start them again.
                **({DAEMON: {"bind": DAEMON, "mode": "rw"}} if parts else {}),
            },
        )
        try:
            if parts:
                container.put_archive("/mnt", parts.secrets)
            status, output = run_to_end(container)
        finally:
            container.remove(force=True, v=False)
        print(output)  # where it fails pytest shows it once, above its summary
        return status, output

    return run


@pytest.fixture(scope="session")
def parts(
    client: docker.DockerClient, identity: Identity, services: Mapping[str, Service]
) -> Iterator[Parts]:
    """Return the running parts; nothing of them is left afterwards."""
    with ExitStack() as stack:
        network = client.networks.create(f"{PREFIX}{uuid.uuid4().hex[:8]}", driver="bridge", internal=True)
        stack.callback(network.remove)
        stores = [services[name] for name in ("postgres", "pgbouncer", "redis")]
        started = [stack.enter_context(serving(client, network, store, identity)) for store in stores]
        ollama = build("ollama")
        for name in WORKERS:
            stack.enter_context(running(client, network, name, ollama))
        for store, container in zip(stores, started, strict=True):
            wait_until_healthy(container, store)
        hosts = [f"{name}:11434" for name in WORKERS]
        _load_tiny(client, network, ollama, hosts)
        yield Parts(
            network=str(network.name),
            environment={
                "OLLAMAMAX_TEST_SECRETS": "/mnt/secrets",
                "OLLAMAMAX_TEST_DATABASE": "postgres:5432",
                "OLLAMAMAX_TEST_POOL": "pgbouncer:6432",
                "OLLAMAMAX_TEST_REDIS": "redis:6379",
                "OLLAMAMAX_TEST_WORKERS": ",".join(hosts),
                "OLLAMAMAX_TEST_CONTAINERS": f"{network.name}-",
            },
            secrets=archive(
                {},
                {"ca.pem": identity.authority, "database-password": PASSWORD, "redis-password": PASSWORD},
            ),
        )


def _load_tiny(client: docker.DockerClient, network: Network, image: str, hosts: Sequence[str]) -> None:
    # The network has no way out, so the loader falls back to the model that comes with the image.
    container = client.containers.create(
        image,
        entrypoint="/usr/local/bin/load-models",
        command=["tiny"],
        name=f"{network.name}-models",
        network=network.name,
        environment={"OLLAMA_HOSTS": " ".join(hosts)},
    )
    try:
        status, output = run_to_end(container, timeout_s=LOAD_S)
        assert status == 0, f"the model tiny was not loaded:\n{output}"
    finally:
        container.remove(force=True, v=True)
