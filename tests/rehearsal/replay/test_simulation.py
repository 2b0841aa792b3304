"""A pool that the autoscaler moves does what can be reckoned by hand, and a forecast never makes it less."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollamamax_autoscaler.forecast import Parameters
from ollamamax_autoscaler.forecast import replicas as asked_by_the_forecaster
from rehearsal.replay.__main__ import SIZES as SIZES_OF_2023
from rehearsal.replay.__main__ import TRACE
from rehearsal.replay.demand import demand
from rehearsal.replay.forecasts import Fault, Trouble, forecasts
from rehearsal.replay.objects import FORECAST, Rules, only, rules, without
from rehearsal.replay.policies import Stage
from rehearsal.replay.rules import INVALID
from rehearsal.replay.settings import TICK_S, ReplaySettings
from rehearsal.replay.simulation import Blind, asked, gauge
from rehearsal.replay.stack import pool_of
from rehearsal.replay.traces import Bins, Requests, read

SETTINGS = ReplaySettings()
SIZES = Requests(0.0, np.zeros(1), np.array([1000]), np.array([240]))
"""Each request holds a slot for two seconds."""
A_DAY = 8640
STARTUP_S = 60
MINUTE = 60 // TICK_S


@cache
def stack() -> Rules:
    return rules(pool_of("prod", None, SETTINGS).objects["this stack, predicting"])


def stage(counts: list[int], startup_s: int = STARTUP_S, **changed: Any) -> Stage:
    bins = Bins(0.0, 10.0, np.array(counts), np.ones(len(counts), dtype=np.bool_))
    asked_for = demand(bins, SIZES, replace(SETTINGS, **changed), seed=1)
    return Stage(replace(SETTINGS, **changed), asked_for, asked_for.known, startup_s)


def said(of: Stage, slots: float, begin_s: int, end_s: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    looks = np.arange(of.looks) * SETTINGS.sync_s
    return np.where((looks >= begin_s) & (looks < end_s), slots, np.nan)


def test_a_replica_serves_its_start_up_time_after_it_was_asked_for() -> None:
    idle = stage([0] * 120)
    played = idle.play(only(stack(), FORECAST), said(idle, 40, 300, 900))
    assert played.wanted[5 * MINUTE - 1 : 5 * MINUTE + 1].tolist() == [3, 7], "four more than three at a time"
    assert played.wanted[5 * MINUTE + 6] == 10, "40 slots are 10 replicas: 30 s later, as the policy has it"
    assert played.ready[6 * MINUTE - 1 : 6 * MINUTE + 1].tolist() == [3, 7]
    assert played.paid[5 * MINUTE] == 7, "paid for while it starts"


def test_a_replica_goes_when_it_was_not_wanted_for_the_window() -> None:
    idle = stage([0] * 240)
    played = idle.play(only(stack(), FORECAST), said(idle, 40, 300, 900))
    window = stack().down.window_s
    went = int(np.flatnonzero(np.diff(played.wanted) < 0)[0]) + 1
    assert went * TICK_S == 900 - SETTINGS.sync_s + window, "counted from the last look that wanted it"
    assert played.wanted[-1] == played.ready[-1] == 3


def test_replicas_beyond_what_nodes_hold_wait_for_a_node_once() -> None:
    idle = stage([0] * 360, node_delay_s=120, node_linger_s=3600)
    forecast = np.fmax(np.nan_to_num(said(idle, 24, 300, 600)), np.nan_to_num(said(idle, 24, 1800, 2400)))
    played = idle.play(only(stack(), FORECAST), forecast)
    first, again = (int(np.flatnonzero(played.ready[begin:] == 6)[0]) + begin for begin in (0, 30 * MINUTE))
    assert first * TICK_S == 300 + 120 + STARTUP_S
    assert again * TICK_S == 1800 + STARTUP_S, "its node was still there"
    assert played.paid[5 * MINUTE] == 3, "a replica without a node costs nothing"
    assert played.nodes[-1] == 6


def test_where_prometheus_is_silent_nothing_goes_and_the_fallback_holds() -> None:
    idle = stage([0] * 240)
    silent = Blind(870.0, 2100.0)
    played = idle.play(stack(), said(idle, 40, 300, 900), silent)
    assert (played.wanted[5 * MINUTE + 6 : 2100 // TICK_S] == 10).all()
    assert played.wanted[-1] < 10, "afterwards it does"


def test_a_fallback_counts_once_metrics_were_missing_often_enough() -> None:
    idle = stage([0] * 120)
    silent = Blind(300.0, 900.0)
    played = idle.play(stack()._replace(fallback=6), None, silent)
    first = int(np.flatnonzero(played.wanted == 6)[0])
    assert first * TICK_S == 300 + stack().failures * SETTINGS.sync_s, "at the look after so many failures"


def test_waits_and_requests_in_flight_raise_the_count() -> None:
    rising = stage([5] * 60 + [60] * 120)
    played = rising.play(stack())
    # 6 requests a second of 2 s each hold 12 slots, which fill three replicas: 12 / 2.8 are five, and the
    # queue of the minute in which they start asks for twice as many at a time.
    assert played.wanted[: 10 * MINUTE].max() == 3
    assert played.wanted.max() > 8
    assert 5 <= played.wanted[-1] <= 8
    assert played.late > 0


@given(
    st.floats(0, 500) | st.just(float("nan")),
    st.integers(1, 50),
    st.integers(1, 16),
    st.integers(50, 60),
)
def test_the_replay_asks_as_the_forecaster_does(load: float, current: int, slots: int, most: int) -> None:
    wanted = asked_by_the_forecaster(None if np.isnan(load) else load, slots, current, most)
    assert gauge(load, slots, current, most) == (wanted or 0)


state = st.fixed_dictionaries(
    {
        "current": st.integers(1, 50),
        "starting": st.integers(0, 50),
        "busy": st.floats(0, 1.2),
        "in_flight": st.integers(0, 800),
        "late": st.integers(0, 1000),
        "on_time": st.integers(0, 1000),
        "blind": st.booleans(),
        "failures": st.integers(0, 20),
    }
)


def wanted_in(now: dict[str, Any], forecast: float, given_rules: Rules) -> int:
    """Return what is asked for in a state of the pool, a minute after the trace began."""
    ticks, tick = 2 * MINUTE, MINUTE
    current, ready = now["current"], max(now["current"] - now["starting"], 0)
    pool = stage([0]).pool
    ready_at = np.full(given_rules.most, tick * TICK_S + STARTUP_S)
    ready_at[:ready] = -10_000
    waits = np.zeros((ticks, 15), dtype=np.int64)
    waits[:, 0], waits[:, 8] = now["on_time"], now["late"]
    proposals = np.zeros(given_rules.series.size + 1, dtype=np.int64)
    return asked(
        given_rules,
        pool,
        current,
        ready,
        tick,
        ready_at,
        np.full(ticks, now["busy"] * ready * pool.slots),
        np.full(ticks, ready),
        np.full(ticks, now["in_flight"]),
        waits,
        forecast,
        Blind(0.0, 1e9 if now["blind"] else 0.0),
        now["failures"],
        proposals,
    )


@settings(max_examples=500)
@given(state, st.floats(0, 1000) | st.just(float("nan")))
def test_from_the_same_state_a_forecast_never_asks_for_less(now: dict[str, Any], forecast: float) -> None:
    with_it, without_it = (
        wanted_in(now, forecast, stack()),
        wanted_in(now, forecast, without(stack(), FORECAST)),
    )
    keeps = now["current"]  # what is asked for where too little is known
    assert (keeps if with_it == INVALID else with_it) >= (keeps if without_it == INVALID else without_it)


@cache
def a_day(startup_s: int, silent: bool) -> Stage:
    """Return the first day of the trace; where ``silent``, nothing comes for an hour of its afternoon."""
    trace, sizes = read(TRACE), read(SIZES_OF_2023)
    assert isinstance(trace, Bins)
    assert isinstance(sizes, Requests)
    counts, known = trace.counts[:A_DAY].copy(), trace.known[:A_DAY].copy()
    if silent:
        counts[15 * 360 : 16 * 360] = 0
    asked_for = demand(Bins(trace.start, trace.width_s, counts, known), sizes, SETTINGS, seed=1)
    return Stage(SETTINGS, asked_for, asked_for.known, startup_s)


@pytest.mark.parametrize("startup_s", [60, 120, 180, 600])
@pytest.mark.parametrize("fault", [None, *Fault])
@pytest.mark.parametrize("silent", [False, True])
def test_over_a_day_no_more_requests_are_late_than_without_a_forecast_whatever_is_wrong_with_it(
    fault: Fault | None, startup_s: int, silent: bool
) -> None:
    day = a_day(startup_s, silent)
    trouble = Trouble(fault, 14 * 3600, 17 * 3600) if fault else None
    forecast = forecasts(day, Parameters(), startup_s + SETTINGS.delay_s, trouble)
    with_it, twin = day.play(stack(), forecast), day.play(stack())
    assert with_it.late <= twin.late
