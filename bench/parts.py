"""What stands beside the gateway in a benchmark: its real stores, nginx, and a real Ollama."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.models.containers import Container

from bench.machine import MEASURED_CORE, OTHER_CORE, BenchError, free_port, run, wait_for
from bench.traffic import Target
from components import cache, database, pool
from components.service import CONFIG_DIR, USER, Peer
from stacks.settings import Settings
from tests.containers import build, running, serving
from tests.identity import Identity, certify
from tests.templates.rendered import NO_CERTIFICATE, archive, wait_until_healthy

HERE = Path(__file__).parent


def _published(container: Container, port: int) -> int:
    """Return where this machine reaches a container's port."""
    container.reload()
    where = container.ports[f"{port}/tcp"]
    if not where:
        raise BenchError(f"{container.name} does not publish its port {port}")
    return int(where[0]["HostPort"])


@dataclass(frozen=True)
class Stores:
    """Where the gateway's stores stand on this machine."""

    database: int
    pool: int
    cache: int
    identity: Identity


@contextmanager
def stores(client: docker.DockerClient, mark: str) -> Iterator[Stores]:
    """Run PostgreSQL, PgBouncer and Redis with the local stack's settings; nothing of them is left."""
    settings = Settings(target="docker")
    identity = certify(database.NAME, pool.NAME, cache.NAME)
    described = (
        (database.describe(database.DatabaseArgs(settings.database, NO_CERTIFICATE, "", "", "")), 5432),
        (pool.describe(pool.PoolArgs(settings.pool, Peer("postgres", 5432), NO_CERTIFICATE, "", "")), 6432),
        (cache.describe(cache.CacheArgs(settings.cache, NO_CERTIFICATE, "", "")), 6379),
    )
    with ExitStack() as stack:
        network = client.networks.create(mark, driver="bridge")
        stack.callback(network.remove)
        ports = []
        for service, port in described:
            options = {"cpuset_cpus": str(OTHER_CORE), "ports": {f"{port}/tcp": ("127.0.0.1", 0)}}
            container = stack.enter_context(serving(client, network, service, identity, **options))
            wait_until_healthy(container, service)
            ports.append(_published(container, port))
        yield Stores(ports[0], ports[1], ports[2], identity)


@contextmanager
def nginx(
    client: docker.DockerClient, mark: str, backends: Sequence[str], silence_s: int = 60
) -> Iterator[Target]:
    """Run the edge's nginx as a plain reverse proxy that takes backends in turn."""
    address = f"127.0.0.1:{free_port()}"
    text = (HERE / "nginx.conf").read_text().replace("@address@", address)
    text = text.replace("@backends@", " ".join(f"server {backend};" for backend in backends))
    text = text.replace("@silence@", f"{silence_s}s")
    # The gateway runs without a filter of system calls, too.
    container = client.containers.create(
        build("edge"),
        name=f"{mark}-nginx-{address.split(':')[1]}",
        network_mode="host",
        cpuset_cpus=str(MEASURED_CORE),
        security_opt=["seccomp=unconfined"],
        user=USER,
        tmpfs={"/tmp": "mode=1777"},  # noqa: S108 - the container's
        volumes=[CONFIG_DIR],
    )
    try:
        container.put_archive(CONFIG_DIR, archive({"nginx.conf": text}, {}))
        container.start()
        wait_for(address, "/")
        container.reload()
        main = container.attrs["State"]["Pid"]
        yield Target(address, int(Path(f"/proc/{main}/task/{main}/children").read_text().split()[0]))
    finally:
        container.remove(force=True, v=True)


@contextmanager
def ollama(client: docker.DockerClient, mark: str) -> Iterator[str]:
    """Run a worker with the model that comes with its image; give its address."""
    image = build("ollama")
    network = client.networks.create(f"{mark}-ollama", driver="bridge")
    try:
        with running(client, network, "worker", image, cpuset_cpus=str(OTHER_CORE)) as worker:
            load = ("--rm", "--network", str(network.name), "--env", "OLLAMA_HOSTS=worker:11434")
            run("docker", "run", *load, "--entrypoint", "/usr/local/bin/load-models", image, "tiny")
            worker.reload()
            yield f"{worker.attrs['NetworkSettings']['Networks'][network.name]['IPAddress']}:11434"
    finally:
        network.remove()
