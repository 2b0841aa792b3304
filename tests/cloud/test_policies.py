"""Every stack that is written down here keeps to its policies."""

import shutil
from pathlib import Path

import pytest

from tests.cloud.conftest import ROOT, Simulated

FILES = sorted([*(ROOT / "stacks").glob("Pulumi.*.yaml"), *(ROOT / "docs" / "examples").glob("*.yaml")])
PLACED = [file for file in FILES if "target: docker" not in file.read_text()]


@pytest.mark.parametrize("file", PLACED, ids=lambda file: file.stem)
def test_a_stack_keeps_to_its_policies(file: Path, tmp_path: Path) -> None:
    stack = Simulated(file.stem.removeprefix("Pulumi."), tmp_path)
    shutil.copy(file, stack.config)
    levels = ROOT / "stacks" / f"policies.{stack.stack}.json"
    words = ["--policy-pack-config", str(levels)] if levels.exists() else []
    done = stack.engine("preview", "--policy-pack", "policies", *words)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "[mandatory]" not in done.stdout
    assert "policies)" in done.stdout
