"""Whole rehearsals, by the command that users give."""

import re
import subprocess
import sys
from pathlib import Path
from socket import create_server

import pytest

from rehearsal.__main__ import rehearse
from rehearsal.processes import RehearsalError
from rehearsal.record import load
from rehearsal.scenario import Scenario, Step
from tests.rehearsal.fake_stage import FakeStage

ROOT = Path(__file__).parents[2]
SHORT = Path(__file__).parent / "short.yaml"
QUICK_S, FULL_S = 1200, 9000


def rehearsed(out: Path, *words: str, stack: str = "prod", seconds: int) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    command = [sys.executable, "-m", "rehearsal", "--stack", stack, "--out", str(out), *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False)


@pytest.fixture
def stage() -> FakeStage:
    with create_server(("127.0.0.1", 0)) as free:
        return FakeStage(free.getsockname()[1])


MINE = Scenario(title="Mine", steps=(Step(kill="keda"),))


def test_a_stack_that_does_not_come_up_is_in_the_report_and_not_played(
    stage: FakeStage, tmp_path: Path
) -> None:
    stage.refuses = "10"
    record = rehearse("prod", MINE, stage, tmp_path, print)
    (finding,) = record.findings
    assert (finding.letter, finding.passed, finding.text) == ("a", False, "2 of 3 replicas are ready")
    assert "kill keda" not in stage.done
    assert not load(tmp_path / "prod.json").passed
    assert "2 of 3 replicas are ready" in (tmp_path / "prod.html").read_text()


@pytest.mark.parametrize("error", [RehearsalError("karpenter ended with 1"), KeyboardInterrupt()])
def test_what_ends_a_rehearsal_is_in_its_report(
    error: BaseException, stage: FakeStage, tmp_path: Path
) -> None:
    def says(text: str) -> None:
        if "kill keda" in text:
            raise error

    with pytest.raises(type(error)):
        rehearse("prod", MINE, stage, tmp_path, says)
    found = load(tmp_path / "prod.json")
    assert [(one.letter, one.passed) for one in found.findings] == [("a", True), ("–", False)]
    assert found.findings[-1].text == (str(error) or "interrupted")
    assert "✗ fails" in (tmp_path / "prod.html").read_text()


@pytest.mark.timeout(QUICK_S + 60)
def test_a_load_and_a_lost_zone_are_met_in_staging(tmp_path: Path) -> None:
    done = rehearsed(tmp_path, "--scenario", str(SHORT), stack="staging", seconds=QUICK_S)
    assert done.returncode == 0, done.stdout + done.stderr
    found = load(tmp_path / "staging.json")
    assert "".join(finding.letter for finding in found.findings) == "abccf"
    assert found.passed


@pytest.mark.long
@pytest.mark.timeout(QUICK_S + 60)
def test_a_short_day_of_production_holds(tmp_path: Path) -> None:
    done = rehearsed(tmp_path, seconds=QUICK_S)
    assert done.returncode == 0, done.stdout + done.stderr
    found = load(tmp_path / "prod.json")
    assert {finding.letter for finding in found.findings} == set("abcdef")
    assert found.passed
    assert found.overlay
    assert "only EKS makes nodes" in done.stdout, "what stands in is printed"
    assert re.search(r'class="verdict good">Passed<', (tmp_path / "prod.html").read_text())


@pytest.mark.long
@pytest.mark.timeout(FULL_S + 60)
def test_a_full_day_of_production_holds(tmp_path: Path) -> None:
    done = rehearsed(tmp_path, "--full", seconds=FULL_S)
    assert done.returncode == 0, done.stdout + done.stderr
    found = load(tmp_path / "prod.json")
    assert not found.overlay
    *_, never_ready = found.happened("rollout", 0)
    assert "engine up failed" in never_ready.text, "the stack's deadline ended it, not a rehearsal's patience"


def test_a_stack_without_gpus_is_refused_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rehearsal", "--stack", "local", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "error: stack local has no GPU pools on AWS: there is nothing to rehearse\n"


def test_a_scenario_that_does_not_fit_is_refused_before_anything_starts(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("title: Mine\nsteps:\n  - loseZone: {zone: 5}\n")
    done = rehearsed(tmp_path, "--scenario", str(file), seconds=60)
    assert done.returncode == 1
    assert done.stderr == (
        f"error: {file}: the scenario does not fit the stack, it has 1 problem:\n"
        "  steps.0.loseZone.zone: 5 is more than the stack's 3 zones\n"
    )
    assert done.stdout == ""
