"""The workers: Ollama servers that hold the models and generate."""

from dataclasses import dataclass

import pulumi

from components.service import Limits, Placed, Port, Probe, Service, Stop, Target, Volume
from stacks.settings import WorkerSettings

NAME = "worker"
IMAGE = "ollama"
PORT = 11434
MODELS_DIR = "/models"
HOME_DIR = "/var/lib/ollama"
"""Holds the server's own key pair, made at every start."""


@dataclass(frozen=True)
class WorkerArgs:
    """What the workers need."""

    settings: WorkerSettings
    drain_timeout_s: int
    """How long an answer under way may go on when a worker is stopped, seconds."""


def hosts(settings: WorkerSettings) -> tuple[str, ...]:
    """Return where the workers listen, as ``name:port``."""
    return tuple(f"{NAME}-{index}:{PORT}" for index in range(1, settings.replicas + 1))


def describe(args: WorkerArgs) -> Service:
    """Return the workers as a service."""
    settings = args.settings
    return Service(
        name=NAME,
        image=IMAGE,
        replicas=settings.replicas,
        limits=Limits(settings.resources.memory_mib, settings.resources.cpus),
        env={
            "OLLAMA_CONTEXT_LENGTH": str(settings.context_length),
            "OLLAMA_KEEP_ALIVE": f"{settings.keep_alive_s}s",
            "OLLAMA_MAX_QUEUE": str(settings.max_queue),
            "OLLAMA_NUM_PARALLEL": str(settings.parallel),
        },
        volumes=(Volume("models", MODELS_DIR),),
        scratch={HOME_DIR: 16, "/tmp": 256},  # noqa: S108 - in the container
        ports=(Port(PORT),),
        probe=Probe(("ollama", "ps"), interval_s=3, timeout_s=5),
        stop=Stop(grace_s=args.drain_timeout_s),
    )


class Worker(pulumi.ComponentResource):
    """Ollama servers, each with its own store of models."""

    def __init__(
        self, name: str, args: WorkerArgs, target: Target, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ollamamax:index:Worker", name, None, opts)
        self._placed = target.place(describe(args), parent=self)
        self.register_outputs({})

    @property
    def placed(self) -> Placed:
        """The servers."""
        return self._placed
