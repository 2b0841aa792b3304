"""Replica counts."""

from dataclasses import replace
from typing import Any

from policies.pods import DEPLOYMENT, STATEFUL_SET
from policies.rule import Resource
from policies.values import UNKNOWN
from tests.policies.examples import after, fails, kube, passes, thing
from tests.policies.examples.workloads import workload

GROUP = "aws:eks/nodeGroup:NodeGroup"
AUTOSCALERS = ("autoscaling/v1:HorizontalPodAutoscaler", "autoscaling/v2:HorizontalPodAutoscaler")
SCALED_OBJECT = "keda.sh/v1alpha1:ScaledObject"


def scaler(kind: str = SCALED_OBJECT, name: str = "scaler", target: Any = "it", **spec: Any) -> Resource:
    """Return an autoscaler of the workload ``target``, a Deployment."""
    of = {"name": target} if kind == SCALED_OBJECT else {"kind": "Deployment", "name": target}
    return kube(kind, name, spec={"scaleTargetRef": of, **spec})


P95 = "histogram_quantile(0.95, sum by (le) (rate(wait_seconds_bucket[1m])))"
KEEPING = {"behavior": "currentReplicasIfHigher", "failureThreshold": 3, "replicas": 3}


def measured(
    query: Any = "sum(load)", name: str | None = "wait", ignored: str | None = None, **spec: Any
) -> Resource:
    """Return a ScaledObject with one trigger that goes by a metric of Prometheus."""
    metadata = {"query": query} | ({} if ignored is None else {"ignoreNullValues": ignored})
    trigger = {"type": "prometheus", "name": name, "metadata": metadata}
    if "metricType" in spec:
        trigger["metricType"] = spec.pop("metricType")
    return scaler(triggers=[{key: value for key, value in trigger.items() if value is not None}], **spec)


def group(**sizes: int) -> Resource:
    """Return a managed node group."""
    return thing(GROUP, scalingConfig={"minSize": 1, "desiredSize": 2, "maxSize": 3} | sizes)


EXAMPLES = [
    fails(
        "one-replica-writer",
        workload(replicas=3),
        scaler(),
        says="spec.replicas is 3, and scaler moves it, too",
    ),
    *(
        fails("one-replica-writer", workload(replicas=3), scaler(kind), says="spec.replicas is 3")
        for kind in AUTOSCALERS
    ),
    fails(
        "one-replica-writer",
        workload(),
        scaler(),
        scaler(AUTOSCALERS[1], "other"),
        says="several autoscalers move its replicas: other, scaler",
    ),
    fails(
        "one-replica-writer",
        workload(replicas=3),
        after(scaler(target=UNKNOWN), spec=workload()),
        says="spec.replicas is 3",
    ),
    fails(
        "one-replica-writer",
        replace(workload(replicas=3), ignored=frozenset(["spec.template"])),
        scaler(),
        says="spec.replicas is 3",
    ),
    passes(
        "one-replica-writer", replace(workload(replicas=3), ignored=frozenset(["spec.replicas"])), scaler()
    ),
    passes("one-replica-writer", workload(), scaler()),
    passes("one-replica-writer", workload(replicas=3), scaler(target="other")),
    passes("one-replica-writer", workload(STATEFUL_SET, replicas=3), scaler()),
    passes("one-replica-writer", workload(DEPLOYMENT, replicas=3)),
    *(
        fails(
            "one-replica-writer",
            workload(),
            scaler(name="web", target="other"),
            scaler(kind, "keda-hpa-web", target="another"),
            says="KEDA makes an autoscaler of this name for web, and writes over this one",
        )
        for kind in AUTOSCALERS
    ),
    passes("one-replica-writer", scaler(name="web"), scaler(AUTOSCALERS[1], "web", target="another")),
    passes(
        "one-replica-writer",
        scaler(name="web", advanced={"horizontalPodAutoscalerConfig": {"name": "web"}}),
        scaler(AUTOSCALERS[1], "keda-hpa-web", target="another"),
    ),
    fails(
        "quantile-is-a-value",
        measured(query=P95),
        says="wait goes by a quantile, and its metricType is AverageValue",
    ),
    fails(
        "quantile-is-a-value",
        measured(query=P95, metricType="AverageValue", name=None),
        says="triggers[0] goes by a quantile",
    ),
    passes("quantile-is-a-value", measured(query=P95, metricType="Value")),
    passes("quantile-is-a-value", measured(query=P95, metricType=UNKNOWN)),
    passes("quantile-is-a-value", measured(), scaler(triggers=[{"type": "cpu"}])),
    passes("quantile-is-a-value", measured(query=UNKNOWN)),
    fails("missing-is-not-zero", measured(), says="wait has ignoreNullValues not set, which means true"),
    fails("missing-is-not-zero", measured(ignored="true"), says="ignoreNullValues true"),
    passes("missing-is-not-zero", measured(ignored="false")),
    passes("missing-is-not-zero", measured(query="sum(forecast) or vector(0)")),
    passes("missing-is-not-zero", measured(query=UNKNOWN), scaler(triggers=[{"type": "cpu"}])),
    fails("scaling-fallback", measured(), says="spec.fallback is not set"),
    fails(
        "scaling-fallback",
        measured(fallback={"replicas": 3}),
        says="spec.fallback.behavior is static, which can be fewer than there are",
    ),
    fails(
        "scaling-fallback", measured(fallback=KEEPING | {"replicas": 0}), says="replicas (0) is less than 1"
    ),
    fails(
        "scaling-fallback",
        measured(fallback=KEEPING, minReplicaCount=4),
        says="spec.fallback.replicas (3) is less than 4",
    ),
    passes("scaling-fallback", measured(fallback=KEEPING, minReplicaCount=3)),
    passes("scaling-fallback", measured(fallback=KEEPING | {"replicas": UNKNOWN}, minReplicaCount=4)),
    passes("scaling-fallback", measured(fallback=UNKNOWN)),
    passes("scaling-fallback", scaler(triggers=[{"type": "cpu"}])),
    *(
        example
        for kind in AUTOSCALERS
        for example in (
            fails("scaling-limits", scaler(kind, minReplicas=3), says="spec.maxReplicas is not set"),
            fails(
                "scaling-limits",
                scaler(kind, minReplicas=3, maxReplicas=2),
                says="spec.minReplicas (3) is more than spec.maxReplicas (2)",
            ),
            passes("scaling-limits", scaler(kind, minReplicas=3, maxReplicas=50)),
        )
    ),
    fails("scaling-limits", scaler(maxReplicaCount=3), says="spec.minReplicaCount is not set"),
    fails(
        "scaling-limits",
        scaler(minReplicaCount=3, maxReplicaCount=2),
        says="spec.minReplicaCount (3) is more",
    ),
    passes("scaling-limits", scaler(minReplicaCount=3, maxReplicaCount=50)),
    fails("node-group-limits", thing(GROUP), says="minSize and maxSize are not both set"),
    fails("node-group-limits", group(minSize=4), says="minSize 4, desiredSize 2, maxSize 3 are not in order"),
    fails("node-group-limits", group(maxSize=101), says="scalingConfig.maxSize (101) is more than 100"),
    fails("node-group-limits", group(), says="is more than 2", config={"maxSize": 2}),
    passes("node-group-limits", group()),
]
