"""What stands before the gateway in a benchmark and speaks TLS: the edge, and Caddy for comparison."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import docker

from bench.machine import MEASURED_CORE, OTHER_CORE, READY_S, BenchError, free_port, process, usage
from bench.traffic import Target, finished
from components import edge
from components.service import CONFIG_DIR, USER
from stacks.settings import ClientSettings, EdgeSettings
from tests.containers import build, secrets
from tests.identity import Identity
from tests.templates.rendered import NO_CERTIFICATE, archive, plain_config

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ollamamax"
CADDY = "github.com/caddyserver/caddy/v2/cmd/caddy@v2.11.9"
UNLIMITED = ClientSettings(requests_per_address=65_000, requests_per_key=65_000, rate_per_address=100_000)
"""All load comes from one address with one key: the limits are counted, and never reached."""
STATUS_PORT = "127.0.0.1:8081"
CADDYFILE = """{{
  admin off
  auto_https disable_redirects
  default_bind 127.0.0.1
  log {{
    output discard
  }}
}}
https://:{port} {{
  tls {folder}/tls.crt {folder}/tls.key
  log
  reverse_proxy {gateway} {{
    flush_interval -1
  }}
}}
"""


@dataclass(frozen=True)
class Front:
    """Something that clients reach over TLS, or the gateway itself."""

    url: str
    pids: Sequence[int]
    authority: Path | None = None

    @property
    def cpu_s(self) -> float:
        """What its processes have used."""
        return sum(usage(pid).cpu_s for pid in self.pids)


@contextmanager
def edge_before(
    client: docker.DockerClient,
    mark: str,
    gateway: Target,
    identity: Identity,
    folder: Path,
    *,
    prepared: bool = True,
) -> Iterator[Front]:
    """Run the edge with its default settings, one worker, on the measured core.

    Args:
        client: of the Docker daemon.
        mark: what the names of containers begin with.
        gateway: what it is before.
        identity: its certificate and key.
        folder: where the authority's certificate is written to.
        prepared: whether files that were compressed beforehand are served as they are.
    """
    port = free_port()
    host, _, gateway_port = gateway.address.partition(":")
    settings = EdgeSettings(worker_processes=1, client=UNLIMITED)
    service = edge.describe(
        edge.EdgeArgs(settings, port, [host], int(gateway_port), 8192, 2**25, 60, NO_CERTIFICATE)
    )
    text = plain_config(service)["nginx.conf"]
    text = text.replace(f"listen {edge.PORT} ", f"listen 127.0.0.1:{port} ")
    text = text.replace(STATUS_PORT, f"127.0.0.1:{free_port()}")
    text = text.replace(f"listen {edge.METRICS_PORT};", f"listen 127.0.0.1:{free_port()};")
    if not prepared:
        text = re.sub(r"(gzip|brotli)_static on;", r"\1_static off;", text)
    container = client.containers.create(
        build("edge"),
        name=f"{mark}-edge-{port}",
        network_mode="host",
        cpuset_cpus=str(MEASURED_CORE),
        # The gateway runs without a filter of system calls, too.
        security_opt=["seccomp=unconfined"],
        user=USER,
        tmpfs={"/tmp": "mode=1777"},  # noqa: S108 - the container's
        volumes=[CONFIG_DIR],
    )
    try:
        container.put_archive(CONFIG_DIR, archive({"nginx.conf": text}, secrets(service, identity)))
        container.start()
        front = Front(f"https://127.0.0.1:{port}", (), authority(identity, folder))
        _until_open(front)
        container.reload()
        main = container.attrs["State"]["Pid"]
        workers = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        yield Front(front.url, [int(pid) for pid in workers], front.authority)
    finally:
        container.remove(force=True, v=True)


@contextmanager
def caddy_before(gateway: Target, identity: Identity, folder: Path) -> Iterator[Front]:
    """Run Caddy as a plain reverse proxy with an access log, on the measured core."""
    port = free_port()
    home = folder / "caddy"
    home.mkdir()
    (home / "tls.crt").write_text(identity.certificate)
    (home / "tls.key").write_text(identity.key)
    (home / "Caddyfile").write_text(CADDYFILE.format(port=port, folder=home, gateway=gateway.address))
    command = [str(caddy()), "run", "--config", str(home / "Caddyfile")]
    environment = {"GOMAXPROCS": "1", "XDG_DATA_HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    with process(command, MEASURED_CORE, home / "log", environment) as pid:
        front = Front(f"https://127.0.0.1:{port}", [pid], authority(identity, folder))
        _until_open(front)
        yield front


def authority(identity: Identity, folder: Path) -> Path:
    """Write the certificate of an authority to a file."""
    file = folder / "authority.pem"
    file.write_text(identity.authority)
    return file


def caddy() -> Path:
    """Return Caddy, which is built once."""
    program = CACHE / f"caddy-{CADDY.partition('@')[2]}" / "caddy"
    if not program.exists():
        print("building Caddy (once; a few minutes)", file=sys.stderr)
        environment = {**os.environ, "GOBIN": str(program.parent), "GOFLAGS": ""}
        subprocess.run(["go", "install", CADDY], env=environment, check=True)
    return program


def build_visit(folder: Path) -> Path:
    """Build the client."""
    program = folder / "visit"
    environment = {**os.environ, "GOFLAGS": ""}
    subprocess.run(["go", "build", "-o", str(program), "."], cwd=HERE / "visit", env=environment, check=True)
    return program


def visit(program: Path, front: Front, path: str, *options: str) -> dict[str, Any]:
    """Ask a front for a while and return what came of it."""
    command = ["taskset", "--cpu-list", str(OTHER_CORE), str(program), "--url", front.url + path, *options]
    if front.authority:
        command += ["--authority", str(front.authority)]
    return finished(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))


def _until_open(front: Front) -> None:
    """Wait until a front takes connections."""
    address = urlsplit(front.url)
    deadline = time.monotonic() + READY_S
    while True:
        try:
            socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=1).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise BenchError(f"{front.url} did not answer within {READY_S} s") from error
            time.sleep(0.1)  # between two looks at the condition
