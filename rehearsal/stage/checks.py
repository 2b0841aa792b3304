"""Assertion a: what was deployed runs, and its objects fit each other. Pure functions over an inventory.

Each yields what does not, as sentences that name the object, what it has and what it would need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from rehearsal.stage.inventory import GPU, POOL, Inventory, Object, labels

Check = Callable[[Inventory, str], Iterator[str]]


def problems(found: Inventory, namespace: str) -> list[str]:
    """Return everything that is wrong with what is in the platform's namespace."""
    return [problem for check in CHECKS for problem in check(found, namespace)]


def pods_run(found: Inventory, namespace: str) -> Iterator[str]:
    """Every pod is on a node and ready, or has done its job."""
    for pod in found.of("/Pod", namespace):
        status = pod.get("status", {})
        if status.get("phase") == "Succeeded" or _condition(pod, "Ready").get("status") == "True":
            continue
        why = _condition(pod, "PodScheduled").get("message", "")
        yield f"{_called(pod)} is {status.get('phase', 'new')} and not ready" + (f": {why}" if why else "")


def workloads_are_whole(found: Inventory, namespace: str) -> Iterator[str]:
    """Every workload has as many ready pods as it wants; every Job is done."""
    for kind in ("apps/Deployment", "apps/StatefulSet"):
        for one in found.of(kind, namespace):
            wanted, ready = one["spec"]["replicas"], one.get("status", {}).get("readyReplicas", 0)
            if ready < wanted:
                yield f"{_called(one, kind)} has {ready} ready pods of {wanted}"
    for job in found.of("batch/Job", namespace):
        if not job.get("status", {}).get("succeeded"):
            yield f"{_called(job, 'batch/Job')} has not succeeded"


def references_exist(found: Inventory, namespace: str) -> Iterator[str]:
    """What a pod names is there: account, files, volumes, priority."""
    issued = {one["spec"]["secretName"] for one in found.of("cert-manager.io/Certificate", namespace)}
    for pod in found.of("/Pod", namespace):
        for kind, name in _named_by(pod["spec"]):
            within = "" if kind.endswith("PriorityClass") else namespace
            made_later = kind == "/Secret" and name in issued  # nobody issues certificates here
            if found.find(kind, within, name) is None and not made_later:
                yield f"{_called(pod)} names {kind.rpartition('/')[2]} {name}, which is not there"


def budgets_let_one_go(found: Inventory, namespace: str) -> Iterator[str]:
    """Every PodDisruptionBudget is about pods, and lets one of them go; every pod that stays has one."""
    budgets = found.of("policy/PodDisruptionBudget", namespace)
    running = [pod for pod in found.of("/Pod", namespace) if not _is_done(pod)]
    for budget in budgets:
        pods = [pod for pod in running if _selects(budget["spec"]["selector"], labels(pod))]
        status = budget.get("status", {})
        if not pods:
            yield f"{_called(budget, 'policy/PodDisruptionBudget')} is about no pod"
        elif status.get("disruptionsAllowed", 0) < 1 and not _will_let_go(status, pods):
            told = f"{status.get('currentHealthy', 0)} of {status.get('expectedPods', 0)} pods are healthy"
            yield f"{_called(budget, 'policy/PodDisruptionBudget')} lets no pod go: {told}"
    for pod in running:
        count = sum(_selects(budget["spec"]["selector"], labels(pod)) for budget in budgets)
        if count != 1:
            yield f"{_called(pod)} has {count} PodDisruptionBudgets instead of one"


def _will_let_go(status: Object, pods: Iterable[Object]) -> bool:
    """Tell whether a budget lets no pod go only because it misses pods that are there again.

    It knows those that were evicted by their names, which a StatefulSet gives again, and misses them for the
    two minutes that it waits for them to go.
    """
    awaited = status.get("disruptedPods", {})
    back = {pod["metadata"]["name"] for pod in pods if _condition(pod, "Ready").get("status") == "True"}
    healthy = status.get("currentHealthy", 0) + len(awaited.keys() & back)
    return bool(awaited) and healthy > status.get("desiredHealthy", 0)


def policies_have_peers(found: Inventory, namespace: str) -> Iterator[str]:
    """Every NetworkPolicy is about pods, whom it lets talk to somebody; ports are those that pods have."""
    pods = _with_jobs(found, namespace)
    for policy in found.of("networking.k8s.io/NetworkPolicy", namespace):
        called = _called(policy, "networking.k8s.io/NetworkPolicy")
        spec = policy["spec"]
        if not any(_selects(spec.get("podSelector", {}), labels(pod)) for pod in pods):
            yield f"{called} is about no pod"
        for direction, key in (("ingress", "from"), ("egress", "to")):
            for rule in spec.get(direction) or ():
                peers = rule.get(key) or ()
                if peers and not any(_exists(peer, found, namespace) for peer in peers):
                    yield f"{called} names nobody that is there: {direction} {key} {peers}"
    for policy in found.of("networking.k8s.io/NetworkPolicy", namespace):
        yield from _closed_ports(policy, found, namespace)


