"""The queue's short cuts lead where going request by request leads."""

import heapq

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from rehearsal.replay.demand import Demand, demand
from rehearsal.replay.queue import BOUNDS_S, Load, percentile_95
from rehearsal.replay.settings import TICK_S, ReplaySettings
from rehearsal.replay.simulation import given
from rehearsal.replay.traces import Bins, Integers, Requests

LATE_S = 0.1


def counts(*numbers: int) -> Demand:
    sizes = Requests(0.0, np.zeros(3), np.array([0, 1000, 2000]), np.array([200, 400, 50]))
    bins = Bins(0.0, 10.0, np.array(numbers), np.ones(len(numbers), dtype=np.bool_))
    return demand(bins, sizes, ReplaySettings(), seed=1)


def one_by_one(asked: Demand, slots_by_tick: Integers) -> int:
    """Return how many are late, reckoned without any short cut."""
    late, ends, now = 0, list[float](), 0.0
    end_of_all = asked.ticks * TICK_S
    for arrival, service in zip(asked.arrivals, asked.services, strict=True):
        now = max(now, arrival)
        while now < end_of_all:
            while ends and ends[0] <= now:
                heapq.heappop(ends)
            tick = int(now / TICK_S)
            if len(ends) < slots_by_tick[tick]:
                break
            now = min(ends[0] if ends else end_of_all, (tick + 1) * TICK_S)
        if now >= end_of_all or now - arrival > LATE_S:
            late += 1
        if now < end_of_all:
            heapq.heappush(ends, now + service)
    return late


@settings(max_examples=50)
@drawn(
    st.lists(st.integers(0, 60), min_size=1, max_size=20),
    st.lists(st.integers(0, 25), min_size=40, max_size=40),
)
def test_late_requests_are_those_of_a_queue_played_one_by_one(
    numbers: list[int], replicas: list[int]
) -> None:
    asked = counts(*numbers)
    ready = np.array(replicas[: asked.ticks])
    everything = np.ones(asked.ticks, dtype=np.bool_)
    assert given(Load(asked, everything, LATE_S), 1, ready) == one_by_one(asked, ready)


def test_requests_that_do_not_count_are_served_and_not_counted() -> None:
    asked = counts(50, 50)
    ready = np.ones(asked.ticks, dtype=np.int64)
    scored = np.array([False, False, True, True])
    everything = given(Load(asked, np.ones(4, dtype=np.bool_), LATE_S), 1, ready)
    assert 0 < given(Load(asked, scored, LATE_S), 1, ready) < everything


def test_demand_knows_how_many_slots_would_be_busy() -> None:
    asked = Requests(0.0, np.array([0.0, 1.0, 2.0, 6.0]), np.zeros(4, dtype=np.int64), np.full(4, 400))
    met = demand(asked, asked, ReplaySettings(decode_s_per_token=0.005), seed=1)  # each takes 2 s
    assert met.met.tolist() == [0, 1, 1, 0], "the third comes as the first one goes"
    assert met.peak.tolist() == [2, 1]
    assert met.busy.tolist() == pytest.approx([6 / 5, 2 / 5])
    assert met.at_end.tolist() == [0, 0]


def test_a_percentile_is_that_of_prometheus() -> None:
    waits = np.zeros(BOUNDS_S.size + 1, dtype=np.int64)
    assert percentile_95(waits) == 0
    waits[0] = 90
    waits[5] = 10  # over 50 ms, up to 100 ms
    assert percentile_95(waits) == pytest.approx(0.05 + 0.05 * 5 / 10)
    waits[-1] = 1000
    assert percentile_95(waits) == BOUNDS_S[-1]
