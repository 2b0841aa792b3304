"""What a service is, as plain data: described once, placed by a target.

A description holds no Docker and no Kubernetes words: what only a cluster can do says so. Values that are
known only while the stack deploys (passwords, certificates) are ``pulumi.Input``; everything else is plain.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import pulumi

from stacks.kubernetes import AutoscalingSettings

CONFIG_DIR = "/etc/ollamamax"
SECRETS_DIR = f"{CONFIG_DIR}/secrets"
VAULT_DIR = f"{CONFIG_DIR}-vault"
"""A folder of its own: it is mounted, and nothing can be mounted into a folder that is read-only."""
ADMINISTRATOR = "postgres"
"""Who makes roles and databases on a PostgreSQL server, and the database there that is always to be had."""
USER = "10001:0"
"""Every service runs as this user. Group 0 lets it read the secrets, which belong to root."""


class Exposure(Enum):
    """Who may reach a published port. It does not say who is let in: that is the service's own business."""

    LOOPBACK = "loopback"
    PUBLIC = "public"


class Priority(Enum):
    """What gives way first where a cluster has no room. It does not order requests."""

    DATA = "data"
    SERVING = "serving"
    BATCH = "batch"


class ApiUse(Enum):
    """What a service asks a cluster's API server for; it gets the right to that alone."""

    FOLLOW_PEERS = "follows the replicas of its peers"
    TIME_PODS = "times how long pods take to start"


@dataclass(frozen=True)
class Port:
    """A port of a service; ``published`` is its number outside, before the stack's offset."""

    number: int
    protocol: str = "tcp"
    published: int | None = None
    exposure: Exposure = Exposure.LOOPBACK


@dataclass(frozen=True)
class Peer:
    """Another service of the platform that a service opens connections to, and the port there."""

    service: str
    port: int


@dataclass(frozen=True)
class Outside:
    """Addresses outside the platform that a service opens connections to, and the port there."""

    networks: tuple[str, ...]
    """As CIDR."""
    port: int
    protocol: str = "tcp"


INTERNET = Outside(("0.0.0.0/0",), 443)
"""HTTPS to anywhere."""


@dataclass(frozen=True)
class Volume:
    """Data that outlives a replica. Each replica has its own, unless it is ``shared``."""

    name: str
    path: str
    size_gib: int = 10
    """Room that it needs, GiB, where volumes have a size."""
    shared: bool = False
    """Whether all replicas, and other services that name it, use the same one; its size is the store's."""
    read_only: bool = False


@dataclass(frozen=True)
class Switches:
    """A folder whose files say what a service does: commands write and remove them while it runs."""

    path: str
    config_map: str
    """On a cluster, the ConfigMap that has them. It belongs to the commands, and need not be there."""


@dataclass(frozen=True)
class Probe:
    """A command inside the container that succeeds while the service is healthy."""

    command: tuple[str, ...]
    interval_s: int = 2
    """Between two times that it is asked, seconds; in Docker while it starts, on clusters at the least."""
    timeout_s: int = 3
    retries: int = 5
    start_period_s: int = 60


@dataclass(frozen=True)
class Limits:
    """What one replica may use."""

    memory_mib: int
    cpus: float
    gpus: int = 0
    """GPUs, or slices of one."""


@dataclass(frozen=True)
class Stop:
    """How a replica is stopped: the signal, and the seconds before it is killed."""

    signal: str = "SIGTERM"
    grace_s: int = 10
    """Seconds from the decision to stop it, ``before`` included."""
    before: tuple[str, ...] | None = None
    """On a cluster, a command in the container that runs before the signal: it waits until no more
    requests arrive, or until those under way have ended."""


@dataclass(frozen=True)
class Serving:
    """What the replicas of a service give the gateways, by whose metrics their number is moved."""

    pool: str
    """What the gateways' metrics call them by."""
    slots: int
    """Requests of one model that each serves at once."""
    models: tuple[str, ...]
    """What they serve."""


@dataclass(frozen=True)
class Workers:
    """Workers that have one name and can do the same, as the gateways know them."""

    host: str
    """As ``name:port``."""
    slots: int
    """Requests of one model that each serves at once."""
    loaded_models: int
    """Models that each keeps in memory."""
    memory_mib: int = 0
    """Memory that those may take, MiB; 0: not known."""
    preload: Sequence[str] = ()
    """Those that each always has there."""
    pool: str = "worker"
    """What metrics call them by, together with those of other names perhaps."""
    cold_start_s: int = 0
    """How long a request may wait for the first of them to be started, seconds; 0: one is always there."""


@dataclass(frozen=True)
class VaultSecret:
    """A secret that the cloud's secret store keeps and changes; it never passes through the state."""

    arn: pulumi.Input[str]
    key: str
    """Which entry of the JSON object that it holds."""


