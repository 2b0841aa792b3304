"""The program that makes what a stack on AWS needs before its first update."""

import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from tests.components.conftest import Graph, record_of

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "bootstrap"


def made(stack: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Graph, dict[str, Any]]:
    """Return the graph of the program for a tracked stack, and its outputs."""
    outputs: dict[str, Any] = {}
    settings = yaml.safe_load((ROOT / "stacks" / f"Pulumi.{stack}.yaml").read_text())["config"]
    config = {key: value if isinstance(value, str) else json.dumps(value) for key, value in settings.items()}

    def export(name: str, value: pulumi.Input[str]) -> None:
        pulumi.Output.from_input(value).apply(lambda known: outputs.update({name: known}))

    def program() -> None:
        pulumi.runtime.set_all_config(config)
        runpy.run_path(str(PROGRAM / "__main__.py"))

    monkeypatch.setattr(pulumi, "export", export)
    return record_of(program, stack), outputs


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_a_cloud_stacks_state_and_roles_are_made_in_its_account(
    stack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, outputs = made(stack, monkeypatch)
    account = {"staging": "111122223333", "prod": "444455556666"}[stack]
    assert outputs == {
        "backend": f"s3://ollamamax-state-{account}-eu-central-1?region=eu-central-1&awssdk=v2",
        "secretsProvider": f"awskms://alias/ollamamax-{stack}-secrets?region=eu-central-1&awssdk=v2",
        "previewRole": "arn:aws:mock:::preview",
        "deployRole": "arn:aws:mock:::deploy",
    }
    provider = graph["pulumi:providers:aws::aws"]
    assert json.loads(provider.inputs["allowedAccountIds"]) == [account]
    own = [one for one in graph.values() if one.type.startswith("aws:")]
    assert own
    assert {one.provider for one in own} == {provider.key}


def test_a_stack_without_a_cloud_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(pulumi.RunError, match="target docker shares no state"):
        made("local", monkeypatch)


def engine(stack: str, folder: Path, *words: str) -> str:
    """Run the embedded engine on the program, with a simulated cloud of its own in ``folder``."""
    config = folder / f"Pulumi.{stack}.yaml"
    if not config.exists():
        shutil.copy(ROOT / "stacks" / config.name, config)
    done = subprocess.run(
        [sys.executable, "-m", "engine", *words, "-s", stack, "--config-file", config, "--simulate"],
        cwd=PROGRAM,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PULUMI_BACKEND_URL": f"file://{folder}",
            "PULUMI_CONFIG_PASSPHRASE": "of the tests",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_can_be_run_as_often_as_one_likes(tmp_path: Path) -> None:
    engine("prod", tmp_path, "preview")
    assert "simulated" in engine("prod", tmp_path, "up", "--yes")
    engine("prod", tmp_path, "up", "--yes", "--expect-no-changes")
