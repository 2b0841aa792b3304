"""The player and the recorder, on a stage on which nothing runs."""

import time
from collections.abc import Callable
from pathlib import Path
from socket import create_server

import pytest

from rehearsal import player, reading, recorder
from rehearsal.processes import RehearsalError
from rehearsal.promises import promised
from rehearsal.record import Record
from rehearsal.release import RefusedError
from rehearsal.stage import Change, Say
from tests.rehearsal.fake_stage import FakeStage

Then = Callable[[FakeStage, str], None]
LOOK_S = 0.02


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> FakeStage:
    monkeypatch.setattr(player, "LOOK_S", LOOK_S)
    monkeypatch.setattr(recorder, "EVERY_S", LOOK_S / 2)
    with create_server(("127.0.0.1", 0)) as free:
        return FakeStage(free.getsockname()[1])


def played(stage: FakeStage, folder: Path, steps: str, then: Then = lambda stage, said: None) -> Record:
    """Play steps; ``then`` changes the stage when the player has said something."""
    file = folder / "scenario.yaml"
    file.write_text(f"title: A test\nsteps:\n{steps}")
    given = reading.read(file, stage.settings)
    record = player.begin(stage, "prod", given, {})
    player.play(stage, given, promised(stage), record, lambda said: then(stage, said))
    return record


def rush(stage: FakeStage, said: str) -> None:
    """Have all replicas when the load rises."""
    if "Rush" in said:
        stage.cluster.wanted = {"worker-chat": 50, "worker-code": 20, "gateway": 50}
        stage.cluster.follow()


UP = "  - {name: Rush, load: {percent: 90}}\n  - expect: {scaleUp: {withinS: 1}}\n"


def test_what_follows_the_load_is_found_to(stage: FakeStage, tmp_path: Path) -> None:
    record = played(stage, tmp_path, UP, rush)
    (finding,) = record.findings
    assert (finding.passed, finding.letter) == (True, "b")
    assert "worker-chat 3 → 50 of 50" in finding.text
    assert record.passed


def test_what_does_not_follow_in_time_is_found_to(stage: FakeStage, tmp_path: Path) -> None:
    record = played(stage, tmp_path, UP)
    (finding,) = record.findings
    assert not finding.passed
    assert "worker-chat has 3 of 50 ready (3 wanted)" in finding.text
    assert "1 s were allowed" in finding.text


def test_nodes_replicas_cost_and_what_is_asked_for_are_recorded(stage: FakeStage, tmp_path: Path) -> None:
    record = played(stage, tmp_path, UP + "  - wait: {forS: 1}\n", rush)
    last = record.samples[-1]
    chat = last.workloads["worker-chat"]
    assert (chat.wanted, chat.ready, chat.waiting, chat.astray) == (50, 50, 0, 0)
    assert last.load["worker-chat"] == 360
    assert chat.asked > 10, "requests in flight ask for more than there were"
    assert last.gpu_nodes() == last.gpu_nodes("spot") == 70
    assert last.cost_hour > record.samples[0].cost_hour > 0
    assert len(list(record.happened("node-joined", 0))) == 47 + 17 + 47
    assert stage.usage["worker-chat"].cpus > 0


def test_spot_is_lost_with_notice_and_what_is_left_then_ends(stage: FakeStage, tmp_path: Path) -> None:
    steps = "  - {loseSpot: {percent: 50, noticeS: 0}}\n  - wait: {forS: 1}\n  - returnSpot: {}\n"
    played(stage, tmp_path, steps)
    assert stage.done == ["spot False, without none", "spot True, without none"]
    told = [name for name in stage.cluster.deleted if name.startswith("claim-")]
    assert told[:3] == ["claim-node-worker-chat-0", "claim-node-worker-chat-1", "claim-node-worker-chat-2"]
    assert "node-worker-chat-0" in stage.cluster.deleted, "it had not gone by itself"
    assert "node-worker-code-0" not in stage.cluster.deleted


def test_a_zone_is_lost_with_all_that_runs_in_it(stage: FakeStage, tmp_path: Path) -> None:
    steps = "  - loseZone: {zone: 2}\n  - expect: {capacityBack: {withinS: 2}}\n  - returnZone: {zone: 2}\n"
    record = played(stage, tmp_path, steps)
    assert stage.done == ["spot True, without eu-central-1b", "spot True, without none"]
    gone = sorted(name for name in stage.cluster.deleted if name.startswith("node-"))
    assert gone == ["node-gateway-1", "node-worker-chat-1", "node-worker-code-1"]
    assert not record.passed, "nobody brought it back"
    assert "worker-chat has 2 of 3 ready" in record.findings[0].text


def tries(patch: pytest.MonkeyPatch, then: Callable[[FakeStage, str], str | None]) -> None:
    """Have a release come to this end; ``then`` is told its version."""

    def tried(stage: FakeStage, stack: str, change: Change, say: Say) -> str | None:
        return then(stage, str(stage.describe(change).gateway.key_refresh_interval_s))

    patch.setattr(player, "tried", tried)


