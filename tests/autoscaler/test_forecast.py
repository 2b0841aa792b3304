"""The forecast: what it says of load that repeats itself, when it says nothing, and what cannot break it."""

import math
import time
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollamamax_autoscaler.forecast import Forecast, Forecaster, Parameters, Reason, replicas

HOUR = 3600.0
BRIEF = Parameters(
    step_s=60,
    block_s=300,
    season_s=2 * HOUR,
    seasons=2,
    weeks=1,
    window_s=4 * HOUR,
    least_s=HOUR,
    stale_s=180,
)
"""Days of two hours."""
A_DAY = round(BRIEF.season_s / BRIEF.step_s)
HORIZON_S = 300.0

anything = st.none() | st.floats() | st.floats(0, 200)


def fed(loads: Iterable[float | None], parameters: Parameters = BRIEF) -> tuple[Forecaster, float]:
    """Return a forecaster that has seen ``loads``, one a step, and the time of the last."""
    forecaster, at = Forecaster(parameters), 0.0
    for load in loads:
        at += parameters.step_s
        forecaster.observe(at, load)
    return forecaster, at


def days(count: float, seed: int = 1) -> list[float]:
    """Return load that doubles within a quarter of an hour, once a day, and is noisy as requests are."""
    step = np.arange(round(count * A_DAY)) % A_DAY
    mean = 50 + 50 * np.clip((step - A_DAY / 2) / 15, 0, 1) * (step < A_DAY * 0.9)
    return [float(load) for load in np.random.default_rng(seed).poisson(mean)]


def test_a_rise_that_comes_every_day_is_forecast_before_it_comes() -> None:
    forecaster, at = fed(days(4.5))
    flat, _ = fed(days(4.3))
    forecast, before = forecaster.forecast(at, HORIZON_S), flat.forecast(at - 0.2 * BRIEF.season_s, HORIZON_S)
    assert forecast.load is not None
    assert forecast.load > 1.25 * 50
    assert before.load is not None
    assert forecast.load > before.load + 5


def test_what_comes_is_at_most_what_was_forecast_as_often_as_is_asked_for() -> None:
    loads = days(12)
    forecaster, covered, at = Forecaster(BRIEF), [], 0.0
    for index, load in enumerate(loads):
        at += BRIEF.step_s
        forecaster.observe(at, load)
        future = loads[index + 1 : index + 1 + round(HORIZON_S / BRIEF.step_s)]
        forecast = forecaster.forecast(at, HORIZON_S)
        if forecast.load is not None and future:
            covered.append(max(future) <= forecast.load)
    assert len(covered) > 0.4 * len(loads)
    assert BRIEF.coverage - 0.03 < np.mean(covered) < BRIEF.coverage + 0.03
    assert forecast.coverage == pytest.approx(BRIEF.coverage, abs=0.05)
    assert forecast.skill is not None
    assert forecast.skill > 0.1


def test_days_that_differ_by_the_week_are_told_apart() -> None:
    def of(day: int) -> list[float]:
        return days(1, day) if day % 7 < 5 else [50.0] * A_DAY

    loads = [load for day in range(21) for load in of(day)]
    half = A_DAY // 2
    workday, at = fed([*loads, *of(21)[:half]])
    weekend, later = fed([*loads, *(load for day in range(21, 26) for load in of(day)), *[50.0] * half])
    rising, resting = workday.forecast(at, HORIZON_S), weekend.forecast(later, HORIZON_S)
    assert rising.load is not None
    assert resting.load is not None
    assert rising.load > resting.load + 5


@pytest.mark.parametrize("mean", [1, 4, 40])
@pytest.mark.parametrize("seed", range(3))
def test_where_load_is_only_noise_a_mean_of_it_is_better_than_what_it_was_last(
    seed: int, mean: float
) -> None:
    noise = np.random.default_rng(seed).poisson(mean, 1440)
    forecaster, at = fed((float(load) for load in noise), Parameters(step_s=60))
    forecast = forecaster.forecast(at, HORIZON_S)
    assert forecast.load is not None
    assert forecast.skill is not None
    assert forecast.skill > 0.05
    assert np.quantile(noise, 0.98) < forecast.load < mean + 8 * math.sqrt(mean + 1)


