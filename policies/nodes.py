"""Node pools: what the cluster may buy, and when it gives nodes back."""

import re
from collections.abc import Iterator
from typing import Any

from policies.rule import Resource, rule
from policies.values import dig, items, may_be, uncertain

NODE_POOL = "kubernetes:karpenter.sh/v1:NodePool"
NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
GPU = "nvidia.com/gpu"
EFFECTS = ("NO_SCHEDULE", "NO_EXECUTE", "NoSchedule", "NoExecute")
GPU_LABELS = re.compile(r"/instance-(gpu-(count|name|manufacturer|memory)|category|family)$|/instance-type$")
GPU_FAMILIES = re.compile(r"^(p|g)\d*[a-z-]*(\.|$)")


def _requirements(found: Resource) -> Iterator[tuple[str, list[Any]]]:
    for one in items(dig(found.props, "spec", "template", "spec", "requirements")):
        yield str(dig(one, "key")), items(dig(one, "values"))


def _buys_gpus(found: Resource) -> bool:
    """Tell whether a pool's nodes have GPUs."""
    if found.type == NODE_GROUP:
        return any(GPU_FAMILIES.match(str(one)) for one in items(found.props.get("instanceTypes")))
    limits = dig(found.props, "spec", "limits")
    if isinstance(limits, dict) and GPU in limits:
        return True
    for key, values in _requirements(found):
        label = GPU_LABELS.search(key)
        if label and (
            label[0].startswith("/instance-gpu") or any(GPU_FAMILIES.match(str(one)) for one in values)
        ):
            return True
    return False


@rule(
    "pool-limits",
    why="Karpenter buys a node for every pod that waits: without limits, one wrong replica count buys a "
    "data centre.",
    remedy=f"Set spec.limits.cpu, and spec.limits['{GPU}'] where the pool has GPUs.",
    on=(NODE_POOL,),
)
def pool_limits(found: Resource) -> Iterator[str]:
    """Every node pool has a limit, one with GPUs on those."""
    limits = dig(found.props, "spec", "limits")
    key = GPU if _buys_gpus(found) else "cpu"
    if not dig(limits, key):
        yield f"spec.limits.{key} is not set"


@rule(
    "gpu-taint",
    why="Without a taint, any pod lands on the most expensive nodes and keeps them from being removed.",
    remedy=f"Add a taint with key {GPU} and effect NoSchedule (NO_SCHEDULE on a node group).",
    on=(NODE_POOL, NODE_GROUP),
)
def gpu_taint(found: Resource) -> Iterator[str]:
    """GPU nodes take only pods that ask for them."""
    node_group = found.type == NODE_GROUP
    taints = (
        found.props.get("taints") if node_group else dig(found.props, "spec", "template", "spec", "taints")
    )
    kept = any(may_be(dig(one, "key"), GPU) and may_be(dig(one, "effect"), *EFFECTS) for one in items(taints))
    if _buys_gpus(found) and not uncertain(taints) and not kept:
        yield f"no taint {GPU} keeps other pods away"


@rule(
    "pool-disruption",
    why="Karpenter's defaults remove nodes within seconds of a quiet moment, and up to a tenth of them at a "
    "time.",
    remedy="Set spec.disruption.consolidateAfter and at least one of spec.disruption.budgets.",
    on=(NODE_POOL,),
)
def pool_disruption(found: Resource) -> Iterator[str]:
    """Every node pool says when nodes go, and how many at a time."""
    disruption = dig(found.props, "spec", "disruption")
    for key in ("consolidateAfter", "budgets"):
        if not dig(disruption, key):
            yield f"spec.disruption.{key} is not set"


@rule(
    "metadata-service",
    why="With version 1 of the metadata service, one request that a service can be tricked into hands out "
    "the node's credentials.",
    remedy="Set metadataOptions.httpTokens to required and httpPutResponseHopLimit to 1.",
    on=("aws:ec2/launchTemplate:LaunchTemplate", "aws:ec2/instance:Instance"),
)
def metadata_service(found: Resource) -> Iterator[str]:
    """Machines hand out credentials to version 2 requests of their own only."""
    options = found.props.get("metadataOptions")
    if not may_be(dig(options, "httpTokens"), "required"):
        yield f"metadataOptions.httpTokens is {dig(options, 'httpTokens') or 'not set'}"
    hops = dig(options, "httpPutResponseHopLimit")
    if not may_be(hops, 1):
        yield f"metadataOptions.httpPutResponseHopLimit is {hops or 'not set'}"
