"""The commands as a shell sees them: exit status and messages."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE)


def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ops", *words],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", ["up", "down", "preview"])
def test_an_unknown_stack_is_one_message(command: str) -> None:
    done = run(command, "--stack", "no-such-stack")
    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: STACK=no-such-stack: no Pulumi.no-such-stack.yaml in stacks/; there"
    )
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["status", "logs"])
def test_a_missing_daemon_is_one_message(command: str) -> None:
    done = run(command, DOCKER_HOST="tcp://127.0.0.1:1")
    assert done.returncode == 1
    assert done.stderr == (
        "error: no Docker daemon answers at tcp://127.0.0.1:1: start it (make setup does)\n"
    )


def test_a_stack_without_containers_has_no_status() -> None:
    done = run("status", "--stack", "no-such-stack")
    assert (done.returncode, done.stderr) == (
        1,
        "error: stack no-such-stack has no containers: make up STACK=no-such-stack brings it up\n",
    )


def test_a_service_without_containers_has_no_logs() -> None:
    done = run("logs", "--stack", "no-such-stack", "--service", "gateway")
    assert (done.returncode, done.stderr) == (
        1,
        "error: stack no-such-stack has no containers of service gateway\n",
    )


def test_an_unknown_command_is_refused() -> None:
    done = run("upp")
    assert done.returncode == 2
    assert "No such command 'upp'" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_target_is_listed_with_its_help() -> None:
    done = subprocess.run(["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True)
    listed = [line.split()[1] for line in done.stdout.splitlines()]
    assert listed == TARGETS
    assert done.returncode == 0


def test_plain_make_helps() -> None:
    assert ".DEFAULT_GOAL := help" in MAKEFILE


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_is_thin(target: str) -> None:
    recipe = re.search(rf"^{target}:.*\n((?:\t.*\n?)+)", MAKEFILE, re.MULTILINE)
    assert recipe
    assert len(recipe[1].splitlines()) == 1, "what takes more belongs into ops/"


def test_every_target_runs_what_is_there() -> None:
    for program in re.findall(r"(?:^|\s)@?((?:ops|tests)/[\w./-]+\.sh)", MAKEFILE):
        assert (ROOT / program).exists(), program
    assert "ops/setup.sh" in MAKEFILE
