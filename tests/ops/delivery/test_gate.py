"""The gate: what is worse is taken back and says why, what is not is never."""

import math
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.delivery.gate import Interval, Limits, Pair, enough, limits, verdict
from stacks.settings import Settings

EVERY_S = 5
LIMITS = Limits(
    errors_target=0.1,
    errors_most=1,
    slow_ms=10,
    slower=0.15,
    memory_mib=2048,
    least_requests=100,
    chance=0.01 / 156,
    confidence_percent=99,
)


def steady(tried: Interval, there: Interval) -> list[Pair]:
    """Return a minute in which both sides do the same again and again."""
    ends = range(EVERY_S, 13 * EVERY_S, EVERY_S)
    return [Pair(replace(tried, at=at), replace(there, at=at)) for at in ends]


class Load:
    """Makes pairs of what two gateways would do, one of them perhaps worse."""

    def __init__(self, seed: int, share: float = 0.05, rate: int = 400) -> None:
        self._dice = random.Random(seed)  # noqa: S311 - no secret
        self._share, self._rate = share, rate

    def pairs(
        self, count: int = 12, *, fails: float = 0.0, slower: float = 0.0, leaks_mib_s: float = 0.0
    ) -> list[Pair]:
        found = []
        for look in range(1, count + 1):
            at, busy = look * EVERY_S, self._dice.lognormvariate(0, 0.4)  # the machine has other things to do
            tried = round(self._rate * EVERY_S * self._share)
            found.append(
                Pair(
                    self._side(at, tried, busy * (1 + slower), fails, 60 + leaks_mib_s * at),
                    self._side(at, self._rate * EVERY_S - tried, busy, 0.0, 80),
                )
            )
        return found

    def _side(self, at: float, count: int, busy: float, fails: float, mib: float) -> Interval:
        dice = self._dice
        failed = sum(dice.random() < fails for _ in range(count)) if fails else 0
        # The mean of so many times, each of which varies by as much as it is.
        seconds = count * 0.0003 * busy * max(0.1, dice.gauss(1, 1 / math.sqrt(max(count, 1))))
        slow = sum(dice.random() < 0.002 for _ in range(count))
        return Interval(at, count, failed, count, seconds, slow, mib + dice.gauss(0, 0.5))


def judged(before: Sequence[Pair], step: Sequence[Pair], held_to: Limits = LIMITS) -> str | None:
    """Return what the gate says at any look of a step."""
    for look in range(1, len(step) + 1):
        if reason := verdict(before, step[:look], held_to, over=look == len(step)):
            return reason
    return None


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.sampled_from([0.05, 0.25, 0.5]))
def test_a_release_that_is_the_same_passes(seed: int, share: float) -> None:
    load = Load(seed, share)
    assert judged(load.pairs(), load.pairs()) is None


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.sampled_from([0.05, 0.25, 0.5]))
def test_one_that_fails_two_percent_is_found_before_it_has_failed_many(seed: int, share: float) -> None:
    load = Load(seed, share)
    pairs = load.pairs(fails=0.02)
    looks = next(n for n in range(1, 13) if verdict([], pairs[:n], LIMITS, over=False))
    reason = verdict([], pairs[:looks], LIMITS, over=False)
    assert reason
    assert "requests failed" in reason
    assert "99 % sure" in reason
    failed = sum(pair.tried.failed for pair in pairs[:looks])
    assert failed <= max(20, 0.021 * pairs[0].tried.requests * 2), "no more than two looks' worth"


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_one_that_is_slower_by_thirty_percent_is_found_by_the_third_step(seed: int) -> None:
    seen: list[Pair] = []
    for share in (0.05, 0.25, 0.5):
        step = Load(seed, share).pairs(slower=0.3)
        if reason := judged(seen, step):
            assert "longer in it than beside it" in reason
            return
        seen += step
    pytest.fail("slower by 30 %, and nobody has seen it")


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), leaks=st.floats(2, 30))
def test_one_that_leaks_is_found_in_the_first_step(seed: int, leaks: float) -> None:
    reason = judged([], Load(seed).pairs(leaks_mib_s=leaks))
    assert reason
    assert "within the hour" in reason


def test_memory_that_grows_on_both_sides_is_the_loads_doing() -> None:
    pairs = [
        Pair(
            Interval(n * EVERY_S, 100, 0, 100, 0.03, 0, 60 + 5 * n),
            Interval(n * EVERY_S, 100, 0, 100, 0.03, 0, 90 + 5.1 * n),
        )
        for n in range(12)
    ]
    assert judged([], pairs) is None


def test_a_release_is_not_to_blame_for_what_fails_on_both_sides() -> None:
    side = Interval(5, 1000, 5, 1000, 0.3, 0, 50)
    assert judged([], steady(side, side)) is None


def test_but_it_does_not_go_on_while_more_fails_than_may() -> None:
    side = Interval(5, 1000, 20, 1000, 0.3, 0, 50)
    assert judged([], steady(side, side)) == "2.00 % of 12000 requests failed, 1 % may"


def test_a_difference_that_is_within_the_target_is_none() -> None:
    tried, there = Interval(5, 10_000, 8, 10_000, 3, 0, 50), Interval(5, 10_000, 0, 10_000, 3, 0, 50)
    assert judged([], steady(tried, there)) is None, "0.08 % may fail"


def test_slow_requests_count_where_they_are_more_than_one_in_a_hundred() -> None:
    tried, there = Interval(5, 1000, 0, 1000, 0.3, 30, 50), Interval(5, 1000, 0, 1000, 0.3, 5, 50)
    reason = judged([], steady(tried, there))
    assert reason
    assert reason.startswith("3.00 % of 12000 requests took more than 10 ms, beside 0.50 %")


def test_a_process_that_starts_again_is_a_reason_by_itself() -> None:
    tried = Interval(5, 1000, 0, 1000, 0.3, 0, 50, restarts=1)
    assert judged([], steady(tried, tried)[:1]) == "it has started again"


def test_with_all_requests_it_is_held_to_the_numbers_alone() -> None:
    tried, there = Interval(5, 1000, 0, 1000, 0.9, 0, 50), Interval(5, 0, 0, 0, 0.0, 0, 90)
    assert judged([], steady(tried, there)) is None
    full = Interval(5, 1000, 0, 1000, 0.9, 0, 2100)
    assert judged([], steady(full, there)) == "a gateway takes 2100 MiB, 2048 may be"


def test_shares_are_compared_within_a_step() -> None:
    """A trouble of both sides in the step in which one has half of the requests is not that one's."""
    calm = steady(Interval(5, 100, 0, 100, 0.03, 0), Interval(5, 1900, 0, 1900, 0.57, 0))
    trouble = steady(Interval(5, 1000, 8, 1000, 0.3, 0), Interval(5, 1000, 8, 1000, 0.3, 0))
    assert judged(calm, trouble) is None


def test_a_release_is_held_to_the_numbers_of_the_alerts() -> None:
    held_to = limits(Settings(target="docker"))
    assert (held_to.errors_target, held_to.errors_most, held_to.slow_ms, held_to.memory_mib) == (
        0.1,
        1,
        10,
        2048,
    )
    assert held_to.chance == pytest.approx(0.01 / (4 * (3 * 12 + 3)))


def test_nothing_is_said_of_few_requests() -> None:
    few = Pair(Interval(5, 9, 0, 9, 0.01, 0), Interval(5, 9, 0, 9, 0.01, 0))
    assert not enough([few] * 11, LIMITS)
    assert enough([few] * 12, LIMITS)
