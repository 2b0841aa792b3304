"""What only AWS and NVIDIA know: GPUs, through the DCGM exporter; managed stores, through CloudWatch's.

CloudWatch's exporter costs about 2 USD a month in requests ($0.01 a 1,000 metrics, asked every five minutes).
Deleted, the alerts about GPUs and managed stores are blind; nothing else is affected.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes
from pulumi_kubernetes import helm

from components.aws.account import Account
from components.aws.documents import allow, document
from components.pods import POOL_LABEL
from components.service import Outside, Scraped

NAMESPACE = "telemetry"
GPU = "dcgm-exporter"
GPU_PORT = 9400
GPU_VERSION = "4.8.2"
GPU_REPOSITORY = "https://nvidia.github.io/dcgm-exporter/helm-charts"
GPU_NODES = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": POOL_LABEL, "operator": "Exists"}]}]
        }
    }
}
"""The nodes of all pools, whoever makes them; those that EKS Auto Mode labels by itself are its own alone."""
CLOUD = "cloudwatch-exporter"
CLOUD_CHART = "prometheus-yet-another-cloudwatch-exporter"
CLOUD_PORT = 5000
CLOUD_VERSION = "0.50.0"
CLOUD_REPOSITORY = "https://prometheus-community.github.io/helm-charts"
CLOUD_IMAGE = "quay.io/prometheuscommunity/yet-another-cloudwatch-exporter"
METRICS = {
    "AWS/RDS": {"CPUUtilization": "Average", "FreeStorageSpace": "Minimum"},
    "AWS/ElastiCache": {"EngineCPUUtilization": "Average"},
}
"""Namespace of CloudWatch → metric, and the statistic of it that is asked for."""
PERIOD_S = 300
LIMITS = {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}}


@dataclass(frozen=True)
class TelemetryArgs:
    """What telemetry needs.

    Attributes:
        account: where it is.
        provider: the cluster's.
        gpus: whether the cluster has GPU nodes.
        networks: addresses of pods and of the Services before them, as CIDR.
        image: what an image is called here: its name in a cache, or as it is.
        after: what must be there first: nodes, and the permission to read CloudWatch.
    """

    account: Account
    provider: pulumi_kubernetes.Provider
    gpus: bool
    networks: Sequence[str]
    image: Callable[[str], str] = str
    after: Sequence[pulumi.Resource] = ()


class Telemetry(pulumi.ComponentResource):
    """Exporters that come as charts."""

    def __init__(self, name: str, args: TelemetryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ollamamax:aws:Telemetry", name, None, opts)
        self._args = args
        self._install(CLOUD, CLOUD_CHART, CLOUD_VERSION, CLOUD_REPOSITORY, cloud_values(args))
        if args.gpus:
            self._install(GPU, GPU, GPU_VERSION, GPU_REPOSITORY, GPU_VALUES)
        self.register_outputs({})

    @property
    def scraped(self) -> Sequence[Scraped]:
        """What Prometheus is to ask."""
        found = [("cloudwatch", CLOUD, CLOUD_PORT), *([("gpu", GPU, GPU_PORT)] if self._args.gpus else [])]
        return [
            Scraped(job, f"{name}.{NAMESPACE}.svc", Outside(tuple(self._args.networks), port))
            for job, name, port in found
        ]

    def _install(
        self, name: str, chart: str, version: str, repository: str, values: Mapping[str, Any]
    ) -> None:
        helm.v3.Release(
            name,
            name=name,
            namespace=NAMESPACE,
            create_namespace=True,
            chart=chart,
            version=version,
            repository_opts=helm.v3.RepositoryOptsArgs(repo=repository),
            values=values,
            # Neither nodes nor what a role may do are among a chart's values.
            opts=pulumi.ResourceOptions(
                parent=self, provider=self._args.provider, depends_on=list(self._args.after)
            ),
        )


GPU_VALUES: Mapping[str, Any] = {
    "fullnameOverride": GPU,
    # Its name resolves to the pods of all nodes.
    "service": {"clusterIP": "None"},
    "serviceMonitor": {"enabled": False},
    "affinity": GPU_NODES,
    "tolerations": [{"operator": "Exists"}],
    "resources": LIMITS,
}


def cloud_values(args: TelemetryArgs) -> Mapping[str, Any]:
    """Return the values of the chart that asks CloudWatch."""
    registry, _, repository = args.image(CLOUD_IMAGE).partition("/")
    jobs = [
        {
            "type": namespace,
            "regions": [args.account.region],
            "searchTags": [{"key": "stack", "value": f"^{args.account.stack}$"}],
            "period": PERIOD_S,
            "length": PERIOD_S,
            "metrics": [{"name": metric, "statistics": [statistic]} for metric, statistic in metrics.items()],
        }
        for namespace, metrics in METRICS.items()
    ]
    config = {
        "apiVersion": "v1alpha1",
        "sts-region": args.account.region,
        "discovery": {"jobs": jobs},
    }
    return {
        "fullnameOverride": CLOUD,
        "service": {"port": CLOUD_PORT},
        "image": {"registry": registry, "repository": repository},
        "serviceAccount": {"name": CLOUD},
        "useStatefulSet": False,
        "testConnection": False,
        "resources": LIMITS,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": 65534,
        },
        # JSON is YAML, and says the same whatever the order.
        "config": json.dumps(config, sort_keys=True),
    }


def policy() -> pulumi.Output[str]:
    """Return the IAM policy, JSON, of CloudWatch's exporter: it reads measurements, which have no ARN."""
    return document(allow(["cloudwatch:GetMetricData", "cloudwatch:ListMetrics", "tag:GetResources"], ["*"]))
