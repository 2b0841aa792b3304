"""PostgreSQL: keys, nodes, models and metrics."""

from dataclasses import dataclass

import pulumi

from components.certificates import ServerCertificate
from components.rendering import render
from components.service import Limits, Placed, Port, Priority, Probe, Service, Stop, Target, Volume
from stacks.stores import DatabaseSettings

NAME = "postgres"
PORT = 5432
START_UP_S = 120
"""An empty volume is initialised first; a large one may have to recover."""


@dataclass(frozen=True)
class DatabaseArgs:
    """What the database needs."""

    settings: DatabaseSettings
    certificate: ServerCertificate
    ca_certificate: pulumi.Input[str]
    password: pulumi.Input[str]
    admin_password: pulumi.Input[str]


def describe(args: DatabaseArgs) -> Service:
    """Return PostgreSQL as a service."""
    resources = args.settings.resources
    variables = {"postgres": {**args.settings.model_dump(), "port": PORT}}
    return Service(
        name=NAME,
        image="postgres",
        limits=Limits(resources.memory_mib, resources.cpus),
        config={
            "postgresql.conf": render("postgres/postgresql.conf.j2", **variables),
            "pg_hba.conf": render("postgres/pg_hba.conf.j2", **variables),
        },
        secrets={
            "ca.pem": args.ca_certificate,
            "tls.crt": args.certificate.certificate,
            "tls.key": args.certificate.key,
            "database-password": args.password,
            "superuser-password": args.admin_password,
        },
        volumes=(Volume("data", "/var/lib/postgresql/data", args.settings.volume_gib),),
        ports=(Port(PORT),),
        probe=Probe(("/usr/local/bin/healthcheck",), start_period_s=START_UP_S),
        stop=Stop(signal="SIGINT", grace_s=60),
        # PgBouncer's resolver keeps a name's address for as long as Docker says, ten minutes, whatever
        # dns_max_ttl says: under another address the database would not be found.
        fixed_address=True,
        priority=Priority.DATA,
    )


class Database(pulumi.ComponentResource):
    """One PostgreSQL server with its data volume."""

    def __init__(
        self, name: str, args: DatabaseArgs, target: Target, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ollamamax:index:Database", name, None, opts)
        self._placed = target.place(describe(args), parent=self)
        self.register_outputs({})

    @property
    def placed(self) -> Placed:
        """The server."""
        return self._placed
