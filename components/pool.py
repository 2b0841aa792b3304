"""PgBouncer: many client connections on few server connections."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.certificates import ServerCertificate
from components.rendering import render, render_secret
from components.service import Limits, Peer, Placed, Port, Probe, Service, Stop, Target
from stacks.settings import PoolSettings

NAME = "pgbouncer"
PORT = 6432


@dataclass(frozen=True)
class PoolArgs:
    """What the connection pool needs."""

    settings: PoolSettings
    database_host: str
    database_port: int
    certificate: ServerCertificate
    ca_certificate: pulumi.Input[str]
    password: pulumi.Input[str]


def describe(args: PoolArgs) -> Service:
    """Return PgBouncer as a service."""
    settings = args.settings
    variables = {
        **settings.model_dump(),
        "port": PORT,
        "database_host": args.database_host,
        "database_port": args.database_port,
    }
    return Service(
        name=NAME,
        image="pgbouncer",
        replicas=settings.replicas,
        limits=Limits(settings.resources.memory_mib, settings.resources.cpus),
        config={"pgbouncer.ini": render("pgbouncer/pgbouncer.ini.j2", pgbouncer=variables)},
        secrets={
            "ca.pem": args.ca_certificate,
            "tls.crt": args.certificate.certificate,
            "tls.key": args.certificate.key,
            "userlist.txt": render_secret("pgbouncer/userlist.txt.j2", password=args.password),
        },
        ports=(Port(PORT),),
        probe=Probe(("/usr/local/bin/healthcheck",)),
        stop=Stop(signal="SIGINT"),
        talks_to=(Peer(args.database_host, args.database_port),),
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
