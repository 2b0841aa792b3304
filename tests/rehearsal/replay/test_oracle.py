"""The oracle is right where all courses can be tried, and nothing beats it."""

from typing import Any

import numpy as np
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from rehearsal.replay.demand import Demand, demand
from rehearsal.replay.oracle import oracle
from rehearsal.replay.queue import Load
from rehearsal.replay.settings import TICK_S, ReplaySettings
from rehearsal.replay.simulation import given
from rehearsal.replay.traces import Bins, Integers, Requests

SIZES = Requests(0.0, np.zeros(1), np.array([1000]), np.array([240]))


def asked(*counts: int) -> Demand:
    bins = Bins(0.0, 10.0, np.array(counts), np.ones(len(counts), dtype=np.bool_))
    return demand(bins, SIZES, ReplaySettings(), seed=1)


def known(of: Demand) -> Load:
    return Load(of, of.known, late_s=0.1)


def cost(ready: Integers, startup_s: int) -> Any:
    """Return what a course costs, or what each of many does."""
    return ready.sum(axis=-1) + np.maximum(np.diff(ready), 0).sum(axis=-1) * startup_s / TICK_S


@settings(max_examples=15)
@drawn(st.lists(st.integers(0, 14), min_size=3, max_size=3), st.sampled_from([5, 10, 30]))
def test_where_nobody_may_be_late_it_is_the_cheapest_of_all_courses(
    counts: list[int], startup_s: int
) -> None:
    of = known(asked(*counts))
    ready, late = oracle(of, 2, startup_s, 0)
    assert late == given(of, 2, ready) == 0
    courses = np.indices([int(ready.max()) + 1] * ready.size).reshape(ready.size, -1).T
    cheaper = courses[cost(courses, startup_s) < cost(ready, startup_s)]
    assert (cheaper * 2 < of.demand.peak).any(axis=1).all(), (
        "what is cheaper lets somebody find all slots busy"
    )


def test_it_uses_up_the_lateness_that_is_allowed_and_costs_less_for_it() -> None:
    counts = np.random.default_rng(1).poisson(30, 200)
    of = known(asked(*(int(count) for count in counts)))
    none, none_late = oracle(of, 4, 60, 0)
    some, some_late = oracle(of, 4, 60, 60)
    assert none_late == 0
    assert 30 < some_late <= 60
    assert cost(some, 60) < cost(none, 60)


def test_it_keeps_a_replica_over_a_lull_that_is_shorter_than_a_start() -> None:
    of = known(asked(*[40] * 3, *[0] * 3, *[40] * 3))
    long_start, _ = oracle(of, 1, 300, 0)
    quick_start, _ = oracle(of, 1, 5, 0)
    lull = slice(40 // TICK_S, 60 // TICK_S)
    assert long_start[lull].min() > 0
    assert quick_start[lull].min() == 0
