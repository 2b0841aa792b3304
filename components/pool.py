"""PgBouncer: many client connections on few server connections."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.certificates import ServerCertificate
from components.connections import Connection, outside, peers
from components.rendering import render_input
from components.service import Limits, Peer, Placed, Port, Probe, Service, Stop, Store, Target
from stacks.stores import PoolSettings

NAME = "pgbouncer"
PORT = 6432
LEAVE_S = 3
"""How long a leaving pooler on a cluster still takes connections: until no node sends any."""
MACHINE_CA = "/etc/ssl/certs/ca-certificates.crt"
"""What the image trusts."""


@dataclass(frozen=True)
class PoolArgs:
    """What the connection pool needs."""

    settings: PoolSettings
    database: Peer | Store
    certificate: ServerCertificate
    ca_certificate: pulumi.Input[str]
    password: pulumi.Input[str]


def describe(args: PoolArgs) -> Service:
    """Return PgBouncer as a service."""
    settings = args.settings
    database = Connection("database", args.database, args.password, args.ca_certificate)
    return Service(
        name=NAME,
        image="pgbouncer",
        replicas=settings.replicas,
        limits=Limits(settings.resources.memory_mib, settings.resources.cpus),
        config={
            "pgbouncer.ini": render_input(
                "pgbouncer/pgbouncer.ini.j2",
                pgbouncer=settings.model_dump(),
                port=PORT,
                database_host=database.host,
                database_port=database.to.port,
                database_ca=database.ca_file or MACHINE_CA,
            )
        },
        secrets={
            **database.ca_files,
            "tls.crt": args.certificate.certificate,
            "tls.key": args.certificate.key,
            "userlist.txt": render_input("pgbouncer/userlist.txt.j2", password=args.password),
        },
        ports=(Port(PORT),),
        probe=Probe(("/usr/local/bin/healthcheck",)),
        stop=Stop(signal="SIGINT", before=("sleep", str(LEAVE_S))),
        talks_to=peers([database]),
        reaches=outside([database]),
    )


class Pool(pulumi.ComponentResource):
    """One PgBouncer in transaction mode."""

    def __init__(
        self,
        name: str,
        args: PoolArgs,
        target: Target,
        after: Sequence[pulumi.Resource] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("ollamamax:index:Pool", name, None, opts)
        self._placed = target.place(describe(args), parent=self, after=after)
        self.register_outputs({})

    @property
    def placed(self) -> Placed:
        """The pooler."""
        return self._placed
