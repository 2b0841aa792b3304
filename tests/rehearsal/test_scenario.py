"""Scenarios: what is refused, with which words, and that those which are shipped fit the stacks."""

from pathlib import Path

import pytest

import stacks
from rehearsal import reading, scenario
from stacks.block import Block

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "rehearsal" / "scenarios").glob("*.yaml"))
CLOUD = ("prod", "staging")
HEAD = "title: A test\nsteps:\n"


def settings(stack: str) -> stacks.Settings:
    return stacks.read(ROOT / "stacks" / f"Pulumi.{stack}.yaml", stack)


def refused(text: str, folder: Path) -> str:
    file = folder / "scenario.yaml"
    file.write_text(text)
    with pytest.raises(reading.ScenarioError) as caught:
        reading.read(file, settings("prod"))
    return str(caught.value).replace(str(file), "FILE")


@pytest.mark.parametrize("stack", CLOUD)
@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_shipped_scenarios_fit_the_cloud_stacks(file: Path, stack: str) -> None:
    assert reading.read(file, settings(stack)).steps


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_shipped_scenarios_assert_everything_there_is_to_assert(file: Path) -> None:
    steps = reading.read(file, settings("prod")).steps
    asserted = {step.expect.given[0] for step in steps if step.expect}
    assert asserted == set(scenario.Expect.model_fields) - {"since"}


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ("  - load: {percent: 400}", "steps.0.load.percent: 400 is more than 300"),
        ('  - load: {percent: "40"}', 'steps.0.load.percent: "40" is not a whole number'),
        ("  - load: {percent: 40, pool: chat}", "steps.0.load.pool: unknown setting; did you mean pools?"),
        ("  - {name: Nothing}", "steps.0: needs exactly one of load, wait, loseSpot"),
        ("  - {wait: {forS: 3}, kill: keda}", "given: wait and kill"),
        ("  - kill: kedda", "steps.0.kill: \"kedda\" is not 'autoscaler', 'keda' or 'prometheus'"),
        ("  - load: {percent: 40, pools: [chot]}", "pools.0: the stack has no pool chot, it has chat, code"),
        ("  - kill: keda\n  - kill: keda", "steps.1.kill: keda was killed before"),
        ("  - start: keda", "steps.0.start: keda runs: only what was killed is started"),
        ("  - loseZone: {zone: 4}", "steps.0.loseZone.zone: 4 is more than the stack's 3 zones"),
        ("  - expect: {cost: {}}", "steps.0.expect: no step before it does anything: it must follow one"),
        ("  - kill: keda\n  - expect: {cost: {}, since: x}", "expect.since: no step before it is named x"),
        ("  - kill: keda\n  - expect: {}", "steps.1.expect: needs exactly one of scaleUp, scaleDown"),
        ("  - kill: keda\n    kill: keda", "FILE, line 4: kill is given twice"),
    ],
)  # fmt: skip
def test_a_wrong_step_is_refused_by_name(steps: str, says: str, tmp_path: Path) -> None:
    assert says in refused(HEAD + steps, tmp_path)


def test_all_problems_are_said_at_once(tmp_path: Path) -> None:
    found = refused(f"{HEAD}  - kill: keda\n  - load: {{percent: -1}}\n  - wait: {{}}\n", tmp_path)
    assert found.splitlines() == [
        "FILE: the scenario has 2 problems:",
        "  steps.1.load.percent: -1 is less than 0",
        "  steps.2.wait.forS: is missing",
    ]


def test_a_file_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(reading.ScenarioError, match=r"cannot read .*none.yaml: No such file"):
        reading.read(tmp_path / "none.yaml", settings("prod"))


def test_a_file_without_a_scenario_is_said_so(tmp_path: Path) -> None:
    assert "the scenario has 1 problem" in refused("just words\n", tmp_path)


def test_every_word_of_a_scenario_is_explained() -> None:
    explained = (ROOT / "docs" / "rehearsal.md").read_text()
    blocks = [one for one in vars(scenario).values() if isinstance(one, type) and issubclass(one, Block)]
    own = [one for one in blocks if one.__module__ == scenario.__name__]
    words = {str(field.alias) for one in own for field in one.model_fields.values()}
    assert {word for word in words if f"`{word}`" not in explained} == set()
