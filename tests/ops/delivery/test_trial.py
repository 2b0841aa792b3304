"""A release on its way: what is done in which order, and that it never stays where it failed."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from ops.delivery.measure import THERE, TRIED, Moment, Totals
from ops.delivery.trial import Clock, Course, Trial
from tests.ops.delivery.test_gate import LIMITS

COURSE = Course(steps=(5, 25, 50, 100), watch_s=20, settle_s=10, every_s=5)


@dataclass
class Fake:
    """A candidate whose requests go by the share that it was given."""

    rate: int = 1000
    fails: float = 0.0
    answers: bool = True
    breaks: Callable[[int], None] = lambda percent: None
    done: list[str] = field(default_factory=list)
    percent: int = 0
    at: float = 0.0
    sides: dict[str, Totals] = field(default_factory=lambda: {TRIED: Totals(), THERE: Totals()})

    def place(self) -> None:
        self.done.append("place")

    def weigh(self, percent: int) -> None:
        self.done.append(f"{percent} %")
        self.percent = percent
        self.breaks(percent)

    def pass_time(self, seconds: float) -> None:
        self.at += seconds
        for side, share in ((TRIED, self.percent), (THERE, 100 - self.percent)):
            requests = round(self.rate * seconds * share / 100)
            was = self.sides[side]
            failed = round(requests * self.fails) if side == TRIED else 0
            self.sides[side] = Totals(
                was.requests + requests,
                was.failed + failed,
                {0.001: was.requests + requests, math.inf: was.requests + requests},
            )

    def moment(self) -> Moment:
        there = {THERE: {"one:9090": self.sides[THERE]}}
        return Moment(self.at, there | ({TRIED: {"two:9090": self.sides[TRIED]}} if self.answers else {}))

    def take_over(self) -> None:
        self.done.append("take over")

    def take_back(self) -> None:
        self.done.append("take back")


def tried(fake: Fake, above: int = 0, until: int = 100) -> tuple[str | None, list[int], list[str]]:
    """Return why a release was taken back, the shares that were noted, and what was said."""
    noted: list[int] = []
    said: list[str] = []
    trial = Trial(fake, COURSE, LIMITS, said.append, noted.append, Clock(fake.pass_time))
    return trial.run(above, until), noted, said


def test_a_good_release_gets_more_and_more_and_in_the_end_all() -> None:
    fake = Fake()
    reason, noted, said = tried(fake)
    assert reason is None
    assert fake.done == ["place", "5 %", "25 %", "50 %", "100 %"], "and taking over is another's word"
    assert noted == [5, 25, 50, 100]
    assert said[0] == "5 %: not worse, by 1,000 requests"
    assert fake.at == 4 * (10 + 20)


def test_a_bad_one_is_taken_back_at_its_first_step() -> None:
    fake = Fake(fails=0.02)
    reason, noted, _ = tried(fake)
    assert reason
    assert reason.startswith("at 5 %: 2.00 % of 250 requests failed, beside 0.00 % of 4750 (")
    assert "\n" not in reason
    assert fake.done == ["place", "5 %", "take back"]
    assert noted == [5]


def test_one_that_does_not_answer_is_taken_back() -> None:
    fake = Fake(answers=False)
    assert tried(fake)[0] == "at 5 %: it does not answer"
    assert fake.done[-1] == "take back"


def test_one_that_is_hardly_asked_is_watched_longer_and_then_taken_back() -> None:
    fake = Fake(rate=20)
    reason, _, _ = tried(fake)
    assert reason == "at 5 %: 60 requests reached it, and nothing can be said of fewer than 100"
    assert fake.at == 10 + 3 * 20


def test_it_is_held_where_that_is_wanted_and_goes_on_from_there() -> None:
    fake = Fake()
    assert tried(fake, until=25)[1] == [5, 25]
    assert tried(fake, above=25)[1] == [50, 100]
    assert fake.done == ["place", "5 %", "25 %", "place", "50 %", "100 %"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ZeroDivisionError("no edge")])
def test_what_fails_or_is_interrupted_takes_it_back(error: BaseException) -> None:
    def break_at(percent: int) -> None:
        if percent == 25:
            raise error

    fake = Fake(breaks=break_at)
    with pytest.raises(type(error)):
        tried(fake)
    assert fake.done == ["place", "5 %", "25 %", "take back"]
