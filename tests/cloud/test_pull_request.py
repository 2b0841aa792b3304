"""What a pull request's comment says of a typical change of ``prod``, and what was changed beside it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import stacks
from ops import cost, drift
from ops.comment import render
from ops.elsewhere import Elsewhere
from ops.impact import Impact
from tests.cloud.conftest import PASSPHRASE, ROOT, Simulated
from tests.conftest import Golden

PAGE = ROOT / "docs" / "examples" / "pull-request.md"


def typical(settings: dict[str, Any]) -> None:
    """Change what is changed in a month: a larger database, larger bodies, fewer workers, fewer backups."""
    settings["gpuPools"][0]["autoscaling"]["maxReplicas"] = 40
    settings["gateway"]["maxBodyMib"] = 64
    settings["aws"]["database"] = {"instanceClass": "db.m7g.xlarge", "backupDays": 7}


def estimate(stack: Simulated) -> dict[str, Any]:
    return cost.document(stacks.read(stack.config, stack.stack))


def test_the_comment_in_the_docs_is_what_a_typical_change_gets(prod: Simulated, golden: Golden) -> None:
    """``pytest tests/cloud/test_pull_request.py --update-golden`` writes the page anew."""
    prod.write(lambda settings: None)
    before = estimate(prod)
    prod.write(typical)
    levels = str(ROOT / "stacks" / "policies.prod.json")
    done = prod.engine("preview", "--json", "--policy-pack", "policies", "--policy-pack-config", levels)
    plan, possible = json.loads(done.stdout), done.returncode == 0
    found = Impact("prod", "4fd21c9", "8a7be02", True, "", possible, plan, estimate(prod), before)
    golden(PAGE, render([found]))


@pytest.fixture
def touched(prod: Simulated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Elsewhere:
    """Return a copy of ``prod`` in whose cloud somebody has changed one thing and removed another."""
    prod.write(lambda settings: None)
    shutil.copytree(prod.folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", PASSPHRASE)
    (cloud,) = tmp_path.glob("simulated/.pulumi/cloud/*/prod")
    (database,) = (file for file in cloud.iterdir() if file.name.startswith("rds-instance-Instance"))
    text = database.read_text()
    assert '"backupRetentionPeriod": 14' in text
    database.write_text(text.replace('"backupRetentionPeriod": 14', '"backupRetentionPeriod": 1'))
    (alarm,) = (file for file in cloud.iterdir() if file.name.startswith("budgets-budget-Budget"))
    alarm.unlink()
    return Elsewhere("prod", ROOT, simulate=True, at=tmp_path)


@pytest.mark.long
def test_what_was_changed_beside_the_program_is_found_and_nothing_is_written(
    touched: Elsewhere,
) -> None:
    state = touched.state / "simulated/.pulumi/stacks/ollamamax/prod.json"
    before = state.read_bytes()
    found = {one.name: one for one in drift.look(touched)}
    assert [(one.path, one.program, one.real) for one in found["database"].differences] == [
        ("backupRetentionPeriod", 14, 1)
    ]
    assert found["budget"].differences == ()
    assert len(found) == 2
    assert state.read_bytes() == before
    text = drift.report("prod", touched.simulated, list(found.values()))
    assert text.startswith("## Drift of stack prod (simulated)")
    assert "set `aws.database.backupDays: 1` in stacks/Pulumi.prod.yaml" in text
