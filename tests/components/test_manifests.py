"""What surrounds the pods of a service."""

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from components import manifests, pods
from components.service import Exposure, Limits, Port, Service, Stop
from stacks.kubernetes import AutoscalingSettings, KubernetesSettings, WorkerAutoscalingSettings
from tests.components.placing import SERVICES, SOME

SETTINGS = KubernetesSettings()
PUBLIC = tuple(Port(8443, protocol, published=443, exposure=Exposure.PUBLIC) for protocol in ("tcp", "udp"))
SCALED = replace(SOME, scaling=AutoscalingSettings())
TEMPLATE = {"metadata": {"labels": pods.selector("some", "test")}, "spec": {}}


@given(SERVICES)
def test_any_service_is_found_by_selectors_that_match_its_pods_and_no_others(service: Service) -> None:
    labels = pods.selector(service.name, "test")
    others = [pods.selector(service.name, "other"), pods.selector(f"{service.name}-2", "test")]
    selectors = [
        manifests.deployment(service, "test", TEMPLATE, 60)["selector"]["matchLabels"],
        manifests.stateful_set(service, "test", TEMPLATE, SETTINGS)["selector"]["matchLabels"],
        manifests.cluster_service(service, "test", SETTINGS)["selector"],
        manifests.disruption_budget(service, "test")["selector"]["matchLabels"],
    ]
    for selector in selectors:
        assert selector.items() <= labels.items()
        assert not any(selector.items() <= other.items() for other in others)


@given(SERVICES)
def test_any_service_has_a_port_there_for_each_of_its_ports(service: Service) -> None:
    ports = manifests.cluster_service(service, "test", SETTINGS)["ports"]
    names = [port["name"] for port in ports]
    assert len(names) == len(set(names))
    # One that is reached from outside has no port for the platform's own parts.
    shown = [port for port in service.ports if manifests.is_public(port)] or service.ports
    assert {port["targetPort"] for port in ports} == {pods.port_name(port) for port in shown}


@pytest.mark.parametrize("kind", ["LoadBalancer", "NodePort", "ClusterIP"])
def test_public_ports_are_published_as_the_stack_says_tcp_and_udp_alike(kind: str) -> None:
    settings = KubernetesSettings(edge_service=kind)  # type: ignore[arg-type]
    spec = manifests.cluster_service(replace(SOME, ports=PUBLIC), "test", settings)
    assert spec["type"] == kind
    assert {(port["protocol"], port["port"], port["targetPort"]) for port in spec["ports"]} == {
        ("TCP", 443, "tcp-8443"),
        ("UDP", 443, "udp-8443"),
    }
    assert (spec.get("externalTrafficPolicy") == "Local") == (kind == "LoadBalancer")


def test_what_is_published_on_loopback_stays_inside() -> None:
    settings = KubernetesSettings(edge_service="LoadBalancer")
    spec = manifests.cluster_service(replace(SOME, ports=(Port(9090, published=9091),)), "test", settings)
    assert spec["type"] == "ClusterIP"
    assert spec["ports"][0]["port"] == 9090


def test_clients_that_choose_for_themselves_see_every_replica() -> None:
    service = replace(SOME, headless=True, ports=(Port(80),))
    assert manifests.cluster_service(service, "test", SETTINGS) == manifests.each(service, "test")
    assert manifests.each(service, "test")["clusterIP"] == "None"
    assert "clusterIP" not in manifests.cluster_service(SOME, "test", SETTINGS)


def test_a_service_with_one_fixed_address_has_its_replicas_beside_it() -> None:
    service = replace(SOME, headless=True, fixed_address=True, ports=(Port(80),))
    spec = manifests.cluster_service(service, "test", SETTINGS)
    assert spec["type"] == "ClusterIP"
    assert "clusterIP" not in spec


def test_an_autoscaled_service_starts_with_its_fewest_replicas() -> None:
    scaled = replace(SOME, scaling=AutoscalingSettings(min_replicas=4), replicas=2)
    assert manifests.deployment(scaled, "prod", TEMPLATE, 100)["replicas"] == 4
    assert manifests.deployment(replace(SOME, replicas=2), "prod", TEMPLATE, 100)["replicas"] == 2


def test_a_service_that_may_have_no_replicas_starts_with_one() -> None:
    idle = replace(SOME, scaling=WorkerAutoscalingSettings(min_replicas=0))
    assert manifests.deployment(idle, "prod", TEMPLATE, 100)["replicas"] == 1


def test_a_rollout_starts_a_new_replica_before_an_old_one_goes() -> None:
    assert manifests.rolling_update(SOME) == {"maxSurge": "25%", "maxUnavailable": 0}


def test_a_rollout_needs_no_gpu_that_is_not_there_unless_it_would_stop_the_service() -> None:
    gpu = Limits(64, 1, gpus=1)
    assert manifests.rolling_update(replace(SCALED, limits=gpu)) == {"maxSurge": 0, "maxUnavailable": "10%"}
    alone = AutoscalingSettings(min_replicas=1, max_replicas=3)
    for service in (replace(SOME, limits=gpu), replace(SOME, limits=gpu, scaling=alone)):
        assert manifests.rolling_update(service) == {"maxSurge": 1, "maxUnavailable": "50%"}


@given(least=st.integers(0, 1), most=st.integers(1, 1000))
@example(least=1, most=3)
def test_a_rollout_goes_on_in_a_full_pool_and_never_takes_the_only_worker(least: int, most: int) -> None:
    scaling = WorkerAutoscalingSettings(min_replicas=least, max_replicas=most)
    strategy = manifests.rolling_update(replace(SOME, limits=Limits(64, 1, gpus=1), scaling=scaling))
    percent = int(strategy["maxUnavailable"].removesuffix("%"))

    def gone(running: int) -> int:
        return percent * running // 100  # as the controller of Deployments rounds

    assert strategy["maxSurge"] == 1
    assert gone(1) == 0, "its successor comes first"
    if most > 1:
        assert 1 <= gone(most) <= max(1, most // 10), "no node is left for the successor"


def test_a_rollout_is_given_up_only_after_a_node_a_load_and_a_drain() -> None:
    settings = KubernetesSettings(startup_timeout_s=900)
    service = replace(SOME, probe=None, ready=None, stop=Stop(grace_s=625))
    assert manifests.standstill_s(service, settings, spot=False) == 600 + 625
    spec = manifests.deployment(service, "test", TEMPLATE, 1225)
    assert spec["progressDeadlineSeconds"] == 1225


def test_a_whole_rollout_may_take_as_many_standstills_as_it_has_steps() -> None:
    assert manifests.rollout_s(replace(SOME, replicas=3), 100) == 300
    assert manifests.rollout_s(SCALED, 100) == 1000


def test_a_job_stays_when_it_has_ended_and_gives_up_at_some_point() -> None:
    spec = manifests.job(replace(SOME, retries=2), TEMPLATE)
    assert "ttlSecondsAfterFinished" not in spec
    assert spec["backoffLimit"] == 2
