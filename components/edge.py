"""The edge: nginx with TLS, HTTP/2 and HTTP/3, in front of the gateways."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.certificates import ServerCertificate
from components.rendering import render
from components.service import Exposure, Limits, Peer, Placed, Port, Probe, Service, Stop, Target
from stacks.aws import CdnSettings
from stacks.settings import EdgeSettings

NAME = "edge"
PORT = 8443
CDN_PORT = 8444
"""For a CDN alone, on TCP."""
METRICS_PORT = 8082
"""For Prometheus alone."""
READ_MARGIN_S = 30
"""How much longer the edge waits for an answer than the gateway waits for a worker, to come back or to go
on: so that the client gets the gateway's error, which knows what happened."""
STOP_MARGIN_S = 5
"""Time between nginx giving up its last answers and its container being killed."""


@dataclass(frozen=True)
class EdgeArgs:
    """What the edge needs."""

    settings: EdgeSettings
    public_port: int
    gateways: Sequence[str]
    """The gateways' addresses."""
    gateway_port: int
    max_header_bytes: int
    max_body_bytes: int
    longest_silence_s: int
    """Longest time between two pieces of an answer, seconds."""
    certificate: ServerCertificate | str
    """Or the secret of the cluster in which an authority there keeps it."""
    cdn: CdnSettings | None = None
    """The CDN that connects to ``CDN_PORT``, if there is one."""
    leave_s: int = 0
    """On a cluster, how long a stopping edge still accepts connections, seconds: till none are sent to it."""


def describe(args: EdgeArgs) -> Service:
    """Return nginx as a service."""
    settings = args.settings
    own = args.certificate if isinstance(args.certificate, ServerCertificate) else None
    variables = {
        **settings.model_dump(),
        "port": PORT,
        "metrics_port": METRICS_PORT,
        "public_port": args.public_port,
        "max_header_bytes": args.max_header_bytes,
        "max_body_bytes": args.max_body_bytes,
        "upstream_read_timeout_s": args.longest_silence_s + READ_MARGIN_S,
        "cdn": _cdn(args.cdn) if args.cdn else None,
        "certificate_renews": own is None,
    }
    return Service(
        name=NAME,
        image="edge",
        replicas=settings.replicas,
        limits=Limits(settings.resources.memory_mib, settings.resources.cpus),
        config={
            "nginx.conf": render(
                "nginx/nginx.conf.j2",
                edge=variables,
                gateways=[f"{address}:{args.gateway_port}" for address in args.gateways],
            )
        },
        secrets={"tls.crt": own.certificate, "tls.key": own.key} if own else {},
        issued_certificate=None if own else str(args.certificate),
        ports=(
            *(
                Port(port, protocol, published=port, exposure=Exposure.PUBLIC)
                for port, protocol in (
                    (PORT, "tcp"),
                    (PORT, "udp"),
                    *([(CDN_PORT, "tcp")] if args.cdn else []),
                )
            ),
            Port(METRICS_PORT),
        ),
        scratch={"/tmp": 256},  # noqa: S108 - in the container
        headless=True,
        probe=Probe(("/usr/local/bin/healthcheck",)),
        stop=Stop(
            signal="SIGQUIT",
            grace_s=args.leave_s + settings.drain_timeout_s + STOP_MARGIN_S,
            # nginx closes its sockets at the signal, while connections are still sent to it.
            before=("sleep", str(args.leave_s)) if args.leave_s else None,
        ),
        talks_to=(Peer("gateway", args.gateway_port),),
    )


def _cdn(settings: CdnSettings) -> dict[str, object]:
    return {
        "port": CDN_PORT,
        "keepalive_timeout_s": settings.origin_keepalive_timeout_s,
        "public_paths": settings.public_paths,
        "public_max_age_s": settings.public_max_age_s,
    }


class Edge(pulumi.ComponentResource):
    """One nginx: the only part that is published beyond loopback."""

    def __init__(
        self,
        name: str,
        args: EdgeArgs,
        target: Target,
        after: Sequence[pulumi.Resource] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("ollamamax:index:Edge", name, None, opts)
        self._placed = target.place(describe(args), parent=self, after=after)
        self.register_outputs({})

    @property
    def placed(self) -> Placed:
        """The server."""
        return self._placed
