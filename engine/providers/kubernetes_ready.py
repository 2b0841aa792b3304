"""What is ready, of each kind, and why it is not yet."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from functools import partial

from engine.provider import NEEDS_CLI, Context
from engine.providers.kubernetes_api import ApiError, Cluster
from engine.providers.kubernetes_manifest import annotation, condition
from engine.values import Properties, at, steps_of

Judge = Callable[[Cluster, Properties, float], str]
"""Returns what is waited for, after so many seconds; nothing when an object is ready."""

WAIT_FOR = "pulumi.com/waitFor"
NO_PODS_S = 10
"""How long a Service waits for the first pod that it selects: whoever waits for it may be what makes them."""
SHOWN_PODS = 3
STARTING = (None, "ContainerCreating", "PodInitializing")


class FailedError(Exception):
    """An object that will not become ready by itself."""


def judge_of(ctx: Context, live: Properties) -> Judge | None:
    """Return what tells whether an object is ready; None for what is ready when it is there."""
    if wanted := annotation(live, WAIT_FOR):
        return _wait_for(ctx, wanted)
    group = live["apiVersion"].rpartition("/")[0]
    return JUDGES.get((group, live["kind"]))


def _wait_for(ctx: Context, wanted: str) -> Judge:
    """Conditions that the program gives, `condition=Ready` or `jsonpath={.status.phase}=Running`."""
    try:
        parsed = json.loads(wanted)
    except ValueError:
        parsed = wanted
    given = [str(one) for one in parsed] if isinstance(parsed, list) else [wanted]
    tests: list[Callable[[Properties], bool]] = []
    for one in given:
        if found := re.fullmatch(r"condition=(\w+)(?:=(\w+))?", one):
            tests.append(partial(_has_condition, found[1], found[2] or "True"))
        elif found := re.fullmatch(r"jsonpath=\{((?:\.[\w-]+|\[\d+\])+)\}(?:=(.*))?", one):
            tests.append(partial(_has_value, steps_of(found[1]), found[2]))
        else:
            raise ctx.error(NEEDS_CLI.format(f"annotation {WAIT_FOR} {one!r}"))

    def judge(cluster: Cluster, live: Properties, waited: float) -> str:
        left = [one for one, test in zip(given, tests, strict=True) if not test(live)]
        return f"waiting for {', '.join(left)}" if left else ""

    return judge


def _has_condition(type_: str, status: str, live: Properties) -> bool:
    return condition(live, type_)[0] == status


def _has_value(steps: list[str | int], wanted: str | None, live: Properties) -> bool:
    found = at(live, steps)
    text = str(found).lower() if isinstance(found, bool) else str(found)
    return found is not None and (wanted is None or wanted == text)


def _deployment(cluster: Cluster, live: Properties, waited: float) -> str:
    if condition(live, "Progressing")[0] == "False" and not live["spec"].get("paused"):
        raise FailedError(_with_pods(cluster, live, condition(live, "Progressing")[1]))
    wanted, status = live["spec"].get("replicas", 1), live.get("status", {})
    updated, ready = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    old = status.get("replicas", 0) - updated
    if (paused := live["spec"].get("paused")) or (min(updated, ready) >= wanted and old <= 0):
        return "" if paused else _unseen(live)
    fails, why = condition(live, "ReplicaFailure")
    left = f", {old} old pods go" if old > 0 and updated >= wanted else ""
    told = f"{min(updated, ready)} of {wanted} new pods are available{left}"
    return _with_pods(cluster, live, f"{told}; {why}" if fails == "True" else told)


def _stateful_set(cluster: Cluster, live: Properties, waited: float) -> str:
    spec, status = live["spec"], live.get("status", {})
    wanted, strategy = spec.get("replicas", 1), spec.get("updateStrategy", {})
    partition = at(strategy, ["rollingUpdate", "partition"]) or 0
    ready, updated = status.get("readyReplicas", 0), status.get("updatedReplicas", 0)
    if status.get("updateRevision") == status.get("currentRevision"):
        updated = status.get("replicas", 0)
    by_hand = strategy.get("type") == "OnDelete"
    if ready >= wanted and (by_hand or updated >= wanted - partition):
        return _unseen(live)
    told = f"{ready} of {wanted} pods are ready, {updated} are up to date"
    if max(ready, updated) < wanted <= status.get("replicas", 0):
        told += ", and it replaces one that is not ready only when that is deleted"
    return _with_pods(cluster, live, told)


def _daemon_set(cluster: Cluster, live: Properties, waited: float) -> str:
    status = live.get("status", {})
    wanted, ready = status.get("desiredNumberScheduled", 0), status.get("numberAvailable", 0)
    updated = status.get("updatedNumberScheduled", 0)
    by_hand = at(live, ["spec", "updateStrategy", "type"]) == "OnDelete"
    if ready >= wanted and (by_hand or updated >= wanted):
        return _unseen(live)
    return _with_pods(cluster, live, f"{min(ready, updated)} of {wanted} nodes have their new pod available")


def _job(cluster: Cluster, live: Properties, waited: float) -> str:
    failed, why = condition(live, "Failed")
    if failed == "True":
        raise FailedError(_with_pods(cluster, live, why))
    if condition(live, "Complete")[0] == "True" or live["spec"].get("suspend"):
        return ""
    status, wanted = live.get("status", {}), live["spec"].get("completions", 1)
    told = f"{status.get('succeeded', 0)} of {wanted} pods are done, {status.get('active', 0)} run"
    failures = status.get("failed", 0)
    return _with_pods(cluster, live, f"{told}, {failures} failed" if failures else told)


def _pod(cluster: Cluster, live: Properties, waited: float) -> str:
    phase = at(live, ["status", "phase"])
    if phase == "Failed":
        raise FailedError(_trouble(cluster, live) or "its phase is Failed")
    done = phase == "Succeeded" or condition(live, "Ready")[0] == "True"
    return "" if done else _trouble(cluster, live) or "the pod is starting"


def _service(cluster: Cluster, live: Properties, waited: float) -> str:
    spec, meta = live["spec"], live["metadata"]
    if spec.get("type") == "LoadBalancer" and not at(live, ["status", "loadBalancer", "ingress"]):
        return _with_event(cluster, live, "the load balancer has no address yet")
    if spec.get("type") == "ExternalName" or spec.get("clusterIP") == "None" or not spec.get("selector"):
        return ""
    slices = cluster.listed(
        f"/apis/discovery.k8s.io/v1/namespaces/{meta['namespace']}/endpointslices",
        labelSelector=f"kubernetes.io/service-name={meta['name']}",
    )
    ends = [end for one in slices for end in one.get("endpoints") or []]
    if any(at(end, ["conditions", "ready"]) is not False for end in ends):
        return ""
    if not ends:
        return "" if waited > NO_PODS_S else "no pod is there for it yet"
    return f"none of its {len(ends)} pods is ready"


def _claim(cluster: Cluster, live: Properties, waited: float) -> str:
    if at(live, ["status", "phase"]) == "Bound":
        return ""
    name = live["spec"].get("storageClassName")
    found = name and cluster.find("storage.k8s.io/v1", "StorageClass", "", name)
    if found and found.get("volumeBindingMode") == "WaitForFirstConsumer":
        return ""
    return _with_event(cluster, live, f"no volume of storage class {name or '(none)'} is bound to it yet")


def _volume(cluster: Cluster, live: Properties, waited: float) -> str:
    phase = at(live, ["status", "phase"])
    return "" if phase in ("Available", "Bound") else f"the volume is {phase or 'Pending'}"


def _namespace(cluster: Cluster, live: Properties, waited: float) -> str:
    phase = at(live, ["status", "phase"])
    return "" if phase == "Active" else f"the namespace is {phase}"


def _definition(cluster: Cluster, live: Properties, waited: float) -> str:
    accepted, why = condition(live, "NamesAccepted")
    if accepted == "False":
        raise FailedError(why)
    return "" if condition(live, "Established")[0] == "True" else "the kind is not served yet"


JUDGES: dict[tuple[str, str], Judge] = {
    ("", "Namespace"): _namespace, ("", "PersistentVolume"): _volume, ("", "PersistentVolumeClaim"): _claim,
    ("", "Pod"): _pod, ("", "Service"): _service,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition, ("apps", "DaemonSet"): _daemon_set,
    ("apps", "Deployment"): _deployment, ("apps", "StatefulSet"): _stateful_set, ("batch", "Job"): _job,
}  # fmt: skip


def _unseen(live: Properties) -> str:
    """Say that its controller has not seen what it is now, if that is so."""
    seen, generation = at(live, ["status", "observedGeneration"]) or 0, live["metadata"].get("generation", 0)
    return "" if seen >= generation else "its controller has not seen it yet"


# Why it takes so long


def _with_pods(cluster: Cluster, live: Properties, told: str) -> str:
    """Add what is wrong with an object's pods, or what its controller warns about when it has none."""
    selector = live["spec"].get("selector") or {}
    terms = [f"{key}={value}" for key, value in sorted(selector.get("matchLabels", {}).items())]
    path = f"/api/v1/namespaces/{live['metadata']['namespace']}/pods"
    pods = _seen(cluster, path, labelSelector=",".join(terms)) if terms else []
    if not pods:
        return _with_event(cluster, live, told)
    troubles = Counter(filter(None, (_trouble(cluster, pod) for pod in pods)))
    shown = [f"{n} × {why}" if n > 1 else why for why, n in sorted(troubles.items())[:SHOWN_PODS]]
    return "; ".join([told, *shown])


