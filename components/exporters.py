"""Exporters: metrics of what has none of its own, each a service of its own from one image.

Redis, PostgreSQL and PgBouncer say of themselves what their exporters ask; ``probe`` asks the edge for an
answer, as a client would; ``machine`` reads the kernel of the machine that runs the stack.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components.connections import Connection, outside, peers
from components.rendering import render, render_input
from components.service import CONFIG_DIR, SECRETS_DIR, Limits, Peer, Port, Probe, Service, Store, Target
from stacks.alerts import AlertSettings

ROLE = "ollamamax"
PORTS = {"machine": 9100, "probe": 9115, "redis": 9121, "pgbouncer": 9127, "postgres": 9187}
"""What is looked at → port of its exporter."""


@dataclass(frozen=True)
class ExportersArgs:
    """What the exporters need.

    Attributes:
        settings: limits of each.
        database, cache, pool: where they are.
        database_password, cache_password: of the platform's own role, and of Redis.
        ca_certificate: of the stack's authority.
        edge: where the edge's clients connect.
        edge_name: whom its certificate names.
        edge_of_stack: whether the stack's own authority signed that; else one that every machine trusts.
        machine: whether one machine runs the stack, whose disk is then watched.
    """

    settings: AlertSettings
    database: Peer | Store
    cache: Peer | Store
    pool: Peer
    database_password: pulumi.Input[str]
    cache_password: pulumi.Input[str]
    ca_certificate: pulumi.Input[str]
    edge: Peer
    edge_name: str
    edge_of_stack: bool
    machine: bool


def exporter_name(of: str) -> str:
    """Return what the exporter of a part is called."""
    return f"exporter-{of}"


def describe(args: ExportersArgs) -> list[Service]:
    """Return the exporters as services."""
    found = [_probe(args), _redis(args), _pgbouncer(args), _postgres(args)]
    return [*found, *([_machine(args)] if args.machine else [])]


def _exporter(of: str, args: ExportersArgs, **what: Any) -> Service:  # noqa: ANN401 - fields of a service
    port = PORTS[of]
    return Service(
        name=exporter_name(of),
        image="exporters",
        limits=Limits(args.settings.exporter_resources.memory_mib, args.settings.exporter_resources.cpus),
        ports=(Port(port),),
        probe=Probe(("/usr/local/bin/healthcheck", str(port)), interval_s=5),
        **what,
    )


def _probe(args: ExportersArgs) -> Service:
    ca = f"{SECRETS_DIR}/ca.pem" if args.edge_of_stack else None
    return _exporter(
        "probe",
        args,
        config={
            "blackbox.yml": render("exporters/blackbox.yml.j2", server_name=args.edge_name, ca_file=ca),
        },
        secrets={"ca.pem": args.ca_certificate} if ca else {},
        talks_to=(args.edge,),
    )


def _redis(args: ExportersArgs) -> Service:
    redis = Connection("redis", args.cache, args.cache_password, args.ca_certificate)
    address = render_input("exporters/redis.j2", host=redis.host, port=redis.to.port)
    return _exporter(
        "redis",
        args,
        entrypoint=("/usr/local/bin/redis",),
        config={"redis-address": address},
        secrets=redis.files,
        env={"REDIS_EXPORTER_TLS_CA_CERT_FILE": redis.ca_file} if redis.ca_file else {},
        talks_to=peers([redis]),
        reaches=outside([redis]),
    )


def _pgbouncer(args: ExportersArgs) -> Service:
    pool = Connection("database", args.pool, args.database_password, args.ca_certificate)
    return _exporter(
        "pgbouncer",
        args,
        entrypoint=("/usr/local/bin/pgbouncer",),
        command=(args.pool.service, str(args.pool.port)),
        secrets=pool.files,
        talks_to=peers([pool]),
    )


def _postgres(args: ExportersArgs) -> Service:
    database = Connection("database", args.database, args.database_password, args.ca_certificate)
    where = render_input(
        "exporters/postgres.j2", host=database.host, port=database.to.port, ca_file=database.ca_file
    )
    return _exporter(
        "postgres",
        args,
        entrypoint=("/usr/bin/prometheus-postgres-exporter",),
        env={
            "DATA_SOURCE_URI_FILE": f"{CONFIG_DIR}/postgres",
            "DATA_SOURCE_USER": ROLE,
            "DATA_SOURCE_PASS_FILE": f"{SECRETS_DIR}/database-password",
        },
        config={"postgres": where},
        secrets=database.files,
        talks_to=peers([database]),
        reaches=outside([database]),
    )


def _machine(args: ExportersArgs) -> Service:
    # The container's own root lies on the disk that holds Docker's volumes: so it needs nothing of the host.
    return _exporter(
        "machine",
        args,
        entrypoint=("/usr/bin/prometheus-node-exporter",),
        command=(
            "--collector.disable-defaults",
            *(f"--collector.{name}" for name in ("cpu", "filesystem", "loadavg", "meminfo")),
            "--collector.filesystem.mount-points-exclude=^/(dev|etc|proc|sys|tmp)($|/)",
            "--collector.filesystem.fs-types-exclude=^(tmpfs|proc|sysfs)$",
        ),
    )


class Exporters(pulumi.ComponentResource):
    """The exporters of one stack."""

    def __init__(
        self,
        name: str,
        args: ExportersArgs,
        target: Target,
        pool_ready: Sequence[pulumi.Resource] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("ollamamax:index:Exporters", name, None, opts)
        self._services = describe(args)
        for service in self._services:
            # Alone among them, PgBouncer's ends when what it asks is not there at its start.
            after = pool_ready if service.name == exporter_name("pgbouncer") else ()
            target.place(service, parent=self, after=after)
        self.register_outputs({})

    @property
    def peers(self) -> Sequence[Peer]:
        """The exporters, and their ports."""
        return [Peer(service.name, service.ports[0].number) for service in self._services]
