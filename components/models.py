"""The models: a job that brings what the stack names to the workers, before the platform is ready."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.service import INTERNET, Limits, Peer, Priority, Service, Target, Volume

NAME = "models"
LIMITS = Limits(memory_mib=256, cpus=1.0)
"""The job only asks; the worker downloads."""
STORE_LIMITS = Limits(memory_mib=1024, cpus=1.0)
"""The job downloads."""
STORE_DIR = "/store"
WORK_DIR = "/work"


@dataclass(frozen=True)
class ModelsArgs:
    """What it takes to pull the models onto every worker."""

    names: tuple[str, ...]
    hosts: tuple[str, ...]
    """The workers, as ``name:port``."""
    workers: Peer
    image: str
    """The workers' image: the job is a client of the same release."""
    home: str
    """Home folder in that image, where the client keeps its key pair."""


@dataclass(frozen=True)
class StoreArgs:
    """What it takes to pull the models once, into the volume that all workers share."""

    names: tuple[str, ...]
    store: str
    """Name of that volume."""
    size_gib: int
    """Size of that volume, GiB; the largest model is no larger."""
    image: str
    """As of ``ModelsArgs``."""
    home: str
    """As of ``ModelsArgs``."""


def describe(args: ModelsArgs | StoreArgs) -> Service:
    """Return the job."""
    match args:
        case ModelsArgs():
            return _onto_workers(args)
        case StoreArgs():
            return _into_store(args)


def _onto_workers(args: ModelsArgs) -> Service:
    """One worker after the other pulls every model."""
    return Service(
        name=NAME,
        image=args.image,
        limits=LIMITS,
        entrypoint=("/usr/local/bin/load-models",),
        command=args.names,
        env={"OLLAMA_HOSTS": " ".join(args.hosts)},
        scratch={args.home: 16, "/tmp": 16},  # noqa: S108 - in the container
        talks_to=(args.workers,),
        priority=Priority.BATCH,
        runs_to_completion=True,
    )


def _into_store(args: StoreArgs) -> Service:
    """Every model is pulled onto a disk of the job's own, then copied: a store may take whole files only."""
    return Service(
        name=NAME,
        image=args.image,
        limits=STORE_LIMITS,
        entrypoint=("/usr/local/bin/fill-store",),
        command=args.names,
        env={"OLLAMA_MODELS": WORK_DIR, "STORE": STORE_DIR},
        volumes=(
            Volume(args.store, STORE_DIR, shared=True),
            Volume("work", WORK_DIR, size_gib=args.size_gib),
        ),
        scratch={args.home: 16, "/tmp": 16},  # noqa: S108 - in the container
        reaches=(INTERNET,),
        priority=Priority.BATCH,
        runs_to_completion=True,
    )


class Models(pulumi.ComponentResource):
    """Every model that the stack names, for every worker."""

    def __init__(
        self,
        name: str,
        args: ModelsArgs | StoreArgs,
        target: Target,
        after: Sequence[pulumi.Resource] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("ollamamax:index:Models", name, None, opts)
        self._jobs = target.place(describe(args), parent=self, after=after).replicas
        self.register_outputs({})

    @property
    def jobs(self) -> Sequence[pulumi.Resource]:
        """What must have ended before a worker counts as ready."""
        return self._jobs
