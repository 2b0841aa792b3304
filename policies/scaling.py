"""Replica counts: one writer each, within limits."""

from collections.abc import Iterator
from typing import Any

from policies.pods import REPLICATED, object_name, same_namespace
from policies.rule import Finding, Resource, Stack, rule, stack_rule
from policies.values import UNKNOWN, dig

AUTOSCALER = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
SCALED_OBJECT = "kubernetes:keda.sh/v1alpha1:ScaledObject"
REPLICAS = "spec.replicas"
AUTOSCALERS = (AUTOSCALER, "kubernetes:autoscaling/v1:HorizontalPodAutoscaler", SCALED_OBJECT)


def _targets(scaler: Resource, found: Resource) -> bool:
    """Tell whether an autoscaler moves the replica count of a workload."""
    target = dig(scaler.props, "spec", "scaleTargetRef")
    kind = dig(target, "kind") or "Deployment"
    if not (kind is UNKNOWN or found.type.endswith(f":{kind}")) or not same_namespace(scaler, found):
        return False
    name = object_name(found)
    named = dig(target, "name")
    if named is UNKNOWN or name is UNKNOWN:
        return found.urn in scaler.refers.get("spec", ())
    return bool(named == name)


@stack_rule(
    "one-replica-writer",
    why="Two writers fight: a deployment in the middle of a peak resets what the autoscaler has set.",
    remedy="Leave out spec.replicas where an autoscaler moves it, or have only a new workload start with it "
    "(ignoreChanges), and let one autoscaler do so.",
)
def one_replica_writer(stack: Stack) -> Iterator[Finding]:
    """Every replica count has one writer: the program, or one autoscaler."""
    scalers = stack.of(*AUTOSCALERS)
    for found in stack.of(*REPLICATED):
        of_it = [one for one in scalers if _targets(one, found)]
        replicas = dig(found.props, "spec", "replicas")
        if of_it and replicas is not None and REPLICAS not in found.ignored:
            yield found, f"spec.replicas is {replicas}, and {of_it[0].name} moves it, too"
        if len(of_it) > 1:
            yield (
                found,
                f"several autoscalers move its replicas: {', '.join(sorted(one.name for one in of_it))}",
            )


@rule(
    "scaling-limits",
    why="Without a maximum, an autoscaler spends without limit; with a minimum above it, it can't work.",
    remedy="Set minimum and maximum (spec.minReplicas and maxReplicas, for a ScaledObject minReplicaCount "
    "and maxReplicaCount), the first not above the second.",
    on=AUTOSCALERS,
)
def scaling_limits(found: Resource) -> Iterator[str]:
    """Every autoscaler has a minimum and a maximum, in this order."""
    low, high = (
        ("minReplicaCount", "maxReplicaCount")
        if found.type == SCALED_OBJECT
        else ("minReplicas", "maxReplicas")
    )
    least, most = (dig(found.props, "spec", key) for key in (low, high))
    yield from (f"spec.{key} is not set" for key, value in ((low, least), (high, most)) if value is None)
    if _more(least, most):
        yield f"spec.{low} ({least}) is more than spec.{high} ({most})"


@rule(
    "node-group-limits",
    why="A node group without sensible limits spends without one, or never starts.",
    remedy="Set scalingConfig.minSize, desiredSize and maxSize, in this order, and maxSize at most this "
    "rule's setting maxSize.",
    on=("aws:eks/nodeGroup:NodeGroup",),
    settings={"maxSize": {"type": "integer", "default": 100}},
)
def node_group_limits(found: Resource) -> Iterator[str]:
    """A managed node group has a minimum and a bounded maximum."""
    least, wanted, most = (
        dig(found.props, "scalingConfig", key) for key in ("minSize", "desiredSize", "maxSize")
    )
    if least is None or most is None:
        yield "scalingConfig.minSize and maxSize are not both set"
    if _more(least, wanted) or _more(wanted, most) or _more(least, most):
        yield f"scalingConfig: minSize {least}, desiredSize {wanted}, maxSize {most} are not in order"
    if _more(most, found.config["maxSize"]):
        yield f"scalingConfig.maxSize ({most}) is more than {found.config['maxSize']}"


def _more(one: Any, other: Any) -> bool:  # noqa: ANN401
    return isinstance(one, int) and isinstance(other, int) and one > other
