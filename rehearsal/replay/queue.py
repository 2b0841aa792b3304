"""The pool's queue: first come, first served, by as many slots as are ready."""

from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np

from rehearsal.replay.compiled import compiled
from rehearsal.replay.demand import Demand
from rehearsal.replay.settings import TICK_S
from rehearsal.replay.traces import Flags, Floats, Integers

BOUNDS_S = np.array([0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60])
"""Buckets of the gateway's ``ollamamax_slot_wait_seconds``."""
HEAD, HINDERED = 0, 1
"""Places in a queue's state: the first request that has not begun; whether any has had to wait and is not
done."""


class Load(NamedTuple):
    """A demand, and which of its requests are late."""

    demand: Demand
    scored: Flags
    """By tick: whether the lateness of the requests that come in it counts."""
    late_s: float


@compiled
def served(
    load: Load, tick: int, slots: int, ends: list[float], state: Integers, done_s: Floats, waits: Integers
) -> tuple[float, int, int]:
    """Return the slots busy in a tick on average, the requests there when it ends, and those found late.

    As long as nobody has to wait, what happens is known beforehand. Request by request it goes only from
    where one has to, until all that had to are done.

    Args:
        load: What is asked for.
        tick: Number of the tick.
        slots: How many slots are ready in it.
        ends: When those that are being served end; a heap.
        state: See ``HEAD`` and ``HINDERED``.
        done_s: One number: when the last request that had to wait is done.
        waits: Where to count the waits that ended in this tick, by bucket.
    """
    begin, until = tick * float(TICK_S), (tick + 1) * float(TICK_S)
    last = load.demand.first[tick + 1]
    if not state[HINDERED]:
        if load.demand.peak[tick] <= slots:
            waits[0] += last - load.demand.first[tick]
            return load.demand.busy[tick], load.demand.at_end[tick], 0
        _enter(load, tick, begin, ends, state)
    busy = 0.0
    for end in ends:
        busy += min(end, until) - begin
    late, now = 0, begin
    while state[HEAD] < last:
        arrival = load.demand.arrivals[state[HEAD]]
        now = max(now, arrival)
        while len(ends) > 0 and ends[0] <= now:
            heappop(ends)
        while len(ends) >= slots and len(ends) > 0 and ends[0] < until:
            now = heappop(ends)
        if len(ends) >= slots:
            break
        wait = now - arrival
        waits[np.searchsorted(BOUNDS_S, wait)] += 1
        if wait > load.late_s and load.scored[int(arrival / TICK_S)]:
            late += 1
        end = now + load.demand.services[state[HEAD]]
        if wait > 0:
            done_s[0] = max(done_s[0], end)
        heappush(ends, end)
        busy += min(end, until) - now
        state[HEAD] += 1
    while len(ends) > 0 and ends[0] <= until:
        heappop(ends)
    waiting = last - state[HEAD]
    if waiting == 0 and done_s[0] <= until:
        state[HINDERED] = 0
    return busy / TICK_S, len(ends) + waiting, late


@compiled
def _enter(load: Load, tick: int, begin: float, ends: list[float], state: Integers) -> None:
    """Begin to go request by request: with those that are being served."""
    ends.clear()
    state[HEAD] = load.demand.first[tick]
    state[HINDERED] = 1
    request = load.demand.first[tick] - 1
    while request >= 0 and load.demand.arrivals[request] > begin - load.demand.longest_s:
        end = load.demand.arrivals[request] + load.demand.services[request]
        if end > begin:
            heappush(ends, end)
        request -= 1


@compiled
def unserved(load: Load, tick: int, state: Integers) -> int:
    """Return how many of the requests that count still wait when the last tick has ended."""
    if not state[HINDERED]:
        return 0
    still = 0
    for request in range(state[HEAD], load.demand.first[tick]):
        if load.scored[int(load.demand.arrivals[request] / TICK_S)]:
            still += 1
    return still


@compiled
def percentile_95(waits: Integers) -> float:
    """Return what ``histogram_quantile(0.95, …)`` makes of waits by bucket; nobody at all waited 0."""
    total = waits.sum()
    if total == 0:
        return 0.0
    rank, below = 0.95 * total, 0
    for bucket in range(BOUNDS_S.size):
        count = waits[bucket]
        if below + count >= rank:
            low = BOUNDS_S[bucket - 1] if bucket > 0 else 0.0
            return float(low + (BOUNDS_S[bucket] - low) * (rank - below) / count)
        below += count
    return float(BOUNDS_S[-1])
