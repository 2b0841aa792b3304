"""The models: a job that pulls what the stack names onto every worker, before the platform is ready."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.service import Limits, Peer, Priority, Service, Target

NAME = "models"
LIMITS = Limits(memory_mib=256, cpus=1.0)
"""The job only asks; the worker downloads."""


@dataclass(frozen=True)
class ModelsArgs:
    """What the models need."""

    names: tuple[str, ...]
    hosts: tuple[str, ...]
    """The workers, as ``name:port``."""
    workers: Peer
    image: str
    """The workers' image: the job is a client of the same release."""
    home: str
    """Home folder in that image, where the client keeps its key pair."""


def describe(args: ModelsArgs) -> Service:
    """Return the job that loads the models onto every worker, one after the other."""
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


class Models(pulumi.ComponentResource):
    """Every model that the stack names, on every worker."""

    def __init__(
        self,
        name: str,
        args: ModelsArgs,
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