@dataclass(frozen=True)
class Service:
    """One service of the platform."""

    name: str
    image: str
    """Folder under ``docker/`` that the image is built from; ``FOLDER:STAGE`` is another stage of its
    Dockerfile than the last."""
    limits: Limits
    replicas: int = 1
    scaling: AutoscalingSettings | None = None
    """On a cluster, what moves the number of replicas; ``replicas`` then means nothing there."""
    serving: Serving | None = None
    """Models that the replicas serve, where their number follows the requests for these."""
    command: tuple[str, ...] | None = None
    """Arguments to the image's entry point, or its own when None."""
    entrypoint: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """File name under ``CONFIG_DIR`` → content."""
    secrets: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """File name under ``SECRETS_DIR`` → secret content."""
    rereads: tuple[str, ...] = ()
    """Those of them that it reads whenever it needs them: where a target replaces files under a replica, that
    goes on."""
    vault: Mapping[str, VaultSecret] = field(default_factory=dict)
    """File name under ``VAULT_DIR`` → secret of the cloud's secret store."""
    issued_certificate: str | None = None
    """Secret of the cluster that holds ``tls.crt`` and ``tls.key``, made and renewed by an authority there;
    both then stand under ``SECRETS_DIR``."""
    ports: tuple[Port, ...] = ()
    volumes: tuple[Volume, ...] = ()
    scratch: Mapping[str, int] = field(default_factory=lambda: {"/tmp": 64})  # noqa: S108 - in the container
    """Path → MiB of memory-backed scratch space; all else is read-only."""
    switches: Switches | None = None
    """What it heeds while it runs."""
    probe: Probe | None = None
    """Whether it lives. On a cluster, one that fails is started again."""
    ready: Probe | None = None
    """Whether it gets requests, and what comes after it may start; ``probe`` when None."""
    stop: Stop = Stop()
    talks_to: tuple[Peer, ...] = ()
    """Services that it opens connections to."""
    asked_by: tuple[Peer, ...] = ()
    """Services that open connections to it, and its port for each, of those that do not say so themselves:
    it is not always there."""
    reaches: tuple[Outside, ...] = ()
    """What it opens connections to beyond the platform."""
    asks_api: ApiUse | None = None
    """On a cluster, what it asks the API server for."""
    fixed_address: bool = False
    """Whether a replica keeps its address when it is replaced."""
    headless: bool = False
    """Whether clients choose among the replicas themselves: its name resolves to all their addresses, and the
    name with ``-each`` behind it where the address is fixed, or reached from outside."""
    node_pool: str | None = None
    """On a cluster, the pool of nodes that it runs on."""
    priority: Priority = Priority.SERVING
    runs_to_completion: bool = False
    """Whether it is a job: it must exit with status 0 before what comes after it starts."""
    retries: int = 3
    """On a cluster, how often a job that has failed is run again."""


@dataclass(frozen=True)
class Placed:
    """A service that a target has placed."""

    replicas: Sequence[pulumi.Resource]
    """What is ready once the service is, in the order in which it is replaced."""
    addresses: Sequence[str]
    """Where clients reach the replicas, in their order; empty unless the service asks for fixed addresses."""


@dataclass(frozen=True)
class Store:
    """A data store that is there already: services connect to it, and place none of their own."""

    host: pulumi.Input[str]
    port: int
    outside: Outside
    """Its addresses, for the network policies."""
    password: pulumi.Input[str]
    ca_certificate: pulumi.Input[str] | None = None
    """What its certificate is checked with, PEM; None is what every machine trusts."""
    admin: VaultSecret | None = None
    """Password of ``ADMINISTRATOR``, who makes the platform's own role and database."""


@dataclass(frozen=True)
class Scraped:
    """What Prometheus asks that is no service of the platform."""

    job: str
    host: str
    """A name that resolves to all of its replicas."""
    outside: Outside
    """Where they are, for the network policies, and the port there."""


class Target(Protocol):
    """Places services. Every target takes the same descriptions."""

    def place(
        self, service: Service, parent: pulumi.Resource, after: Sequence[pulumi.Resource] = ()
    ) -> Placed:
        """Create what runs ``service`` as children of ``parent``, once everything in ``after`` is ready."""
        ...

    def addresses(self, service_name: str, replicas: int) -> Sequence[str]:
        """Return where the replicas of ``service_name`` are or will be reached."""
        ...

    def lead(self, name: str, service: Service, parent: pulumi.Resource) -> Sequence[pulumi.Resource]:
        """Have ``name`` stand for ``service`` where names lead to services; return what does that."""
        ...
