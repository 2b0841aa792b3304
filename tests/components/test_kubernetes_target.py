"""How the kubernetes target places a service."""

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from components.service import (
    ApiUse,
    Limits,
    Outside,
    Peer,
    Placed,
    Port,
    Priority,
    Probe,
    Service,
    Volume,
)
from policies.workloads import API_USER
from stacks.kubernetes import AutoscalingSettings
from tests.components.conftest import ROOT, SECRET, strings
from tests.components.placing import SOME, kinds, one, placed

SERVING = replace(SOME, ports=(Port(80),), probe=Probe(("check",)), priority=Priority.SERVING)
JOB = replace(SOME, name="job", runs_to_completion=True, config={"a.yaml": "1"})


def test_a_service_becomes_a_deployment_with_all_that_belongs_to_it() -> None:
    service = replace(SERVING, config={"a": "1"}, secrets={"b": "2"})
    assert kinds(placed(service), "some") == {
        "ConfigMap",
        "Deployment",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Secret",
        "Service",
        "ServiceAccount",
    }


def test_a_service_that_follows_its_peers_may_watch_their_endpoints_and_nothing_else() -> None:
    api = Outside(("192.0.2.1/32",), 6443)
    graph = placed(
        replace(SERVING, asks_api=ApiUse.FOLLOW_PEERS, talks_to=(Peer("worker", 1),)), api_server=api
    )
    assert one(graph, "Role", "some")["rules"] == [
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]}
    ]
    binding = one(graph, "RoleBinding", "some")
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "some"}
    assert [each["name"] for each in binding["subjects"]] == ["some"]
    template = one(graph, "Deployment", "some")["spec"]["template"]
    assert template["spec"]["automountServiceAccountToken"] is True
    assert template["metadata"]["annotations"] == {API_USER: "follows the replicas of its peers"}
    assert {"to": [{"ipBlock": {"cidr": "192.0.2.1/32"}}], "ports": [{"port": 6443, "protocol": "TCP"}]} in (
        one(graph, "NetworkPolicy", "some")["spec"]["egress"]
    )
    assert "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding::some" in (
        graph["kubernetes:apps/v1:Deployment::some"].depends_on
    ), "its pods would be refused"
    other = placed(SERVING, api_server=api)
    assert {"Role", "RoleBinding"} & kinds(other, "some") == set()
    assert "192.0.2.1/32" not in strings(one(other, "NetworkPolicy", "some"))
    spec = one(other, "Deployment", "some")["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False


def test_a_service_with_data_of_its_own_becomes_a_stateful_set() -> None:
    graph = placed(replace(SERVING, volumes=(Volume("data", "/data", size_gib=7),)))
    assert "Deployment" not in kinds(graph, "some")
    spec = one(graph, "StatefulSet", "some")["spec"]
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["metadata"]["name"] == "data"
    assert claim["spec"]["resources"]["requests"]["storage"] == "7Gi"
    (container,) = spec["template"]["spec"]["containers"]
    assert {"name": "data", "mountPath": "/data"} in container["volumeMounts"]


def test_a_job_is_nothing_that_stays() -> None:
    assert kinds(placed(JOB), "job") == {"ConfigMap", "Job", "NetworkPolicy", "ServiceAccount"}


def test_a_job_runs_again_only_when_something_in_it_has_changed() -> None:
    def name(job: Service = JOB, **args: Any) -> str:
        return str(one(placed(job, **args), "Job", "job")["metadata"]["name"])

    first = name()
    assert first == name()
    assert first == name(version="0.0.1")
    assert len({first, name(replace(JOB, config={"a.yaml": "2"})), name(replace(JOB, command=("x",)))}) == 3


def test_what_comes_after_a_service_waits_for_all_of_it() -> None:
    graph = placed(JOB, SERVING, replace(SERVING, name="last"))
    first = graph["kubernetes:apps/v1:Deployment::some"]
    assert "kubernetes:batch/v1:Job::job" in first.depends_on
    last = graph["kubernetes:apps/v1:Deployment::last"]
    assert {"kubernetes:apps/v1:Deployment::some", "kubernetes:core/v1:Service::some"} <= set(last.depends_on)


def test_pods_start_once_everything_that_they_need_or_that_binds_them_is_there() -> None:
    service = replace(
        SERVING, config={"a": "1"}, secrets={"b": "2"}, volumes=(Volume("m", "/m", shared=True),)
    )
    graph = placed(service)
    needed = {key.rpartition("/v1:")[2] for key in graph["kubernetes:apps/v1:Deployment::some"].depends_on}
    assert needed == {
        "ConfigMap::some",
        "Namespace::namespace",
        "NetworkPolicy::deny-all",
        "NetworkPolicy::dns",
        "NetworkPolicy::some",
        "PersistentVolumeClaim::m",
        "Secret::some",
        "ServiceAccount::some",
    }


def test_the_namespace_admits_no_pod_with_more_rights_than_a_service_needs() -> None:
    labels = one(placed(), "Namespace", "namespace")["metadata"]["labels"]
    for mode in ("enforce", "audit", "warn"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"


def test_every_object_is_the_stacks_own() -> None:
    graph = placed(SERVING, JOB, settings={"namespace": "mine"})
    for each in graph.values():
        if each.type.startswith("kubernetes:"):
            metadata = each.inputs["metadata"]
            assert metadata["labels"]["app.kubernetes.io/instance"] == "test"
            whole_cluster = each.type.endswith((":Namespace", ":PriorityClass"))
            assert metadata.get("namespace") == (None if whole_cluster else "mine"), each.key
            assert not whole_cluster or metadata["name"].startswith("mine")


@pytest.mark.parametrize("priority", list(Priority))
def test_what_gives_way_first_is_the_stacks_to_say(priority: Priority) -> None:
    graph = placed(replace(SERVING, priority=priority))
    pod = one(graph, "Deployment", "some")["spec"]["template"]["spec"]
    assert pod["priorityClassName"] == one(graph, "PriorityClass", priority.value)["metadata"]["name"]


def test_data_outlasts_serving_outlasts_batch() -> None:
    graph = placed()
    values = [one(graph, "PriorityClass", name)["value"] for name in ("data", "serving", "batch")]
    assert values == sorted(values, reverse=True)
    assert one(graph, "PriorityClass", "batch")["preemptionPolicy"] == "Never"


def test_a_scaled_service_has_one_writer_of_its_replica_count() -> None:
    graph = placed(replace(SERVING, scaling=AutoscalingSettings(min_replicas=2, max_replicas=9)))
    workload = graph["kubernetes:apps/v1:Deployment::some"]
    assert workload.inputs["spec"]["replicas"] == 2, "a new one starts with them"
    assert workload.ignore_changes == ("spec.replicas",), "and the autoscaler has the count from then on"
    scaler = one(graph, "ScaledObject", "some")["spec"]
    assert (scaler["minReplicaCount"], scaler["maxReplicaCount"]) == (2, 9)
    assert scaler["scaleTargetRef"]["name"] == one(graph, "Deployment", "some")["metadata"]["name"]
    fixed = placed(SERVING)["kubernetes:apps/v1:Deployment::some"]
    assert (fixed.inputs["spec"]["replicas"], fixed.ignore_changes) == (1, ())


def test_secrets_stand_in_no_object_but_their_own() -> None:
    graph = placed(replace(SERVING, secrets={"password": "hunter2"}))
    for each in graph.values():
        assert "hunter2" not in list(strings(each.inputs)), each.key
    assert one(graph, "Secret", "some")["stringData"] == SECRET


def test_gpus_are_asked_for_by_the_name_that_the_pool_gives_them() -> None:
    def limits(**args: Any) -> dict[str, str]:
        service = replace(SERVING, node_pool="big", limits=Limits(64, 1, gpus=2))
        (container,) = one(placed(service, **args), "Deployment", "some")["spec"]["template"]["spec"][
            "containers"
        ]
        assert container["resources"]["requests"] == container["resources"]["limits"]
        return dict(container["resources"]["limits"])

    assert limits()["nvidia.com/gpu"] == "2"
    assert limits(gpu_resource={"big": "nvidia.com/mig-1g.10gb"})["nvidia.com/mig-1g.10gb"] == "2"


def test_an_address_is_listed_twice_so_that_a_request_has_a_second_try() -> None:
    made: list[Placed] = []
    placed(replace(SERVING, fixed_address=True, replicas=5), replace(SERVING, name="other"), then=made.append)
    assert [list(each.addresses) for each in made] == [["some", "some"], []]


def test_each_replica_behind_one_address_can_be_found_too() -> None:
    graph = placed(replace(SERVING, fixed_address=True, headless=True))
    assert one(graph, "Service", "some-each")["spec"]["clusterIP"] == "None"
    assert kinds(placed(replace(SERVING, fixed_address=True)), "some-each") == set()


def test_a_stack_on_docker_loads_nothing_of_kubernetes() -> None:
    program = "import sys, components.platform; sys.exit('pulumi_kubernetes' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
