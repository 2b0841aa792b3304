"""What a service is, as plain data: described once, placed by a target.

A description holds no Docker and no Kubernetes words. Values that are known only while the stack
deploys (passwords, certificates) are ``pulumi.Input``; everything else is plain.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import pulumi

CONFIG_DIR = "/etc/ollamamax"
SECRETS_DIR = f"{CONFIG_DIR}/secrets"
USER = "10001:0"
"""Every service runs as this user. Group 0 lets it read the secrets, which belong to root."""


class Exposure(Enum):
    """Who may reach a published port. It does not say who is let in: that is the service's own business."""

    LOOPBACK = "loopback"
    PUBLIC = "public"


@dataclass(frozen=True)
class Port:
    """A port of a service; ``published`` is its number outside, before the stack's offset."""

    number: int
    protocol: str = "tcp"
    published: int | None = None
    exposure: Exposure = Exposure.LOOPBACK


@dataclass(frozen=True)
class Volume:
    """Data that outlives a replica. Each replica has its own."""

    name: str
    path: str


@dataclass(frozen=True)
class Probe:
    """A command inside the container that succeeds while the service is healthy."""

    command: tuple[str, ...]
    interval_s: int = 2
    timeout_s: int = 3
    retries: int = 5
    start_period_s: int = 60


@dataclass(frozen=True)
class Limits:
    """What one replica may use."""

    memory_mib: int
    cpus: float


@dataclass(frozen=True)
class Stop:
    """How a replica is stopped: the signal, and the seconds before it is killed."""

    signal: str = "SIGTERM"
    grace_s: int = 10


@dataclass(frozen=True)
class Service:
    """One service of the platform."""

    name: str
    image: str
    """Folder under ``docker/`` that the image is built from."""
    limits: Limits
    replicas: int = 1
    command: tuple[str, ...] | None = None
    """Arguments to the image's entry point, or its own when None."""
    entrypoint: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """File name under ``CONFIG_DIR`` → content."""
    secrets: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """File name under ``SECRETS_DIR`` → secret content."""
    ports: tuple[Port, ...] = ()
    volumes: tuple[Volume, ...] = ()
    scratch: Mapping[str, int] = field(default_factory=lambda: {"/tmp": 64})  # noqa: S108 - in the container
    """Path → MiB of memory-backed scratch space; all else is read-only."""
    probe: Probe | None = None
    stop: Stop = Stop()
    talks_to: tuple[str, ...] = ()
    """Names of the services that it opens connections to."""
    fixed_address: bool = False
    """Whether a replica keeps its address when it is replaced."""
    runs_to_completion: bool = False
    """Whether it is a job: it must exit with status 0 before what comes after it starts."""


@dataclass(frozen=True)
class Placed:
    """A service that a target has placed."""

    replicas: Sequence[pulumi.Resource]
    """In the order in which they are replaced."""
    addresses: Sequence[str]
    """Fixed addresses of the replicas, in their order; empty unless the service asks for them."""


class Target(Protocol):
    """Places services. ``docker`` is one; others take the same descriptions."""

    def place(
        self, service: Service, parent: pulumi.Resource, after: Sequence[pulumi.Resource] = ()
    ) -> Placed:
        """Create what runs ``service`` as children of ``parent``, once everything in ``after`` is ready."""
        ...

    def addresses(self, service_name: str, replicas: int) -> Sequence[str]:
        """Return the fixed addresses that the replicas of ``service_name`` have or will have."""
        ...
