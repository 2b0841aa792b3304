"""How the docker target places a service."""

import re

import pulumi
import pytest

from components.service import CONFIG_DIR
from tests.components.conftest import CARRIER, CONTAINER, IMAGE, JOBS, NETWORK, VOLUME, Graph, Plan


def test_a_container_takes_its_files_from_a_volume_that_it_cannot_write(local: Graph) -> None:
    carried = {one.name.removesuffix(CARRIER) for one in local.carriers}
    assert sorted(carried) == [
        "alertmanager", "autoscaler", "edge",
        "exporter-pgbouncer", "exporter-postgres", "exporter-probe", "exporter-redis",
        "gateway", "migrations", "pgbouncer", "postgres", "prometheus", "redis",
    ]  # fmt: skip
    for one in local.containers:
        service = one.name.rpartition("-")[0]
        mounts = {volume["containerPath"]: volume for volume in one.inputs.get("volumes", [])}
        assert (CONFIG_DIR in mounts) == (service in carried)
        if service in carried:
            name = f"ollamamax-local-{service}{CARRIER}"
            assert mounts[CONFIG_DIR] == {
                "containerPath": CONFIG_DIR,
                "volumeName": name,
                "readOnly": True,
            }
            assert local[f"{VOLUME}::{service}{CARRIER}"].inputs["name"] == name


def test_the_files_are_there_before_the_container(local: Graph) -> None:
    for one in local.containers:
        carrier = f"{CONTAINER}::{one.name.rpartition('-')[0]}{CARRIER}"
        if carrier in local:
            assert carrier in one.depends_on


def test_what_carries_files_never_runs(local: Graph) -> None:
    for one in local.carriers:
        assert one.inputs["start"] is False
        assert one.inputs["mustRun"] is False
        assert one.inputs["networkMode"] == "none"
        assert "ports" not in one.inputs
        assert all(file.startswith(f"{CONFIG_DIR}/") for file in local.files(one.name.removesuffix(CARRIER)))


def test_a_changed_file_replaces_the_containers_that_read_it(local: Graph, plan: Plan) -> None:
    after = plan(provided={"cache-password": {"result": "SECRET-another"}})
    assert replaced(local, after) == {"exporter-redis-1", "migrations-1", "redis-1"}


def test_a_file_that_is_read_anew_replaces_no_container(local: Graph, plan: Plan) -> None:
    certificates = plan(provided={name: {"certPem": "another"} for name in ("edge", "redis")})
    assert replaced(local, certificates) == {"redis-1"}
    passwords = plan(provided={"database-password": {"result": "SECRET-another"}})
    assert replaced(local, passwords) == {
        "exporter-pgbouncer-1", "exporter-postgres-1", "migrations-1", "pgbouncer-1", "postgres-1",
    }  # fmt: skip


def replaced(before: Graph, after: Graph) -> set[str]:
    """Return the containers whose files are not what they were."""
    return {
        one.name
        for one in before.containers
        if one.labels.get("ollamamax.files") != after.container(one.name).labels.get("ollamamax.files")
    }


def test_the_label_that_changes_with_the_files_tells_nothing_about_them(local: Graph) -> None:
    for one in local.containers:
        digest = one.labels.get("ollamamax.files", "0" * 12)
        assert re.fullmatch(r"[0-9a-f]{12}", digest)


def test_every_image_is_built_once_and_tagged_with_its_content(local: Graph) -> None:
    images = {one.name: one.inputs for one in local.of_type(IMAGE)}
    carried = {
        "alertmanager", "autoscaler", "edge", "exporters", "gateway", "ollama", "pgbouncer", "postgres",
        "prometheus", "redis",
    }  # fmt: skip
    assert set(images) == carried | {"console"}
    for name, inputs in images.items():
        assert re.fullmatch(f"ollamamax-{name}:[0-9a-f]{{12}}", inputs["imageName"])
        assert inputs["build"]["context"] == f"docker/{name}"
        taken = {"CONSOLE": images["console"]["imageName"]} if name == "edge" else {}
        assert inputs["build"]["args"] == {"VERSION": "0.0.0", **taken}
        assert inputs["skipPush"] is True
    used = {one.inputs["image"] for one in local.of_type(CONTAINER)}
    assert used == {images[name]["imageName"] for name in carried}


def test_the_network_gives_dynamic_addresses_from_its_upper_half_only(local: Graph, plan: Plan) -> None:
    (network,) = local.of_type(NETWORK)
    assert network.inputs["ipamConfigs"] == [
        {"subnet": "172.16.84.0/24", "gateway": "172.16.84.1", "ipRange": "172.16.84.128/25"}
    ]
    (other,) = plan(docker={"subnet": "10.1.0.0/16"}).of_type(NETWORK)
    assert other.inputs["ipamConfigs"] == [
        {"subnet": "10.1.0.0/16", "gateway": "10.1.0.1", "ipRange": "10.1.128.0/17"}
    ]


def test_every_container_is_in_the_stacks_network_under_its_own_and_its_services_name(local: Graph) -> None:
    for one in local.containers:
        (network,) = one.inputs["networksAdvanced"]
        assert network["name"] == "ollamamax-local"
        assert network["aliases"] == sorted({one.name, one.name.rpartition("-")[0]})


def test_what_holds_a_name_or_an_address_is_deleted_before_its_replacement(local: Graph) -> None:
    for one in [*local.of_type(CONTAINER), *local.of_type(NETWORK)]:
        assert one.delete_before_replace, one.key


def test_the_settings_of_the_target_reach_every_container(plan: Plan) -> None:
    graph = plan(docker={"healthWaitS": 99, "logMaxMib": 7, "openFiles": 20_000})
    for one in graph.containers:
        assert one.inputs["waitTimeout"] == 99
        assert one.inputs["logOpts"]["max-size"] == "7m"
        assert one.inputs["ulimits"] == [{"name": "nofile", "soft": 20_000, "hard": 20_000}]


@pytest.mark.parametrize("job", sorted(JOBS))
def test_a_job_that_fails_fails_the_update_with_its_own_words(plan: Plan, job: str) -> None:
    with pytest.raises(pulumi.RunError) as failed:
        plan(provided={job: {"exitCode": 3, "containerLogs": "what went wrong"}})
    name = job.removesuffix("-1")
    assert str(failed.value).startswith(f"job {name} ended with status 3: what went wrong\n")
    assert f"::{job}" in str(failed.value), "the message names what to run again"


@pytest.mark.parametrize("job", sorted(JOBS))
def test_a_job_that_succeeds_does_not(plan: Plan, job: str) -> None:
    assert plan(provided={job: {"exitCode": 0, "containerLogs": "done"}}).container(job)
