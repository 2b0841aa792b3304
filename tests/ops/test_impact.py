"""What is found out of a change: the plan, or why there is none; with an engine that answers as told."""

import json

import pytest

from ops import impact
from ops.elsewhere import Elsewhere
from tests.ops.conftest import SETTINGS, Checkout

PLAN = {"steps": [], "changeSummary": {"same": 3}}


def planned(checkout: Checkout) -> impact.Impact:
    return impact._planned(checkout.stack, "head", "base", None)


def test_a_plan_is_kept_as_the_engine_tells_it(embedded: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSWER", json.dumps(PLAN))
    found = planned(embedded)
    assert (found.plan, found.possible, found.problem) == (PLAN, True, "")
    assert embedded.words[:2] == ["preview", "--json"]
    assert "--policy-pack" in embedded.words


def test_a_plan_that_policies_refuse_is_kept_too(embedded: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSWER", json.dumps(PLAN))
    monkeypatch.setenv("STATUS", "1")
    found = planned(embedded)
    assert (found.plan, found.possible, found.problem) == (PLAN, False, "")


def test_an_engine_that_has_no_plan_is_the_problem(
    embedded: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATUS", "1")
    found = planned(embedded)
    assert not found.possible
    assert found.problem == "preview of stack some failed; the messages above say why"


def test_settings_that_are_refused_are_the_problem(embedded: Checkout) -> None:
    embedded.stack.settings_file.write_text(f"{SETTINGS}  ollamamax:port: 1\n")
    found = planned(embedded)
    assert not found.possible
    assert "the settings have 1 problem:\n  port: unknown setting" in found.problem
    assert not embedded.record.exists(), "no engine was asked"


def test_a_state_elsewhere_leaves_the_stacks_own_alone(embedded: Checkout) -> None:
    at = embedded.root.parent / "elsewhere"
    other = Elsewhere("some", embedded.root, at=at)
    other.prepare()
    other.refresh()
    assert embedded.words[:2] == ["refresh", "--yes"]
    call = embedded.calls[-1]
    assert call["env"]["PULUMI_BACKEND_URL"] == f"file://{at}"
    assert call["words"][call["words"].index("--config-file") + 1] == str(at / "Pulumi.some.yaml")
    assert not embedded.stack.state.exists()