def _closed_ports(policy: Object, found: Inventory, namespace: str) -> Iterator[str]:
    """Yield ports that a policy opens between pods and that nobody has."""
    pods = _with_jobs(found, namespace)
    spec = policy["spec"]
    sides = [("ingress", spec.get("podSelector", {}), rule) for rule in spec.get("ingress") or ()]
    sides += [
        ("egress", peer["podSelector"], rule)
        for rule in spec.get("egress") or ()
        for peer in rule.get("to") or ()
        if "podSelector" in peer and "namespaceSelector" not in peer
    ]
    for direction, selector, rule in sides:
        behind = [pod for pod in pods if _selects(selector, labels(pod))]
        open_ = {(port, protocol) for pod in behind for port, protocol in _ports(pod)}
        for port in rule.get("ports") or ():
            wanted = (port["port"], port.get("protocol", "TCP"))
            if behind and open_ and wanted not in open_:
                called, whose = _called(policy, "networking.k8s.io/NetworkPolicy"), _called(behind[0])
                yield f"{called} opens port {wanted[0]}/{wanted[1]} ({direction}), which {whose} has not"


def services_have_pods(found: Inventory, namespace: str) -> Iterator[str]:
    """Every Service has a pod that is ready, on the ports that it names."""
    for service in found.of("/Service", namespace):
        selector = service["spec"].get("selector")
        if not selector:
            continue
        pods = [pod for pod in found.of("/Pod", namespace) if selector.items() <= labels(pod).items()]
        called = _called(service, "/Service")
        if not pods:
            yield f"{called} has no pod"
            continue
        names = {port.get("name") for one in pods[0]["spec"]["containers"] for port in one.get("ports", ())}
        for port in service["spec"].get("ports", ()):
            if isinstance(port["targetPort"], str) and port["targetPort"] not in names:
                yield f"{called} leads to port {port['targetPort']}, which its pods do not have"


def counts_have_one_writer(found: Inventory, namespace: str) -> Iterator[str]:
    """Every autoscaler has its workload, and no workload has two; all of them can act."""
    targets: dict[str, list[str]] = {}
    for scaler in found.of("autoscaling/HorizontalPodAutoscaler", namespace):
        target = scaler["spec"]["scaleTargetRef"]
        called = _called(scaler, "autoscaling/HorizontalPodAutoscaler")
        targets.setdefault(target["name"], []).append(scaler["metadata"]["name"])
        if found.find(f"apps/{target['kind']}", namespace, target["name"]) is None:
            yield f"{called} moves {target['kind']} {target['name']}, which is not there"
        for condition in scaler.get("status", {}).get("conditions", ()):
            if condition["type"] in ("AbleToScale", "ScalingActive") and condition["status"] != "True":
                yield f"{called} cannot act: {condition.get('message', condition['type'])}"
    for target, scalers in targets.items():
        if len(scalers) > 1:
            yield f"the replicas of {target} have several writers: {', '.join(sorted(scalers))}"
    for scaled in found.of("keda.sh/ScaledObject", namespace):
        called = _called(scaled, "keda.sh/ScaledObject")
        states = {one["type"]: one for one in scaled.get("status", {}).get("conditions", ())}
        ready = states.get("Ready", {})
        if ready.get("status") != "True":
            yield f"{called} is not ready: {ready.get('message', 'KEDA has not looked at it')}"
        if scaled["spec"]["scaleTargetRef"]["name"] not in targets:
            yield f"{called} has no autoscaler"


def pools_hold_the_most(found: Inventory, namespace: str) -> Iterator[str]:
    """The nodes that a NodePool may have hold the most replicas that an autoscaler may ask for."""
    for scaler in found.of("autoscaling/HorizontalPodAutoscaler", namespace):
        target = scaler["spec"]["scaleTargetRef"]["name"]
        workload = found.find("apps/Deployment", namespace, target)
        if workload is None:
            continue
        spec = workload["spec"]["template"]["spec"]
        pool = (spec.get("nodeSelector") or {}).get(POOL)
        if pool is None:
            continue
        node_pool = found.find("karpenter.sh/NodePool", "", pool)
        if node_pool is None:
            yield f"Deployment {target} wants nodes of pool {pool}, and there is no such NodePool"
            continue
        most = scaler["spec"]["maxReplicas"]
        each = sum(int(one["resources"]["limits"].get(GPU, 0)) for one in spec["containers"])
        limit = int((node_pool["spec"].get("limits") or {}).get(GPU, most * each))
        if most * each > limit:
            yield f"NodePool {pool} may have {limit} GPUs, and {most} replicas of {target} take {most * each}"