@pytest.mark.parametrize("seed", range(7))
def test_it_abstains_where_nothing_is_better_than_what_load_was_last(seed: int) -> None:
    steps = np.random.default_rng(seed).normal(0, 0.2, 1440)
    wandering = (10 + np.abs(np.cumsum(steps))) ** 2
    forecaster, at = fed((float(load) for load in wandering), Parameters(step_s=60))
    assert forecaster.forecast(at, HORIZON_S).reason is Reason.SKILL


@pytest.mark.parametrize("load", [0.0, 40.0])
def test_it_abstains_where_load_does_not_change(load: float) -> None:
    forecaster, at = fed([load] * 5 * A_DAY)
    assert forecaster.forecast(at, HORIZON_S) == Forecast(None, Reason.SKILL, 1.0, 0.0)


def test_until_it_can_judge_itself_it_has_the_margin_that_others_had() -> None:
    assert Forecaster(BRIEF).forecast(0.0, HORIZON_S).reason is Reason.MISSING
    loads = [49.0] * round(BRIEF.least_s / BRIEF.step_s)
    margin = BRIEF.prior + BRIEF.burst
    for count in (1, 10, len(loads)):
        forecaster, at = fed(loads[:count])
        forecast = forecaster.forecast(at, HORIZON_S)
        assert forecast.load == pytest.approx((7 + margin) ** 2)
        assert (forecast.reason, forecast.coverage, forecast.skill) == (Reason.NONE, None, None)
    judging, at = fed(days(1))
    assert judging.forecast(at, HORIZON_S).skill is not None


def test_an_idle_pool_is_let_sleep_and_one_that_wakes_is_not() -> None:
    forecaster, at = fed([*days(2), *[0.0] * 30])
    assert forecaster.forecast(at, HORIZON_S).load == 0
    forecaster.observe(at + BRIEF.step_s, 4.0)
    woken = forecaster.forecast(at + BRIEF.step_s, HORIZON_S)
    assert woken.load is not None
    assert woken.load > 4


def test_it_abstains_while_the_present_load_is_missing_and_goes_on_afterwards() -> None:
    loads: list[float | None] = [*days(4.5)]
    brief, at = fed([*loads, None])
    assert brief.forecast(at, HORIZON_S).load is not None
    long, at = fed([*loads, None, math.nan, math.inf, -1.0])
    assert long.forecast(at, HORIZON_S).reason is Reason.MISSING
    long.observe(at + BRIEF.step_s, 50.0)
    assert long.forecast(at + BRIEF.step_s, HORIZON_S).load is not None


def test_what_is_missing_is_no_idle_time() -> None:
    whole: list[float | None] = [*days(4.4)]
    gaps = [load if index % 7 else None for index, load in enumerate(whole)]
    gaps[A_DAY * 2 + 20 : A_DAY * 2 + 50] = [None] * 30
    idle = [load or 0.0 for load in gaps]
    forecasts = []
    for loads in (whole, gaps, idle):
        forecaster, at = fed(loads)
        forecaster.observe(at + BRIEF.step_s, 50.0)
        forecasts.append(forecaster.forecast(at + BRIEF.step_s, HORIZON_S))
    of_whole, with_gaps, with_idle = (forecast.load for forecast in forecasts)
    assert of_whole is not None
    assert with_gaps == pytest.approx(of_whole, rel=0.1)
    assert with_idle is None or abs(with_idle - of_whole) > 0.1 * of_whole


