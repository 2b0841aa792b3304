"""The gateways ``ollama-distributed``, and the job that migrates their database."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import pulumi

from components.connections import Connection, outside, peers
from components.rendering import render_input
from components.service import (
    ADMINISTRATOR,
    SECRETS_DIR,
    VAULT_DIR,
    ApiUse,
    Limits,
    Outside,
    Peer,
    Placed,
    Port,
    Probe,
    Service,
    Stop,
    Store,
    Target,
    Workers,
)
from stacks.delivery import CANARY, TRIAL
from stacks.gateway import AliasSettings, GatewaySettings
from stacks.settings import NodeMemorySettings

NAME = "gateway"
MIGRATIONS = "migrations"
IMAGE = "gateway"
PORT = 8080
ADMIN_PORT = 9090
STOP_MARGIN_S = 5
"""Time between the end of the drain and the container being killed."""
TRACING_CA = "tracing-ca.pem"
HTTP, HTTPS = 80, 443
MIGRATION_LIMITS = Limits(memory_mib=128, cpus=1.0)
ADMIN_PASSWORD = "database-admin-password"  # noqa: S105 - the name of a file


@dataclass(frozen=True)
class GatewayArgs:
    """What the gateways need."""

    settings: GatewaySettings
    workers: Sequence[Workers]
    longest_silence_s: int
    """Longest time between two pieces of an answer, seconds."""
    worker_services: Sequence[Peer]
    """The services that those workers belong to."""
    database: Peer | Store
    """PostgreSQL, for migrations."""
    pool: Peer | Store
    """PgBouncer."""
    cache: Peer | Store
    """Redis."""
    ca_certificate: pulumi.Input[str]
    """Of the stack's authority, for those of them that are services."""
    database_password: pulumi.Input[str]
    """Of the database and the pool, where they are services."""
    cache_password: pulumi.Input[str]
    """Of the cache, where it is a service."""
    api_key: pulumi.Input[str]
    node_memory: NodeMemorySettings
    workers_pull: bool = False
    """Whether each worker has a store of its own, into which it gets a model that it lacks."""
    public_paths: Sequence[str] = ()
    """GETs that need no key."""
    forecaster: Peer | None = None
    """What forecasts load, if anything does."""
    console: str | None = None
    """Origin of the console's pages, where it is not the gateways' own."""


def describe(args: GatewayArgs) -> Service:
    """Return the gateways as a service."""
    settings = args.settings
    connections = _connections(args, args.pool)
    certificate = settings.tracing.ca_certificate if settings.tracing else None
    return Service(
        name=NAME,
        image=IMAGE,
        replicas=settings.replicas,
        scaling=settings.autoscaling,
        limits=Limits(settings.resources.memory_mib, settings.resources.cpus),
        command=("serve",),
        env={"GOGC": str(settings.go_gc), "GOMEMLIMIT": f"{settings.go_memory_limit_mib}MiB"},
        config={"gateway.yaml": _config(args, *connections, forecaster=args.forecaster)},
        secrets=_secrets(*connections) | ({TRACING_CA: certificate} if certificate else {}),
        rereads=tuple(one.password_file for one in connections),
        ports=(Port(PORT), Port(ADMIN_PORT)),
        # One that only waits for a worker lives: it must not be started again for that.
        probe=Probe(("/ollama-distributed", "healthcheck", "--live")),
        ready=Probe(("/ollama-distributed", "healthcheck")),
        stop=Stop(grace_s=settings.drain_timeout_s + STOP_MARGIN_S),
        talks_to=(
            *args.worker_services,
            *peers(connections),
            *([args.forecaster] if args.forecaster else ()),
        ),
        reaches=(*outside(connections), *_receiver(settings)),
        asks_api=ApiUse.FOLLOW_PEERS if settings.routing.discovery == "kubernetes" else None,
        fixed_address=True,
        headless=True,
    )


def describe_canary(args: GatewayArgs, replicas: int) -> Service:
    """Return gateways that are tried beside the others, as a service of their own.

    No autoscaler moves their number: for new ones it would be late at each share.
    """
    callers = (Peer("edge", PORT), Peer("prometheus", ADMIN_PORT))
    return replace(describe(args), name=CANARY, replicas=replicas, scaling=None, asked_by=callers)


