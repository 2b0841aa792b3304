"""A container with Go and the gateway's sources, and the real parts that a gateway talks to."""

import os
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container
from docker.models.networks import Network

from components import naming
from components.service import CONFIG_DIR, USER, Service
from engine.providers.docker_image import builder
from tests.templates.conftest import identity, services
from tests.templates.identity import Identity
from tests.templates.rendered import (
    PASSWORD,
    archive,
    plain_config,
    secret_files,
    wait_until_healthy,
)

__all__ = ["identity", "services"]

REPOSITORY = Path(__file__).parents[2]
SOURCES = REPOSITORY / "docker" / "gateway"
PREFIX = "ollamamax-gwtest-"
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


def build(folder: str, *options: str) -> str:
    """Build an image of the project and return its name."""
    context = REPOSITORY / "docker" / folder
    name = naming.image_name(folder, naming.content_hash(context, "tests"))
    if options:
        name = f"ollamamax-{folder}-{options[-1]}:tests"
    done = subprocess.run(
        [*builder(), "--quiet", *options, "--tag", name, str(context)],
        env={**os.environ, "DOCKER_BUILDKIT": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{folder} does not build:\n{done.stdout}"
    return name


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

    def run(*command: str, parts: Parts | None = None) -> tuple[int, str]:
        container = client.containers.create(
            image,
            command=list(command),
            name=f"{PREFIX}go-{uuid.uuid4().hex[:8]}",
            network=parts.network if parts else None,
            environment=dict(parts.environment) if parts else {},
            volumes={
                str(SOURCES): {"bind": "/src", "mode": "ro"},
                CACHE: {"bind": "/root/.cache/go-build", "mode": "rw"},
            },
        )
        try:
            if parts:
                container.put_archive("/mnt", parts.secrets)
            return run_to_end(container)
        finally:
            container.remove(force=True, v=False)

    return run


@pytest.fixture(scope="session")
def parts(
    client: docker.DockerClient, identity: Identity, services: Mapping[str, Service]
) -> Iterator[Parts]:
    """Return the running parts; nothing of them is left afterwards."""
    mark = uuid.uuid4().hex[:8]
    network = client.networks.create(f"{PREFIX}{mark}", driver="bridge", internal=True)
    containers: list[Container] = []
    try:
        for name in ("postgres", "pgbouncer", "redis"):
            container = _place(client, network, mark, name, build(services[name].image), services[name])
            containers.append(container)
            container.put_archive(CONFIG_DIR, archive(plain_config(services[name]), _secrets(name, identity)))
            container.start()
        ollama = build("ollama")
        for name in WORKERS:
            container = _place(client, network, mark, name, ollama)
            containers.append(container)
            container.start()
        for name, container in zip(("postgres", "pgbouncer", "redis"), containers, strict=False):
            wait_until_healthy(container, services[name])
        hosts = [f"{name}:11434" for name in WORKERS]
        _load_tiny(client, network, mark, ollama, hosts)
        yield Parts(
            network=str(network.name),
            environment={
                "OLLAMAMAX_TEST_SECRETS": "/mnt/secrets",
                "OLLAMAMAX_TEST_DATABASE": "postgres:5432",
                "OLLAMAMAX_TEST_POOL": "pgbouncer:6432",
                "OLLAMAMAX_TEST_REDIS": "redis:6379",
                "OLLAMAMAX_TEST_WORKERS": ",".join(hosts),
            },
            secrets=archive(
                {},
                {"ca.pem": identity.authority, "database-password": PASSWORD, "redis-password": PASSWORD},
            ),
        )
    finally:
        for container in containers:
            container.remove(force=True, v=True)
        network.remove()


def _secrets(name: str, identity: Identity) -> dict[str, str]:
    return {
        "ca.pem": identity.authority,
        "tls.crt": identity.certificate,
        "tls.key": identity.key,
        "database-password": PASSWORD,
        "superuser-password": PASSWORD,
        **secret_files(name),
    }


def _place(
    client: docker.DockerClient,
    network: Network,
    mark: str,
    name: str,
    image: str,
    service: Service | None = None,
) -> Container:
    paths = [CONFIG_DIR, *(volume.path for volume in service.volumes)] if service else None
    return client.containers.create(
        image,
        command=list(service.command or ()) if service else None,
        name=f"{PREFIX}{mark}-{name}",
        user=USER,
        network=network.name,
        networking_config={str(network.name): client.api.create_endpoint_config(aliases=[name])},
        volumes=paths,
    )


def _load_tiny(
    client: docker.DockerClient, network: Network, mark: str, image: str, hosts: Sequence[str]
) -> None:
    # The network has no way out, so the loader falls back to the model that comes with the image.
    container = client.containers.create(
        image,
        entrypoint="/usr/local/bin/load-models",
        command=["tiny"],
        name=f"{PREFIX}{mark}-models",
        network=network.name,
        environment={"OLLAMA_HOSTS": " ".join(hosts)},
    )
    try:
        status, output = run_to_end(container, timeout_s=LOAD_S)
        assert status == 0, f"the model tiny was not loaded:\n{output}"
    finally:
        container.remove(force=True, v=True)
