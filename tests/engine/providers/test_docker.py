# ruff: noqa: S108 - /tmp is the containers'
"""The docker package on a real daemon, against what Pulumi's own plugin recorded."""

import gc
import json
import os
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import docker
import pytest
from google.protobuf import empty_pb2

from engine.providers import PROVIDERS
from engine.providers.docker_container import _duration
from engine.values import Secret
from tests.engine.providers.harness import (
    BASE,
    CONTAINER,
    IMAGE,
    PREFIX,
    REFERENCE,
    Failed,
    Plugin,
    container,
)

PACKAGE = "docker"
NETWORK = "docker:index/network:Network"
VOLUME = "docker:index/volume:Volume"
NET = f"10.213.{os.getpid() % 256}"  # of this run: others may be under way on the same daemon
SUBNET = f"{NET}.0/25"


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port that nothing has at the moment."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def shell(id_: str, command: str) -> str:
    """What a shell in the container prints."""
    run = ["docker", "exec", id_, "sh", "-c", command]
    return subprocess.run(
        run, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    ).stdout


def test_checked_inputs_and_outputs_are_those_of_the_recorded_program(
    plugin: Plugin, daemon: docker.APIClient, recorded: dict[str, dict[str, Any]]
) -> None:
    network_inputs = plugin.check(NETWORK, {}, name=PREFIX + "backend")
    assert network_inputs["name"].startswith(PREFIX + "backend-")
    assert network_inputs | {"name": ""} == recorded[NETWORK]["inputs"] | {"name": ""}
    _, network = plugin.create(NETWORK, network_inputs)
    shown = ("driver", "ipamDriver", "scope", "__meta")
    assert {key: network[key] for key in shown} == {key: recorded[NETWORK]["outputs"][key] for key in shown}

    volume_inputs = plugin.check(VOLUME, {}, name=PREFIX + "data")
    assert volume_inputs | {"name": ""} == recorded[VOLUME]["inputs"] | {"name": ""}
    volume_id, volume = plugin.create(VOLUME, volume_inputs)
    assert volume_id == volume["name"] == volume_inputs["name"]
    assert volume["driver"] == recorded[VOLUME]["outputs"]["driver"]
    assert volume["__meta"] == recorded[VOLUME]["outputs"]["__meta"]

    want, port = recorded[CONTAINER], free_port()
    given = {
        "image": BASE,
        "command": ["sleep", "300"],
        "envs": ["MODE=reference", Secret("TOKEN=not-a-real-one")],
        "networksAdvanced": [{"name": network["name"], "aliases": ["service"]}],
        "volumes": [{"volumeName": volume["name"], "containerPath": "/data"}],
        "ports": [{"internal": 8080, "external": port, "ip": "127.0.0.1"}],
        "restart": "unless-stopped",
        "memory": 64,
        "readOnly": True,
    }
    inputs = plugin.check(CONTAINER, given, name=PREFIX + "service")
    assert isinstance(inputs["envs"], Secret)
    same = {"name", "envs", "image", "networksAdvanced", "ports", "volumes"}
    assert {k: v for k, v in inputs.items() if k not in same} == {
        k: v for k, v in want["inputs"].items() if k not in same
    }
    assert inputs["networksAdvanced"][0]["__defaults"] == []
    assert inputs["ports"][0] == want["inputs"]["ports"][0] | {"external": port}
    _, outputs = plugin.create(CONTAINER, inputs)
    assert isinstance(outputs["envs"], Secret)
    changing = {"id", "name", "envs", "image", "networkDatas", "networksAdvanced", "ports", "volumes"}
    for key in outputs.keys() - changing:
        assert outputs[key] == want["outputs"][key], key
    assert outputs["ports"] == [{"external": port, "internal": 8080, "ip": "127.0.0.1", "protocol": "tcp"}]
    assert outputs["networkDatas"][0].keys() <= want["outputs"]["networkDatas"][0].keys()
    assert plugin.changes(CONTAINER, outputs, inputs, inputs) == {"memorySwap": "delete"}, (
        "as it was recorded"
    )


