"""The fewest replica-hours at which requests are late no more often than they may be.

The oracle knows the trace and the start-up time, and asks for every replica just early enough. A replica is
paid for from when it is asked for; no other rule binds it. What is left is a trade: each replica more, or a
start-up more, against the requests that wait for want of it. For a given price of a late request the cheapest
course is found exactly, tick by tick, by dynamic programming; the price is then the one at which as many
requests are late as may be. Requests are taken as late where they come while all slots are busy; how many
really are is then played.
"""

import numpy as np

from rehearsal.replay.compiled import compiled
from rehearsal.replay.queue import Load
from rehearsal.replay.settings import TICK_S
from rehearsal.replay.simulation import given
from rehearsal.replay.traces import Flags, Floats, Integers

CHEAP, DEAR = -4.0, 6.0
"""Between which powers of ten the price of a late request lies, in replicas for a tick."""
HALVINGS = 22


def oracle(load: Load, slots: int, startup_s: int, late: int) -> tuple[Integers, int]:
    """Return the replicas that are ready by tick, and how many requests are late, at most ``late``."""
    most = int(load.demand.peak.max(initial=0)) // slots + 1
    missed = _missed(load, slots, most)
    low, high = CHEAP, DEAR
    best, best_late = np.full(load.demand.peak.size, most, dtype=np.int64), 0
    for _ in range(HALVINGS):
        power = (low + high) / 2
        course = _cheapest(missed, load.scored, 10.0**power, startup_s / TICK_S)
        were = given(load, slots, course)
        if were <= late:
            high, best, best_late = power, course, were
        else:
            low = power
    return best, best_late


@compiled
def _missed(load: Load, slots: int, most: int) -> Integers:
    """Return, by tick and number of replicas, how many requests come while all slots are busy."""
    missed = np.zeros((load.demand.peak.size, most + 1), dtype=np.int64)
    for tick in range(load.demand.peak.size):
        if load.scored[tick]:
            for request in range(load.demand.first[tick], load.demand.first[tick + 1]):
                missed[tick, : load.demand.met[request] // slots + 1] += 1
    return missed


@compiled
def _cheapest(missed: Integers, scored: Flags, price: float, startup: float) -> Integers:
    """Return the replicas by tick that cost least, at a price of each request that is missed."""
    ticks, counts = missed.shape
    before = np.zeros((ticks, counts), dtype=np.int16)
    cost, up, down = np.zeros(counts), np.zeros(counts, dtype=np.int16), np.zeros(counts, dtype=np.int16)
    for tick in range(ticks):
        for count in range(counts):
            # From fewer, the cheapest course is by way of one less, each start paid for; from more, starts
            # cost nothing.
            up[count] = count
            if count > 0 and _step(cost, up[count - 1], count, startup) < cost[count]:
                up[count] = up[count - 1]
        for count in range(counts - 1, -1, -1):
            down[count] = count
            if count < counts - 1 and cost[down[count + 1]] < cost[count]:
                down[count] = down[count + 1]
        last = cost.copy()
        for count in range(counts):
            best = up[count] if _step(last, up[count], count, startup) <= last[down[count]] else down[count]
            before[tick, count] = best
            run = count if scored[tick] else 0
            cost[count] = _step(last, best, count, startup) + run + price * missed[tick, count]
    course = np.zeros(ticks, dtype=np.int64)
    count = int(np.argmin(cost))
    for tick in range(ticks - 1, -1, -1):
        course[tick] = count
        count = before[tick, count]
    return course


@compiled
def _step(cost: Floats, was: int, count: int, startup: float) -> float:
    """Return the cost of having come from so many replicas to so many."""
    return float(cost[was]) + max(count - was, 0) * startup
