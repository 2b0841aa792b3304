"""What the provider waits for, what it says meanwhile, and what it leaves when that takes too long."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest

from engine.providers import kubernetes_ready
from rehearsal.controlplane import ControlPlane
from tests.engine.providers.harness import Failed, Plugin
from tests.kubernetes.stack import get, patch, wait_for

NOWHERE: dict[str, Any] = {"nodeSelector": {"there": "none"}}
"""No node has it, so a pod stays Pending and the test plays its kubelet."""


def kind(name: str, group: str = "core/v1") -> str:
    return f"kubernetes:{group}:{name}"


def manifest(namespace: str, name: str, seconds: int = 2, **rest: Any) -> dict[str, Any]:
    notes = {"pulumi.com/timeoutSeconds": str(seconds)}
    return {"metadata": {"name": name, "namespace": namespace, "annotations": notes}, **rest}


def pods(labels: dict[str, str], **spec: Any) -> dict[str, Any]:
    container = {"name": "main", "image": "reference:1"}
    return {"metadata": {"labels": labels}, "spec": {"containers": [container], **spec}}


def workload(
    namespace: str, name: str, seconds: int = 2, where: dict[str, Any] | None = None, **spec: Any
) -> Any:
    labels = {"app": name}
    whole = {"selector": {"matchLabels": labels}, "template": pods(labels, **(where or {})), **spec}
    return manifest(namespace, name, seconds, spec=whole)


def make(plugin: Plugin, type_: str, inputs: dict[str, Any], name: str = "x") -> tuple[str, dict[str, Any]]:
    return plugin.create(type_, plugin.check(type_, inputs, name=name), name)


def failure(plugin: Plugin, type_: str, inputs: dict[str, Any], name: str = "x") -> Failed:
    with pytest.raises(Failed) as caught:
        make(plugin, type_, inputs, name)
    return caught.value


def own_pod(plane: ControlPlane, namespace: str) -> dict[str, Any]:
    """The one pod of a namespace, once it is there."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    found: dict[str, Any] = wait_for(lambda: get(plane, path)["items"])[0]
    return found


def set_status(plane: ControlPlane, namespace: str, status: dict[str, Any]) -> None:
    pod = own_pod(plane, namespace)
    patch(plane, f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}/status", {"status": status})


def replace_when_asked(plugin: Plugin, plane: ControlPlane, pod: str) -> None:
    """Delete a pod that its controller does not replace, when that is asked for or it is replaced already."""
    asked = "it replaces one that is not ready only when that is deleted"
    wait_for(lambda: get(plane, pod) is None or any(asked in line for line in plugin.log))
    if get(plane, pod):
        plane.request("delete", pod)


def meanwhile(act: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=act)
    thread.start()
    return thread


@pytest.mark.parametrize("name", ["DaemonSet", "Deployment", "StatefulSet"])
def test_a_workload_is_ready_when_its_pods_are(
    plugin: Plugin, plane: ControlPlane, namespace: str, name: str
) -> None:
    spec: dict[str, Any] = {"serviceName": "x"} if name == "StatefulSet" else {}
    id_, outputs = make(plugin, kind(name, "apps/v1"), workload(namespace, "web", 30, **spec))
    assert id_ == f"{namespace}/web"
    ready = outputs["status"]
    assert (
        ready.get("availableReplicas") == 1 or ready["numberAvailable"] == ready["desiredNumberScheduled"] > 0
    )
    assert own_pod(plane, namespace)["status"]["phase"] == "Running"


@pytest.mark.parametrize("name", ["Deployment", "StatefulSet"])
def test_a_pod_that_no_node_takes_is_named_and_the_next_update_goes_on(
    plugin: Plugin, plane: ControlPlane, namespace: str, name: str
) -> None:
    type_ = kind(name, "apps/v1")
    spec: dict[str, Any] = {"serviceName": "x"} if name == "StatefulSet" else {}
    inputs = workload(namespace, "web", 2, NOWHERE, **spec)
    failed = failure(plugin, type_, inputs)
    assert f"{name} {namespace}/web was not ready after 2 s: 0 of 1" in str(failed)
    assert re.search(r"Unschedulable: 0/(\d) nodes are available: \1 node\(s\) didn't match", str(failed))
    assert "run `up` again" in str(failed)
    assert failed.id == f"{namespace}/web", "it is recorded"
    assert failed.outputs["__inputs"]["spec"]["template"]["spec"]["nodeSelector"] == {"there": "none"}
    assert any("0 of 1" in line for line in plugin.log), "it is said while it is waited for, too"
    everywhere = plugin.check(type_, workload(namespace, "web", 30, **spec), failed.outputs["__inputs"])
    old = own_pod(plane, namespace)["metadata"]["name"]
    thread = meanwhile(
        lambda: replace_when_asked(plugin, plane, f"/api/v1/namespaces/{namespace}/pods/{old}")
    )
    outputs = plugin.update(type_, failed.id, failed.outputs, everywhere)
    thread.join()
    assert outputs["status"]["updatedReplicas"] == 1