def test_a_change_is_planned_as_the_plugin_planned_it(
    plugin: Plugin, recorded: dict[str, dict[str, Any]]
) -> None:
    plan = json.loads((REFERENCE / "preview-change.json").read_text())
    step = next(one for one in plan["steps"] if one["op"] == "replace")
    inputs = recorded[CONTAINER]["inputs"] | {"envs": ["MODE=reference", "TOKEN=a"]}
    olds = recorded[CONTAINER]["outputs"] | {"envs": ["MODE=reference", "TOKEN=a"]}
    news = inputs | {"memory": 96, "envs": ["MODE=changed", "TOKEN=a"]}
    wanted = {path: one["kind"] for path, one in step["detailedDiff"].items()}
    assert plugin.changes(CONTAINER, olds, inputs, news) == wanted
    answer = plugin.diff(CONTAINER, olds, inputs, news)
    assert (list(answer.replaces), list(answer.diffs)) == (step["replaceReasons"], step["diffReasons"])
    assert answer.deleteBeforeReplace
    assert not plugin.diff(CONTAINER, olds, inputs, inputs, ignore=("memorySwap",)).detailedDiff


def test_every_setting_of_a_container_reaches_the_daemon_and_comes_back_unchanged(
    plugin: Plugin, daemon: docker.APIClient
) -> None:
    name = PREFIX + "full"
    pool = {"subnet": SUBNET, "gateway": f"{NET}.1", "ipRange": f"{NET}.64/26"}
    given = {"name": name, "ipamConfigs": [pool], "labels": [{"label": "a", "value": "b"}]}
    network_inputs = plugin.check(NETWORK, given)
    _, network = plugin.create(NETWORK, network_inputs)
    assert plugin.changes(NETWORK, network, network_inputs, network_inputs) == {}
    assert plugin.changes(
        NETWORK, network, network_inputs, network_inputs | {"labels": [{"label": "a", "value": "c"}]}
    ) == {"labels[0].value": "update-replace"}
    inputs = container(
        plugin,
        "full",
        hostname="host",
        envs=["B=1", "A=2"],
        user="1000:1000",
        init=True,
        capabilities={"adds": ["NET_ADMIN"], "drops": ["ALL"]},
        securityOpts=["no-new-privileges:true"],
        memory=64,
        memorySwap=64,
        cpus="0.5",
        ulimits=[{"name": "nofile", "soft": 1000, "hard": 1000}],
        tmpfs={"/tmp": "size=1m,mode=1777"},
        networksAdvanced=[{"name": name, "aliases": ["z", "a"], "ipv4Address": f"{NET}.9"}],
        ports=[
            {"internal": 80, "external": free_port(socket.SOCK_DGRAM), "ip": "127.0.0.1", "protocol": "udp"}
        ],
        healthcheck={"tests": ["CMD", "true"], "interval": "1s", "timeout": "90s", "retries": 3},
        wait=True,
        waitTimeout=30,
        restart="unless-stopped",
        stopSignal="SIGINT",
        stopTimeout=5,
        destroyGraceSeconds=1,
        logDriver="json-file",
        logOpts={"max-file": "3"},
        labels=[{"label": "a", "value": "b"}],
        workingDir="/tmp",
    )
    id_, outputs = plugin.create(CONTAINER, inputs)
    assert plugin.log == [f"container {name} is starting"]
    host = daemon.inspect_container(id_)["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"]) == (64 << 20, 64 << 20, 5 * 10**8)
    assert (host["CapDrop"], host["SecurityOpt"], host["Init"]) == (["ALL"], ["no-new-privileges:true"], True)
    config = daemon.inspect_container(id_)["Config"]
    assert (config["Healthcheck"]["Timeout"], config["StopSignal"]) == (90 * 10**9, "SIGINT")
    assert outputs["networkDatas"][0]["ipAddress"] == f"{NET}.9"
    found = json.loads(shell(id_, "cat /proc/net/dev >/dev/null; echo '{\"h\": \"'$(hostname)'\"}'"))
    assert found == {"h": "host"}
    assert plugin.changes(CONTAINER, outputs, inputs, inputs) == {}
    assert plugin.read(CONTAINER, id_, inputs, outputs) == outputs
    for key, value, change in (
        ("command", ["sleep", "61"], {"command[1]": "update-replace"}),
        ("restart", "no", {"restart": "update"}),
        ("memorySwap", 128, {"memorySwap": "update"}),
        ("capabilities", {"drops": ["ALL"]}, {"capabilities.adds": "delete-replace"}),
        ("ulimits", [{"name": "nofile", "soft": 9, "hard": 1000}], {"ulimits[0].soft": "update-replace"}),
        ("healthcheck", inputs["healthcheck"] | {"retries": 9}, {"healthcheck.retries": "update-replace"}),
    ):
        assert plugin.changes(CONTAINER, outputs, inputs, inputs | {key: value}) == change, key
    changed = inputs | {"memory": 96, "memorySwap": 96, "restart": "no"}
    updated = plugin.update(CONTAINER, id_, outputs, changed)
    host = daemon.inspect_container(id_)["HostConfig"]
    assert (host["Memory"], host["RestartPolicy"]["Name"]) == (96 << 20, "no")
    assert plugin.changes(CONTAINER, updated, changed, changed) == {}
    daemon.update_container(id_, mem_limit=128 << 20, memswap_limit=128 << 20)
    seen = plugin.read(CONTAINER, id_, changed, updated | {"__pulumi_raw_state_delta": {"obj": {}}}) or {}
    assert "__pulumi_raw_state_delta" not in seen, "it would not fit"
    assert plugin.changes(CONTAINER, seen, changed, changed) == {"memory": "update", "memorySwap": "update"}
    plugin.delete(CONTAINER, id_, updated)
    plugin.delete(CONTAINER, id_, updated)
    assert plugin.read(CONTAINER, id_, inputs, outputs) is None


