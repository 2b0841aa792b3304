"""The whole graph: its golden, and what holds for every resource in it."""

import json
import re
import runpy
import shutil
import tomllib
from importlib.metadata import version
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks

from components.service import CONFIG_DIR, SECRETS_DIR
from tests.components.conftest import (
    CARRIER,
    CONTAINER,
    IMAGE,
    JOBS,
    NETWORK,
    SECRET,
    VOLUME,
    Graph,
    Plan,
    Recorder,
    strings,
    without_tags,
)
from tests.conftest import Golden

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden" / "local.json"
CONTAINERS = [
    "alertmanager-1",
    "autoscaler-1",
    "edge-1",
    "exporter-machine-1",
    "exporter-pgbouncer-1",
    "exporter-postgres-1",
    "exporter-probe-1",
    "exporter-redis-1",
    "gateway-1",
    "gateway-2",
    "migrations-1",
    "models-1",
    "pgbouncer-1",
    "postgres-1",
    "prometheus-1",
    "redis-1",
    "worker-1",
    "worker-2",
]
SERVERS = [name for name in CONTAINERS if name not in JOBS]


def as_golden(graph: Graph) -> str:
    """Return the graph as sorted JSON, without the rendered files: they have goldens of their own."""
    shown = {}
    for key, one in sorted(graph.items()):
        inputs = json.loads(json.dumps(one.inputs))
        for upload in inputs.get("uploads", []):
            upload["content"] = SECRET if upload["content"] == SECRET else "[rendered]"
        for label in inputs.get("labels", []):
            if label["label"] == "ollamamax.files":
                label["value"] = "DIGEST"
        shown[key] = {
            "parent": one.parent,
            "dependsOn": one.depends_on,
            "deleteBeforeReplace": one.delete_before_replace,
            "inputs": inputs,
        }
    return without_tags(json.dumps(shown, indent=2, sort_keys=True, ensure_ascii=False)) + "\n"


def changed(before: Graph, after: Graph) -> set[str]:
    """Return the keys of what one graph has and the other has not, or has otherwise."""
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def test_the_local_stack_is_the_recorded_one(local: Graph, golden: Golden) -> None:
    golden(GOLDEN, as_golden(local))


def test_two_runs_give_the_same_graph(local: Graph, plan: Plan) -> None:
    assert changed(local, plan()) == set()


def test_every_resource_belongs_to_a_component(local: Graph) -> None:
    outermost = [key for key, one in local.items() if not one.parent]
    assert outermost == ["ollamamax:index:Platform::platform"]
    for one in local.values():
        assert not one.parent or one.parent.startswith("ollamamax:index:"), one.key


def test_the_graph_has_the_containers_of_the_design(local: Graph) -> None:
    assert [one.name for one in local.containers] == CONTAINERS


def test_labels_carry_service_stack_and_urn(local: Graph) -> None:
    labelled = [*local.of_type(CONTAINER), *local.of_type(VOLUME), *local.of_type(NETWORK)]
    assert len(labelled) > len(CONTAINERS)
    for one in labelled:
        service = "network" if one.type == NETWORK else re.sub(r"-(\d.*|files)$", "", one.name)
        labels = {key: value for key, value in one.labels.items() if key != "ollamamax.files"}
        assert labels == {
            "ollamamax.service": service,
            "ollamamax.stack": "local",
            "ollamamax.urn": one.urn,
        }


