"""What a benchmark needs of this machine: processes on a core of their own, and what they use."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MEASURED_CORE = 0
"""Of gateway and nginx."""
OTHER_CORE = 1
"""Of what sends, what answers, and the gateway's stores."""
READY_S = 30
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


@contextmanager
def process(
    command: Sequence[str], core: int, output: Path, environment: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Run a program on one core until the context ends; give its process ID."""
    with output.open("ab") as out:
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


def wait_for(address: str, path: str, output: Path | None = None) -> None:
    """Wait until a server answers a GET with 200."""
    host, port = address.split(":")
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        try:
            with socket.create_connection((host, int(port)), timeout=1) as connection:
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
                if b" 200 " in connection.recv(64):
                    return
        except OSError:
            pass
        time.sleep(0.1)  # between two looks at the condition
    said = output.read_text()[-2000:] if output else ""
    raise BenchError(f"{address}{path} did not answer 200 within {READY_S} s\n{said}")


def run(*command: str | Path) -> str:
    """Run a command to its end and return what it prints."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{Path(command[0]).name} {command[1]}: {done.stdout}{done.stderr}")
    return done.stdout