def test_a_container_that_is_never_started_carries_files_into_a_volume(
    plugin: Plugin, daemon: docker.APIClient
) -> None:
    _, volume = plugin.create(VOLUME, plugin.check(VOLUME, {"name": PREFIX + "files"}))
    volumes = [{"volumeName": volume["name"], "containerPath": "/etc/service"}]
    uploads = [
        {"file": "/etc/service/a.conf", "content": "hello\n", "permissions": "0440"},
        {"file": "/etc/service/sub/b.bin", "contentBase64": "AAE="},
    ]
    never: dict[str, Any] = {"start": False, "mustRun": False}
    carrier = container(plugin, "carrier", volumes=volumes, uploads=uploads, **never)
    carrier_id, outputs = plugin.create(CONTAINER, carrier)
    assert plugin.changes(CONTAINER, outputs, carrier, carrier) == {}
    inputs = container(plugin, "files", readOnly=True, volumes=[volumes[0] | {"readOnly": True}])
    id_, _ = plugin.create(CONTAINER, inputs)
    listing = shell(id_, "cd /etc/service; cat a.conf; stat -c '%n %a %s' a.conf sub/b.bin")
    assert listing.splitlines() == ["hello", "a.conf 440 6", "sub/b.bin 644 2"]
    for path in ("/here", "/etc/service/here"):
        assert "Read-only file system" in shell(id_, f"touch {path} 2>&1")
    assert not daemon.inspect_container(carrier_id)["State"]["Running"]


def test_a_container_that_runs_to_completion_returns_its_exit_code_and_logs(
    plugin: Plugin, daemon: docker.APIClient
) -> None:
    job: dict[str, Any] = {"attach": True, "logs": True, "mustRun": False, "restart": "no"}
    inputs = container(plugin, "job", command=["sh", "-c", "sleep 1; echo done"], **job)
    id_, outputs = plugin.create(CONTAINER, inputs)
    assert (outputs["exitCode"], outputs["containerLogs"]) == (0, "done\n")
    seen = plugin.read(CONTAINER, id_, inputs, outputs) or {}
    assert seen["containerLogs"] == "done\n"
    assert plugin.changes(CONTAINER, seen, inputs, inputs) == {}

    bad = container(plugin, "bad", command=["sh", "-c", "seq 1 30; echo broken; exit 3"], **job)
    with pytest.raises(Failed, match=r"ended with exit code 3; its last log lines:\n12\n") as failure:
        plugin.create(CONTAINER, bad)
    assert str(failure.value).endswith("\n30\nbroken")
    assert failure.value.outputs["exitCode"] == 3
    with pytest.raises(Failed, match=r"ended with exit code 3"):
        plugin.update(CONTAINER, failure.value.id, failure.value.outputs, bad)


