"""The gateways ``ollama-distributed``, and the job that migrates their database."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.rendering import render
from components.service import Limits, Peer, Placed, Port, Probe, Service, Stop, Target
from stacks.settings import GatewaySettings

NAME = "gateway"
MIGRATIONS = "migrations"
IMAGE = "gateway"
PORT = 8080
ADMIN_PORT = 9090
STOP_MARGIN_S = 5
"""Time between the end of the drain and the container being killed."""
MIGRATION_LIMITS = Limits(memory_mib=128, cpus=1.0)


@dataclass(frozen=True)
class GatewayArgs:
    """What the gateways need."""

    settings: GatewaySettings
    workers: Sequence[str]
    """The workers, as ``host:port``."""
    longest_silence_s: int
    """Longest time between two pieces of an answer, seconds."""
    worker_services: Sequence[Peer]
    """The services that those workers belong to."""
    database: Peer
    """PostgreSQL, for migrations."""
    pool: Peer
    """PgBouncer."""
    cache: Peer
    """Redis."""
    ca_certificate: pulumi.Input[str]
    database_password: pulumi.Input[str]
    cache_password: pulumi.Input[str]
    api_key: pulumi.Input[str]


def describe(args: GatewayArgs) -> Service:
    """Return the gateways as a service."""
    settings = args.settings
    return Service(
        name=NAME,
        image=IMAGE,
        replicas=settings.replicas,
        scaling=settings.autoscaling,
        limits=Limits(settings.resources.memory_mib, settings.resources.cpus),
        command=("serve",),
        env={"GOGC": str(settings.go_gc), "GOMEMLIMIT": f"{settings.go_memory_limit_mib}MiB"},
        config={"gateway.yaml": _config(args, args.pool)},
        secrets=_secrets(args),
        ports=(Port(PORT), Port(ADMIN_PORT)),
        probe=Probe(("/ollama-distributed", "healthcheck")),
        stop=Stop(grace_s=settings.drain_timeout_s + STOP_MARGIN_S),
        talks_to=(*args.worker_services, args.pool, args.cache),
        fixed_address=True,
    )


def describe_migrations(args: GatewayArgs) -> Service:
    """Return the job that brings the database to the gateway's schema and writes the stack's keys.

    It goes to PostgreSQL itself: a migration holds locks over a session, which a transaction pool has not.
    """
    return Service(
        name=MIGRATIONS,
        image=IMAGE,
        limits=MIGRATION_LIMITS,
        command=("migrate",),
        config={"gateway.yaml": _config(args, args.database)},
        secrets=_secrets(args) | {"api-key": args.api_key},
        talks_to=(args.database, args.cache),
        runs_to_completion=True,
    )


def _config(args: GatewayArgs, database: Peer) -> str:
    return render(
        "gateway/gateway.yaml.j2",
        gateway=args.settings,
        port=PORT,
        admin_port=ADMIN_PORT,
        workers=args.workers,
        longest_silence_s=args.longest_silence_s,
        database_host=database.service,
        database_port=database.port,
        redis=f"{args.cache.service}:{args.cache.port}",
    )


def _secrets(args: GatewayArgs) -> dict[str, pulumi.Input[str]]:
    return {
        "ca.pem": args.ca_certificate,
        "database-password": args.database_password,
        "redis-password": args.cache_password,
    }


class Gateway(pulumi.ComponentResource):
    """The gateways: API, keys, routing; replaced one after the other."""

    def __init__(
        self,
        name: str,
        args: GatewayArgs,
        target: Target,
        after_migrations: Sequence[pulumi.Resource] = (),
        after: Sequence[pulumi.Resource] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Place the migrations after ``after_migrations``, then the gateways after those and ``after``."""
        super().__init__("ollamamax:index:Gateway", name, None, opts)
        jobs = target.place(describe_migrations(args), parent=self, after=after_migrations).replicas
        self._placed = target.place(describe(args), parent=self, after=[*jobs, *after])
        self.register_outputs({})

    @property
    def placed(self) -> Placed:
        """The gateways."""
        return self._placed
