"""What a benchmark runs: the gateway with its real database, pool and cache, nginx, and a mock of Ollama."""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import docker
import yaml
from docker.models.containers import Container

from components import cache, database, gateway, pool
from components.service import CONFIG_DIR, USER, Peer
from stacks.settings import Settings
from tests.containers import build, serving
from tests.identity import Identity, certify
from tests.templates.rendered import NO_CERTIFICATE, PASSWORD, archive, wait_until_healthy

HERE = Path(__file__).parent
MEASURED_CORE = 0
"""Of gateway and nginx."""
OTHER_CORE = 1
"""Of what sends, what answers, and the gateway's stores."""
READY_S = 30
UNLIMITED = 2_000_000_000
"""Requests and tokens a minute of the benchmark's key: the limits are counted, and never reached."""
SLOTS = 4096
"""Of the mock: requests wait for the gateway, not for a slot."""
TICKS_S = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """A benchmark cannot run."""


@dataclass(frozen=True)
class Usage:
    """What a process has used, and holds."""

    cpu_s: float
    resident_mib: float


def usage(pid: int) -> Usage:
    """Return what a process has used since it started."""
    # The name in parentheses may hold spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return Usage((int(fields[11]) + int(fields[12])) / TICKS_S, pages * os.sysconf("SC_PAGESIZE") / 2**20)


def free_port() -> int:
    """Return a TCP port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def build_load(folder: Path) -> Path:
    """Build generator and mock; return the program."""
    if not shutil.which("go"):
        raise BenchError("Go is missing: install Go 1.24 or newer, then run the same command again")
    program = folder / "load"
    subprocess.run(
        ["go", "build", "-o", str(program), "."],
        cwd=HERE / "load",
        env={**os.environ, "GOFLAGS": ""},
        check=True,
    )
    return program


@contextmanager
def process(
    command: Sequence[str], core: int, output: Path, environment: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Run a program on one core until the context ends; give its process ID."""
    with output.open("wb") as out:
        running = subprocess.Popen(
            ["taskset", "--cpu-list", str(core), *command],
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )
        try:
            yield running.pid  # taskset becomes the program
        finally:
            running.kill()
            running.wait()


def wait_for(port: int, path: str, output: Path | None = None) -> None:
    """Wait until a server on this machine answers a GET with 200."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
                if b" 200 " in connection.recv(64):
                    return
        except OSError:
            pass
        time.sleep(0.1)  # between two looks at the condition
    said = output.read_text()[-2000:] if output else ""
    raise BenchError(f"127.0.0.1:{port}{path} did not answer 200 within {READY_S} s\n{said}")


def published(container: Container, port: int) -> int:
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
            ports.append(published(container, port))
        yield Stores(ports[0], ports[1], ports[2], identity)


@dataclass(frozen=True)
class Gateway:
    """A gateway's program and configuration, and a key of it."""

    program: Path
    folder: Path
    environment: Mapping[str, str]
    port: int
    admin_port: int
    key: str

    def beside(self, name: str) -> "Gateway":
        """Return the same gateway on other ports, with files of its own."""
        folder = self.folder / name
        folder.mkdir()
        port, admin_port = free_port(), free_port()
        config = yaml.safe_load((self.folder / "gateway.yaml").read_text())
        config |= {"name": name, "listen": f"127.0.0.1:{port}", "adminListen": f"127.0.0.1:{admin_port}"}
        (folder / "gateway.yaml").write_text(yaml.safe_dump(config))
        return replace(self, folder=folder, port=port, admin_port=admin_port)

    @contextmanager
    def serve(self, **environment: str) -> Iterator[int]:
        """Run it on its core, with the default settings' environment but for this; give its process ID."""
        output = self.folder / "gateway.log"
        command = [str(self.program), "serve", "--config", str(self.folder / "gateway.yaml")]
        everything = {**self.environment, "GOMAXPROCS": "1", **environment}
        with process(command, MEASURED_CORE, output, everything) as pid:
            wait_for(self.admin_port, "/readyz", output)
            yield pid


def prepare_gateway(
    client: docker.DockerClient, at: Stores, backends: Sequence[int], folder: Path, image: str
) -> Gateway:
    """Take the program out of an image, configure it as a stack does, bring its database to its schema."""
    program = folder / "ollama-distributed"
    container = client.containers.create(image)
    try:
        subprocess.run(["docker", "cp", f"{container.id}:/ollama-distributed", str(program)], check=True)
    finally:
        container.remove()
    args = gateway.GatewayArgs(
        settings=Settings(target="docker").gateway,
        workers=[gateway.Workers(f"127.0.0.1:{port}", SLOTS, SLOTS) for port in backends],
        worker_services=[],
        longest_silence_s=60,
        database=Peer("127.0.0.1", at.database),
        pool=Peer("127.0.0.1", at.pool),
        cache=Peer("127.0.0.1", at.cache),
        ca_certificate="",
        database_password="",
        cache_password="",
        api_key="",
    )
    secrets = folder / "secrets"
    secrets.mkdir()
    service, migrations = gateway.describe(args), gateway.describe_migrations(args)
    for name in {*service.secrets, *migrations.secrets}:
        (secrets / name).write_text(
            at.identity.authority if name.endswith("ca.pem") else PASSWORD.ljust(32, "x")
        )
    (secrets / "database-password").write_text(PASSWORD)
    (secrets / "redis-password").write_text(PASSWORD)
    port, admin_port = free_port(), free_port()
    for name, described in (("gateway", service), ("migrations", migrations)):
        text = str(described.config["gateway.yaml"]).replace(f"{CONFIG_DIR}/secrets", str(secrets))
        config = yaml.safe_load(text)
        config |= {"listen": f"127.0.0.1:{port}", "adminListen": f"127.0.0.1:{admin_port}"}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(config))
    _run(program, "migrate", "--config", str(folder / "migrations.yaml"))
    limits = ("--rpm", str(UNLIMITED), "--tpm", str(UNLIMITED))
    made = _run(
        *(program, "keys", "create", "--name", "bench", "--json", *limits),
        *("--config", str(folder / "gateway.yaml")),
    )
    return Gateway(program, folder, dict(service.env), port, admin_port, json.loads(made)["secret"])


def _run(*command: str | Path) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{Path(command[0]).name} {command[1]}: {done.stdout}{done.stderr}")
    return done.stdout


@contextmanager
def nginx(client: docker.DockerClient, mark: str, backend: int) -> Iterator[tuple[int, int]]:
    """Run the edge's nginx as a plain reverse proxy; give its port and its worker's process ID."""
    port = free_port()
    text = (HERE / "nginx.conf").read_text().replace("@backend@", str(backend)).replace("@port@", str(port))
    # The gateway runs without a filter of system calls, too.
    container = client.containers.create(
        build("edge"),
        name=f"{mark}-nginx",
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
        wait_for(port, "/")
        container.reload()
        main = container.attrs["State"]["Pid"]
        yield port, int(Path(f"/proc/{main}/task/{main}/children").read_text().split()[0])
    finally:
        container.remove(force=True, v=True)
