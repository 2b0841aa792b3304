"""What a rehearsed release has of its own; how one is tried and judged is tested where make release is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from socket import create_server
from typing import ClassVar

import pytest

from ops.delivery.measure import THERE, TRIED, Moment, Totals
from ops.stack import StackError
from rehearsal import release
from rehearsal.release import Measured, RefusedError, Staged, tried
from tests.rehearsal.fake_stage import FakeStage


@pytest.fixture
def stage() -> FakeStage:
    with create_server(("127.0.0.1", 0)) as free:
        return FakeStage(free.getsockname()[1])


def newer(settings: dict[str, dict[str, int]]) -> None:
    settings["gateway"]["keyRefreshIntervalS"] = 11


def staged(stage: FakeStage, beside: Mapping[str, object] = {}) -> Staged:
    return Staged("prod", beside=beside, stage=stage, change=newer)


def test_the_stage_brings_up_what_commands_name(stage: FakeStage) -> None:
    staged(stage).up("urn:a", "urn:b")
    assert stage.done == ["deploy 11 urn:a urn:b"]


def test_its_settings_are_the_stages_with_the_change_and_what_is_beside(stage: FakeStage) -> None:
    settings = staged(stage, {"canary": {"replicas": 4}}).settings()
    assert settings.gateway.key_refresh_interval_s == 11
    assert settings.canary
    assert settings.canary.replicas == 4
    assert settings.release.steps_percent == (100,)


def test_what_goes_wrong_on_the_stage_is_said_as_commands_say_it(stage: FakeStage) -> None:
    stage.refuses = "11"
    with pytest.raises(StackError, match="2 of 3 replicas are ready"):
        staged(stage).up()
    stage.answers.is_away = True
    measured = Measured(url="", user="", password="", ca_certificate="", stage=stage)
    with pytest.raises(StackError, match="Prometheus does not answer"):
        measured.ask("up", 1.0)


def test_the_stages_prometheus_answers(stage: FakeStage) -> None:
    measured = Measured(url="", user="", password="", ca_certificate="", stage=stage)
    assert measured.ask("up", 1.0) == [({"release": "canary"}, 7.0)]


@dataclass
class Candidate:
    """Gateways that answer a thousand requests between two looks, and fail some."""

    stack: Staged
    heard_s: ClassVar[float] = 0
    fails: ClassVar[float] = 0.0
    done: ClassVar[list[str]] = []
    looks: int = field(default=0)

    def check(self) -> None:
        self.done.append("check")

    def place(self) -> None:
        self.done.append("place")

    def weigh(self, percent: int) -> None:
        self.done.append(f"{percent} %")

    def moment(self) -> Moment:
        self.looks += 1
        requests = 1000 * self.looks
        its = Totals(requests, round(requests * self.fails), {0.001: requests})
        return Moment(self.looks, {TRIED: {"a": its}, THERE: {"b": Totals(requests, 0, {0.001: requests})}})

    def take_over(self) -> None:
        self.done.append("take over")

    def take_back(self) -> None:
        self.done.append("take back")


def test_one_that_cannot_be_measured_is_not_tried(stage: FakeStage, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(candidate: Candidate) -> None:
        raise StackError("Prometheus does not answer")

    monkeypatch.setattr(Candidate, "check", refuse)
    monkeypatch.setattr(Candidate, "done", [])
    monkeypatch.setattr(release, "Gateways", Candidate)
    with pytest.raises(RefusedError, match="Prometheus does not answer"):
        tried(stage, "prod", newer, print)
    assert Candidate.done == []


@pytest.mark.parametrize(
    ("fails", "reason", "end"),
    [(0.0, None, "take over"), (0.2, "at 100 %: 20.00 % of 1000 requests failed", "take back")],
)
def test_a_release_is_judged_by_the_gate_of_production(
    fails: float, reason: str | None, end: str, stage: FakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Candidate, "fails", fails)
    monkeypatch.setattr(Candidate, "done", [])
    monkeypatch.setattr(release, "Gateways", Candidate)
    found = tried(stage, "prod", newer, print)
    assert (found or "").startswith(reason or "")
    assert (found is None) == (reason is None)
    assert Candidate.done == ["check", "place", "100 %", end]