def test_containers_are_named_after_stack_service_and_number(local: Graph) -> None:
    for one in local.containers:
        assert one.inputs["name"] == f"ollamamax-local-{one.name}"
        assert one.inputs["hostname"] == one.name


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_can_do_no_more_than_it_must(local: Graph, name: str) -> None:
    inputs = local.container(name).inputs
    assert inputs["readOnly"] is True
    assert inputs["capabilities"] == {"drops": ["ALL"]}
    assert inputs["securityOpts"] == ["no-new-privileges:true"]
    assert "privileged" not in inputs
    user, _, group = inputs["user"].partition(":")
    assert int(user) >= 10_000, "a number, so that no image can make it root"
    assert group == "0"


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_takes_no_more_than_its_share(local: Graph, name: str) -> None:
    inputs = local.container(name).inputs
    assert inputs["memory"] >= 16
    assert inputs["memorySwap"] == inputs["memory"], "no swap on top"
    assert float(inputs["cpus"]) > 0
    (files,) = inputs["ulimits"]
    assert files["name"] == "nofile"
    assert files["soft"] == files["hard"] > 0
    assert inputs["logDriver"] == "json-file"
    assert inputs["logOpts"] == {"max-file": "3", "max-size": "10m"}
    assert all("size=" in options for options in inputs.get("tmpfs", {}).values())


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_is_watched_and_restarted(local: Graph, name: str) -> None:
    inputs = local.container(name).inputs
    assert inputs["healthcheck"]["tests"][0] == "CMD"
    assert len(inputs["healthcheck"]["tests"]) > 1
    assert inputs["wait"] is True, "what comes after it starts once it is healthy"
    assert inputs["restart"] == "unless-stopped"
    assert inputs["mustRun"] is True
    assert inputs["destroyGraceSeconds"] == inputs["stopTimeout"] >= 10


@pytest.mark.parametrize("name", sorted(JOBS))
def test_a_job_runs_to_completion_once(local: Graph, name: str) -> None:
    inputs = local.container(name).inputs
    assert "healthcheck" not in inputs
    assert inputs["attach"] is True, "the update waits for its end"
    assert inputs["logs"] is True, "its output explains a failure"
    assert inputs["restart"] == "no"
    assert inputs["mustRun"] is False


def test_only_the_edge_is_published_beyond_loopback(local: Graph) -> None:
    published = {
        (one.name, port["external"], port["protocol"], port["ip"])
        for one in local.containers
        for port in one.inputs.get("ports", [])
    }
    assert published == {
        ("edge-1", 8443, "tcp", "0.0.0.0"),  # noqa: S104
        ("edge-1", 8443, "udp", "0.0.0.0"),  # noqa: S104
        ("alertmanager-1", 9093, "tcp", "127.0.0.1"),
        ("prometheus-1", 9091, "tcp", "127.0.0.1"),
    }
    for one in local.containers:
        assert "publishAllPorts" not in one.inputs
        assert one.inputs.get("networkMode", "") == ""


def test_a_stack_may_keep_its_edge_on_loopback(plan: Plan) -> None:
    graph = plan(docker={"edgeAddress": "127.0.0.1"})
    addresses = {port["ip"] for one in graph.containers for port in one.inputs.get("ports", [])}
    assert addresses == {"127.0.0.1"}


def test_no_secret_stands_in_plain_inputs(local: Graph) -> None:
    for one in local.values():
        leaked = [text for text in strings(one.inputs) if "SECRET-" in text]
        assert leaked == [], f"{one.key} shows a generated secret"


def test_secrets_reach_containers_as_files_only(local: Graph) -> None:
    for one in local.containers:
        assert SECRET not in list(strings(one.inputs)), "environments and command lines can be read by others"
    for one in local.carriers:
        for upload in one.inputs["uploads"]:
            secret = upload["file"].startswith(f"{SECRETS_DIR}/")
            assert upload["permissions"] == ("0440" if secret else "0444")
            assert secret or upload["content"] != SECRET, f"{upload['file']} is a secret that all can read"


@pytest.mark.parametrize(
    ("service", "secrets"),
    [
        ("alertmanager", {"tls.key", "prometheus-password", "web.yml"}),
        ("edge", {"tls.pem"}),
        ("exporter-machine", set()),
        ("exporter-pgbouncer", {"database-password"}),
        ("exporter-postgres", {"database-password"}),
        ("exporter-probe", set()),
        ("exporter-redis", {"redis-password"}),
        ("gateway", {"database-password", "redis-password"}),
        ("migrations", {"api-key", "database-password", "redis-password"}),
        ("models", set()),
        ("pgbouncer", {"tls.key", "userlist.txt"}),
        ("postgres", {"tls.key", "database-password", "superuser-password"}),
        ("prometheus", {"tls.key", "prometheus-password", "web.yml"}),
        ("redis", {"tls.key", "redis.conf"}),
        ("worker", set()),
    ],
)
def test_a_service_holds_the_secrets_it_needs_and_no_others(
    local: Graph, service: str, secrets: set[str]
) -> None:
    found = {Path(file).name for file, content in local.files(service).items() if content == SECRET}
    assert found == secrets


