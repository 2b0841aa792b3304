"""Assertion a: nothing is said of what fits together, and every fault is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rehearsal.stage import checks
from tests.rehearsal.objects import SPACE, inventory, named, platform, selector

Objects = dict[str, list[dict[str, Any]]]
Fault = Callable[[Objects], Any]
BUDGETS, POLICIES = "policy/PodDisruptionBudget", "networking.k8s.io/NetworkPolicy"
SCALERS, SCALED = "autoscaling/HorizontalPodAutoscaler", "keda.sh/ScaledObject"
POOLS = "karpenter.sh/NodePool"


def test_nothing_is_wrong_with_what_fits_together() -> None:
    assert checks.problems(inventory(platform()), SPACE) == []


def test_pods_of_a_job_that_is_done_may_be_gone() -> None:
    objects = platform()
    objects[POLICIES].append(named("models", spec={"podSelector": selector("models")}))
    assert checks.problems(inventory(objects), SPACE) == []


def test_a_pod_that_is_back_under_its_name_is_missed_by_its_budget_alone() -> None:
    objects = platform()
    counts = {"disruptionsAllowed": 0, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 2}
    objects[BUDGETS][1]["status"] = {**counts, "disruptedPods": {"worker-2": "2026-11-27T18:13:33Z"}}
    assert checks.problems(inventory(objects), SPACE) == []
    told = "PodDisruptionBudget worker lets no pod go: 1 of 2 pods are healthy"
    objects[BUDGETS][1]["status"]["desiredHealthy"] = 2
    assert checks.problems(inventory(objects), SPACE) == [told]
    objects[BUDGETS][1]["status"]["desiredHealthy"] = 1
    objects["/Pod"][2]["status"] = {"phase": "Running"}
    assert told in checks.problems(inventory(objects), SPACE)


def unready(objects: Objects) -> None:
    scheduled = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes have a GPU"}
    objects["/Pod"][1]["status"] = {"phase": "Pending", "conditions": [scheduled]}


FAULTS: dict[str, tuple[Fault, str]] = {
    "a pod waits for a node": (unready, "Pod worker-1 is Pending and not ready: 0/3 nodes have a GPU"),
    "a replica is missing": (
        lambda o: o["apps/Deployment"][1]["status"].update(readyReplicas=1),
        "Deployment worker has 1 ready pods of 2",
    ),
    "a job has failed": (lambda o: o["batch/Job"][0].update(status={}), "Job models has not succeeded"),
    "files are missing": (
        lambda o: o["/ConfigMap"].pop(0),
        "Pod gateway-1 names ConfigMap gateway, which is not there",
    ),
    "a claim is missing": (
        lambda o: o["/PersistentVolumeClaim"].clear(),
        "Pod worker-2 names PersistentVolumeClaim models, which is not there",
    ),
    "a priority is missing": (
        lambda o: o["scheduling.k8s.io/PriorityClass"].clear(),
        "Pod gateway-1 names PriorityClass serving, which is not there",
    ),
    "a budget is about nothing": (
        lambda o: o[BUDGETS].append(named("old", spec={"selector": selector("old")})),
        "PodDisruptionBudget old is about no pod",
    ),
    "a budget blocks every drain": (
        lambda o: o[BUDGETS][1]["status"].update(disruptionsAllowed=0, currentHealthy=2, expectedPods=2),
        "PodDisruptionBudget worker lets no pod go: 2 of 2 pods are healthy",
    ),
    "a pod has no budget": (
        lambda o: o[BUDGETS].pop(0),
        "Pod gateway-1 has 0 PodDisruptionBudgets instead of one",
    ),
    "a pod has two budgets, which no drain can keep": (
        lambda o: o[BUDGETS].append(
            named("all", spec={"selector": selector("gateway")}, status={"disruptionsAllowed": 1})
        ),
        "Pod gateway-1 has 2 PodDisruptionBudgets instead of one",
    ),
    "a policy is about nothing": (
        lambda o: o[POLICIES][1]["spec"].update(podSelector=selector("gatewya")),
        "NetworkPolicy gateway is about no pod",
    ),
    "a policy lets nobody talk": (
        lambda o: o[POLICIES][1]["spec"]["egress"][0].update(to=[{"podSelector": selector("wroker")}]),
        "NetworkPolicy gateway names nobody that is there: egress to",
    ),
    "a policy names a namespace that is not there": (
        lambda o: o["/Namespace"].pop(2),
        "NetworkPolicy from-keda names nobody that is there: ingress from",
    ),
    "a policy opens the wrong port": (
        lambda o: o[POLICIES][1]["spec"]["egress"][0].update(ports=[{"port": 11435}]),
        "NetworkPolicy gateway opens port 11435/TCP (egress), which Pod worker-1 has not",
    ),
    "a service leads nowhere": (
        lambda o: o["/Service"][0]["spec"].update(selector={"app.kubernetes.io/name": "old"}),
        "Service gateway has no pod",
    ),
    "a service leads to a closed port": (
        lambda o: o["/Service"][0]["spec"].update(ports=[{"targetPort": "tcp-80"}]),
        "Service gateway leads to port tcp-80, which its pods do not have",
    ),
    "an autoscaler moves nothing": (
        lambda o: o["apps/Deployment"].pop(1),
        "HorizontalPodAutoscaler keda-hpa-worker moves Deployment worker, which is not there",
    ),
    "an autoscaler sees no metrics": (
        lambda o: o[SCALERS][0]["status"]["conditions"][1].update(status="False", message="no metrics"),
        "HorizontalPodAutoscaler keda-hpa-worker cannot act: no metrics",
    ),
    "a count has two writers": (
        lambda o: o[SCALERS].append({**o[SCALERS][0], "metadata": named("by-hand")["metadata"]}),
        "the replicas of worker have several writers: by-hand, keda-hpa-worker",
    ),
    "KEDA refuses a ScaledObject": (
        lambda o: o[SCALED][0]["status"]["conditions"][0].update(status="False", message="no such metric"),
        "ScaledObject worker is not ready: no such metric",
    ),
    "KEDA makes no autoscaler": (lambda o: o[SCALERS].clear(), "ScaledObject worker has no autoscaler"),
    "a pool is too small for the most replicas": (
        lambda o: o[POOLS][0]["spec"].update(limits={"nvidia.com/gpu": "20"}),
        "NodePool chat may have 20 GPUs, and 50 replicas of worker take 50",
    ),
    "a pool is missing": (
        lambda o: o[POOLS].clear(),
        "Deployment worker wants nodes of pool chat, and there is no such NodePool",
    ),
    "a pool is not taken": (
        lambda o: o[POOLS][0]["status"]["conditions"][0].update(status="False", message="no class"),
        "NodePool chat is not ready: no class",
    ),
    "a quota is used up": (
        lambda o: o["/ResourceQuota"][0]["status"]["used"].update(pods="100"),
        "ResourceQuota most is used up: pods 100",
    ),
}


@pytest.mark.parametrize(("fault", "problem"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_named(fault: Fault, problem: str) -> None:
    objects = platform()
    fault(objects)
    found = checks.problems(inventory(objects), SPACE)
    assert any(one.startswith(problem) for one in found), found


def test_every_check_has_a_fault() -> None:
    def found(fault: Fault) -> set[str]:
        objects = platform()
        fault(objects)
        seen = inventory(objects)
        return {check.__name__ for check in checks.CHECKS if list(check(seen, SPACE))}

    assert set().union(*(found(fault) for fault, _ in FAULTS.values())) == {
        one.__name__ for one in checks.CHECKS
    }
