"""KEDA, which makes autoscalers of what the platform measures: operator, metrics API and webhooks.

Costs nothing but its pods. Deleted, autoscalers and the kinds that describe them are gone, and every replica
count stays as it is. While it is away counts can still rise by CPU and memory, and do not fall. A cluster has
one: its metrics API is the cluster's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes
from pulumi_kubernetes import helm

from stacks.kubernetes import KedaSettings

VERSION = "2.21.0"
REPOSITORY = "https://kedacore.github.io/charts"
NAMESPACE = KedaSettings().namespace
REPLICAS = 2
"""One leads, the other takes over; the webhooks both answer."""
PARTS = {
    "operator": ("keda-operator", 100, 256),
    "metricsServer": ("keda-operator-metrics-apiserver", 100, 128),
    "webhooks": ("keda-admission-webhooks", 50, 128),
}
"""Part of the chart → the label ``app`` of its pods, and what one of them needs: millicores, MiB. It may take
twice the memory: its caches grow with what else is in the cluster."""


@dataclass(frozen=True)
class KedaArgs:
    """What KEDA needs."""

    provider: pulumi_kubernetes.Provider
    after: Sequence[pulumi.Resource] = ()
    """What must be there first: nodes."""


class Keda(pulumi.ComponentResource):
    """KEDA on the cluster."""

    def __init__(self, name: str, args: KedaArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ollamamax:index:Keda", name, None, opts)
        self._release = helm.v3.Release(
            name,
            name=NAMESPACE,
            namespace=NAMESPACE,
            create_namespace=True,
            chart="keda",
            version=VERSION,
            repository_opts=helm.v3.RepositoryOptsArgs(repo=REPOSITORY),
            values=values(),
            # Nothing of nodes is among the chart's values.
            opts=pulumi.ResourceOptions(parent=self, provider=args.provider, depends_on=list(args.after)),
        )
        self.register_outputs({})

    @property
    def made(self) -> list[pulumi.Resource]:
        """The chart: what is of KEDA's kinds comes after it, and has to be gone before it goes."""
        return [self._release]


def values() -> dict[str, Any]:
    """Return the chart's values: every part twice, in zones apart, limited, not root, and measured."""
    several = {part: {"replicaCount": REPLICAS} for part in PARTS}
    spread = {
        part: [
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"app": label}},
            }
        ]
        for part, (label, _, _) in PARTS.items()
    }
    # The chart has two spellings of one part.
    named = {part: part.replace("metricsServer", "metricServer") for part in PARTS}
    return {
        **several,
        "podDisruptionBudget": {name: {"maxUnavailable": 1} for name in named.values()},
        "topologySpreadConstraints": spread,
        "resources": {
            named[part]: {
                "requests": {"cpu": f"{cpu}m", "memory": f"{memory}Mi"},
                "limits": {"memory": f"{2 * memory}Mi"},
            }
            for part, (_, cpu, memory) in PARTS.items()
        },
        "podSecurityContext": {name: {"runAsNonRoot": True} for name in named.values()},
        # It reads the secrets of its own namespace alone, not all of the cluster's.
        "permissions": {name: {"restrict": {"secret": True}} for name in ("operator", "metricServer")},
        "prometheus": {name: {"enabled": True} for name in named.values()},
        "image": {"pullPolicy": "IfNotPresent"},
        "priorityClassName": "system-cluster-critical",
    }