def test_a_container_that_does_not_become_healthy_is_kept_and_explained(
    plugin: Plugin, daemon: docker.APIClient
) -> None:
    check = {"tests": ["CMD", "test", "-e", "/tmp/well"], "interval": "1s"}
    inputs = container(
        plugin,
        "ill",
        command=["sh", "-c", "echo not yet; sleep 60"],
        healthcheck=check,
        wait=True,
        waitTimeout=2,
    )
    with pytest.raises(Failed, match=r"was not healthy after 2 s; its last log lines:\nnot yet") as failure:
        plugin.create(CONTAINER, inputs)
    shell(failure.value.id, "touch /tmp/well")
    outputs = plugin.update(CONTAINER, failure.value.id, failure.value.outputs, inputs | {"waitTimeout": 20})
    assert outputs["id"] == failure.value.id
    dead = container(plugin, "dead", command=["false"], healthcheck=check, wait=True, restart="no")
    with pytest.raises(Failed, match=r"ended with exit code 1 before it was healthy"):
        plugin.create(CONTAINER, dead)


@pytest.mark.parametrize("test", [["CMD", "test", "-e", "/tmp/well"], ["CMD-SHELL", "test -e /tmp/well"]])
def test_one_that_starts_is_asked_more_often_than_one_that_is_healthy(
    plugin: Plugin, test: list[str]
) -> None:
    inputs = container(
        plugin,
        f"starts-{test[0].lower()}",
        command=["sh", "-c", "sleep 2; touch /tmp/well; sleep 60"],
        healthcheck={"tests": test, "interval": "1h", "startInterval": "1s", "startPeriod": "1m"},
        wait=True,
        waitTimeout=30,
    )
    id_, _ = plugin.create(CONTAINER, inputs)
    assert shell(id_, "test -e /tmp/well && echo well") == "well\n"
    plugin.delete(CONTAINER, id_, {"name": inputs["name"]})


def test_a_stopped_container_is_started_again(plugin: Plugin, daemon: docker.APIClient) -> None:
    inputs = container(plugin, "stopped", restart="no")
    id_, outputs = plugin.create(CONTAINER, inputs)
    daemon.kill(id_)
    daemon.wait(id_)
    found = plugin.read(CONTAINER, id_, inputs, outputs)
    assert found
    assert plugin.changes(CONTAINER, found, inputs, inputs) == {"mustRun": "update"}
    plugin.update(CONTAINER, id_, found, inputs)
    assert daemon.inspect_container(id_)["State"]["Running"]


def test_what_an_interrupted_update_left_is_found_and_finished_and_what_is_not_ours_is_not(
    plugin: Plugin, daemon: docker.APIClient
) -> None:
    inputs = container(plugin, "left")
    id_, _ = plugin.create(CONTAINER, inputs | {"start": False})
    found = plugin.read(CONTAINER, inputs["name"], inputs, {}) or {}
    assert found["id"] == id_
    plugin.update(CONTAINER, id_, found, inputs)
    assert daemon.inspect_container(id_)["State"]["Running"]
    assert plugin.read(CONTAINER, inputs["name"], inputs, {}, name="another") is None
    with pytest.raises(Failed, match=f'The container name "/{PREFIX}left" is already in use'):
        plugin.create(CONTAINER, inputs, name="another")

    config = [{"subnet": SUBNET}]
    labels = [{"label": "ollamamax.urn", "value": plugin.urn(NETWORK)}]
    wanted = plugin.check(NETWORK, {"name": PREFIX + "left", "labels": labels, "ipamConfigs": config})
    network, _ = plugin.create(NETWORK, wanted)
    assert (plugin.read(NETWORK, wanted["name"], wanted, {}) or {})["id"] == network
    assert plugin.read(NETWORK, wanted["name"], wanted, {}, name="another") is None
    with pytest.raises(
        Failed, match=f"network with name {PREFIX}left already exists; choose another subnet or"
    ):
        plugin.create(NETWORK, wanted)
    other = plugin.check(NETWORK, {"name": PREFIX + "other", "ipamConfigs": config})
    with pytest.raises(
        Failed, match=rf"subnet {SUBNET} overlaps with other one .*; choose another subnet or"
    ):
        plugin.create(NETWORK, other)

    volume = plugin.check(VOLUME, {})
    plugin.create(VOLUME, volume, name=PREFIX + "made-up")
    assert plugin.read(VOLUME, volume["name"], volume, {}), "a name that was made up is nobody else's"


