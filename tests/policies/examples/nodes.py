"""Node pools."""

from typing import Any

from policies.rule import Resource
from tests.policies.examples import fails, kube, passes, thing

GPU = "nvidia.com/gpu"
GROUP = "aws:eks/nodeGroup:NodeGroup"
FAMILY = {"key": "eks.amazonaws.com/instance-family", "operator": "In", "values": ["g6", "g6e"]}
GENERAL = {"key": "eks.amazonaws.com/instance-category", "operator": "In", "values": ["c", "m", "r"]}
TAINT = {"key": GPU, "effect": "NoSchedule"}
OPTIONS = {"httpTokens": "required", "httpPutResponseHopLimit": 1}


def pool(requirements: list[Any], taints: list[Any] | None = None, **spec: Any) -> Resource:
    """Return a pool of Karpenter's."""
    template = {"spec": {"requirements": requirements, "taints": taints or []}}
    return kube("karpenter.sh/v1:NodePool", spec={"template": template, **spec})


def needs(key: str, *values: str) -> dict[str, Any]:
    """Return a requirement of nodes."""
    return {"key": key, "operator": "In", "values": list(values)}


EXAMPLES = [
    fails("pool-limits", pool([FAMILY], limits={"cpu": 100}), says="spec.limits.nvidia.com/gpu is not set"),
    fails("pool-limits", pool([GENERAL]), says="spec.limits.cpu is not set"),
    passes("pool-limits", pool([FAMILY], limits={GPU: 50})),
    passes("pool-limits", pool([GENERAL], limits={"cpu": 100})),
    fails("gpu-taint", pool([FAMILY]), says="no taint nvidia.com/gpu keeps other pods away"),
    fails("gpu-taint", pool([FAMILY], [TAINT | {"effect": "PreferNoSchedule"}]), says="no taint"),
    fails("gpu-taint", pool([needs("node.kubernetes.io/instance-type", "p5.48xlarge")]), says="no taint"),
    fails("gpu-taint", pool([needs("karpenter.k8s.aws/instance-gpu-name", "l40s")]), says="no taint"),
    fails("gpu-taint", pool([needs("karpenter.k8s.aws/instance-category", "g")]), says="no taint"),
    fails("gpu-taint", pool([GENERAL], limits={GPU: 4}), says="no taint"),
    fails("gpu-taint", thing(GROUP, instanceTypes=["g6.xlarge"]), says="no taint nvidia.com/gpu"),
    passes("gpu-taint", pool([FAMILY], [TAINT])),
    passes("gpu-taint", pool([GENERAL])),
    passes(
        "gpu-taint", thing(GROUP, instanceTypes=["g6.xlarge"], taints=[{"key": GPU, "effect": "NO_SCHEDULE"}])
    ),
    passes("gpu-taint", thing(GROUP, instanceTypes=["m7g.large"])),
    fails("pool-disruption", pool([GENERAL]), says="spec.disruption.consolidateAfter is not set"),
    fails(
        "pool-disruption", pool([], disruption={"consolidateAfter": "300s"}), says="disruption.budgets is not"
    ),
    passes(
        "pool-disruption", pool([], disruption={"consolidateAfter": "300s", "budgets": [{"nodes": "10%"}]})
    ),
    *(
        example
        for kind in ("aws:ec2/launchTemplate:LaunchTemplate", "aws:ec2/instance:Instance")
        for example in (
            fails("metadata-service", thing(kind), says="metadataOptions.httpTokens is not set"),
            fails(
                "metadata-service",
                thing(kind, metadataOptions=OPTIONS | {"httpTokens": "optional"}),
                says="optional",
            ),
            fails(
                "metadata-service",
                thing(kind, metadataOptions=OPTIONS | {"httpPutResponseHopLimit": 2}),
                says="is 2",
            ),
            passes("metadata-service", thing(kind, metadataOptions=OPTIONS)),
        )
    ),
]
