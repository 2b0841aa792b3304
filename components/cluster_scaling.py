"""Autoscalers of a stack's services on a cluster, and what opens Prometheus to KEDA."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.core import v1 as core

from components import scaling
from components.cluster import Cluster
from components.scaling import Prometheus
from components.service import Service
from stacks.kubernetes import AutoscalingSettings, KedaSettings
from stacks.settings import Settings

API = "keda.sh/v1alpha1"
PARAMETERS = ("ca", "password", "username")
"""What KEDA opens Prometheus with, as it calls them."""


@dataclass(frozen=True)
class ScalingArgs:
    """What autoscalers need."""

    prometheus: Prometheus
    keda_namespace: str
    """Where KEDA runs: it reads no secrets elsewhere."""
    window_s: int
    """Time over which rates are taken, seconds."""
    keda: Sequence[pulumi.Resource] = ()
    """KEDA, where the stack installs it."""
    forecast_fresh_s: int | None = None
    """Age beyond which a forecast counts for nothing, seconds; None: no forecast moves replicas."""
    exact: bool = False
    """Whether the cluster can act on differences of less than a tenth."""


def scaling_args(settings: Settings, prometheus: Prometheus, keda: Sequence[pulumi.Resource]) -> ScalingArgs:
    """Return what the autoscalers of a stack need; ``keda`` is what it installs of it."""
    forecasts = settings.autoscaler
    return ScalingArgs(
        prometheus,
        (settings.kubernetes.keda or KedaSettings()).namespace,
        scaling.window_s(settings.monitoring.scrape_interval_s),
        keda,
        forecast_fresh_s=forecasts.freshness_s if forecasts and not forecasts.observe else None,
        exact=scaling.exact(settings),
    )


class Scalers:
    """Makes ScaledObjects; what they have in common is a child of ``parent``."""

    def __init__(self, parent: pulumi.Resource, cluster: Cluster, namespace: str, args: ScalingArgs) -> None:
        self._cluster, self._keda = cluster, list(args.keda)
        prometheus = args.prometheus
        # The name is the whole cluster's, and KEDA's namespace is every stack's.
        name = f"{namespace}-{prometheus.service}"
        contents = (prometheus.ca_certificate, prometheus.password, prometheus.username)
        secret = core.Secret(
            name,
            metadata={**cluster.metadata(name), "namespace": args.keda_namespace},
            string_data=dict(zip(PARAMETERS, contents, strict=True)),
            # Its namespace is made with KEDA.
            opts=cluster.opts(parent, self._keda),
        )
        self._opened = CustomResource(
            name,
            api_version=API,
            kind="ClusterTriggerAuthentication",
            metadata={"name": name, "labels": cluster.labels(name)},
            spec={
                "secretTargetRef": [
                    {"parameter": key, "name": secret.metadata.name, "key": key} for key in PARAMETERS
                ]
            },
            # The cluster knows the kind once KEDA is there, whose operator has to let it go, too.
            opts=cluster.opts(parent, self._keda),
        )
        self._metrics = scaling.Metrics(
            address=f"https://{prometheus.host(namespace)}:{prometheus.port}",
            authentication=name,
            window_s=args.window_s,
            forecast_fresh_s=args.forecast_fresh_s,
            exact=args.exact,
        )

    def scale(
        self,
        service: Service,
        settings: AutoscalingSettings,
        workload: pulumi.Resource,
        parent: pulumi.Resource,
    ) -> pulumi.Resource:
        """Create what moves the replica count of ``service``, once its ``workload`` is ready."""
        scaler: pulumi.Resource = CustomResource(
            service.name,
            api_version=API,
            kind="ScaledObject",
            metadata=self._cluster.metadata(service.name),
            spec=scaling.scaled_object(service, settings, self._metrics),
            # It names the workload and what opens Prometheus, neither of which is an output. KEDA's operator
            # has to be there until it is gone.
            opts=self._cluster.opts(parent, [workload, self._opened, *self._keda]),
        )
        return scaler
