"""Exporters of GPUs and of managed stores, and the names of what they measure."""

import json
import re
from pathlib import Path

from components.aws import telemetry
from components.aws.account import Account
from components.aws.gpu_pools import node_pool_spec
from tests.components.aws import test_node_groups
from tests.components.aws.conftest import ZONES
from tests.components.conftest import Graph

ROOT = Path(__file__).parents[3]
DCGM = """
    DCGM_FI_DEV_DEC_UTIL DCGM_FI_DEV_ENC_UTIL DCGM_FI_DEV_FB_FREE DCGM_FI_DEV_FB_USED DCGM_FI_DEV_GPU_TEMP
    DCGM_FI_DEV_GPU_UTIL DCGM_FI_DEV_MEMORY_TEMP DCGM_FI_DEV_MEM_CLOCK DCGM_FI_DEV_MEM_COPY_UTIL
    DCGM_FI_DEV_POWER_USAGE DCGM_FI_DEV_ROW_REMAP_FAILURE DCGM_FI_DEV_SM_CLOCK DCGM_FI_DEV_XID_ERRORS
"""
"""From etc/default-counters.csv of github.com/NVIDIA/dcgm-exporter 4.8.2, which the chart uses."""
RELEASE = "kubernetes:helm.sh/v3:Release"


def snake(name: str) -> str:
    """Return a name of CloudWatch as yet-another-cloudwatch-exporter writes it: pkg/promutil, PromString."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.replace("/", "_")).lower()


def emitted() -> set[str]:
    """Return the names of what CloudWatch's exporter is asked for: pkg/promutil, BuildMetricName."""
    return {
        f"{namespace.lower().replace('/', '_')}_{snake(metric)}_{statistic.lower()}"
        for namespace, metrics in telemetry.METRICS.items()
        for metric, statistic in metrics.items()
    }


def used(pattern: str) -> set[str]:
    """Return the names in rules and dashboards that fit a pattern."""
    files = [
        *(ROOT / "templates" / "prometheus").rglob("*.j2"),
        *(ROOT / "templates" / "grafana").glob("*.j2"),
    ]
    return {name for file in files for name in re.findall(pattern, file.read_text())}


def test_what_is_asked_of_cloudwatch_is_all_that_rules_and_dashboards_use() -> None:
    assert used(r"\baws_(?:rds|elasticache)_\w+") == emitted()


def test_rules_and_dashboards_use_only_counters_that_nvidia_publishes() -> None:
    names = used(r"\bDCGM_\w+")
    assert names, "nothing is used"
    assert names <= set(DCGM.split())


def test_charts_are_pinned_and_limited(cloud: Graph) -> None:
    for name in (telemetry.CLOUD, telemetry.GPU):
        chart = cloud[f"{RELEASE}::{name}"].inputs
        assert re.fullmatch(r"\d+\.\d+\.\d+", chart["version"])
        assert chart["values"]["resources"]["limits"]["memory"]


def test_gpus_are_measured_on_the_nodes_of_every_pool_and_on_no_others(
    cloud: Graph, account: Account
) -> None:
    values = cloud[f"{RELEASE}::{telemetry.GPU}"].inputs["values"]
    (term,) = values["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    (wanted,) = term["matchExpressions"]
    assert wanted["operator"] == "Exists"
    assert "nodeSelector" not in values, "it would have to fit as well"
    assert {"operator": "Exists"} in values["tolerations"], "nodes with GPUs are tainted"
    template = node_pool_spec(test_node_groups.pool(management="karpenter"), ZONES)["template"]
    group = test_node_groups.group(test_node_groups.made(account, test_node_groups.pool()))
    for labels in (template["metadata"]["labels"], group.inputs["labels"]):
        assert wanted["key"] in labels
    assert wanted["key"].startswith("ollamamax.io/"), "EKS puts it on none of its own pools' nodes"


def test_prometheus_asks_where_the_charts_are(cloud: Graph) -> None:
    (config,) = [
        one.inputs["data"]["prometheus.yml"]
        for one in cloud.of_type("kubernetes:core/v1:ConfigMap")
        if one.name == "prometheus"
    ]
    for name, port in ((telemetry.CLOUD, telemetry.CLOUD_PORT), (telemetry.GPU, telemetry.GPU_PORT)):
        assert cloud[f"{RELEASE}::{name}"].inputs["values"]["fullnameOverride"] == name
        assert f'names: ["{name}.{telemetry.NAMESPACE}.svc"]\n        type: A\n        port: {port}' in config


def test_cloudwatch_is_asked_about_this_stack_alone(cloud: Graph) -> None:
    values = cloud[f"{RELEASE}::{telemetry.CLOUD}"].inputs["values"]
    for job in json.loads(values["config"])["discovery"]["jobs"]:
        assert job["searchTags"] == [{"key": "stack", "value": "^prod$"}]
