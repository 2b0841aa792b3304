"""Down and up again, interrupted updates, and bad input: one message, nothing half-done."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import (
    LABEL,
    STACK,
    Checkout,
    Done,
    Platform,
    copy_checkout,
    docker,
    left_behind,
    sql,
)
from tests.e2e.waiting import eventually


def test_down_keeps_the_data_and_up_finds_it_again(platform: Platform) -> None:
    before = platform.checkout.outputs()
    sql("INSERT INTO api_keys (name, kind, digest, source) VALUES ('kept', 'secret', sha256('kept'), 'test')")
    down = platform.checkout.make("down")
    assert down.status == 0, down.text
    assert docker("ps", "--all", "--quiet", "--filter", LABEL) == ""
    assert docker("network", "ls", "--quiet", "--filter", LABEL) == ""
    assert docker("volume", "ls", "--quiet", "--filter", LABEL) != ""
    up = platform.checkout.make("up")
    assert up.status == 0, up.text
    assert platform.checkout.outputs() == before, "the same address, key and CA"
    assert sql("SELECT name FROM api_keys WHERE source = 'test'") == "kept"
    jobs = docker("logs", f"ollamamax-{STACK}-models-1")
    assert jobs.count("model tiny is present") == 2


def test_two_updates_at_once_are_one_too_many(platform: Platform) -> None:
    holder = start_up(platform.checkout, changed={"goGc": 60})
    try:
        locks = platform.checkout.root / ".state" / ".pulumi" / "locks"
        eventually(
            lambda: any(file.is_file() for file in locks.rglob("*")), 60, "the first update holds the lock"
        )
        second = platform.checkout.make("up")
        assert second.status != 0
        assert f"pid {holder.pid}" in second.text or str(holder.pid) in second.text, second.text
        assert "Traceback" not in second.text
    finally:
        said, _ = holder.communicate(timeout=600)
        assert holder.returncode == 0, said


@pytest.mark.parametrize("step", [3, *(pytest.param(step, marks=pytest.mark.long) for step in (1, 6, 9, 12))])
def test_an_update_that_is_killed_is_finished_by_the_next_one(platform: Platform, step: int) -> None:
    process = start_up(platform.checkout, changed={"goGc": 60 + step})
    assert process.stdout is not None
    for _ in range(step):
        if not process.stdout.readline():
            break
    process.kill()
    process.wait()
    process.stdout.close()
    up = platform.checkout.make("up")
    assert up.status == 0, up.text
    names = docker("ps", "--all", "--format", "{{.Names}}", "--filter", LABEL).split()
    assert len(names) == len(set(names))
    assert sum("-files" not in name for name in names) == 18, "nothing doubled, nothing lost"
    again = platform.checkout.make("up")
    assert "unchanged\n" in again.text
    assert "created" not in again.text


def start_up(checkout: Checkout, changed: dict[str, int]) -> subprocess.Popen[str]:
    """Start the engine's `up` itself, so that its process can be killed."""
    checkout.settings(gateway=changed)
    prepared = checkout.make("preview")
    assert prepared.status == 0, prepared.text
    state = checkout.root / ".state"
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "engine", "up", "--yes", "--stack", STACK),
            *("--config-file", str(state / f"Pulumi.{STACK}.yaml")),
        ],
        cwd=checkout.root,
        env={
            **os.environ,
            "PULUMI_BACKEND_URL": f"file://{state}",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(state / "passphrase"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def fresh(tmp_path: Path) -> Checkout:
    """A checkout that has deployed nothing, on ports and addresses of its own."""
    checkout = copy_checkout(tmp_path)
    checkout.settings(portOffset=2000, docker={"subnet": "172.16.86.0/24"})
    (checkout.root / "stacks" / f"Pulumi.{STACK}.yaml").rename(checkout.root / "stacks" / "Pulumi.bad.yaml")
    return checkout


def refused(done: Done, *words: str) -> None:
    """Check that a target failed with one clear message that holds ``words``."""
    assert done.status != 0
    assert "Traceback" not in done.text, done.text
    for word in words:
        assert word in done.text, done.text


def test_an_unknown_setting_and_a_wrong_type_are_named_with_the_way_out(fresh: Checkout) -> None:
    file = fresh.root / "stacks" / "Pulumi.bad.yaml"
    file.write_text(file.read_text() + "  ollamamax:gatway: {}\n  ollamamax:worker: {replicas: two}\n")
    done = fresh.make("up", "STACK=bad")
    refused(
        done, "gatway: unknown setting; did you mean gateway?", 'worker.replicas: "two" is not a whole number'
    )
    assert docker("ps", "--all", "--quiet", "--filter", "label=ollamamax.stack=bad") == ""


def test_an_unknown_stack_is_named_with_those_there_are(fresh: Checkout) -> None:
    refused(fresh.make("up", "STACK=nowhere"), "Pulumi.nowhere.yaml", "local")


def test_a_missing_daemon_is_named(fresh: Checkout) -> None:
    done = fresh.make("up", "STACK=bad", env={"DOCKER_HOST": "tcp://127.0.0.1:9"})
    refused(done, "tcp://127.0.0.1:9", "start it")


def test_a_port_in_use_is_named(fresh: Checkout) -> None:
    try:
        with socket.create_server(("127.0.0.1", 11091)):
            done = fresh.make("up", "STACK=bad")
            refused(done, "11091", "in use")
    finally:
        assert fresh.make("down", "STACK=bad", "DATA=1").status == 0
    assert docker("ps", "--all", "--quiet", "--filter", "label=ollamamax.stack=bad") == ""
    assert docker("volume", "ls", "--quiet", "--filter", "label=ollamamax.stack=bad") == ""


def test_a_dockerfile_that_fails_to_build_is_named_with_its_step(fresh: Checkout) -> None:
    file = fresh.root / "docker" / "redis" / "Dockerfile"
    file.write_text("FROM debian:trixie-slim\nRUN echo so far && false\n")
    try:
        refused(fresh.make("up", "STACK=bad"), "docker/redis/Dockerfile", "RUN echo so far && false")
    finally:
        assert fresh.make("down", "STACK=bad", "DATA=1").status == 0


def test_a_wrong_passphrase_is_named(platform: Platform) -> None:
    done = platform.checkout.make("up", env={"PULUMI_CONFIG_PASSPHRASE": "wrong"})
    refused(done, "passphrase")
    assert platform.checkout.make("smoke").status == 0, "the platform is untouched"


def test_a_corrupted_state_file_is_named_and_left_alone(platform: Platform) -> None:
    file = platform.checkout.root / ".state" / ".pulumi" / "stacks" / "ollamamax" / f"{STACK}.json"
    good = file.read_bytes()
    broken = good[: len(good) // 2]
    file.write_bytes(broken)
    try:
        refused(platform.checkout.make("up"), f"{STACK}.json")
        assert file.read_bytes() == broken
    finally:
        file.write_bytes(good)
    assert "unchanged\n" in platform.checkout.make("up").text


def test_nothing_that_git_tracks_is_changed(platform: Platform) -> None:
    status = subprocess.run(
        ["git", "status", "--porcelain", "--", "stacks/Pulumi.local.yaml", ".state"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert status == ""
    assert "encryptionsalt" not in (platform.checkout.root / "stacks" / f"Pulumi.{STACK}.yaml").read_text()
    assert left_behind(), "the stack of the tests is still up"