def test_many_threads_share_the_client_without_losing_their_connections(
    plugin: Plugin, daemon: docker.APIClient
) -> None:
    def look(index: int) -> None:
        for turn in range(20):
            assert plugin.read(VOLUME, f"{PREFIX}none-{index}-{turn}", {}, {}) is None

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(look, range(32)))


@pytest.mark.parametrize(("protocol", "kind"), [("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM)])
def test_a_port_in_use_is_named_and_nothing_is_left_behind(
    plugin: Plugin, daemon: docker.APIClient, protocol: str, kind: socket.SocketKind
) -> None:
    with socket.socket(socket.AF_INET, kind) as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        ports = [{"internal": 80, "external": port, "ip": "127.0.0.1", "protocol": protocol}]
        with pytest.raises(Failed) as failure:
            plugin.create(CONTAINER, container(plugin, "port", ports=ports))
    what = f"port {port}/{protocol} is already in use on this machine"
    assert str(failure.value) == f"{what}: stop what holds it, or set portOffset"
    assert daemon.containers(all=True, filters={"name": PREFIX}) == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # docker-py drops its socket
def test_a_missing_image_and_a_missing_daemon_are_each_one_message(
    plugin: Plugin, daemon: docker.APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Failed, match=f"^container {PREFIX}none could not be created: .*{PREFIX}image"):
        plugin.create(CONTAINER, container(plugin, "none", image=PREFIX + "image"))
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    other = Plugin(PROVIDERS["docker"]())
    with pytest.raises(Failed) as failure:
        other.create(VOLUME, {"name": PREFIX + "v"})
    other.close()
    where, way_out = "unix:///nonexistent/docker.sock", "start it, or set DOCKER_HOST to where one runs"
    assert str(failure.value) == f"cannot reach the Docker daemon at {where}: {way_out}"
    gc.collect()


def test_what_it_does_not_do_is_refused(plugin: Plugin) -> None:
    unsupported = "is not supported by the embedded engine: needs the Pulumi CLI"
    with pytest.raises(
        Failed, match=rf'^{CONTAINER} "x": devices {unsupported}; uploads\[0\].owner {unsupported}$'
    ):
        container(plugin, "x", devices=[{"hostPath": "/dev/null"}], uploads=[{"file": "/a", "owner": 1}])
    with pytest.raises(
        Failed, match=r'restart "sometimes" does not match no\|on-failure\|always\|unless-stopped$'
    ):
        container(plugin, "x", restart="sometimes")
    with pytest.raises(Failed, match=rf"skipPush false, or buildOnPreview, {unsupported}$"):
        plugin.check(IMAGE, {"imageName": "a"})


def test_an_automatic_name_stays_for_the_life_of_the_resource(plugin: Plugin) -> None:
    first = plugin.check(VOLUME, {})
    assert plugin.check(VOLUME, {}, first)["name"] == first["name"]
    assert plugin.check(VOLUME, {"name": "mine"}, first) == {"__defaults": [], "name": "mine"}


def test_cancelling_ends_a_wait(plugin: Plugin, daemon: docker.APIClient) -> None:
    inputs = container(plugin, "cancel", attach=True, mustRun=False)
    timer = threading.Timer(1, plugin.call, ("Cancel", empty_pb2.Empty()))
    timer.start()
    started = time.monotonic()
    with pytest.raises(Failed, match=r"cancelled while waiting"):
        plugin.create(CONTAINER, inputs)
    assert time.monotonic() - started < 20
    timer.join()


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [("0s", 0), ("1m30s", 90 * 10**9), ("1h0m0.5s", 36005 * 10**8), ("250ms", 250 * 10**6), ("1.5µs", 1500)],
)
def test_durations_are_read_as_go_does(text: str, nanoseconds: int) -> None:
    assert _duration(text) == nanoseconds
