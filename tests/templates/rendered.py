"""What the tests of the templates share: rendered files, and containers that run with them."""

import io
import subprocess
import tarfile
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from docker.models.containers import Container

from components import edge
from components.certificates import ServerCertificate
from components.rendering import render
from components.service import Service
from stacks.settings import EdgeSettings

READY_S = 60
PASSWORD = "pass"
BCRYPT_OF_PASSWORD = "$2b$10$abcdefghijklmnopqrstuurOb.9fHu1HSgO8eKr.BJVKtmsPD3vs2"
NO_CERTIFICATE = ServerCertificate("", "", "")  # type: ignore[arg-type]
"""Stands in where only configuration is looked at; a container gets a real one."""

Files = Mapping[str, str]
Starter = Callable[..., AbstractContextManager[Container]]
"""Runs a service's image with its files.

``command`` replaces the service's own; ``beside`` is a container whose network it shares.
"""


def edge_service(settings: EdgeSettings) -> Service:
    """Return the edge with ``settings`` in front of two gateways."""
    return edge.describe(
        edge.EdgeArgs(
            settings=settings,
            public_port=8443,
            gateways=["172.30.84.11", "172.30.84.12"],
            canaries=["172.30.84.3", "172.30.84.4"],
            canary_percents=[5, 25, 50, 100],
            gateway_port=8080,
            max_header_bytes=8192,
            max_body_bytes=32 * 1024 * 1024,
            longest_silence_s=600,
            certificate=NO_CERTIFICATE,
        )
    )


def secret_files(service: str) -> dict[str, str]:
    """Return the secrets of ``service`` that are rendered from templates."""
    web = {"web.yml": render("prometheus/web.yml.j2", password_bcrypt=BCRYPT_OF_PASSWORD)}
    rendered = {
        "alertmanager": web,
        "pgbouncer": {"userlist.txt": render("pgbouncer/userlist.txt.j2", password=PASSWORD)},
        "redis": {"redis.conf": render("redis/password.conf.j2", password=PASSWORD)},
        "prometheus": web,
    }
    return rendered.get(service, {})


def plain_config(service: Service) -> dict[str, str]:
    """Return the configuration files of ``service``: with these settings none waits for a deployment."""
    return {name: str(content) for name, content in sorted(service.config.items())}


def archive(config: Files, secrets: Files) -> bytes:
    """Return the files as the target uploads them: configuration for all, secrets for group 0."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for files, prefix, mode in ((config, "", 0o444), (secrets, "secrets/", 0o440)):
            for name, content in files.items():
                entry = tarfile.TarInfo(prefix + name)
                entry.size, entry.mode = len(content.encode()), mode
                tar.addfile(entry, io.BytesIO(content.encode()))
    return buffer.getvalue()


def output_of(container: Container) -> str:
    """Return what the container wrote."""
    return container.logs().decode()


def run_in(container: Container, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the container, with both of its outputs in ``stdout``.

    The SDK's own way leaves the connection open.
    """
    return subprocess.run(
        ["docker", "exec", str(container.id), *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def wait_until_healthy(container: Container, service: Service) -> None:
    """Wait until the service's own probe succeeds."""
    assert service.probe is not None, f"{service.name} has no probe"
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        container.reload()
        assert container.status == "running", f"{service.name} ended: {output_of(container)}"
        if run_in(container, *service.probe.command).returncode == 0:
            return
        time.sleep(0.2)  # between two looks at the condition
    raise AssertionError(f"{service.name} was not healthy after {READY_S} s: {output_of(container)}")