def test_things_start_in_the_order_in_which_they_need_each_other(local: Graph) -> None:
    def needs(name: str) -> set[str]:
        return {
            key.rpartition("::")[2]
            for key in local.container(name).depends_on
            if key.startswith(CONTAINER) and not key.endswith(CARRIER)
        }

    assert {name: needs(name) for name in CONTAINERS} == {
        "alertmanager-1": set(),
        "autoscaler-1": set(),
        "edge-1": {"gateway-1", "gateway-2"},
        "exporter-machine-1": set(),
        "exporter-pgbouncer-1": {"pgbouncer-1"},
        "exporter-postgres-1": set(),
        "exporter-probe-1": set(),
        "exporter-redis-1": set(),
        "gateway-1": {"migrations-1", "models-1", "pgbouncer-1"},
        "gateway-2": {"gateway-1", "migrations-1", "models-1", "pgbouncer-1"},
        "migrations-1": {"postgres-1", "redis-1"},
        "models-1": {"worker-1", "worker-2"},
        "pgbouncer-1": {"postgres-1"},
        "postgres-1": set(),
        "prometheus-1": set(),
        "redis-1": set(),
        "worker-1": set(),
        "worker-2": {"worker-1"},
    }


def test_two_stacks_with_other_names_and_numbers_share_nothing_but_images(local: Graph, plan: Plan) -> None:
    other = plan(stack="other", portOffset=100, docker={"subnet": "172.16.85.0/24"})

    def taken(graph: Graph) -> dict[str, set[Any]]:
        made = [*graph.of_type(CONTAINER), *graph.of_type(VOLUME), *graph.of_type(NETWORK)]
        return {
            "names": {one.inputs["name"] for one in made},
            "ports": {
                (port["protocol"], port["external"])
                for one in graph.containers
                for port in one.inputs.get("ports", [])
            },
            "addresses": {
                network["ipv4Address"]
                for one in graph.containers
                for network in one.inputs["networksAdvanced"]
                if "ipv4Address" in network
            },
            "networks": {
                network["name"] for one in graph.containers for network in one.inputs["networksAdvanced"]
            },
        }

    ours, theirs = taken(local), taken(other)
    for kind, values in ours.items():
        assert values, kind
        assert not values & theirs[kind], f"both stacks take these {kind}"
        assert len(values) == len(theirs[kind])
    (network,) = other.of_type(NETWORK)
    (ipam,) = network.inputs["ipamConfigs"]
    assert not IPv4Network(ipam["subnet"]).overlaps(IPv4Network("172.16.84.0/24"))
    assert [one.inputs for one in local.of_type(IMAGE)] == [one.inputs for one in other.of_type(IMAGE)]


def test_the_offset_reaches_what_clients_are_told(plan: Plan) -> None:
    conf = plan(portOffset=100).files("edge")[f"{CONFIG_DIR}/nginx.conf"]
    assert 'h3=":8543"' in conf
    assert "listen 8443 quic" in conf, "inside, the port stays"


@pytest.fixture
def sources(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the images' sources, which the program takes for the real ones."""
    shutil.copytree(images / "docker", tmp_path / "docker")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "docker"


@pytest.mark.parametrize(
    ("image", "containers"),
    [
        ("gateway", {"gateway-1", "gateway-2", "gateway-files", "migrations-1", "migrations-files"}),
        ("ollama", {"models-1", "worker-1", "worker-2"}),
        ("edge", {"edge-1", "edge-files"}),
    ],
)
def test_a_changed_source_changes_its_image_and_its_containers(
    sources: Path, plan: Plan, image: str, containers: set[str]
) -> None:
    before = plan()
    dockerfile = sources / image / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text() + "# changed\n")
    after = plan()
    assert changed(before, after) == {f"{IMAGE}::{image}"} | {f"{CONTAINER}::{name}" for name in containers}
    for name in containers:
        old, new = before.container(name).inputs, after.container(name).inputs
        assert {key for key in old if old[key] != new[key]} == {"image"}


