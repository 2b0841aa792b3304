"""The pods of Kubernetes objects, whatever kind they are made by."""

from collections.abc import Iterator
from typing import Any

from policies.rule import Resource
from policies.values import UNKNOWN, Properties, dig, items

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
STATEFUL_SET = "kubernetes:apps/v1:StatefulSet"
DAEMON_SET = "kubernetes:apps/v1:DaemonSet"
JOB = "kubernetes:batch/v1:Job"
CRON_JOB = "kubernetes:batch/v1:CronJob"
POD = "kubernetes:core/v1:Pod"
REPLICATED = (DEPLOYMENT, STATEFUL_SET)
SERVING = (*REPLICATED, DAEMON_SET)
WORKLOADS = (*SERVING, JOB, CRON_JOB, POD)


def pod_template(found: Resource) -> Any:  # noqa: ANN401
    """Return the object that holds a workload's pod metadata and spec."""
    if found.type == POD:
        return found.props
    above = ("spec", "jobTemplate") if found.type == CRON_JOB else ()
    return dig(found.props, *above, "spec", "template")


def pod_spec(found: Resource) -> Any:  # noqa: ANN401
    """Return the spec of a workload's pods."""
    return dig(pod_template(found), "spec")


def containers(found: Resource, init: bool = True) -> Iterator[Properties]:
    """Yield the containers of a workload's pods, with ``init`` those that run first, too."""
    spec = pod_spec(found)
    for key in ("initContainers", "containers") if init else ("containers",):
        yield from (one for one in items(dig(spec, key)) if isinstance(one, dict))


def namespace(found: Resource) -> Any:  # noqa: ANN401
    """Return the namespace of an object; UNKNOWN where only the deployment will tell."""
    given = dig(found.props, "metadata", "namespace")
    return "default" if given is None else given


def same_namespace(one: Resource, other: Resource) -> bool:
    """Tell whether two objects are, or may be, in the same namespace."""
    first, second = namespace(one), namespace(other)
    return first is UNKNOWN or second is UNKNOWN or first == second


def object_name(found: Resource) -> Any:  # noqa: ANN401
    """Return the name that an object has in its cluster."""
    return dig(found.props, "metadata", "name")


def selects(selector: Any, found: Resource) -> bool:  # noqa: ANN401
    """Tell whether a label selector matches, or may match, the pods of a workload."""
    labels = dig(pod_template(found), "metadata", "labels")
    wanted = dig(selector, "matchLabels")
    if selector is UNKNOWN or labels is UNKNOWN or wanted is UNKNOWN:
        return True
    if not isinstance(labels, dict):
        return False
    met = all(
        value is UNKNOWN or labels.get(key, "") in (value, UNKNOWN) for key, value in (wanted or {}).items()
    )
    return met and all(_meets(one, labels) for one in items(dig(selector, "matchExpressions")))


def _meets(expression: Any, labels: Properties) -> bool:  # noqa: ANN401
    value, values = labels.get(str(dig(expression, "key"))), items(dig(expression, "values"))
    return {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }.get(str(dig(expression, "operator")), False)
