"""The edge: nginx with TLS, HTTP/2 and HTTP/3, in front of the gateways."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pulumi

from components.certificates import ServerCertificate
from components.http_cache import API, CONSOLE, PRIVATE, Kept, Rule, edge_rules
from components.page_policy import CONTENT_SECURITY_POLICY
from components.rendering import render
from components.service import Exposure, Limits, Peer, Placed, Port, Probe, Service, Stop, Switches, Target
from stacks.aws import CdnSettings
from stacks.delivery import SHARES, SWITCHES
from stacks.settings import EdgeSettings

NAME = "edge"
PORT = 8443
CDN_PORT = 8444
"""For a CDN alone, on TCP."""
TOGETHER = "tls.pem"
"""File with certificate and key: a handshake while the file is replaced must not find one of each."""
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
    console_host: str | None = None
    """A host name of the console's own, where the CDN has its files from the edge."""
    canaries: Sequence[str] = ()
    """Addresses that gateways of another release have while one is tried; empty where none ever is."""
    canary_percents: Sequence[int] = ()
    """The shares of requests that those may be given, rising to 100."""
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
        "certificate_file": TOGETHER if own else "tls.crt",
        "key_file": TOGETHER if own else "tls.key",
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
                canaries=[f"{address}:{args.gateway_port}" for address in args.canaries],
                shares=list(pairwise([0, *args.canary_percents])),
                switches=SWITCHES,
                private=PRIVATE,
                kept=[
                    (pattern, rule.cache_control) for rule in edge_rules(args.cdn) for pattern in kept(rule)
                ],
                own_host=_own_host(args.console_host) if args.console_host else None,
                page_policy=CONTENT_SECURITY_POLICY,
                errors=[error.variables for error in errors(args)],
            )
        },
        secrets={TOGETHER: own.together} if own else {},
        rereads=(TOGETHER,) if own else (),
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
        switches=Switches(SWITCHES, SHARES) if args.canaries else None,
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


@dataclass(frozen=True)
class Failure:
    """An error that the edge answers with by itself."""

    status: int
    message: str
    kind: str = "api_error"
    """What OpenAI's clients tell it by, as the gateway has it."""
    code: str | None = None

    @property
    def variables(self) -> dict[str, object]:
        """What the templates have of it."""
        return {
            "status": self.status,
            "message": self.message,
            "kind": self.kind,
            "code": json.dumps(self.code),
        }


def errors(args: EdgeArgs) -> tuple[Failure, ...]:
    """Return the errors that the edge answers with by itself."""
    bad, client = "invalid_request_error", args.settings.client
    too_much = (
        f"too many requests: one address may send {client.rate_per_address} a second and have "
        f"{client.requests_per_address} under way, one key {client.requests_per_key}"
    )
    return (
        Failure(400, "bad request", bad),
        Failure(404, "not found", "not_found_error"),
        Failure(405, "method not allowed", bad),
        Failure(408, "request timed out", bad),
        Failure(413, f"request body too large: the limit is {args.max_body_bytes} bytes", bad),
        Failure(414, f"request line too long: the limit is {args.max_header_bytes} bytes", bad),
        Failure(429, too_much, "requests", "rate_limit_exceeded"),
        Failure(431, f"request header too large: the limit is {args.max_header_bytes} bytes", bad),
        Failure(500, "internal error"),
        Failure(501, "not implemented"),
        Failure(502, "no gateway is reachable: try again"),
        Failure(503, "service unavailable: try again"),
        Failure(504, "the gateway did not answer in time"),
        Failure(505, "HTTP version not supported", bad),
    )


def kept(rule: Rule) -> Iterator[str]:
    """Yield what a request and its answer look like that ``rule`` lets be kept.

    A regular expression of status, method, path, the path as it was written, and what tells who asks.
    """
    if rule.passes_through:
        return
    for path in rule.paths:
        plain = path.removesuffix("*").replace(".", r"\.")
        if rule.kept is Kept.ANONYMOUS:
            yield f"^200 GET {plain} {plain} $"
        else:
            yield f"^(?:200|206|304) (?:GET|HEAD) {plain}"


def _own_host(host: str) -> dict[str, object]:
    """Return the console's own host name as the templates have it."""
    others = [path[:-1] if path.endswith("*") else f"{path}$" for path in (*API, f"{CONSOLE}*")]
    return {
        "name": host.replace(".", r"\."),
        "others": "|".join(others),
        "console": CONSOLE.removesuffix("/"),
    }


def _cdn(settings: CdnSettings) -> dict[str, object]:
    return {"port": CDN_PORT, "keepalive_timeout_s": settings.origin_keepalive_timeout_s}


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
