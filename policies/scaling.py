"""Replica counts: one writer each, within limits."""

from collections.abc import Iterator
from typing import Any

from policies.pods import REPLICATED, object_name, same_namespace
from policies.rule import Finding, Resource, Stack, rule, stack_rule
from policies.values import UNKNOWN, dig, items, may_be

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
    for scaled in stack.of(SCALED_OBJECT):
        for other in stack.of(*AUTOSCALERS[:2]):
            if object_name(other) == _made_by_keda(scaled) and same_namespace(scaled, other):
                yield (
                    other,
                    f"KEDA makes an autoscaler of this name for {scaled.name}, and writes over this one",
                )


def _made_by_keda(scaled: Resource) -> Any:  # noqa: ANN401
    """Return the name of the HorizontalPodAutoscaler that KEDA makes of a ScaledObject."""
    given = dig(scaled.props, "spec", "advanced", "horizontalPodAutoscalerConfig", "name")
    return given or f"keda-hpa-{object_name(scaled)}"


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


def _metrics(found: Resource) -> Iterator[tuple[str, Any, Any]]:
    """Yield the triggers of a ScaledObject that go by metrics of Prometheus: name, itself, query."""
    for index, trigger in enumerate(items(dig(found.props, "spec", "triggers"))):
        if dig(trigger, "type") == "prometheus":
            name = dig(trigger, "name") or f"triggers[{index}]"
            yield str(name), trigger, dig(trigger, "metadata", "query")


@rule(
    "quantile-is-a-value",
    why="A trigger divides its metric by the replicas unless it is told not to: the tenth part of a wait is "
    "no wait, and so a slow service is taken for a fast one as soon as it is large.",
    remedy="Set metricType of the trigger to Value.",
    on=(SCALED_OBJECT,),
)
def quantile_is_a_value(found: Resource) -> Iterator[str]:
    """A trigger that goes by a quantile compares it as it is."""
    for name, trigger, query in _metrics(found):
        kind = dig(trigger, "metricType") or "AverageValue"
        if query is not UNKNOWN and "quantile" in str(query) and not may_be(kind, "Value"):
            yield f"{name} goes by a quantile, and its metricType is {kind}"


@rule(
    "missing-is-not-zero",
    why="By default KEDA takes a metric that is missing for zero: while Prometheus is away, or scrapes "
    "nothing, replicas are taken from a service under load.",
    remedy='Set ignoreNullValues to "false", or have the query say what it is when nothing is known: or '
    "vector(0).",
    on=(SCALED_OBJECT,),
)
def missing_is_not_zero(found: Resource) -> Iterator[str]:
    """A metric that is missing is not taken for zero."""
    for name, trigger, query in _metrics(found):
        ignored = dig(trigger, "metadata", "ignoreNullValues")
        said = query is UNKNOWN or str(query).endswith("or vector(0)")
        if not may_be(ignored, "false", False) and not said:
            yield f"{name} has ignoreNullValues {ignored or 'not set, which means true'}"


@rule(
    "scaling-fallback",
    why="Without a fallback that keeps what is there, an outage of the metrics ends in fewer replicas than "
    "the load needs; with none at all, a service that may be idle is taken to zero.",
    remedy="Set spec.fallback.behavior to currentReplicasIfHigher, and replicas to the minimum at least, and "
    "to 1 at least.",
    on=(SCALED_OBJECT,),
)
def scaling_fallback(found: Resource) -> Iterator[str]:
    """While metrics are missing, no replica goes."""
    fallback = dig(found.props, "spec", "fallback")
    if not any(_metrics(found)) or fallback is UNKNOWN:
        return
    if fallback is None:
        yield "spec.fallback is not set"
        return
    behavior = dig(fallback, "behavior") or "static"
    if not may_be(behavior, "currentReplicas", "currentReplicasIfHigher"):
        yield f"spec.fallback.behavior is {behavior}, which can be fewer than there are"
    kept, least = dig(fallback, "replicas"), dig(found.props, "spec", "minReplicaCount")
    wanted = max(1, least) if isinstance(least, int) else 1
    if _more(wanted, kept):
        yield f"spec.fallback.replicas ({kept}) is less than {wanted}"


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
