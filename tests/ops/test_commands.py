"""The commands as a shell sees them: exit status and messages."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ops.conftest import SETTINGS, Checkout

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE)


def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return run_in(ROOT, *words, **env)


def run_in(checkout: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ops", *words],
        cwd=checkout,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_preview_begins_before_what_it_does_not_need_is_imported() -> None:
    """Each takes long to import, and the engine imports what it needs itself."""
    slow = ["botocore", "docker", "grpc", "niquests", "pulumi", "urllib3"]
    program = f"import ops.__main__, sys; print([one for one in {slow} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize("command", ["up", "down", "preview", "outputs", "status"])
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


def test_a_service_without_containers_has_no_logs() -> None:
    done = run("logs", "--service", "no-such-service")
    assert (done.returncode, done.stderr) == (
        1,
        "error: stack local has no containers of service no-such-service\n",
    )


@pytest.mark.parametrize("command", ["status", "logs"])
def test_what_runs_on_a_cluster_has_no_containers_here(command: str) -> None:
    done = run(command, "--stack", "prod")
    assert (done.returncode, done.stderr) == (
        1,
        "error: stack prod runs on a cluster, not on this machine: ask kubectl\n",
    )


@pytest.mark.parametrize("command", ["up", "down", "bootstrap"])
def test_what_only_the_cli_can_change_is_refused_in_one_sentence(command: str) -> None:
    done = run(command, "--stack", "prod", PATH="")
    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "",
        "error: stack prod is on AWS, which only the Pulumi CLI can change: install the Pulumi CLI "
        "(https://www.pulumi.com/docs/install/), or set SIMULATE=1 to change a simulated cloud; "
        "nothing was changed\n",
    )


@pytest.mark.parametrize(
    ("command", "settings", "problem"),
    [
        ("up", "target: docker\n  port: 1", "the settings have 1 problem:\n  port: unknown setting"),
        ("preview", "target: [", "{file}, line 3: expected the node content, but found '<stream end>'"),
        ("bootstrap", "target: docker\n  target: aws", "{file}, line 3: target is given twice"),
    ],
)
def test_bad_settings_are_one_message_and_nothing_is_begun(
    tmp_path: Path, command: str, settings: str, problem: str
) -> None:
    for folder in ("ops", "stacks"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    file = tmp_path / "stacks" / "Pulumi.bad.yaml"
    file.write_text(f"config:\n  {settings}\n")
    done = run_in(tmp_path, command, "--stack", "bad")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: stack bad: {problem.format(file=file)}")
    assert not (tmp_path / ".state").exists()


def test_a_bad_stack_file_does_not_keep_a_stack_up(embedded: Checkout) -> None:
    embedded.stack.settings_file.write_text(f"{SETTINGS}  ollamamax:port: 1\n")
    embedded.stack.prepare()
    embedded.stack.destroy(data=True)
    assert embedded.words[0] == "destroy"


def test_a_cost_can_be_read_by_a_program() -> None:
    done = run("cost", "--stack", "staging", "--json")
    assert json.loads(done.stdout)["currency"] == "USD"


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
