"""`make up` on a stack of its own: what it prints, what runs, what does not leak."""

import json
import re
import subprocess
import tomllib
from collections.abc import Mapping
from typing import Any

from components.docker_target import HEALTH_PERIOD_S
from tests.e2e.conftest import LABEL, STACK, Platform, docker
from tests.e2e.waiting import eventually


def containers() -> list[dict[str, Any]]:
    """Return what Docker says of the stack's containers."""
    found: list[dict[str, Any]] = json.loads(
        docker("inspect", *docker("ps", "--all", "--quiet", "--filter", LABEL).split())
    )
    return found


def well(state: Mapping[str, Any]) -> bool:
    """Tell whether a container is healthy, or has ended as it should."""
    return bool(
        state["Health"]["Status"] == "healthy" if state["Status"] == "running" else not state["ExitCode"]
    )


def test_up_ends_with_a_streamed_completion_over_http3(platform: Platform) -> None:
    assert re.search(
        r"HTTP/3  node worker-[12]  model tiny:latest  first token after \d+ ms  48 tokens", platform.up.text
    )
    assert "the embedded engine" in platform.up.text, "up says which engine deploys"
    assert f"ready: {platform.url}" in platform.up.text
    assert re.search(r"^\[ *\d+s\]", platform.up.text, re.MULTILINE), "progress shows the time that passed"


def test_smoke_prints_one_line(platform: Platform) -> None:
    smoke = platform.checkout.make("smoke")
    assert smoke.status == 0, smoke.text
    assert re.fullmatch(
        r"HTTP/3  node worker-[12]  model \S+  first token after \d+ ms  \d+ tokens\n", smoke.text
    )


def test_up_again_changes_nothing(platform: Platform) -> None:
    before = {one["Id"] for one in containers()}
    again = platform.checkout.make("up")
    assert again.status == 0, again.text
    assert re.search(r"Resources:\n +\d+ unchanged\n", again.text), again.text
    assert {one["Id"] for one in containers()} == before


def test_images_and_state_say_of_which_version_they_are(platform: Platform) -> None:
    project = tomllib.loads((platform.checkout.root / "pyproject.toml").read_text())["project"]
    assert platform.checkout.outputs()["version"] == project["version"]
    images = sorted({str(one["Image"]) for one in containers()})
    label = '{{index .Config.Labels "org.opencontainers.image.version"}}'
    said = docker("inspect", "--format", label, *images).split()
    assert said == [project["version"]] * len(images)


def test_every_container_is_healthy_or_has_ended_well(platform: Platform) -> None:
    def bad() -> list[object]:
        return [one["Name"] for one in containers() if not well(one["State"])]

    # Docker before API 1.44 asks for the first time after as long as between two times.
    eventually(lambda: bad() == [], 2 * HEALTH_PERIOD_S, "every container is healthy or has ended well")


def test_only_the_edge_is_published_beyond_loopback(platform: Platform) -> None:
    public = {}
    for one in containers():
        host = one["HostConfig"]
        assert isinstance(host, dict)
        for port, bindings in (host["PortBindings"] or {}).items():
            for binding in bindings:
                if binding["HostIp"] != "127.0.0.1":
                    public[port] = (one["Name"], binding["HostPort"])
    name = f"/ollamamax-{STACK}-edge-1"
    assert public == {"8443/tcp": (name, "9443"), "8443/udp": (name, "9443")}


def test_running_containers_are_confined(platform: Platform) -> None:
    for one in containers():
        state, host, config = one["State"], one["HostConfig"], one["Config"]
        assert isinstance(state, dict)
        assert isinstance(host, dict)
        assert isinstance(config, dict)
        if state["StartedAt"].startswith("0001"):
            continue  # carries files, is never started
        assert host["ReadonlyRootfs"], one["Name"]
        assert host["CapDrop"] == ["ALL"], one["Name"]
        assert not host["CapAdd"], one["Name"]
        assert host["SecurityOpt"] == ["no-new-privileges:true"], one["Name"]
        assert host["Memory"] > 0, one["Name"]
        assert host["NanoCpus"] > 0, one["Name"]
        assert config["User"] == "10001:0", one["Name"]


def test_secrets_are_nowhere_in_the_clear(platform: Platform) -> None:
    outputs = platform.checkout.outputs()
    secrets = {
        outputs["apiKey"],
        outputs["apiKey"].removeprefix("omx-"),
        outputs["dashboards"]["password"],
        docker("exec", f"ollamamax-{STACK}-pgbouncer-1", "cat", "/etc/ollamamax/secrets/userlist.txt").split(
            '"'
        )[3],
        docker("exec", f"ollamamax-{STACK}-redis-1", "cat", "/etc/ollamamax/secrets/redis.conf").split('"')[
            1
        ],
        docker("exec", f"ollamamax-{STACK}-edge-1", "cat", "/etc/ollamamax/secrets/tls.pem").splitlines()[-3],
    }
    preview = platform.checkout.make("preview")
    masked = platform.checkout.make("outputs")
    texts = {"make up": platform.up.text, "make preview": preview.text, "make outputs": masked.text}
    state = platform.checkout.root / ".state"
    # Latin-1 reads every byte: a release that is kept has compressed files too.
    texts |= {str(file): file.read_text("latin-1") for file in state.rglob("*") if file.is_file()}
    texts["docker inspect"] = json.dumps(containers())
    for one in containers():
        name = str(one["Name"]).removeprefix("/")
        logs = subprocess.run(["docker", "logs", name], capture_output=True, text=True, check=True)
        texts[f"docker logs {name}"] = logs.stdout + logs.stderr
    assert all(len(secret) >= 32 for secret in secrets)
    for where, text in texts.items():
        for secret in secrets:
            assert secret not in text, f"{where} shows a secret"


def test_the_passphrase_is_for_its_owner_alone(platform: Platform) -> None:
    assert (platform.checkout.root / ".state" / "passphrase").stat().st_mode & 0o777 == 0o600


def test_an_unreachable_registry_turns_a_model_into_tiny_and_says_so(platform: Platform) -> None:
    said = docker(
        "exec", "--env", "OLLAMA_HOSTS=127.0.0.1:11434", f"ollamamax-{STACK}-worker-1",
        "load-models", "127.0.0.1:9/none/such:1b",
    )  # fmt: skip
    assert "model registry not reachable" in said
    assert 'using "tiny" in place of "127.0.0.1:9/none/such:1b"' in said


def test_status_lists_every_container(platform: Platform) -> None:
    def healthy() -> int:
        status = platform.checkout.make("status")
        assert status.status == 0, status.text
        return status.text.count("healthy")

    eventually(lambda: healthy() == 16, 2 * HEALTH_PERIOD_S, "every container that runs is shown as healthy")


def test_prometheus_scrapes_both_gateways(platform: Platform) -> None:
    import niquests

    from tests.e2e.waiting import eventually

    outputs = platform.checkout.outputs()
    address = outputs["dashboards"]["prometheus"]

    def scraped() -> bool:
        with niquests.Session() as session:
            session.trust_env = False
            answer = session.get(
                f"{address}/api/v1/query",
                params={"query": 'up{job="gateway", release=""}'},
                auth=("prometheus", outputs["dashboards"]["password"]),
                verify=str(platform.ca),
            )
            assert answer.status_code == 200, answer.text
            return [one["value"][1] for one in answer.json()["data"]["result"]] == ["1", "1"]

    eventually(scraped, 30, "both gateways are scraped")