def test_why_a_container_does_not_start_is_said_while_it_is_waited_for(
    plugin: Plugin, plane: ControlPlane, namespace: str
) -> None:
    why = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "reference:1"'}
    state = {"name": "main", "image": "x", "imageID": "", "ready": False, "restartCount": 0}
    status = {"containerStatuses": [{**state, "state": {"waiting": why}}]}
    thread = meanwhile(lambda: set_status(plane, namespace, status))
    failed = failure(plugin, kind("Deployment", "apps/v1"), workload(namespace, "web", 6, NOWHERE))
    thread.join()
    expected = 'container main: ImagePullBackOff: Back-off pulling image "reference:1"'
    assert any(expected in line for line in plugin.log)
    assert expected in str(failed)


def test_pods_that_may_not_be_made_are_explained(plugin: Plugin, plane: ControlPlane, namespace: str) -> None:
    label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    patch(plane, f"/api/v1/namespaces/{namespace}", label)
    for name in ("DaemonSet", "Deployment"):
        failed = failure(plugin, kind(name, "apps/v1"), workload(namespace, "web", 3))
        assert 'violates PodSecurity "restricted:latest": allowPrivilegeEscalation' in str(failed), name


def test_a_rollout_past_its_deadline_fails_at_once(plugin: Plugin, namespace: str) -> None:
    inputs = workload(namespace, "web", 60, NOWHERE, progressDeadlineSeconds=1)
    failed = failure(plugin, kind("Deployment", "apps/v1"), inputs)
    assert f"Deployment {namespace}/web failed: ProgressDeadlineExceeded: ReplicaSet" in str(failed)
    assert "Unschedulable" in str(failed)


def job(namespace: str, seconds: int = 60, **spec: Any) -> dict[str, Any]:
    template = pods({}, restartPolicy="Never", **spec.pop("where", {}))
    return manifest(namespace, "migrate", seconds, spec={"backoffLimit": 0, "template": template, **spec})


JOB = kind("Job", "batch/v1")


def test_a_job_is_waited_for_until_it_is_complete(plugin: Plugin, namespace: str) -> None:
    _, outputs = make(plugin, JOB, job(namespace))
    assert outputs["status"]["succeeded"] == 1


def test_a_job_that_fails_says_why_and_is_replaced_on_request(
    plugin: Plugin, plane: ControlPlane, namespace: str
) -> None:
    ended = {"exitCode": 3, "reason": "Error", "message": "no database"}
    state = {"name": "main", "image": "x", "imageID": "", "ready": False, "restartCount": 0}
    status = {"phase": "Failed", "containerStatuses": [{**state, "state": {"terminated": ended}}]}
    thread = meanwhile(lambda: set_status(plane, namespace, status))
    inputs = job(namespace, where=NOWHERE)
    failed = failure(plugin, JOB, inputs)
    thread.join()
    said = (
        f"Job {namespace}/migrate failed: BackoffLimitExceeded: Job has reached the specified backoff limit"
    )
    assert said in str(failed)
    assert "container main ended with exit code 3: Error no database" in str(failed)
    assert failed.id == f"{namespace}/migrate"
    checked = plugin.check(JOB, inputs)
    assert plugin.changes(JOB, failed.outputs, checked, checked) == {}
    checked["metadata"]["annotations"]["pulumi.com/replaceUnready"] = "true"
    found = plugin.diff(JOB, failed.outputs, checked, checked)
    assert list(found.replaces) == ['metadata.annotations["pulumi.com/replaceUnready"]']
    assert found.deleteBeforeReplace


def test_a_service_waits_for_a_pod_that_is_ready(plugin: Plugin, plane: ControlPlane, namespace: str) -> None:
    taints = [{"key": "by-hand", "effect": "NoSchedule"}]
    plane.request("post", "/api/v1/nodes", {"metadata": {"name": "by-hand"}, "spec": {"taints": taints}})
    failure(plugin, kind("Deployment", "apps/v1"), workload(namespace, "web", 1, {"nodeName": "by-hand"}))
    set_status(plane, namespace, {"podIP": "10.0.0.9", "podIPs": [{"ip": "10.0.0.9"}], "phase": "Running"})
    inputs = manifest(namespace, "front", 3, spec={"selector": {"app": "web"}, "ports": [{"port": 80}]})
    failed = failure(plugin, kind("Service"), inputs)
    assert f"Service {namespace}/front was not ready after 3 s: none of its 1 pods is ready" in str(failed)
    set_status(plane, namespace, {"conditions": [{"type": "Ready", "status": "True"}]})
    checked = plugin.check(kind("Service"), inputs)
    assert plugin.update(kind("Service"), failed.id, failed.outputs, checked)["spec"]["clusterIP"]
    plane.request("delete", "/api/v1/nodes/by-hand")


