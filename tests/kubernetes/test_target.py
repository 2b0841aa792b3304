"""A whole platform in a real API server: its objects validated, admitted, scheduled and kept.

It is the example of a stack on a cluster that exists. Nodes and disks are simulated, no container runs.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiException

from ops import load_job
from ops.delivery.beside import FIRST, PARTS
from ops.delivery.cluster import LEADS
from rehearsal.controlplane import ControlPlane
from tests.kubernetes.stack import Stack, example, get, give_disks, patch

ROOT = Path(__file__).parents[2]
NAMESPACE = "platform"
STORAGE = "by-hand"
APPS = f"/apis/apps/v1/namespaces/{NAMESPACE}"
CORE = f"/api/v1/namespaces/{NAMESPACE}"
JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}"
HPA = f"/apis/autoscaling/v2/namespaces/{NAMESPACE}"
SCALED = f"/apis/keda.sh/v1alpha1/namespaces/{NAMESPACE}/scaledobjects"
PROGRAM = """
import sys

sys.path.insert(0, ROOT)

from components.images import BuiltImages
from components.platform import Platform
from stacks.loading import parse

# No container runs: nothing is built.
BuiltImages.reference = lambda self, image: f"example.org/{image.replace(':', '-')}@sha256:" + "0" * 64
Platform("platform", parse(SETTINGS, "dev"), "0.0.0")
"""


def program(**changes: Any) -> str:
    """Return the program for the example, on this cluster, with these changes of its settings."""
    settings = example(NAMESPACE, STORAGE, **changes)
    return f"ROOT, SETTINGS = {str(ROOT)!r}, {settings!r}\n{PROGRAM}"


def play_keda(stack: Stack) -> None:
    """Make the autoscalers that KEDA, which does not run here, makes of ScaledObjects, and take them away."""
    wanted = {each["metadata"]["name"]: each["spec"] for each in items(stack, SCALED)}
    for name in names(stack, HPA, "horizontalpodautoscalers"):
        if name.removeprefix("keda-hpa-") not in wanted:
            stack.plane.request("delete", f"{HPA}/horizontalpodautoscalers/{name}")
    for name, spec in wanted.items():
        if get(stack.plane, f"{HPA}/horizontalpodautoscalers/keda-hpa-{name}") is None:
            low, high = spec["minReplicaCount"], spec["maxReplicaCount"]
            made = {"minReplicas": low, "maxReplicas": high, "scaleTargetRef": spec["scaleTargetRef"]}
            body = {"metadata": {"name": f"keda-hpa-{name}"}, "spec": made}
            stack.plane.request("post", f"{HPA}/horizontalpodautoscalers", body)


@pytest.fixture(scope="module")
def applied(plane: ControlPlane, nodes: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return a stack with the program applied, which all tests share: bringing it up takes a while."""
    give_disks(plane, STORAGE)
    stack = Stack(tmp_path_factory.mktemp("target"), plane)
    stack.program(program())
    stack.up()
    play_keda(stack)
    yield stack
    if stack.resources:
        stack.run("destroy", "--yes")


