"""The comment of a pull request: what it says of a change, from plans, findings and costs."""

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ops import comment, impact
from ops.impact import Impact
from ops.stack import ROOT, Stack, StackError


def step(op: str, name: str, custom: bool = True, **more: Any) -> dict[str, Any]:
    """Return a step of a plan."""
    urn = f"urn:pulumi:prod::ollamamax::ollamamax:index:Platform$aws:rds/instance:Instance::{name}"
    return {"op": op, "urn": urn, "newState": {"custom": custom}, **more}


def finding(level: str, policy: str) -> dict[str, str]:
    severity = "error" if level == "mandatory" else "warning"
    message = f"{severity}: ollamamax@v1 [{level}]  {policy}  (Instance: database)\nIt must.\n  Set it.\n"
    return {"urn": "urn", "message": message, "severity": severity}


def costs(**items: float) -> dict[str, Any]:
    """Return an estimate; at least half, at most twice what is expected."""
    amounts = {name: {"min": one / 2, "expected": one, "max": 2 * one} for name, one in items.items()}
    total = sum(items.values())
    return {
        "items": [{"name": name, **amount} for name, amount in amounts.items()],
        "total": {"min": total / 2, "expected": total, "max": 2 * total},
        "pricesAsOf": "2026-01-01",
        "budget": 30000,
    }


QUIET = Impact("prod", "bbb", "aaa", False, "", True, {}, None, None)
"""A stack that a change does not touch."""


def said(**of: Any) -> str:
    return comment.render([replace(QUIET, **of)])


def test_it_begins_with_the_mark_that_it_is_found_by() -> None:
    assert said().startswith(f"{comment.MARK}\n")


def test_a_stack_that_nothing_touches_has_a_row_and_no_section() -> None:
    text = said()
    assert "| prod | 0 | 0 | 0 | 0 | kept | – |" in text
    assert "###" not in text


@pytest.mark.parametrize(
    ("steps", "row"),
    [
        ([step("create", "one"), step("create", "two")], "| 2 | 0 | 0 | 0 |"),
        ([step("update", "one"), step("same", "two")], "| 0 | 1 | 0 | 0 |"),
        ([step("delete", "one")], "| 0 | 0 | 0 | **1** |"),
        (
            [step("create-replacement", "one"), step("replace", "one"), step("delete-replaced", "one")],
            "| 0 | 0 | **1** | 0 |",
        ),
        ([step("update", "group", custom=False)], "| 0 | 0 | 0 | 0 |"),
    ],
)
def test_each_resource_is_counted_once_and_components_are_not(steps: list[dict[str, Any]], row: str) -> None:
    assert f"| prod {row}" in said(plan={"steps": steps})


def test_what_is_replaced_and_deleted_is_named_with_the_reason() -> None:
    steps = [
        step("replace", "database", replaceReasons=["engine", "dbName"], diffReasons=["engine", "tags"]),
        step("delete", "standby"),
    ]
    text = said(plan={"steps": steps})
    assert "**Blast radius: 1 replaced**, 1 of them with data or the platform behind it:\n" in text
    assert "* **`database`** (aws:rds/instance:Instance): `dbName`, `engine`\n" in text
    assert "**Blast radius: 1 deleted**, 1 of them with data or" in text
    assert "\n* **`standby`** (aws:rds/instance:Instance)\n" in text


def test_what_holds_data_is_told_before_what_does_not() -> None:
    files = step("replace", "a-file")
    files["urn"] = files["urn"].replace("aws:rds/instance:Instance", "kubernetes:core/v1:ConfigMap")
    text = said(plan={"steps": [files, step("replace", "database")]})
    assert "**Blast radius: 2 replaced**, 1 of them" in text
    assert text.index("* **`database`**") < text.index("* `a-file` (kubernetes:core/v1:ConfigMap)")
    assert "**Blast radius: 1 replaced**, none of them with data:" in said(plan={"steps": [files]})


def test_what_changes_is_folded_away_with_the_properties_that_differ() -> None:
    change = step("update", "database", detailedDiff={"tags.owner": {}, "multiAz": {}}, diffReasons=["tags"])
    text = said(plan={"steps": [change]})
    assert "<details><summary>1 changed</summary>" in text
    assert "* `database` (aws:rds/instance:Instance): `multiAz`, `tags.owner`" in text


