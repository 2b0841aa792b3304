"""Redis: a cache and a message bus for the gateways."""

from dataclasses import dataclass

import pulumi

from components.certificates import ServerCertificate
from components.rendering import render, render_input
from components.service import Limits, Placed, Port, Probe, Service, Target
from stacks.stores import CacheSettings

NAME = "redis"
PORT = 6379


@dataclass(frozen=True)
class CacheArgs:
    """What the cache needs."""

    settings: CacheSettings
    certificate: ServerCertificate
    ca_certificate: pulumi.Input[str]
    password: pulumi.Input[str]


def describe(args: CacheArgs) -> Service:
    """Return Redis as a service."""
    settings = args.settings
    return Service(
        name=NAME,
        image="redis",
        limits=Limits(settings.resources.memory_mib, settings.resources.cpus),
        config={"redis.conf": render("redis/redis.conf.j2", redis={**settings.model_dump(), "port": PORT})},
        secrets={
            "ca.pem": args.ca_certificate,
            "tls.crt": args.certificate.certificate,
            "tls.key": args.certificate.key,
            "redis.conf": render_input("redis/password.conf.j2", password=args.password),
        },
        ports=(Port(PORT),),
        probe=Probe(("/usr/local/bin/healthcheck",)),
    )


class Cache(pulumi.ComponentResource):
    """One Redis that keeps nothing on disk."""

    def __init__(
        self, name: str, args: CacheArgs, target: Target, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ollamamax:index:Cache", name, None, opts)
        self._placed = target.place(describe(args), parent=self)
        self.register_outputs({})

    @property
    def placed(self) -> Placed:
        """The server."""
        return self._placed