@given(
    st.lists(st.tuples(st.floats() | st.floats(-1e5, 1e5), anything), max_size=60),
    st.lists(anything, max_size=60),
    st.floats(),
)
def test_no_history_makes_it_fail_or_say_what_is_no_number(
    jumps: list[tuple[float, float | None]], repeated: list[float | None], horizon_s: float
) -> None:
    forecaster, at = fed(repeated * (5 * A_DAY // max(1, len(repeated))))
    highest = max(
        (load for load in [*repeated, *(load for _, load in jumps)] if load and load < 1e10), default=0
    )
    for to, load in [*jumps, (at, 20.0), (at + BRIEF.step_s, 20.0)]:
        forecaster.observe(to, load)
        for moment in (to, at, math.nan, math.inf, -math.inf, 1e300):
            for horizon in (horizon_s, HORIZON_S, 0.0, -1.0, 1e300):
                forecast = forecaster.forecast(moment, horizon)
                assert (forecast.load is None) == bool(forecast.reason)
                if forecast.load is not None:
                    assert 0 <= forecast.load <= 1.001 * BRIEF.cap * max(highest, 20.0)


@given(st.data())
def test_rebuilt_from_the_same_history_it_says_the_same(data: st.DataObject) -> None:
    seed, length = data.draw(st.integers(0, 1000)), data.draw(st.integers(0, 12 * A_DAY))
    loads: list[float | None] = [*days(12, seed)[:length]]
    for start in data.draw(st.lists(st.integers(0, 12 * A_DAY), max_size=5)):
        loads[start : start + 9] = [None] * len(loads[start : start + 9])
    running, at = Forecaster(BRIEF), 0.0
    for index, load in enumerate(loads):
        at += BRIEF.step_s
        running.observe(at, load)
        if not index % 3:
            running.forecast(at, HORIZON_S + index % 2 * 60)
    rebuilt, _ = fed(loads)
    assert running.forecast(at, HORIZON_S) == rebuilt.forecast(at, HORIZON_S)


@given(st.integers(1, 3 * A_DAY), st.integers(1, 4 * A_DAY), st.booleans())
def test_a_clock_that_is_set_back_takes_what_it_had_seen_with_it(back: int, more: int, ask: bool) -> None:
    loads = days(9)
    jumped, at = fed(loads[: 4 * A_DAY])
    for ahead in range(1, more):
        jumped.observe(at + ahead * BRIEF.step_s, 500.0)
        if ask:
            jumped.forecast(at + ahead * BRIEF.step_s, HORIZON_S)
    straight, at = fed(loads[: 4 * A_DAY - back])
    for load in loads[4 * A_DAY - back : 5 * A_DAY]:
        at += BRIEF.step_s
        jumped.observe(at, load)
        straight.observe(at, load)
    assert jumped.forecast(at, HORIZON_S) == straight.forecast(at, HORIZON_S)


def test_a_clock_that_leaps_far_ahead_starts_it_anew() -> None:
    forecaster, at = fed(days(5))
    for day in (1, 10_000):
        leapt = at + day * BRIEF.season_s
        forecaster.observe(leapt, 50.0)
        assert forecaster.forecast(leapt - BRIEF.season_s, HORIZON_S).reason is Reason.MISSING
    anew, _ = fed([50.0])
    assert forecaster.forecast(leapt, HORIZON_S) == anew.forecast(BRIEF.step_s, HORIZON_S)


def test_only_so_much_history_counts() -> None:
    loads = days(60)
    long, at = fed(loads)
    kept = round(BRIEF.history_s / BRIEF.step_s)
    short = Forecaster(BRIEF)
    for ago in range(kept, 0, -1):
        short.observe(at - (ago - 1) * BRIEF.step_s, loads[-ago])
    of_short, of_long = short.forecast(at, HORIZON_S), long.forecast(at, HORIZON_S)
    assert of_short.load == pytest.approx(of_long.load, rel=1e-3)


def test_a_week_of_ten_second_steps_takes_seconds() -> None:
    parameters = Parameters(step_s=10)
    loads = np.random.default_rng(1).poisson(100 + 50 * np.sin(np.arange(60_480) / 8640 * 2 * np.pi))
    forecaster, before = Forecaster(parameters), time.process_time()
    for index, load in enumerate(loads):
        forecaster.observe(index * 10.0, float(load))
        forecaster.forecast(index * 10.0, 120)
    assert time.process_time() - before < 10


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (replace(BRIEF, block_s=90), "block_s must be a whole number of step_s, not 1.5"),
        (replace(BRIEF, season_s=60), "season_s must be a whole number of block_s, not 0.2"),
    ],
)
def test_times_that_do_not_fit_each_other_are_refused(wrong: Parameters, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Forecaster(wrong)


@given(
    st.floats(0, 1e6, allow_subnormal=False),
    st.integers(1, 64),
    st.none() | st.integers(0, 1000),
    st.integers(1, 1000),
)
def test_replicas_hold_the_load_and_count_as_a_change_and_stay_below_the_cap(
    load: float, slots: int, current: int | None, cap: int
) -> None:
    wanted = replicas(load, slots, current, cap)
    assert wanted is not None
    assert 0 <= wanted <= cap
    assert wanted == cap or wanted * slots >= load
    if current is not None and current < wanted < cap:
        assert 10 * wanted > 11 * current
    if current is None or load / slots <= current:
        assert wanted == min(cap, math.ceil(load / slots))


def test_without_a_forecast_no_replicas_are_asked_for() -> None:
    assert replicas(None, 4, 3, 50) is None
