"""The forecaster: says how many workers each pool will need before one asked for now is ready."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components import scaling
from components.connections import Connection
from components.rendering import render_input
from components.service import SECRETS_DIR, ApiUse, Limits, Peer, Placed, Port, Probe, Service, Target
from stacks.autoscaler import AutoscalerSettings

NAME = "autoscaler"
PORT = 9090
ACCOUNT_DIR = "/var/run/secrets/kubernetes.io/serviceaccount"
PROMETHEUS = "prometheus"


@dataclass(frozen=True)
class Pool:
    """Workers of one name, and between what their number moves."""

    name: str
    """As metrics call it."""
    service: str
    slots: int
    """Requests that one of them serves at once."""
    least: int
    most: int = 50
    """No forecast asks for more; where their number does not move, it tells how many would be wanted."""
    target: float = 0.7
    """Share of their slots that the other triggers keep busy."""


@dataclass(frozen=True)
class AutoscalerArgs:
    """What the forecaster needs."""

    settings: AutoscalerSettings
    pools: Sequence[Pool]
    prometheus: Peer
    user: str
    """The account that reads Prometheus."""
    password: pulumi.Input[str]
    ca_certificate: pulumi.Input[str]
    scrape_interval_s: int
    exact: bool
    """Whether the cluster acts on differences of less than a tenth."""
    asks_api: bool
    """Whether an API server is within reach that knows the workers' pods."""


def describe(args: AutoscalerArgs) -> Service:
    """Return the forecaster as a service."""
    settings = args.settings
    reads = Connection(PROMETHEUS, args.prometheus, args.password, args.ca_certificate)
    return Service(
        name=NAME,
        image="autoscaler",
        limits=Limits(settings.resources.memory_mib, settings.resources.cpus),
        config={
            "autoscaler.yaml": render_input(
                "autoscaler/autoscaler.yaml.j2",
                autoscaler=settings,
                pools=args.pools,
                prometheus=f"https://{reads.host}:{args.prometheus.port}",
                ca=reads.ca_file,
                user=args.user,
                password_file=f"{SECRETS_DIR}/{PROMETHEUS}-password",
                exact=args.exact,
                account=ACCOUNT_DIR if args.asks_api else None,
                # A sample is taken, a forecast made of it, that is sampled itself, and then looked at.
                reaction_s=2 * args.scrape_interval_s + settings.interval_s + scaling.SYNC_S,
            )
        },
        secrets=reads.files,
        ports=(Port(PORT),),
        probe=Probe(("/usr/bin/python3", "-m", "ollamamax_autoscaler", "healthcheck"), interval_s=5),
        talks_to=(args.prometheus,),
        asks_api=ApiUse.TIME_PODS if args.asks_api else None,
    )


class Autoscaler(pulumi.ComponentResource):
    """One forecaster. While it is away forecasts grow old, and count no more."""

    def __init__(
        self, name: str, args: AutoscalerArgs, target: Target, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ollamamax:index:Autoscaler", name, None, opts)
        self._placed = target.place(describe(args), parent=self)
        self.register_outputs({})

    @property
    def placed(self) -> Placed:
        """The forecaster."""
        return self._placed
