"""Everything that is measured and measures, standing."""

import itertools
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import docker

from bench import parts
from bench.gateway import Gateway, prepare_gateway, program_of
from bench.machine import OTHER_CORE
from bench.traffic import Load, Target, build_load
from tests.containers import build

FIRST_SEED = 1000
SEEDS = 10_000_000
"""Between two runs, so that none sends what another has sent."""


@dataclass(frozen=True)
class Stage:
    """What every workload begins from."""

    client: docker.DockerClient
    mark: str
    """What the names of containers begin with."""
    folder: Path
    load: Load
    gateway: Gateway
    """Without a backend: ``beside`` gives one with."""
    seeds: Iterator[int] = field(default_factory=lambda: itertools.count(FIRST_SEED, SEEDS))

    def nginx(self, backends: Sequence[str], silence_s: int = 60) -> AbstractContextManager[Target]:
        """Run nginx before backends."""
        return parts.nginx(self.client, self.mark, backends, silence_s)


def of_image(client: docker.DockerClient, folder: Path) -> Path:
    """Return the gateway that its image runs."""
    return program_of(client, build("gateway"), folder)


@contextmanager
def staged(program: Callable[[docker.DockerClient, Path], Path] = of_image) -> Iterator[Stage]:
    """Build the load and bring up the stores and their schema; nothing of it is left."""
    os.sched_setaffinity(0, {OTHER_CORE})
    client = docker.from_env()
    mark = f"ollamamax-bench-{uuid.uuid4().hex[:8]}"
    with ExitStack() as stack:
        stack.callback(client.close)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ollamamax-bench-")))
        load = build_load(folder)
        stores = stack.enter_context(parts.stores(client, mark))
        gateway = prepare_gateway(stores, folder, program(client, folder))
        yield Stage(client, mark, folder, load, gateway)


def in_turns(targets: Sequence[str], rounds: int) -> Iterator[tuple[int, str]]:
    """Give all targets in each round, each time in another order."""
    for number in range(rounds):
        turn = number % len(targets)
        for target in (*targets[turn:], *targets[:turn]):
            yield number, target
