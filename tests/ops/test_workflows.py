"""The workflows: thin, pinned, with no right and no key that they do without."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import stacks
from components.aws.account import Account
from ops.bootstrap import words

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github" / "workflows"
FILES = {file.stem: file for file in sorted(FOLDER.glob("*.yml"))}
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE)
VARIABLES = {*re.findall(r"^(\w+) \?=", MAKEFILE, re.MULTILINE)}
CREDENTIALS = "aws-actions/configure-aws-credentials"
CHANGING = {"release", "promote", "rollback", "down", "restore"}
"""Targets that change a stack."""
every = pytest.mark.parametrize("workflow", FILES)


def read(workflow: str) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(FILES[workflow].read_text())
    return found


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every job of every workflow."""
    for workflow in FILES:
        for name, job in read(workflow)["jobs"].items():
            yield f"{workflow}/{name}", job


def commands(job: dict[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


def roles(job: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what the steps of a job that become somebody in AWS are told."""
    return [step["with"] for step in job["steps"] if step.get("uses", "").startswith(CREDENTIALS)]


JOBS = dict(jobs())
each = pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)


def test_there_is_a_workflow_for_each_way_of_a_change() -> None:
    assert list(FILES) == ["nightly", "pull-request"]


@each
def test_every_command_is_a_make_target_with_variables_that_make_knows(job: dict[str, Any]) -> None:
    assert commands(job)
    for command in commands(job):
        line = command.removesuffix(' >> "$GITHUB_STEP_SUMMARY"')
        program, target, *given = line.split()
        assert (program, "\n" in command) == ("make", False), "what takes more belongs into a target"
        assert target in TARGETS
        assert {one.partition("=")[0] for one in given} <= VARIABLES


@every
def test_every_action_is_pinned_by_its_commit(workflow: str) -> None:
    used = re.findall(r"uses: (.*)", FILES[workflow].read_text())
    assert used
    for one in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one), one


def test_one_action_has_one_version() -> None:
    pins: dict[str, set[str]] = {}
    for file in FILES.values():
        for action, pin in re.findall(r"uses: (\S+)@(.*)", file.read_text()):
            pins.setdefault(action, set()).add(pin)
    assert {action: len(those) for action, those in pins.items()} == dict.fromkeys(pins, 1)


@every
def test_no_job_has_more_than_the_rights_that_it_names(workflow: str) -> None:
    assert read(workflow)["permissions"] == {}
    for job in read(workflow)["jobs"].values():
        writes = {right for right, level in job["permissions"].items() if level == "write"}
        identity = {"id-token"} if roles(job) else set()
        comment = {"pull-requests"} if any("make comment" in one for one in commands(job)) else set()
        signed = {"attestations"} if "make sbom STACK=prod OUT=sbom" in commands(job) else set()
        assert writes == identity | comment | signed
        assert job["permissions"]["contents"] == "read"


@every
def test_no_key_is_kept_and_no_checkout_leaves_one(workflow: str) -> None:
    text = FILES[workflow].read_text()
    assert "secrets." not in text
    assert "aws-access-key-id" not in text
    assert "pull_request_target" not in text, "it would run a stranger's code with the repository's rights"
    for job in read(workflow)["jobs"].values():
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout"):
                assert step["with"]["persist-credentials"] is False


@every
def test_what_somebody_types_is_never_part_of_a_command(workflow: str) -> None:
    for job in read(workflow)["jobs"].values():
        for step in job["steps"]:
            assert "${{" not in step.get("run", ""), "make reads variables from the environment"
            assert {*step.get("env", {})} <= VARIABLES | {"GITHUB_TOKEN"}


@each
def test_only_one_job_at_a_time_changes_a_stack_and_is_never_cut_off(job: dict[str, Any]) -> None:
    changing = [command for command in commands(job) if command.split()[1] in CHANGING]
    if changing:
        assert re.fullmatch(r"stack-(staging|prod|\$\{\{ inputs\.stack \}\})", job["concurrency"])
        assert "environment" in job
    for command in commands(job):
        assert command.split()[1] != "up", "a release has a canary; up has none"


@each
def test_a_job_becomes_what_bootstrap_made_for_it_in_the_region_of_its_stack(job: dict[str, Any]) -> None:
    variables = " ".join(map(str, job.get("env", {}).values()))
    for told in roles(job):
        role = variables if "env." in told["role-to-assume"] else told["role-to-assume"]
        kind = "DEPLOY" if "environment" in job else "PREVIEW"
        assert {*re.findall(r"(DEPLOY|PREVIEW)_ROLE", role)} == {kind}
        assert told["aws-region"] in {settings(stack).region for stack in ("staging", "prod")}


def test_a_strangers_code_runs_on_githubs_machines_alone() -> None:
    own = "github.event.pull_request.head.repo.full_name == github.repository"
    for job in read("pull-request")["jobs"].values():
        assert job["runs-on"] in ("ubuntu-24.04", f"${{{{ {own} && vars.RUNNER || 'ubuntu-24.04' }}}}")
        for name in ("STAGING", "PROD"):
            role = job.get("env", {}).get(f"{name}_ROLE", "")
            assert not role or role.startswith(f"${{{{ {own} && ")


def settings(stack: str) -> Account:
    aws = stacks.read(ROOT / "stacks" / f"Pulumi.{stack}.yaml", stack).aws
    assert aws
    return Account(stack, aws.account_id, aws.region)


def test_bootstrap_prints_the_variables_that_the_workflows_read() -> None:
    outputs = {"backend": "", "secretsProvider": "", "previewRole": "arn:1", "deployRole": "arn:2"}
    text = "".join(file.read_text() for file in FILES.values())
    for stack in ("staging", "prod"):
        said = "\n".join(words(stack, outputs))
        for kind, arn in (("PREVIEW", "arn:1"), ("DEPLOY", "arn:2")):
            assert f"  {stack.upper()}_{kind}_ROLE={arn}" in said
        name = f"{stack.upper()}_PREVIEW_ROLE"
        assert f"vars.{name}" in text