def describe_migrations(args: GatewayArgs) -> Service:
    """Return the job that migrates the database and writes the stack's keys and aliases into it.

    It goes to PostgreSQL itself: a migration holds locks over a session, which a transaction pool has not.
    """
    connections = _connections(args, args.database)
    admin = args.database.admin if isinstance(args.database, Store) else None
    return Service(
        name=MIGRATIONS,
        image=IMAGE,
        limits=MIGRATION_LIMITS,
        command=("migrate",),
        config={
            "gateway.yaml": _config(
                args,
                *connections,
                admin=ADMINISTRATOR if admin else None,
                aliases=args.settings.aliases,  # of this file alone: no gateway is replaced for an alias
            )
        },
        secrets=_secrets(*connections) | {"api-key": args.api_key},
        vault={ADMIN_PASSWORD: admin} if admin else {},
        talks_to=peers(connections),
        reaches=outside(connections),
        runs_to_completion=True,
    )


def _connections(args: GatewayArgs, database: Peer | Store) -> tuple[Connection, Connection]:
    return (
        Connection("database", database, args.database_password, args.ca_certificate),
        Connection("redis", args.cache, args.cache_password, args.ca_certificate),
    )


def _config(
    args: GatewayArgs,
    database: Connection,
    redis: Connection,
    admin: str | None = None,
    aliases: Sequence[AliasSettings] = (),
    forecaster: Peer | None = None,
) -> pulumi.Input[str]:
    return render_input(
        "gateway/gateway.yaml.j2",
        gateway=args.settings,
        port=PORT,
        admin_port=ADMIN_PORT,
        workers=args.workers,
        workers_pull=args.workers_pull,
        longest_silence_s=args.longest_silence_s,
        database_host=database.host,
        database_port=database.to.port,
        database_ca=database.ca_file,
        admin=admin,
        admin_password=f"{VAULT_DIR}/{ADMIN_PASSWORD}",
        aliases=aliases,
        public_paths=args.public_paths,
        origins=[*([args.console] if args.console else ()), *args.settings.live.origins],
        redis_host=redis.host,
        redis_port=redis.to.port,
        redis_ca=redis.ca_file,
        forecaster=f"{forecaster.service}:{forecaster.port}" if forecaster else None,
        node_memory=args.node_memory,
        tracing_ca=f"{SECRETS_DIR}/{TRACING_CA}",
    )


def _receiver(settings: GatewaySettings) -> tuple[Outside, ...]:
    """Return where the receiver of traces is, if there is one."""
    if not settings.tracing:
        return ()
    address = urlsplit(settings.tracing.endpoint)
    port = address.port or (HTTPS if address.scheme == "https" else HTTP)
    return (Outside(tuple(map(str, settings.tracing.networks)), port),)


def _secrets(*connections: Connection) -> dict[str, pulumi.Input[str]]:
    return {name: content for one in connections for name, content in one.files.items()}


class Gateway(pulumi.ComponentResource):
    """The gateways: API, keys, routing; replaced one after the other."""

    def __init__(
        self,
        name: str,
        args: GatewayArgs,
        target: Target,
        after_migrations: Sequence[pulumi.Resource] = (),
        after: Sequence[pulumi.Resource] = (),
        canaries: int = 0,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Place the migrations after ``after_migrations``, then the gateways after those and ``after``.

        ``canaries`` are placed beside them, and wait for none of them: they are to be tried first.
        """
        super().__init__("ollamamax:index:Gateway", name, None, opts)
        jobs = target.place(describe_migrations(args), parent=self, after=after_migrations).replicas
        service, tried = describe(args), describe_canary(args, canaries) if canaries else None
        placed = target.place(service, parent=self, after=[*jobs, *after])
        if tried:
            target.place(tried, parent=self, after=[*jobs, *after])
        named = target.lead(TRIAL, tried or service, parent=self)
        self._placed = Placed([*placed.replicas, *named], placed.addresses)
        self.register_outputs({})

    @property
    def placed(self) -> Placed:
        """The gateways, and the name of those that are tried."""
        return self._placed
