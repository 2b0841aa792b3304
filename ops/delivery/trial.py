"""The trial of a release: it gets more and more requests, is watched, and taken back where it is worse."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from ops.delivery.gate import PROLONGED, Limits, Pair, enough, verdict
from ops.delivery.measure import THERE, TRIED, Moment, between
from stacks import Settings
from stacks.delivery import ALL

Say = Callable[[str], None]
UNSEEN_LOOKS = 3
"""Looks in a row at which a release may not be seen: the first scrape takes a while."""


class Candidate(Protocol):
    """What is tried beside what is there."""

    def place(self) -> None:
        """Bring it up beside what is there, unless it is there already."""
        ...

    def weigh(self, percent: int) -> None:
        """Give it a share of the requests."""
        ...

    def moment(self) -> Moment:
        """Return what both sides have done so far."""
        ...

    def take_over(self) -> None:
        """Put it in the place of what was there."""
        ...

    def take_back(self) -> None:
        """Remove it, or what there is of it; what was there has all requests again."""
        ...


@dataclass(frozen=True)
class Course:
    """How a release is tried."""

    steps: tuple[int, ...]
    """The shares, percent."""
    watch_s: float
    settle_s: float
    every_s: float
    """Time between two looks, seconds."""

    @classmethod
    def of(cls, settings: Settings, heard_s: float) -> Course:
        """Return how a stack's releases are tried, where all edges know a share after ``heard_s``."""
        return cls(
            settings.release.steps_percent,
            settings.release.watch_s,
            max(settings.release.settle_s, heard_s),
            settings.monitoring.scrape_interval_s,
        )


@dataclass(frozen=True)
class Clock:
    """Time, which tests let pass as they like."""

    sleep: Callable[[float], None] = time.sleep


@dataclass
class Trial:
    """One release on its way."""

    candidate: Candidate
    course: Course
    limits: Limits
    say: Say
    note: Callable[[int], None]
    """Told each share that it is given, before it is."""
    clock: Clock = Clock()
    taken_back: Callable[[], None] = lambda: None
    """Called once it has been taken back, and only then: what could not be is still there."""

    def run(self, above: int = 0, until: int = ALL) -> str | None:
        """Give it the shares above ``above`` up to ``until``; return in one line why not.

        What fails meanwhile, or is interrupted, takes it back too.
        """
        with self._taken_back_where_it_fails():
            self.candidate.place()
            steps = (one for one in self.course.steps if above < one <= until)
            reason = next((found for one in steps if (found := self._step(one))), None)
            if reason:
                self._take_back()
        return reason

    def _step(self, percent: int) -> str | None:
        """Watch one share; return why the release is to be taken back."""
        self.note(percent)
        self.candidate.weigh(percent)
        self.clock.sleep(self.course.settle_s)
        seen: list[Pair] = []
        then = self.candidate.moment()
        for last in self._looks(lambda: enough(seen, self.limits)):
            self.clock.sleep(self.course.every_s)
            now = self.candidate.moment()
            if not now.sides.get(TRIED) and len(seen) >= UNSEEN_LOOKS:
                return f"at {percent} %: it does not answer"
            seen.append(Pair(between(then, now, TRIED), between(then, now, THERE)))
            if reason := verdict(seen, self.limits, over=last):
                return f"at {percent} %: {reason}"
            then = now
        asked = sum(pair.tried.requests for pair in seen)
        if not enough(seen, self.limits):
            least = self.limits.least_requests
            return (
                f"at {percent} %: {asked} requests reached it, and nothing can be said of fewer than {least}"
            )
        self.say(f"{percent} %: not worse, by {asked:,} requests")
        return None

    def _looks(self, enough_seen: Callable[[], bool]) -> Iterator[bool]:
        """Yield before each look whether it is a step's last: more follow until enough requests have come."""
        usual = max(1, round(self.course.watch_s / self.course.every_s))
        for look in range(1, usual * PROLONGED + 1):
            last = look >= usual and (enough_seen() or look == usual * PROLONGED)
            yield last
            if last:
                return

    @contextmanager
    def _taken_back_where_it_fails(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.say(f"taking it back: {str(error) or type(error).__name__}")
            self._take_back()
            raise

    def _take_back(self) -> None:
        self.candidate.take_back()
        self.taken_back()
