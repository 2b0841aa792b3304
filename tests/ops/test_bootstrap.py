"""What a stack on AWS needs before its first update: the program that makes it, and the command."""

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

from ops.bootstrap import Bootstrap, words
from ops.stack import StackError
from tests.components.conftest import Graph, record_of
from tests.ops.conftest import Checkout

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "bootstrap"
CLOUD = """\
config:
  ollamamax:target: aws
  ollamamax:aws:
    accountId: "111122223333"
    region: eu-central-1
"""


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


@pytest.fixture
def in_cloud(with_cli: Checkout) -> Checkout:
    """Return a checkout with the Pulumi CLI and a stack on AWS."""
    (with_cli.root / "bootstrap").mkdir()
    (with_cli.root / "bootstrap" / "Pulumi.yaml").write_text("name: ollamamax-bootstrap\n")
    with_cli.stack.settings_file.write_text(CLOUD)
    return with_cli


def test_its_own_state_is_on_this_machine(in_cloud: Checkout) -> None:
    program = Bootstrap("some", in_cloud.root)
    program.prepare()
    program.up()
    for call in in_cloud.calls:
        assert call["env"]["PULUMI_BACKEND_URL"] == f"file://{in_cloud.root}/.state/bootstrap"
    assert in_cloud.calls[-1]["cwd"] == str(in_cloud.root / "bootstrap")
    assert in_cloud.words[1:3] == ["up", "--yes"]
    assert "--policy-pack" not in in_cloud.words, "the policies are for the platform"


def test_the_stack_is_made_in_the_shared_state_once_that_is_there(in_cloud: Checkout) -> None:
    in_cloud.stack.create()
    assert in_cloud.words[1:5] == ["stack", "select", "some", "--create"]
    provider = in_cloud.words[in_cloud.words.index("--secrets-provider") + 1]
    assert provider == "awskms://alias/ollamamax-some-secrets?region=eu-central-1&awssdk=v2"
    backend = in_cloud.calls[-1]["env"]["PULUMI_BACKEND_URL"]
    assert backend == "s3://ollamamax-state-111122223333-eu-central-1?region=eu-central-1&awssdk=v2"
    assert in_cloud.stack.settings_file.read_text() == CLOUD


def test_a_stack_on_this_machine_is_refused(with_cli: Checkout) -> None:
    with pytest.raises(StackError, match="STACK=some: only a stack on AWS shares its state"):
        Bootstrap("some", with_cli.root).prepare()


def test_what_to_write_where_is_printed() -> None:
    outputs = {"backend": "s3://one", "secretsProvider": "awskms://two"}
    text = "\n".join(words("prod", outputs))
    assert "export PULUMI_BACKEND_URL='s3://one'" in text
    assert "secretsprovider: awskms://two" in text
    assert "GitHub" not in text
    with_roles = {**outputs, "previewRole": "three", "deployRole": "four"}
    assert "PROD_DEPLOY_ROLE=four" in "\n".join(words("prod", with_roles))