@pytest.mark.parametrize(
    ("settings", "containers"),
    [
        ({"pool": {"defaultPoolSize": 30}}, {"pgbouncer-1", "pgbouncer-files"}),
        ({"cache": {"maxClients": 500}}, {"redis-1", "redis-files"}),
        ({"edge": {"compression": {"brotliLevel": 5}}}, {"edge-1", "edge-files"}),
        (
            {"gateway": {"readTimeoutS": 6}},
            {"gateway-1", "gateway-2", "gateway-files", "migrations-1", "migrations-files"},
        ),
        ({"gateway": {"goGc": 100}}, {"gateway-1", "gateway-2"}),
        ({"worker": {"keepAliveS": 60}}, {"worker-1", "worker-2"}),
        (  # how much a worker does at once, the gateways have to know, and the forecaster
            {"worker": {"parallel": 2}},
            {
                *("worker-1", "worker-2", "gateway-1", "gateway-2", "gateway-files"),
                *("migrations-1", "migrations-files", "autoscaler-1", "autoscaler-files"),
            },
        ),
        (  # which of them a worker always has in memory, too
            {"models": ["tiny"]},
            {*("models-1", "gateway-1", "gateway-2", "gateway-files"), *("migrations-1", "migrations-files")},
        ),
        ({"monitoring": {"retentionHours": 240}}, {"prometheus-1"}),
        ({"database": {"workMemMib": 8}}, {"postgres-1", "postgres-files"}),
    ],
    ids=lambda given: str(given if isinstance(given, dict) else sorted(given)),
)
def test_a_changed_setting_changes_what_it_is_about(
    local: Graph, plan: Plan, settings: dict[str, Any], containers: set[str]
) -> None:
    # The platform's own inputs are the numbers that policies hold it to; nothing depends on them.
    different = changed(local, plan(**settings)) - {"ollamamax:index:Platform::platform"}
    assert different == {f"{CONTAINER}::{name}" for name in containers}


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run the program itself and return what it exports."""
    monkeypatch.chdir(ROOT)
    outputs: dict[str, Any] = {}
    monkeypatch.setattr(pulumi, "export", outputs.__setitem__)
    recorder = Recorder()
    mocks.set_mocks(recorder.mocks, project="ollamamax", stack="local", monitor=recorder)
    pulumi.runtime.set_all_config({"ollamamax:target": "docker", "ollamamax:portOffset": "100"})

    async def known(value: Any) -> tuple[Any, bool]:
        output: pulumi.Output[Any] = pulumi.Output.from_input(value)
        return await output.future(), await output.is_secret()

    settled: dict[str, Any] = {}

    def run() -> pulumi.Output[None]:
        runpy.run_path("__main__.py", run_name="__main__")

        async def settle() -> None:
            for name, value in outputs.items():
                settled[name] = await known(value)

        return pulumi.Output.from_input(settle())

    pulumi.runtime.test(run)()  # type: ignore[no-untyped-call]
    return settled


def test_the_program_exports_what_a_client_needs(exported: dict[str, Any]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert exported == {
        "url": ("https://localhost:8543", False),
        "version": (project["version"], False),
        "caCertificate": ("CERTIFICATE ca", False),
        "apiKey": ("omx-SECRET-api-key", True),
        "dashboards": (
            {
                "alertmanager": "https://localhost:9193",
                "prometheus": "https://localhost:9191",
                "user": "prometheus",
                "password": "SECRET-monitoring-password",
            },
            True,
        ),
    }


def test_every_resource_asks_for_the_provider_that_its_sdk_is_made_for(local: Graph, cloud: Graph) -> None:
    asked = {one.key: one for graph in (local, cloud) for one in graph.values()}
    for key, one in asked.items():
        package = one.type.removeprefix("pulumi:providers:").partition(":")[0]
        if package not in ("ollamamax", "pulumi"):
            assert one.version == version(f"pulumi-{package}"), key