def items(stack: Stack, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = get(stack.plane, path)["items"]
    return found


def names(stack: Stack, path: str, kind: str) -> set[str]:
    return {each["metadata"]["name"] for each in items(stack, f"{path}/{kind}")}


def revisions(stack: Stack) -> dict[str, int]:
    return {
        each["metadata"]["name"]: int(each["metadata"]["annotations"]["deployment.kubernetes.io/revision"])
        for each in items(stack, f"{APPS}/deployments")
    }


def test_everything_is_there_and_ready(applied: Stack) -> None:
    exporters = {f"exporter-{of}" for of in ("pgbouncer", "postgres", "probe", "redis")}
    deployments = {"autoscaler", "edge", "gateway", "pgbouncer", "redis", "worker-chat"}
    assert names(applied, APPS, "deployments") == deployments | exporters
    assert names(applied, APPS, "statefulsets") == {"alertmanager", "postgres", "prometheus"}
    for kind in ("deployments", "statefulsets"):
        for each in items(applied, f"{APPS}/{kind}"):
            assert each["status"]["readyReplicas"] >= 1, each["metadata"]["name"]
    jobs = items(applied, f"{JOBS}/jobs")
    assert {each["metadata"]["name"].rpartition("-")[0] for each in jobs} == {"migrations", "models"}
    assert all(each["status"]["succeeded"] == 1 for each in jobs)


def test_applying_it_again_changes_nothing_before_and_after_a_refresh(applied: Stack) -> None:
    applied.up("--expect-no-changes")
    applied.run("refresh", "--yes")
    applied.up("--expect-no-changes")


def test_a_zone_can_be_lost_and_a_replica_is_left(applied: Stack) -> None:
    edges = items(applied, f"{CORE}/pods?labelSelector=app.kubernetes.io/name=edge")
    assert {each["spec"]["nodeName"] for each in edges} == {"gpu-a", "gpu-b", "gpu-c"}


def test_changes_by_hand_are_taken_back_but_for_the_autoscalers(applied: Stack) -> None:
    patch(applied.plane, f"{APPS}/deployments/gateway", {"spec": {"replicas": 5}})
    patch(applied.plane, f"{APPS}/deployments/pgbouncer", {"spec": {"replicas": 4}})
    applied.run("refresh", "--yes")
    assert "~ 1 updated" in applied.up().stdout
    assert get(applied.plane, f"{APPS}/deployments/gateway")["spec"]["replicas"] == 5
    assert get(applied.plane, f"{APPS}/deployments/pgbouncer")["spec"]["replicas"] == 2


def test_a_changed_setting_replaces_the_pods_that_read_it_and_runs_their_job_again(applied: Stack) -> None:
    before, jobs = revisions(applied), names(applied, JOBS, "jobs")
    applied.program(program(gateway={"autoscaling": {"maxReplicas": 6}, "logLevel": "debug"}))
    applied.up()
    after = revisions(applied)
    assert {name for name in after if after[name] != before[name]} == {"gateway"}
    now = names(applied, JOBS, "jobs")
    assert len(now) == len(jobs)
    assert {name.rpartition("-")[0] for name in now - jobs} == {"migrations"}


def test_a_service_keeps_its_replicas_while_an_autoscaler_takes_over_their_count(applied: Stack) -> None:
    scaler = f"{SCALED}/gateway"
    gateways = f"{CORE}/pods?labelSelector=app.kubernetes.io/name=gateway"
    applied.program(program(gateway={"autoscaling": None, "replicas": 4}))
    applied.run("refresh", "--yes")
    applied.up()
    play_keda(applied)
    assert get(applied.plane, scaler) is None
    before = {each["metadata"]["uid"] for each in items(applied, gateways)}
    assert len(before) == 4
    applied.program(program())
    applied.up()
    play_keda(applied)
    assert get(applied.plane, scaler)["spec"]["minReplicaCount"] == 3
    assert get(applied.plane, f"{APPS}/deployments/gateway")["spec"]["replicas"] == 4
    assert {each["metadata"]["uid"] for each in items(applied, gateways)} == before
    applied.up("--expect-no-changes")


def only(*targets: str) -> list[str]:
    return [word for one in targets for word in ("--target", one)]


def test_a_release_stands_beside_what_is_there_and_goes_without_a_trace(applied: Stack) -> None:
    def led_to() -> str:
        spec = get(applied.plane, f"{CORE}/services/gateway-trial")["spec"]
        return str(spec["selector"]["app.kubernetes.io/name"])

    def pods() -> set[str]:
        return {each["metadata"]["uid"] for each in items(applied, f"{CORE}/pods")}

    before = pods()
    assert led_to() == "gateway"
    # An edge of another setting: what a trial does not name stays as it is.
    applied.program(program(canary={"replicas": 2}, edge={"keepaliveTimeoutS": 60}))
    applied.up(*only(*FIRST, LEADS))
    assert get(applied.plane, f"{APPS}/deployments/gateway-canary")["status"]["readyReplicas"] == 2
    assert led_to() == "gateway-canary"
    assert before < pods()
    applied.program(program())
    applied.up(*only(LEADS))
    assert led_to() == "gateway"
    applied.run("destroy", "--yes", *only(PARTS))
    assert pods() == before
    applied.up("--expect-no-changes")


def test_load_is_one_more_job_only_while_it_is_played(applied: Stack) -> None:
    before = names(applied, JOBS, "jobs")
    words = [word for one in load_job.PARTS for word in ("--target", one)]
    applied.program(program(load={"scenario": "report", "seconds": 60}))
    applied.run("up", "--yes", *words)
    (job,) = names(applied, JOBS, "jobs") - before
    assert job.startswith("load-")
    assert get(applied.plane, f"{JOBS}/jobs/{job}")["status"]["succeeded"] == 1
    applied.program(program())
    applied.run("destroy", "--yes", *words)
    assert names(applied, JOBS, "jobs") == before
    assert not [name for name in applied.resources if name.startswith("load")]


def test_the_namespace_takes_no_pod_that_asks_for_more(applied: Stack) -> None:
    pod = {"metadata": {"name": "any"}, "spec": {"containers": [{"name": "any", "image": "any"}]}}
    with pytest.raises(ApiException, match="violates PodSecurity"):
        applied.plane.request("post", f"{CORE}/pods", pod)


def test_nothing_is_left_of_it(applied: Stack) -> None:
    applied.run("destroy", "--yes")
    assert get(applied.plane, f"/api/v1/namespaces/{NAMESPACE}") is None
    left = names(applied, "/apis/scheduling.k8s.io/v1", "priorityclasses")
    assert not [name for name in left if name.startswith(NAMESPACE)]
