"""Waiting until objects are ready, or gone, and saying what is waited for and why."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

from engine.provider import NEEDS_CLI, Context, ProviderError
from engine.providers.kubernetes_api import Cluster, UnreachableError
from engine.values import Properties, at, steps_of

TIMEOUT_S = 600
POLL_SECONDS = 0.5
NO_PODS_S = 10
"""How long a Service waits for the first pod that it selects: whoever waits for it may be what makes them."""
SKIP, TIMEOUT, WAIT_FOR = "pulumi.com/skipAwait", "pulumi.com/timeoutSeconds", "pulumi.com/waitFor"
SHOWN_PODS = 3
STARTING = (None, "ContainerCreating", "PodInitializing")


class NotReadyError(Exception):
    """An object that is there and not ready; `live` is what it was last."""

    def __init__(self, live: Properties, reason: str) -> None:
        super().__init__(reason)
        self.live = live


class FailedError(Exception):
    """An object that will not become ready by itself."""


def annotation(obj: Properties, name: str) -> str:
    """Return the value of an annotation, empty when there is none."""
    found = at(obj, ["metadata", "annotations", name])
    return found if isinstance(found, str) else ""


def label(obj: Properties) -> str:
    """Return an object as people name it: Deployment web/gateway."""
    meta = obj["metadata"]
    return f"{obj['kind']} {'/'.join(filter(None, (meta.get('namespace'), meta['name'])))}"


def until_ready(cluster: Cluster, ctx: Context, live: Properties) -> Properties:
    """Wait until an object is ready, return what it is then, or raise `NotReadyError`."""
    judge = _judge(ctx, live)
    if annotation(live, SKIP) == "true" or judge is None:
        return live
    started = time.monotonic()
    timeout = _timeout(ctx, live)

    def look(found: Properties | None) -> str:
        nonlocal live
        if found is None:
            raise NotReadyError(live, f"{label(live)} was deleted while it was waited for")
        live = found
        try:
            return judge(cluster, live, time.monotonic() - started)
        except FailedError as error:
            raise NotReadyError(live, f"{label(live)} failed: {error}") from error

    if problem := _poll(cluster, ctx, live, timeout, look):
        way_out = f"mend the cause and run `up` again, which goes on waiting; {TIMEOUT} gives it more time"
        raise NotReadyError(live, f"{label(live)} was not ready {problem}; {way_out}")
    return live


def until_gone(cluster: Cluster, ctx: Context, live: Properties) -> None:
    """Wait until an object that is being deleted is gone."""

    def look(found: Properties | None) -> str:
        same = found and found["metadata"]["uid"] == live["metadata"]["uid"]
        return _remains(found) if found and same else ""

    if problem := _poll(cluster, ctx, live, _timeout(ctx, live), look):
        way_out = "see to what holds it, or take its finalizers away, and run the command again"
        raise ProviderError(f"{label(live)} was not gone {problem}; {way_out}")


def _poll(
    cluster: Cluster, ctx: Context, live: Properties, timeout: float, look: Callable[[Properties | None], str]
) -> str:
    """Look at an object until there is nothing to wait for; return why that did not happen."""
    deadline, shown, meta = time.monotonic() + timeout, "", live["metadata"]
    while True:
        try:
            found = cluster.find(live["apiVersion"], live["kind"], meta.get("namespace", ""), meta["name"])
            waiting = look(found)
        except UnreachableError as error:  # the server of a cluster may be replaced at any time
            waiting = str(error)
        if not waiting:
            return ""
        if waiting != shown:
            ctx.log(waiting)
            shown = waiting
        if time.monotonic() > deadline:
            return f"after {timeout:g} s: {waiting}"
        if cluster.cancelled.wait(POLL_SECONDS):
            return f"when the wait was cancelled: {waiting}"


def _timeout(ctx: Context, live: Properties) -> float:
    given = annotation(live, TIMEOUT) or str(TIMEOUT_S)
    if not given.isdigit():
        raise ctx.error(f"annotation {TIMEOUT} must be a whole number of seconds, not {given!r}")
    return int(given)


# What is ready: each returns what is waited for, nothing when it is ready


Judge = Callable[[Cluster, Properties, float], str]


def _judge(ctx: Context, live: Properties) -> Judge | None:
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
        elif found := re.fullmatch(r"jsonpath=\{\.?([\w.\-\[\]\"]+)\}(?:=(.*))?", one):
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


def condition(live: Properties, type_: str) -> tuple[str, str]:
    """A condition's status, and its reason and message."""
    for one in at(live, ["status", "conditions"]) or []:
        if one.get("type") == type_:
            return one.get("status", ""), ": ".join(filter(None, (one.get("reason"), one.get("message"))))
    return "", ""


