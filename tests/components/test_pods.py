"""The pods of a service."""

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import pods
from components.service import CONFIG_DIR, Limits, Port, Probe, Service, Stop, Switches, Volume
from stacks.kubernetes import AutoscalingSettings, KubernetesSettings
from tests.components.conftest import ROOT, Graph
from tests.components.placing import SERVICES, SOME

PLACEMENT = pods.Placement(
    stack="test",
    image="image",
    priority_class="ollamamax-serving",
    gpu_resource=pods.GPU,
    spot=False,
    files=None,
    settings=KubernetesSettings(),
)
CHECK = Probe(("check",), interval_s=2, timeout_s=3, retries=5, start_period_s=61)
LOADED = Probe(("models-ready",), interval_s=10, timeout_s=9, retries=3)


def spec(service: Service, **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = pods.pod_template(service, replace(PLACEMENT, **changes))["spec"]
    return found


def container(service: Service, **changes: Any) -> dict[str, Any]:
    (found,) = spec(service, **changes)["containers"]
    return dict(found)


@given(SERVICES)
def test_any_service_gives_a_pod_that_the_restricted_standard_admits(service: Service) -> None:
    pod = spec(service)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & set(pod)
    for each in pod["containers"]:
        assert each["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }
    kinds = {kind for volume in pod["volumes"] for kind in volume if kind != "name"}
    assert kinds <= {"emptyDir", "persistentVolumeClaim", "ephemeral", "projected", "csi"}


@given(SERVICES)
def test_any_service_mounts_volumes_that_its_pod_has(service: Service) -> None:
    pod = spec(service, files={"projected": {"sources": []}})
    claims = [] if service.runs_to_completion else [one.name for one in pods.own_volumes(service)]
    names = [volume["name"] for volume in pod["volumes"]] + claims
    mounts = pod["containers"][0]["volumeMounts"]
    assert sorted(names) == sorted({mount["name"] for mount in mounts})
    paths = [mount["mountPath"] for mount in mounts]
    assert len(paths) == len(set(paths))


@given(SERVICES)
def test_any_service_names_its_ports_uniquely_and_as_the_api_allows(service: Service) -> None:
    names = [port["name"] for port in container(service).get("ports", [])]
    assert len(names) == len(set(names)) == len(service.ports)
    for name in names:
        assert len(name) <= 15
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name)


@given(st.floats(0.1, 256))
def test_any_number_of_cores_is_written_as_the_api_writes_it(cpus: float) -> None:
    text = pods.cores(cpus)
    millis = int(text[:-1]) if text.endswith("m") else int(text) * 1000
    assert abs(millis - cpus * 1000) <= 0.5
    assert not text.endswith("000m"), "the API would write it as whole cores, a difference in every plan"


@given(st.integers(1, 2**40))
def test_any_size_is_written_in_its_largest_unit(size: int) -> None:
    text = pods.mebibytes(size)
    number, unit = int(text[:-2]), ("Mi", "Gi", "Ti", "Pi").index(text[-2:])
    assert number * 1024**unit == size
    assert number % 1024 or unit == 3, "the API would write a larger unit, a difference in every plan"


def test_a_pod_is_promised_all_that_it_may_use() -> None:
    resources = container(replace(SOME, limits=Limits(100, 1.5, gpus=1)))["resources"]
    assert resources["limits"] == {
        "cpu": "1500m",
        "memory": "100Mi",
        "ephemeral-storage": "1Gi",
        "nvidia.com/gpu": "1",
    }
    assert resources["requests"] == resources["limits"]


def test_secrets_can_be_read_by_the_group_that_every_service_has() -> None:
    context = spec(SOME)["securityContext"]
    assert context["runAsGroup"] == context["fsGroup"] == 0
    assert context["fsGroupChangePolicy"] == "OnRootMismatch"


def test_a_model_may_load_for_as_long_as_the_stack_says_before_any_probe_counts() -> None:
    probes = container(
        replace(SOME, probe=CHECK, ready=LOADED), settings=KubernetesSettings(startup_timeout_s=905)
    )
    startup = probes["startupProbe"]
    assert startup["exec"] == {"command": ["models-ready"]}
    assert 905 <= startup["periodSeconds"] * startup["failureThreshold"] < 905 + startup["periodSeconds"]
    assert probes["readinessProbe"]["exec"] == {"command": ["models-ready"]}
    assert probes["livenessProbe"]["exec"] == {"command": ["check"]}


def test_a_service_without_models_has_its_own_start_period() -> None:
    startup = container(replace(SOME, probe=CHECK))["startupProbe"]
    assert startup["exec"] == {"command": ["check"]}
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 61


@given(SERVICES)
def test_no_service_is_killed_before_it_has_been_left_alone_for_a_while(service: Service) -> None:
    probes = container(service)
    if "livenessProbe" not in probes:
        assert service.probe is None
        return
    until_killed = probes["livenessProbe"]["periodSeconds"] * probes["livenessProbe"]["failureThreshold"]
    assert until_killed >= 60
    assert probes["livenessProbe"]["exec"]["command"] == list(service.probe.command if service.probe else ())


@pytest.mark.parametrize(("spot", "grace"), [(False, 625), (True, 105)])
def test_a_stream_may_end_unless_the_node_goes_first(spot: bool, grace: int) -> None:
    service = replace(SOME, stop=Stop(grace_s=625, before=("drain", "600")))
    assert spec(service, spot=spot)["terminationGracePeriodSeconds"] == grace
    assert container(service)["lifecycle"] == {"preStop": {"exec": {"command": ["drain", "600"]}}}


def test_a_short_stop_is_as_short_on_spot() -> None:
    assert spec(replace(SOME, stop=Stop(grace_s=20)), spot=True)["terminationGracePeriodSeconds"] == 20


def test_images_stop_by_the_signal_that_their_services_ask_for(local: Graph) -> None:
    """A pod does not name the signal: its image does."""
    for one in local.containers:
        image = one.inputs["image"].partition(":")[0].removeprefix("ollamamax-")
        dockerfile = (ROOT / "docker" / image / "Dockerfile").read_text()
        named = re.findall(r"^STOPSIGNAL (\S+)$", dockerfile, re.MULTILINE) or ["SIGTERM"]
        assert [one.inputs["stopSignal"]] == named, one.name


@pytest.mark.parametrize(
    ("mode", "unsatisfiable"), [("required", "DoNotSchedule"), ("preferred", "ScheduleAnyway")]
)
def test_replicas_are_spread_over_zones_and_nodes(mode: str, unsatisfiable: str) -> None:
    settings = KubernetesSettings(zone_spread=mode)  # type: ignore[arg-type]
    pod = spec(replace(SOME, replicas=2), settings=settings)
    found = {one["topologyKey"]: one["whenUnsatisfiable"] for one in pod["topologySpreadConstraints"]}
    assert found == {
        "topology.kubernetes.io/zone": unsatisfiable,
        "kubernetes.io/hostname": "ScheduleAnyway",
    }
    assert "topologySpreadConstraints" not in spec(SOME, settings=settings)


@pytest.mark.parametrize("scaling", [None, AutoscalingSettings()])
def test_not_every_replica_needs_a_node_of_its_own(scaling: AutoscalingSettings | None) -> None:
    pod = spec(replace(SOME, replicas=2, scaling=scaling))
    skews = {one["topologyKey"]: one["maxSkew"] for one in pod["topologySpreadConstraints"]}
    assert skews == {"topology.kubernetes.io/zone": 1, "kubernetes.io/hostname": 3}


def test_a_pool_is_the_only_place_for_its_pods_and_no_place_for_others() -> None:
    pod = spec(replace(SOME, node_pool="big"))
    assert pod["nodeSelector"] == {"ollamamax.io/pool": "big"}
    assert {(one["key"], one.get("value")) for one in pod["tolerations"]} == {
        ("nvidia.com/gpu", None),
        ("ollamamax.io/pool", "big"),
    }
    assert not {"nodeSelector", "tolerations"} & set(spec(SOME))


def test_pods_that_share_a_disk_share_its_node() -> None:
    service = replace(SOME, replicas=3, volumes=(Volume("models", "/models", shared=True, read_only=True),))
    disk = KubernetesSettings.model_validate({"modelStore": {"access": "ReadWriteOnce"}})
    template = pods.pod_template(service, replace(PLACEMENT, settings=disk))
    (together,) = template["spec"]["affinity"]["podAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]
    assert together["topologyKey"] == "kubernetes.io/hostname"
    labels = template["metadata"]["labels"]
    assert together["labelSelector"]["matchLabels"].items() <= labels.items()
    assert "topologySpreadConstraints" not in template["spec"]
    assert "affinity" not in spec(service)


def test_a_job_works_on_a_disk_that_goes_with_it() -> None:
    job = replace(SOME, runs_to_completion=True, volumes=(Volume("work", "/work", size_gib=40),))
    pod = spec(job, settings=KubernetesSettings(storage_class="fast"))
    (work,) = [volume for volume in pod["volumes"] if volume["name"] == "work"]
    claim = work["ephemeral"]["volumeClaimTemplate"]["spec"]
    assert claim["resources"]["requests"]["storage"] == "40Gi"
    assert claim["storageClassName"] == "fast"
    assert pod["restartPolicy"] == "Never"


def test_scratch_space_is_memory_with_an_end() -> None:
    pod = spec(replace(SOME, scratch={"/tmp": 64, "/home": 16}))  # noqa: S108 - in the container
    sizes = {volume["emptyDir"]["medium"]: volume["emptyDir"]["sizeLimit"] for volume in pod["volumes"]}
    assert set(sizes) == {"Memory"}
    paths = {mount["mountPath"]: mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    limits = {volume["name"]: volume["emptyDir"]["sizeLimit"] for volume in pod["volumes"]}
    assert {path: limits[name] for path, name in paths.items()} == {"/tmp": "64Mi", "/home": "16Mi"}  # noqa: S108


def test_switches_are_a_config_map_that_need_not_be_there() -> None:
    pod = spec(replace(SOME, switches=Switches("/told", "some-told")))
    (volume,) = [one for one in pod["volumes"] if "configMap" in one]
    assert volume["configMap"] == {"name": "some-told", "optional": True}
    mount = {"name": volume["name"], "mountPath": "/told", "readOnly": True}
    assert mount in pod["containers"][0]["volumeMounts"], "whole: of a file alone pods get no change"


def test_files_are_mounted_where_services_look_for_them() -> None:
    mounts = container(replace(SOME, ports=(Port(80),)), files={"projected": {"sources": []}})["volumeMounts"]
    assert {"name": "files", "mountPath": CONFIG_DIR, "readOnly": True} in mounts
