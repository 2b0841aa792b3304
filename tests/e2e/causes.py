"""How faults are caused and undone: parts that hang or starve, clients that ask too much."""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from typing import Any

import httpx

from tests.e2e.conftest import STACK, Platform, docker
from tests.e2e.waiting import eventually

Cause = Callable[[Platform], AbstractContextManager[None]]
"""Does something to a platform, and undoes it at the end of its block."""
GOOD: Mapping[str, Any] = {"prompt": "hello", "options": {"num_predict": 1}}
LONG: Mapping[str, Any] = {"prompt": "hello", "options": {"num_predict": 500}}
BAD: Mapping[str, Any] = {"prompt": "hello", "format": "no format"}
"""What Ollama answers with 500."""


def name(part: str) -> str:
    """Return the name of a part's container."""
    return f"ollamamax-{STACK}-{part}"


def address(part: str) -> str:
    """Return a container's address in the stack's network."""
    return docker(
        "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", name(part)
    )


def paused(*parts: str) -> Cause:
    """Have parts hang."""

    @contextmanager
    def cause(_: Platform) -> Iterator[None]:
        with ExitStack() as undo:
            for part in parts:
                # runc gives up where a health check is just coming into what it freezes.
                eventually(partial(obeyed, "pause", name(part)), 10, f"{part} is paused")
                undo.callback(docker, "unpause", name(part))
            yield

    return cause


def obeyed(*words: str) -> bool:
    """Run a docker command; tell whether it succeeded."""
    return subprocess.run(["docker", *words], capture_output=True, check=False).returncode == 0


def stopped(part: str) -> Cause:
    """Have a part be gone."""

    @contextmanager
    def cause(_: Platform) -> Iterator[None]:
        docker("stop", name(part))
        try:
            yield
        finally:
            docker("start", name(part))

    return cause


def set_to(**settings: Any) -> Cause:
    """Bring the stack up with other settings, and at the end with its own."""

    @contextmanager
    def cause(platform: Platform) -> Iterator[None]:
        file = platform.checkout.root / "stacks" / f"Pulumi.{STACK}.yaml"
        before = file.read_text()
        try:
            platform.checkout.settings(**settings)
            done = platform.checkout.make("up")
            assert done.status == 0, done.text
            yield
        finally:
            file.write_text(before)
            done = platform.checkout.make("up")
            assert done.status == 0, done.text

    return cause


@contextmanager
def slowed(cpus: float, *parts: str) -> Iterator[None]:
    """Have parts get little of the processor."""
    with ExitStack() as undo:
        for part in parts:
            before = int(docker("inspect", "--format", "{{.HostConfig.NanoCpus}}", name(part))) / 1e9
            docker("update", "--cpus", str(cpus), name(part))
            undo.callback(docker, "update", "--cpus", str(before), name(part))
        yield


@contextmanager
def asking(platform: Platform, *bodies: Mapping[str, Any], clients: int = 4) -> Iterator[None]:
    """Have clients ask for these completions in turn, one after the other; the answers are no matter."""
    stop = threading.Event()

    def client() -> None:
        with httpx.Client(headers=platform.headers, verify=platform.trust, timeout=120) as session:
            while not stop.is_set():
                for body in bodies:
                    with suppress(httpx.HTTPError):
                        session.post(
                            f"{platform.url}/api/generate", json={"model": "tiny", "stream": False, **body}
                        )

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@contextmanager
def pgbench(script: str, clients: int, *options: str, env: Mapping[str, str] | None = None) -> Iterator[None]:
    """Have clients run a script in the database's container, until the block ends."""
    process = subprocess.Popen(
        [
            *(
                "docker",
                "exec",
                "--interactive",
                *(f"--env={key}={value}" for key, value in (env or {}).items()),
            ),
            *(
                name("postgres-1"),
                "timeout",
                "300",
                "pgbench",
                "--no-vacuum",
                "--time=300",
                "--file=/dev/stdin",
            ),
            *(f"--client={clients}", *options, "ollamamax"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(script)
    process.stdin.close()
    try:
        yield
    finally:
        for pid in docker("top", name("postgres-1"), "-eo", "pid,comm").splitlines():
            number, command = pid.split(maxsplit=1)
            if command == "pgbench":
                os.kill(int(number), signal.SIGTERM)
        process.wait(60)


@contextmanager
def pooled(script: str, clients: int) -> Iterator[None]:
    """As pgbench, through PgBouncer."""
    password = docker("exec", name("exporter-pgbouncer-1"), "cat", "/etc/ollamamax/secrets/database-password")
    env = {"PGPASSWORD": password, "PGSSLMODE": "require"}
    with pgbench(script, clients, "--host=pgbouncer", "--port=6432", "--username=ollamamax", env=env):
        yield


@contextmanager
def sockets(host: str, port: int, count: int) -> Iterator[None]:
    """Open connections that say nothing."""
    with ExitStack() as undo:
        for _ in range(count):
            undo.enter_context(socket.create_connection((host, port), timeout=10))
        yield
