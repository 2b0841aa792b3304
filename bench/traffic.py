"""The two ends of a benchmark, bench/load: mocks of Ollama, and what sends requests."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from bench.machine import OTHER_CORE, BenchError, free_port, process, wait_for

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Target:
    """What requests are sent to."""

    address: str
    pid: int
    """The process that is measured; 0 where the requests go to the backend itself."""
    key: str = ""


@dataclass(frozen=True)
class Load:
    """The program of both ends."""

    program: Path

    @contextmanager
    def mock(self, address: str, *options: str) -> Iterator[int]:
        """Run a mock; give its process ID."""
        output = self.program.with_name(f"mock-{address}.log")
        command = [str(self.program), "mock", "--listen", address, *options]
        with process(command, OTHER_CORE, output) as pid:
            wait_for(address, "/", output)
            yield pid

    @contextmanager
    def mocks(self, number: int, *options: str) -> Iterator[Sequence[str]]:
        """Run several mocks; give their addresses."""
        addresses = [f"127.0.0.1:{free_port()}" for _ in range(number)]
        with ExitStack() as stack:
            for address in addresses:
                stack.enter_context(self.mock(address, *options))
            yield addresses

    def start(self, target: Target, seed: int, *options: str) -> "subprocess.Popen[str]":
        """Begin to send requests."""
        return self._start("drive", target, "--seed", str(seed), *options)

    def watch(self, target: Target, *options: str) -> "subprocess.Popen[str]":
        """Connect WebSockets; what follows is still to come."""
        watching = self._start("watch", target, *options)
        if watching.stdout:
            watching.stdout.readline()  # "connected"
        return watching

    def _start(self, command: str, target: Target, *options: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [
                *("taskset", "--cpu-list", str(OTHER_CORE), str(self.program), command),
                *("--address", target.address, "--key", target.key, *options),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )

    def drive(self, target: Target, seed: int, *options: str) -> dict[str, Any]:
        """Send requests and return what came of them."""
        return finished(self.start(target, seed, *options))


def finished(running: "subprocess.Popen[str]") -> dict[str, Any]:
    """Wait until all has been sent and return what came of it."""
    said, _ = running.communicate()
    if running.returncode:
        raise BenchError(f"load: exit status {running.returncode}")
    result: dict[str, Any] = json.loads(said)
    return result


def build_load(folder: Path) -> Load:
    """Build generator and mock."""
    if not shutil.which("go"):
        raise BenchError("Go is missing: install Go 1.24 or newer, then run the same command again")
    program = folder / "load"
    subprocess.run(
        ["go", "build", "-o", str(program), "."],
        cwd=HERE / "load",
        env={**os.environ, "GOFLAGS": ""},
        check=True,
    )
    return Load(program)


def ask(address: str, path: str) -> bytes:
    """Ask a mock for something that is not Ollama's."""
    with urlopen(f"http://{address}{path}") as answer:
        body: bytes = answer.read()
    return body


def counts(addresses: Sequence[str]) -> dict[str, int]:
    """Return what mocks have seen, all of them together."""
    seen = [json.loads(ask(address, "/count")) for address in addresses]
    return {what: sum(one[what] for one in seen) for what in ("asked", "loads", "waited", "turns", "warm")}


def ended(addresses: Sequence[str]) -> dict[int, int]:
    """Return when mocks ended their paced answers, by the number of the request, in ns since 1970."""
    seen = [json.loads(ask(address, "/count"))["ended"] for address in addresses]
    return {int(number): when for one in seen for number, when in one.items()}