def _trouble(cluster: Cluster, pod: Properties) -> str:
    """Why a pod is not ready, nothing when it is or only needs time."""
    status = pod.get("status", {})
    if condition(pod, "Ready")[0] == "True" or status.get("phase") == "Succeeded":
        return ""
    for one in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        waiting, ended = at(one, ["state", "waiting"]) or {}, at(one, ["state", "terminated"]) or {}
        before = at(one, ["lastState", "terminated"]) or {}
        if waiting.get("reason") not in STARTING:
            why = f"{waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")
            code = f" (its last exit code was {before['exitCode']})" if before.get("exitCode") else ""
            return f"container {one['name']}: {short(why)}{code}"
        if ended.get("exitCode"):
            why = f"{ended.get('reason', '')} {ended.get('message', '')}".strip()
            return f"container {one['name']} ended with exit code {ended['exitCode']}: {short(why)}".rstrip(
                ": "
            )
    scheduled, why = condition(pod, "PodScheduled")
    if scheduled == "False":
        return short(why)
    said = ": ".join(filter(None, (status.get("reason"), status.get("message"))))
    return short(said) or _with_event(cluster, pod, "")


def _with_event(cluster: Cluster, live: Properties, told: str) -> str:
    """Add the last warning about an object."""
    path = f"/api/v1/namespaces/{live['metadata']['namespace']}/events"
    found = _seen(cluster, path, fieldSelector=f"type=Warning,involvedObject.uid={live['metadata']['uid']}")
    last = max(found, key=lambda one: one["metadata"]["creationTimestamp"], default=None)
    return "; ".join(filter(None, (told, short(f"{last['reason']}: {last['message']}") if last else "")))


def _seen(cluster: Cluster, path: str, **query: str) -> list[Properties]:
    """A list, empty for those who may not see it: that only makes words fewer."""
    try:
        return cluster.listed(path, **query)
    except ApiError:
        return []


def short(text: str, limit: int = 300) -> str:
    """Return a text as one line that fits a message."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[:limit]}…"