def test_a_stack_that_is_not_there_is_not_listed() -> None:
    steps = [step("create", "one")]
    text = said(plan={"steps": steps, "changeSummary": {"create": 1}})
    assert "### prod\n\nNothing of it is there yet.\n" in text
    assert "<details>" in said(plan={"steps": steps, "changeSummary": {"create": 1, "same": 4}})


def test_a_long_list_is_cut_and_says_so() -> None:
    text = said(plan={"steps": [step("create", f"one-{number}") for number in range(1000)]})
    assert "* … and 960 more" in text
    assert "| prod | 1000 |" in text
    assert len(text) < 65_536


def test_findings_are_told_by_level_in_one_line_each() -> None:
    found = [finding("mandatory", "multi-zone"), finding("advisory", "backups")]
    text = said(plan={"diagnostics": found}, possible=False)
    assert "| **1 broken**, 1 advisory |" in text
    assert "**Policies that are broken:**\n\n* multi-zone (Instance: database). It must. Set it.\n" in text
    assert "**Policies that advise:**\n\n* backups (Instance: database). It must. Set it.\n" in text
    assert "up` would fail" not in text, "the findings say why"


def test_other_errors_of_a_plan_are_told_too() -> None:
    text = said(plan={"diagnostics": [{"message": "error: it is protected\n", "severity": "error"}]})
    assert "**`up` would fail:**\n\n```\nerror: it is protected\n```" in text


def test_settings_that_are_refused_are_the_whole_answer() -> None:
    text = said(problem="the settings have 1 problem:\n  port: unknown setting", possible=False)
    assert "| prod | – | – | – | – | **no plan** | – |" in text
    assert "**There is no plan:**\n\n```\nthe settings have 1 problem:\n  port: unknown setting\n```" in text


def test_the_cost_difference_is_in_the_row_and_its_items_in_a_table() -> None:
    text = said(cost=costs(GPUs=1500.4, NAT=100, Logs=5), cost_before=costs(GPUs=1000, NAT=100, Cache=70))
    assert "| kept | 1,605 (+435) |" in text
    assert "| GPUs | 750 (+250) | 1,500 (+500) | 3,001 (+1,001) |" in text
    assert "| Cache | 0 (-35) | 0 (-70) | 0 (-140) |" in text
    assert "| Logs | 2 (+2) | 5 (+5) | 10 (+10) |" in text
    assert "| **total** | 803 (+218) | 1,605 (+435) | 3,211 (+871) |" in text
    assert "| NAT |" not in text
    assert "List prices as of 2026-01-01; the budget is 30,000." in text


def test_a_stack_that_is_new_costs_all_that_it_costs() -> None:
    assert "| 100 (+100) |" in said(cost=costs(NAT=100))


def test_a_cost_that_stays_is_told_without_a_table() -> None:
    text = said(cost=costs(NAT=100), cost_before=costs(NAT=100))
    assert "| kept | 100 |" in text
    assert "At least" not in text


def test_a_simulated_stack_is_said_to_be_one() -> None:
    assert "| prod (simulated) |" in said(simulated=True)


def test_what_up_would_refuse_fails_the_command() -> None:
    stacks = [QUIET, replace(QUIET, stack="staging", possible=False)]
    assert comment.refused(stacks) == ["staging"]


def test_only_what_was_found_at_this_commit_is_told(tmp_path: Path) -> None:
    head = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    for name, commit in (("prod", head), ("staging", "0000000")):
        (tmp_path / f"{name}.json").write_text(json.dumps(vars(replace(QUIET, stack=name, head=commit))))
    assert [one.stack for one in impact.read(tmp_path)] == ["prod"]


def test_nothing_looked_at_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(
        StackError, match="no stack has been looked at on this commit: run make impact STACK="
    ):
        impact.read(tmp_path)


def test_an_unknown_base_is_one_message() -> None:
    with pytest.raises(StackError, match=re.escape("BASE=no-such: git knows no such commit here; fetch it")):
        impact.look(Stack("local"), "no-such", lambda _: None)