GOOD = "  - rollout: {}\n  - expect: {rolledOut: {}}\n"
BAD = "  - rollout: {errorsPercent: 20}\n  - expect: {takenBack: {}}\n"
WHY = "at 5 %: 20.00 % of 120 requests failed"


def test_a_good_version_is_kept_and_the_next_one_follows_it(
    stage: FakeStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries(monkeypatch, lambda stage, version: stage.cluster.roll(version))
    record = played(stage, tmp_path, GOOD * 2)
    assert stage.cluster.version == "12"
    assert [finding.passed for finding in record.findings] == [True, True]


def test_a_version_that_fails_requests_is_taken_back(
    stage: FakeStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries(monkeypatch, lambda stage, version: WHY)
    (finding,) = played(stage, tmp_path, BAD).findings
    assert finding.passed
    assert finding.text.endswith(WHY)


def test_one_that_cannot_be_tried_is_neither_kept_nor_taken_back(
    stage: FakeStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(stage: FakeStage, version: str) -> None:
        raise RefusedError("Prometheus does not answer")

    tries(monkeypatch, refused)
    record = played(stage, tmp_path, GOOD + BAD)
    assert [finding.passed for finding in record.findings] == [False, False]
    assert "not tried" in record.findings[1].text
    assert "Prometheus does not answer" in record.findings[1].text


def test_one_that_is_still_there_is_not_taken_back(
    stage: FakeStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stays(stage: FakeStage, version: str) -> str:
        stage.cluster.try_beside(0)
        return WHY

    tries(monkeypatch, stays)
    (finding,) = played(stage, tmp_path, BAD).findings
    assert not finding.passed
    assert "not taken back" in finding.text


@pytest.mark.parametrize("ready", [True, False])
def test_a_version_that_does_not_take_over_is_not_kept(
    ready: bool, stage: FakeStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stays(stage: FakeStage, version: str) -> None:
        if not ready:
            stage.cluster.wanted["gateway"] = 0
            stage.cluster.roll(version)

    tries(monkeypatch, stays)
    (finding,) = played(stage, tmp_path, GOOD).findings
    assert not finding.passed
    assert "not everywhere" in finding.text


def test_it_fails_its_share_of_the_requests_while_it_is_tried(
    stage: FakeStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(stage: FakeStage, version: str) -> str:
        stage.cluster.try_beside(50)
        time.sleep(10 * LOOK_S)
        del stage.cluster.pods["canary"]
        return WHY

    tries(monkeypatch, fails)
    record = played(stage, tmp_path, f"  - load: {{percent: 4}}\n{BAD}")
    assert max(sample.failed_percent for sample in record.samples) == pytest.approx(10)


def test_one_that_never_gets_ready_is_broken_and_mended(
    stage: FakeStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries(monkeypatch, lambda stage, version: "2 of 3 replicas are ready")
    record = played(stage, tmp_path, "  - rollout: {neverReady: true}\n  - expect: {takenBack: {}}\n")
    assert stage.done == ["break gateway-canary", "mend gateway-canary"]
    assert record.passed
    assert "2 of 3 replicas are ready" in record.findings[0].text


def test_an_assertion_may_be_about_a_step_in_which_nothing_is_done(stage: FakeStage, tmp_path: Path) -> None:
    steps = "  - {name: Lunch, wait: {forS: 1}}\n  - kill: keda\n  - expect: {cost: {}, since: Lunch}\n"
    (finding,) = played(stage, tmp_path, steps).findings
    assert finding.since < 1


def test_parts_are_killed_and_started(stage: FakeStage, tmp_path: Path) -> None:
    played(stage, tmp_path, "  - kill: keda\n  - wait: {forS: 1}\n  - start: keda\n")
    assert stage.done == ["kill keda", "start keda"]


def test_what_should_scale_and_has_nothing_that_scales_it_ends_the_rehearsal(
    stage: FakeStage, tmp_path: Path
) -> None:
    stage.cluster.without.add("scaledobjects")
    with pytest.raises(RehearsalError, match=r"^gateway, worker-chat, worker-code: .* no ScaledObject$"):
        played(stage, tmp_path, UP)


LONG = "  - kill: keda\n  - wait: {forS: 60}\n"


@pytest.mark.timeout(30)
def test_a_recorder_that_fails_ends_the_rehearsal(stage: FakeStage, tmp_path: Path) -> None:
    def breaks(stage: FakeStage, said: str) -> None:
        stage.cluster.pods["broken"] = {}

    with pytest.raises(KeyError):
        played(stage, tmp_path, LONG, breaks)


@pytest.mark.timeout(30)
def test_a_part_that_ends_by_itself_ends_the_rehearsal(stage: FakeStage, tmp_path: Path) -> None:
    def ends(stage: FakeStage, said: str) -> None:
        stage.ended = "karpenter"

    with pytest.raises(RehearsalError, match="karpenter ended with 1"):
        played(stage, tmp_path, LONG, ends)
