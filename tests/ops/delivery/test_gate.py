"""The gate: what is worse is taken back and says why, what is not is never."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.delivery.gate import Interval, Limits, Pair, enough, limits, verdict
from stacks.settings import Settings

EVERY_S = 5
BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, math.inf)
"""As the gateway's histogram has them."""
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
        self._dice = np.random.default_rng(seed)
        self._share, self._rate = share, rate

    def pairs(
        self, count: int = 12, *, fails: float = 0.0, slower: float = 0.0, leaks_mib_s: float = 0.0
    ) -> list[Pair]:
        found = []
        for look in range(1, count + 1):
            at, busy = look * EVERY_S, self._dice.lognormal(0, 0.4)  # the machine has other things to do
            tried = round(self._rate * EVERY_S * self._share)
            found.append(
                Pair(
                    self._side(at, tried, busy * (1 + slower), fails, 60 + leaks_mib_s * at),
                    self._side(at, self._rate * EVERY_S - tried, busy, 0.0, 80),
                )
            )
        return found

    def _side(self, at: float, count: int, typical: float, fails: float, mib: float) -> Interval:
        dice = self._dice
        took = 0.0003 * typical * dice.lognormal(0, 0.75, count)
        took += 0.05 * (dice.random(count) < 0.002)  # the machine stands still for a moment
        counts, _ = np.histogram(took, [0, *BOUNDS])
        times = dict(zip(BOUNDS, counts.tolist(), strict=True))
        return Interval(at, count, int(dice.binomial(count, fails)), times, mib + dice.normal(0, 0.5))


def judged(step: Sequence[Pair], held_to: Limits = LIMITS) -> str | None:
    """Return what the gate says at any look of a step."""
    for look in range(1, len(step) + 1):
        if reason := verdict(step[:look], held_to, over=look == len(step)):
            return reason
    return None


def took(count: int, quick: int, *, slow: int = 0) -> dict[float, int]:
    """Return the times of requests, of which so many took less than 0.1 ms, and so many more than 10 ms."""
    return {0.0001: quick, 0.0005: count - quick - slow, 0.01: 0, 0.025: slow, math.inf: 0}


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.sampled_from([0.05, 0.25, 0.5]))
def test_a_release_that_is_the_same_passes(seed: int, share: float) -> None:
    assert judged(Load(seed, share).pairs()) is None


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.sampled_from([0.05, 0.25, 0.5]))
def test_one_that_fails_two_percent_is_found_before_it_has_failed_many(seed: int, share: float) -> None:
    load = Load(seed, share)
    pairs = load.pairs(fails=0.02)
    looks = next(n for n in range(1, 13) if verdict(pairs[:n], LIMITS, over=False))
    reason = verdict(pairs[:looks], LIMITS, over=False)
    assert reason
    assert "requests failed" in reason
    assert "99 % sure" in reason
    failed = sum(pair.tried.failed for pair in pairs[:looks])
    assert failed <= 50, "whatever share it had"


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_one_that_is_slower_by_thirty_percent_is_found_once_it_has_half_of_the_requests(seed: int) -> None:
    reason = judged(Load(seed, 0.5).pairs(slower=0.3))
    assert reason
    assert "longer in it than beside it, 15% is allowed" in reason


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_what_is_hardly_asked_may_take_longer_for_it(seed: int) -> None:
    assert judged(Load(seed, 0.05).pairs(slower=1.0)) is None


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), leaks=st.floats(2, 30))
def test_one_that_leaks_is_found_in_the_first_step(seed: int, leaks: float) -> None:
    reason = judged(Load(seed).pairs(leaks_mib_s=leaks))
    assert reason
    assert "within the hour" in reason


def test_memory_that_grows_on_both_sides_is_the_loads_doing() -> None:
    pairs = [
        Pair(
            Interval(n * EVERY_S, 100, 0, took(100, 100), 60 + 5 * n),
            Interval(n * EVERY_S, 100, 0, took(100, 100), 90 + 5.1 * n),
        )
        for n in range(12)
    ]
    assert judged(pairs) is None


def test_a_release_is_not_to_blame_for_what_fails_on_both_sides() -> None:
    side = Interval(5, 1000, 5, took(1000, 1000), 50)
    assert judged(steady(side, side)) is None


def test_but_it_does_not_go_on_while_more_fails_than_may() -> None:
    side = Interval(5, 1000, 20, took(1000, 1000), 50)
    assert judged(steady(side, side)) == "2.00 % of 12000 requests failed, 1 % may"


def test_a_difference_that_is_within_the_target_is_none() -> None:
    tried, there = (
        Interval(5, 10_000, 8, took(10_000, 10_000), 50),
        Interval(5, 10_000, 0, took(10_000, 10_000), 50),
    )
    assert judged(steady(tried, there)) is None, "0.08 % may fail"


def test_slow_requests_count_where_they_are_more_than_one_in_a_hundred() -> None:
    tried, there = (
        Interval(5, 1000, 0, took(1000, 0, slow=30), 50),
        Interval(5, 1000, 0, took(1000, 0, slow=5), 50),
    )
    reason = judged(steady(tried, there))
    assert reason
    assert reason.startswith("3.00 % of 12000 requests took more than 10 ms, beside 0.50 %")


def test_a_process_that_starts_again_is_a_reason_by_itself() -> None:
    tried = Interval(5, 1000, 0, took(1000, 1000), 50, restarts=1)
    assert judged(steady(tried, tried)[:1]) == "it has started again"


def test_with_all_requests_it_is_held_to_the_numbers_alone() -> None:
    tried, there = Interval(5, 1000, 0, took(1000, 1000), 50), Interval(5, 0, 0, took(0, 0), 90)
    assert judged(steady(tried, there)) is None
    full = Interval(5, 1000, 0, took(1000, 1000), 2100)
    assert judged(steady(full, there)) == "a gateway takes 2100 MiB, 2048 may be"


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
    few = Pair(Interval(5, 9, 0, took(9, 9)), Interval(5, 9, 0, took(9, 9)))
    assert not enough([few] * 11, LIMITS)
    assert enough([few] * 12, LIMITS)
