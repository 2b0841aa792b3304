"""Shorter durations: what they change is what is printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import stacks
from rehearsal.stage.engine import ROOT, given
from rehearsal.stage.nodes import write_config
from rehearsal.stage.overlay import FULL, QUICK
from stacks.loading import parse


@pytest.mark.parametrize("stack", ["prod", "staging"])
def test_a_full_rehearsal_changes_nothing(stack: str) -> None:
    settings = given(stack)
    FULL.apply(settings)
    assert settings == given(stack)
    assert list(FULL.rows(settings)) == []


@pytest.mark.parametrize("stack", ["prod", "staging"])
def test_every_change_of_a_quick_one_is_printed_and_keeps_the_budgets(stack: str) -> None:
    before, after = given(stack), given(stack)
    QUICK.apply(after)
    short, long = parse(after, stack), stacks.read(ROOT / "stacks" / f"Pulumi.{stack}.yaml", stack)
    changed = different(long.model_dump(by_alias=True), short.model_dump(by_alias=True))
    printed = {row.what: row.here for row in QUICK.rows(before) if "." in row.what and "--" not in row.what}
    assert changed == printed


def test_pods_take_as_long_to_end_as_is_said(tmp_path: Path) -> None:
    documents = yaml.safe_load_all(write_config(tmp_path / "kwok.yaml", FULL.pod_end_s).read_text())
    (stage,) = (one for one in documents if one["metadata"]["name"] == "pod-delete")
    assert stage["spec"]["delay"] == {"durationMilliseconds": 2000}


def test_what_is_switched_off_stays_off() -> None:
    settings = given("prod")
    settings["gateway"]["autoscaling"] = None
    QUICK.apply(settings)
    assert settings["gateway"]["autoscaling"] is None


def different(before: Any, after: Any, path: str = "") -> dict[str, str]:
    """Return what differs: path → its new value; a block of a list goes by its name."""
    if isinstance(before, dict):
        return {
            where: value
            for key in before
            for where, value in different(before[key], after[key], f"{path}.{key}".lstrip(".")).items()
        }
    if isinstance(before, (list, tuple)) and before and isinstance(before[0], dict):
        return {
            where: value
            for old, new in zip(before, after, strict=True)
            for where, value in different(old, new, f"{path}.{old.get('name')}").items()
        }
    return {} if before == after else {path: str(after)}