def _deployment(cluster: Cluster, live: Properties, waited: float) -> str:
    if condition(live, "Progressing")[0] == "False" and not live["spec"].get("paused"):
        raise FailedError(_with_pods(cluster, live, condition(live, "Progressing")[1]))
    wanted, status = live["spec"].get("replicas", 1), live.get("status", {})
    updated, ready = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    old = status.get("replicas", 0) - updated
    if live["spec"].get("paused") or (_observed(live) and min(updated, ready) >= wanted and old <= 0):
        return ""
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
    if _observed(live) and ready >= wanted and (by_hand or updated >= wanted - partition):
        return ""
    return _with_pods(cluster, live, f"{ready} of {wanted} pods are ready, {updated} of them up to date")


def _daemon_set(cluster: Cluster, live: Properties, waited: float) -> str:
    status = live.get("status", {})
    wanted, ready = status.get("desiredNumberScheduled", 0), status.get("numberAvailable", 0)
    updated = status.get("updatedNumberScheduled", 0)
    by_hand = at(live, ["spec", "updateStrategy", "type"]) == "OnDelete"
    if _observed(live) and ready >= wanted and (by_hand or updated >= wanted):
        return ""
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


def _observed(live: Properties) -> bool:
    """Whether its controller has seen what it is now."""
    seen, generation = at(live, ["status", "observedGeneration"]), live["metadata"].get("generation", 0)
    return bool((seen or 0) >= generation)


# Why it takes so long


def _with_pods(cluster: Cluster, live: Properties, told: str) -> str:
    """Add what is wrong with an object's pods, or what its controller warns about when it has none."""
    selector = live["spec"].get("selector") or {}
    terms = [f"{key}={value}" for key, value in sorted(selector.get("matchLabels", {}).items())]
    path = f"/api/v1/namespaces/{live['metadata']['namespace']}/pods"
    pods = cluster.listed(path, labelSelector=",".join(terms)) if terms else []
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
            return f"container {one['name']}: {_short(why)}{code}"
        if ended.get("exitCode"):
            why = f"{ended.get('reason', '')} {ended.get('message', '')}".strip()
            return f"container {one['name']} ended with exit code {ended['exitCode']}: {_short(why)}".rstrip(
                ": "
            )
    scheduled, why = condition(pod, "PodScheduled")
    if scheduled == "False":
        return _short(why)
    said = ": ".join(filter(None, (status.get("reason"), status.get("message"))))
    return _short(said) or _with_event(cluster, pod, "")


def _with_event(cluster: Cluster, live: Properties, told: str) -> str:
    """Add the last warning about an object."""
    path = f"/api/v1/namespaces/{live['metadata']['namespace']}/events"
    found = cluster.listed(path, fieldSelector=f"type=Warning,involvedObject.uid={live['metadata']['uid']}")
    last = max(found, key=lambda one: one["metadata"]["creationTimestamp"], default=None)
    return "; ".join(filter(None, (told, _short(f"{last['reason']}: {last['message']}") if last else "")))


def _remains(live: Properties) -> str:
    """What keeps an object from being gone."""
    conditions = at(live, ["status", "conditions"]) or [] if live["kind"] == "Namespace" else []
    told = [one["message"] for one in conditions if one.get("status") == "True" and one.get("message")]
    held = sorted({*live["metadata"].get("finalizers", ())} - {"foregroundDeletion"})
    told += [f"held by finalizers {', '.join(held)}"] if held else []
    return _short("; ".join(told)) or "waiting until it and what it owns are gone"


def _short(text: str, limit: int = 300) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[:limit]}…"