def test_a_service_waits_some_seconds_for_the_first_pod_and_no_longer(
    plugin: Plugin, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes_ready, "NO_PODS_S", 1)
    inputs = manifest(namespace, "front", 30, spec={"selector": {"app": "later"}, "ports": [{"port": 80}]})
    make(plugin, kind("Service"), inputs)
    assert plugin.log == ["no pod is there for it yet"]


def test_services_that_need_no_pod_are_ready_at_once(plugin: Plugin, namespace: str) -> None:
    for name, spec in (
        ("headless", {"clusterIP": "None", "selector": {"app": "x"}, "ports": [{"port": 80}]}),
        ("outside", {"type": "ExternalName", "externalName": "example.org"}),
        ("manual", {"ports": [{"port": 80}]}),
    ):
        make(plugin, kind("Service"), manifest(namespace, name, 1, spec=spec), name)
    assert plugin.log == []


def test_a_load_balancer_is_ready_when_it_has_an_address(
    plugin: Plugin, plane: ControlPlane, namespace: str
) -> None:
    inputs = manifest(namespace, "front", 30, spec={"type": "LoadBalancer", "ports": [{"port": 80}]})
    path = f"/api/v1/namespaces/{namespace}/services/front"
    address = {"status": {"loadBalancer": {"ingress": [{"hostname": "lb.example.org"}]}}}

    def assign() -> None:
        wait_for(lambda: get(plane, path) and plugin.log)
        patch(plane, f"{path}/status", address)

    thread = meanwhile(assign)
    _, outputs = make(plugin, kind("Service"), inputs)
    thread.join()
    assert plugin.log[0] == "the load balancer has no address yet"
    assert outputs["status"] == address["status"] | {
        "loadBalancer": {"ingress": [{"hostname": "lb.example.org"}]}
    }


def test_a_claim_is_bound_or_waits_for_its_first_consumer(
    plugin: Plugin, plane: ControlPlane, namespace: str
) -> None:
    storage, claim = kind("StorageClass", "storage.k8s.io/v1"), kind("PersistentVolumeClaim")
    for name, mode in (("later", "WaitForFirstConsumer"), ("now", "Immediate")):
        given = {
            "metadata": {"name": f"{namespace}-{name}"},
            "provisioner": "example.org/none",
            "volumeBindingMode": mode,
        }
        make(plugin, storage, given, name)
        spec = {
            "accessModes": ["ReadWriteOnce"], "storageClassName": f"{namespace}-{name}",
            "resources": {"requests": {"storage": "1024Mi"}},
        }  # fmt: skip
        inputs = manifest(namespace, name, 3, spec=spec)
        if name == "later":
            _, outputs = make(plugin, claim, inputs, name)
            assert outputs["status"]["phase"] == "Pending"
        else:
            failed = failure(plugin, claim, inputs, name)
            assert f"no volume of storage class {namespace}-now is bound to it yet" in str(failed)


def test_a_program_may_say_what_is_ready_or_that_nothing_is_waited_for(
    plugin: Plugin, plane: ControlPlane, namespace: str
) -> None:
    web = kind("Deployment", "apps/v1")

    def noted(name: str, **notes: str) -> dict[str, Any]:
        inputs: dict[str, Any] = workload(namespace, name, 2, NOWHERE)
        inputs["metadata"]["annotations"] |= {f"pulumi.com/{key}": value for key, value in notes.items()}
        return inputs

    make(plugin, web, noted("skipped", skipAwait="true"), "skipped")
    make(plugin, web, noted("progressing", waitFor="condition=Progressing"), "progressing")
    wanted = '["condition=Available=False", "jsonpath={.spec.replicas}=1"]'
    make(plugin, web, noted("both", waitFor=wanted), "both")
    failed = failure(plugin, web, noted("never", waitFor="jsonpath={.spec.replicas}=2"), "never")
    assert "was not ready after 2 s: waiting for jsonpath={.spec.replicas}=2" in str(failed)
    refused = failure(plugin, web, noted("odd", waitFor="jsonpath={.spec..x}"), "odd")
    assert "needs the Pulumi CLI" in str(refused)
    refused = failure(plugin, web, noted("endless", timeoutSeconds="1h"), "endless")
    assert "annotation pulumi.com/timeoutSeconds must be a whole number of seconds, not '1h'" in str(refused)


def test_what_holds_an_object_that_is_being_deleted_is_said(
    plugin: Plugin, plane: ControlPlane, namespace: str
) -> None:
    inputs = manifest(namespace, "settings", 1, data={})
    inputs["metadata"]["finalizers"] = ["example.org/held"]
    id_, outputs = make(plugin, kind("ConfigMap"), inputs)
    with pytest.raises(Failed) as caught:
        plugin.delete(kind("ConfigMap"), id_, outputs)
    assert (
        f"ConfigMap {namespace}/settings was not gone after 1 s: held by finalizers example.org/held"
        in str(caught.value)
    )
    path = f"/api/v1/namespaces/{namespace}/configmaps/settings"
    patch(plane, path, {"metadata": {"finalizers": None}})
    plugin.delete(kind("ConfigMap"), id_, outputs)
    assert get(plane, path) is None
