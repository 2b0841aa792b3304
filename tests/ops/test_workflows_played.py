"""The commands of the workflows, as GitHub runs them: in a checkout and a simulated cloud."""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.comment import MARK
from ops.stack import Stack
from tests.checkouts import commit, git
from tests.e2e.conftest import copy_checkout
from tests.ops.conftest import Repository

ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / ".github" / "workflows"
OWN = "github.event.pull_request.head.repo.full_name == github.repository"
SAID = {
    f"{OWN} && vars.STAGING_PREVIEW_ROLE || ''": "",
    f"{OWN} && vars.PROD_PREVIEW_ROLE || ''": "",
    "!env.STAGING_ROLE && '1' || ''": "1",
    "!env.PROD_ROLE && '1' || ''": "1",
    f"{OWN} && github.event.pull_request.number || ''": "7",
    "github.token": "of the job",
}
"""What GitHub's expressions are: a pull request from a branch, in a repository without roles."""
pytestmark = pytest.mark.long


def expanded(env: Mapping[str, Any], said: Mapping[str, str]) -> dict[str, str]:
    """Return an environment of a workflow with its expressions replaced."""
    return {
        name: re.sub(r"\$\{\{ (.*?) \}\}", lambda match: said[match[1]], str(value))
        for name, value in env.items()
    }


def play(workflow: str, job: str, checkout: Path, said: Mapping[str, str], only: str = "make") -> str:
    """Run the commands of a job that begin so, one after the other, and return the job's summary."""
    found = yaml.safe_load((WORKFLOWS / f"{workflow}.yml").read_text())["jobs"][job]
    summary = checkout.parent / "summary.md"
    summary.touch()
    for step in found["steps"]:
        if step.get("run", "").startswith(only):
            env = expanded(found.get("env", {}), said) | expanded(step.get("env", {}), said)
            done = subprocess.run(
                ["bash", "-e", "-o", "pipefail", "-c", step["run"]],
                cwd=checkout,
                env=os.environ | env | {"GITHUB_STEP_SUMMARY": str(summary)},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, step["run"] + done.stdout[-3000:] + done.stderr[-3000:]
    return summary.read_text()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout of what is here, with a small change as its last commit."""
    folder = copy_checkout(tmp_path).root
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, "What is here")
    for stack, before, after in (
        ("staging", "maxNodes: 3", "maxNodes: 5"),
        ("prod", "maxNodes: 20", "maxNodes: 25"),
    ):
        file = folder / "stacks" / f"Pulumi.{stack}.yaml"
        assert before in file.read_text()
        file.write_text(file.read_text().replace(before, after))
    commit(folder, "More nodes")
    return folder


def test_a_pull_request_is_told_what_it_does_and_told_again_in_the_same_place(
    checkout: Path, repository: Repository
) -> None:
    summary = play("pull-request", "preview", checkout, SAID)
    assert len(repository.comments) == 1
    body = repository.comments[0]["body"]
    assert body in summary
    for stack in ("prod", "staging"):
        assert re.search(rf"\| {stack} \(simulated\) \| 0 \| 1 \| 0 \| 0 \| [^|*]+ \| [\d,]+ ", body), body
    assert re.search(r"\| local \| [1-9]\d* \| 0 \| 0 \| 0 \| kept \| – \|", body), body
    assert "* `pool-code` (kubernetes:karpenter.sh/v1:NodePool)" in body
    repository.comments[0]["body"] = f"{MARK}\nof the push before"
    play("pull-request", "preview", checkout, SAID, only="make comment")
    assert [one["body"] for one in repository.comments] == [body]


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_the_night_finds_what_somebody_changed(checkout: Path, stack: str) -> None:
    env = {"STACK": stack, "SIMULATE": "1"}
    subprocess.run(["make", "up"], cwd=checkout, env=os.environ | env, check=True, capture_output=True)
    assert "Everything is as the program has it." in play(
        "nightly", "drift", checkout, {"matrix.stack": stack}
    )
    (cloud,) = (checkout / ".state").glob(f"simulated/.pulumi/cloud/*/{stack}")
    (alarm,) = (file for file in cloud.iterdir() if file.name.startswith("budgets-budget-Budget"))
    alarm.unlink()
    with pytest.raises(
        AssertionError, match=f"error: stack {stack} has drifted: budget; the report says what"
    ):
        play("nightly", "drift", checkout, {"matrix.stack": stack})


SETTINGS = """\
config:
  ollamamax:target: docker
  ollamamax:models: [tiny]
  ollamamax:portOffset: {offset}
  ollamamax:docker: {{subnet: {subnet}}}
  ollamamax:alerts:
    platformMs: {{target: 25, warning: 100, critical: 500}}
    errorsPercent: {{target: 0.5, warning: 3, critical: 8}}
    throughput: {{target: 100, warning: 50, critical: 10}}
"""
"""Of a stack on this machine, which may have other things to do, in the place of one on AWS."""


@pytest.fixture
def on_this_machine(checkout: Path) -> Iterator[Path]:
    """Return a checkout whose ``staging`` and ``prod`` are on this machine; none is left afterwards."""
    for stack, offset, subnet in (("staging", 2000, "172.16.86.0/24"), ("prod", 3000, "172.16.87.0/24")):
        file = checkout / "stacks" / f"Pulumi.{stack}.yaml"
        file.write_text(SETTINGS.format(offset=offset, subnet=subnet))
    commit(checkout, "On this machine")
    try:
        yield checkout
    finally:
        for stack in ("staging", "prod"):
            if Stack(stack, checkout).exists:  # else it was not reached
                make(checkout, "down", f"STACK={stack}", "DATA=1")


def make(checkout: Path, *words: str) -> str:
    done = subprocess.run(["make", *words], cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_what_is_merged_is_deployed_judged_and_taken_back(on_this_machine: Path) -> None:
    play("deploy", "staging", on_this_machine, {})
    make(on_this_machine, "down", "STACK=staging", "DATA=1")
    play("deploy", "prod", on_this_machine, {})
    listed = {file.name for file in (on_this_machine / "sbom").iterdir()}
    assert {"subjects.sha256", "gateway.cdx.json", "edge.cdx.json", "ollamamax.cdx.json"} <= listed
    file = on_this_machine / "stacks" / "Pulumi.prod.yaml"
    file.write_text(file.read_text() + "  ollamamax:gateway: {goGc: 100}\n")
    make(on_this_machine, "up", "STACK=prod")
    play("rollback", "rollback", on_this_machine, {"inputs.stack": "prod", "inputs.release": "1"})
    listed_releases = make(on_this_machine, "releases", "STACK=prod").splitlines()
    (runs,) = [line for line in listed_releases if line.rstrip().endswith("runs")]
    assert runs.split()[0] == "1"
