"""What is wrong with a cloud stack is said in one message, before anything is created."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cloud.conftest import Simulated
from tests.cloud.test_preview import set_

Change = Callable[[dict[str, Any]], None]
WRONG: dict[str, tuple[Change, str]] = {
    "an unknown instance type": (
        set_("gpuPools", 0, "instanceTypes", to=["g6.huge"]),
        r"gpuPools\[chat\]\.instanceTypes: g6\.huge",
    ),
    "zones of another region": (
        set_("aws", "region", to="eu-west-1"),
        r"aws\.zones.*eu-central-1a.*eu-west-1",
    ),
    "a region that does not exist": (
        set_("aws", "region", to="eu-central-9"),
        r"eu-central-9",
    ),
    "more connections than the database takes": (
        set_("pool", "defaultPoolSize", to=500),
        r"pool\.replicas.*pool\.defaultPoolSize \(500\).*database\.maxConnections",
    ),
    "a model that does not fit its GPU": (
        set_("gpuPools", 0, "models", to=["llama3.1:70b"]),
        r"llama3\.1:70b.*GPU",
    ),
    "a budget below the expected cost": (
        set_("cost", "monthlyUsd", to=10),
        r"cost\.monthlyUsd \(10\) is less than",
    ),
    "MIG on nodes that cannot": (
        set_("gpuPools", 0, "sharing", to={"mode": "mig", "slices": 2}),
        r"gpuPools\[chat\]\.sharing: L40S of g6e\.xlarge has no MIG",
    ),
}


@pytest.fixture
def fresh(tmp_path: Path) -> Simulated:
    """Return ``prod``, of which nothing is there yet."""
    return Simulated("prod", tmp_path)


@pytest.mark.parametrize("what", WRONG)
def test_a_stack_that_breaks_a_budget_is_refused_before_anything_is_created(
    fresh: Simulated, what: str
) -> None:
    change, says = WRONG[what]
    fresh.write(change)
    done = fresh.engine("up", "--yes")
    assert done.returncode != 0
    assert re.search(says, done.stdout), done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert [one["type"] for one in fresh.resources()] == ["pulumi:pulumi:Stack"]


def test_a_stack_that_breaks_a_mandatory_policy_is_refused(fresh: Simulated, tmp_path: Path) -> None:
    fresh.write(lambda settings: None)
    levels = tmp_path / "levels.json"
    levels.write_text('{"backups": {"days": 30}}')
    done = fresh.engine("preview", "--policy-pack", "policies", "--policy-pack-config", str(levels))
    assert done.returncode != 0
    assert "[mandatory]  backups" in done.stdout
    assert "backupRetentionPeriod is 14 days, less than 30" in done.stdout


def test_up_of_a_cloud_stack_says_what_to_install(fresh: Simulated) -> None:
    fresh.write(lambda settings: None)
    done = fresh.engine("up", "--yes", simulate=False)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "https://www.pulumi.com/docs/install/" in said
    assert "--simulate" in said
    assert "Traceback" not in said
