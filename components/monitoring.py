"""Prometheus: the metrics of all parts, and the rules about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import pulumi

from components import scaling
from components.certificates import ServerCertificate
from components.rendering import render, render_input
from components.service import Limits, Peer, Placed, Port, Probe, Scraped, Service, Target, Volume
from stacks.stores import MonitoringSettings

NAME = "prometheus"
PORT = 9090
PUBLISHED_PORT = 9091
BESIDE_SAMPLES = 1.25
"""Disk for the samples that are not compacted yet, and for the compaction, as a factor."""
USER = "prometheus"
"""The account that opens its pages, as the templates name it."""


@dataclass(frozen=True)
class MonitoringArgs:
    """What monitoring needs."""

    settings: MonitoringSettings
    stack: str
    gateways: Sequence[str]
    """The gateways' hosts; on a cluster the one name that resolves to all of them."""
    canaries: Sequence[str]
    """The hosts of those of another release, while one is tried; as of the gateways."""
    gateway_port: int
    """Their admin port."""
    edges: Sequence[str]
    """The edges' hosts, as of the gateways."""
    edge_port: int
    """Where they count their connections."""
    edge_url: str
    """What the exporter that looks at the edge as a client does is to ask."""
    resolve: bool
    """Whether such a name has to be looked up again and again."""
    autoscaler: Peer | None
    """The forecaster, where there is one."""
    exporters: Sequence[Peer]
    scraped: Sequence[Scraped]
    """What is asked beside the platform's services."""
    alertmanager: Peer
    rules: Mapping[str, str]
    """File name → rules."""
    certificate: ServerCertificate
    ca_certificate: pulumi.Input[str]
    password: pulumi.Input[str]
    password_hash: pulumi.Input[str]


def describe(args: MonitoringArgs) -> Service:
    """Return Prometheus as a service."""
    settings = args.settings
    size_gib = ceil(settings.retention_mib * BESIDE_SAMPLES / 1024) + 1
    return Service(
        name=NAME,
        image="prometheus",
        limits=Limits(settings.resources.memory_mib, settings.resources.cpus),
        command=(
            f"--storage.tsdb.retention.time={settings.retention_hours}h",
            f"--storage.tsdb.retention.size={settings.retention_mib}MiB",
        ),
        config={
            "prometheus.yml": render(
                "prometheus/prometheus.yml.j2",
                prometheus=settings,
                gateways=args.gateways,
                canaries=args.canaries,
                gateway_port=args.gateway_port,
                edges=args.edges,
                edge_port=args.edge_port,
                edge_url=args.edge_url,
                resolve=args.resolve,
                autoscaler=f"{args.autoscaler.service}:{args.autoscaler.port}" if args.autoscaler else None,
                exporters=args.exporters,
                scraped=args.scraped,
                stack=args.stack,
            ),
            "load.rules.yml": render("prometheus/load.rules.yml.j2", gateways_seen=scaling.GATEWAYS_SEEN),
            **args.rules,
            "promtool.yml": render("prometheus/promtool.yml.j2"),
        },
        secrets={
            "ca.pem": args.ca_certificate,
            "tls.crt": args.certificate.certificate,
            "tls.key": args.certificate.key,
            "prometheus-password": args.password,
            "web.yml": render_input("prometheus/web.yml.j2", password_bcrypt=args.password_hash),
        },
        ports=(Port(PORT, published=PUBLISHED_PORT),),
        volumes=(Volume("data", "/var/lib/prometheus", size_gib),),
        probe=Probe(("/usr/local/bin/healthcheck",), interval_s=5),
        talks_to=(
            Peer("gateway", args.gateway_port),
            Peer("edge", args.edge_port),
            args.alertmanager,
            *([args.autoscaler] if args.autoscaler else []),
            *args.exporters,
        ),
        reaches=tuple(one.outside for one in args.scraped),
    )


class Monitoring(pulumi.ComponentResource):
    """One Prometheus, its pages on loopback behind a password."""

    def __init__(
        self, name: str, args: MonitoringArgs, target: Target, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ollamamax:index:Monitoring", name, None, opts)
        self._placed = target.place(describe(args), parent=self)
        self.register_outputs({})

    @property
    def placed(self) -> Placed:
        """The server."""
        return self._placed