def quotas_are_kept(found: Inventory, namespace: str) -> Iterator[str]:
    """No ResourceQuota is used up, or a pod more would be refused."""
    for quota in found.of("/ResourceQuota", namespace):
        status = quota.get("status", {})
        for name, hard in status.get("hard", {}).items():
            if status.get("used", {}).get(name) == hard:
                yield f"{_called(quota, '/ResourceQuota')} is used up: {name} {hard}"


def node_pools_are_ready(found: Inventory, namespace: str) -> Iterator[str]:
    """Karpenter takes every NodePool."""
    for pool in found.of("karpenter.sh/NodePool"):
        for condition in pool.get("status", {}).get("conditions", ()):
            if condition["type"] == "Ready" and condition["status"] != "True":
                yield f"NodePool {pool['metadata']['name']} is not ready: {condition.get('message', '')}"


CHECKS: tuple[Check, ...] = (
    pods_run, workloads_are_whole, references_exist, budgets_let_one_go, policies_have_peers,
    services_have_pods, counts_have_one_writer, pools_hold_the_most, quotas_are_kept, node_pools_are_ready,
)  # fmt: skip


def _called(one: Object, kind: str = "/Pod") -> str:
    return f"{kind.rpartition('/')[2]} {one['metadata']['name']}"


def _condition(pod: Object, type_: str) -> Object:
    conditions: list[Object] = pod.get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == type_), {})


def _with_jobs(found: Inventory, namespace: str) -> list[Object]:
    """Return all pods, and those that Jobs make: of one that is done they go with their node."""
    made = []
    for job in found.of("batch/Job", namespace):
        template = job["spec"]["template"]
        made.append({**template, "metadata": {**template["metadata"], "name": job["metadata"]["name"]}})
    return [*found.of("/Pod", namespace), *made]


def _is_done(pod: Object) -> bool:
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed") or "Job" in {
        owner["kind"] for owner in pod["metadata"].get("ownerReferences", ())
    }


def _named_by(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield kind and name of what a pod's specification refers to."""
    yield "/ServiceAccount", spec["serviceAccountName"]
    yield "scheduling.k8s.io/PriorityClass", spec["priorityClassName"]
    for volume in spec.get("volumes", ()):
        if claim := volume.get("persistentVolumeClaim"):
            yield "/PersistentVolumeClaim", claim["claimName"]
        if (csi := volume.get("csi")) and (name := csi["volumeAttributes"].get("secretProviderClass")):
            yield "secrets-store.csi.x-k8s.io/SecretProviderClass", name
        for source in volume.get("projected", {}).get("sources", ()):
            if config := source.get("configMap"):
                yield "/ConfigMap", config["name"]
            if secret := source.get("secret"):
                yield "/Secret", secret["name"]


def _selects(selector: Mapping[str, Any], found: Mapping[str, str]) -> bool:
    """Tell whether a label selector matches; an empty one matches everything."""
    if not selector.get("matchLabels", {}).items() <= found.items():
        return False
    return all(_holds(one, found) for one in selector.get("matchExpressions", ()))


def _holds(expression: Mapping[str, Any], found: Mapping[str, str]) -> bool:
    value, among = found.get(expression["key"]), expression.get("values", ())
    match expression["operator"]:
        case "In":
            return value in among
        case "NotIn":
            return value not in among
        case "Exists":
            return value is not None
        case _:
            return value is None


def _exists(peer: Mapping[str, Any], found: Inventory, namespace: str) -> bool:
    """Tell whether somebody is there whom a policy names. Beyond the platform a namespace is enough."""
    if "ipBlock" in peer:
        return True
    if "namespaceSelector" in peer:
        spaces = [one for one in found.of("/Namespace") if _selects(peer["namespaceSelector"], labels(one))]
        if [one["metadata"]["name"] for one in spaces] != [namespace]:
            return bool(spaces)
    return any(_selects(peer.get("podSelector", {}), labels(pod)) for pod in _with_jobs(found, namespace))


def _ports(pod: Object) -> Iterator[tuple[int, str]]:
    for one in pod["spec"]["containers"]:
        for port in one.get("ports", ()):
            yield port["containerPort"], port.get("protocol", "TCP")
