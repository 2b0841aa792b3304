"""A pool of workers under a trace, its replica count moved by the autoscaler or given beforehand."""

from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

import numpy as np

from rehearsal.replay.compiled import compiled
from rehearsal.replay.objects import IN_FLIGHT, SLOT_WAIT, Rules
from rehearsal.replay.queue import BOUNDS_S, Load, percentile_95, served, unserved
from rehearsal.replay.rules import (
    INVALID,
    MILLI,
    average_replicas,
    combined,
    limit_down,
    limit_up,
    stabilised,
    utilisation_replicas,
    value_replicas,
)
from rehearsal.replay.settings import TICK_S
from rehearsal.replay.traces import Floats, Integers

CPU_INITIALISATION_S = 300
"""Kubernetes' ``--horizontal-pod-autoscaler-cpu-initialization-period``. Its sibling, the initial readiness
delay, changes nothing here: it is about pods that were ready, and are no more."""
STEP_OVER = 1.1


class Pool(NamedTuple):
    """What the simulation needs to know of the workers and of the cluster."""

    slots: int
    startup_s: int
    node_delay_s: int
    node_linger_s: int
    first_replicas: int
    """Replicas that are ready when the trace begins."""
    sync_s: int
    sample_age_s: int
    cpu_window_s: int


class Blind(NamedTuple):
    """When Prometheus does not answer, seconds from the trace's begin."""

    begin_s: float
    end_s: float


@dataclass(frozen=True)
class Played:
    """What happened, by tick."""

    late: int
    """Requests that had to wait too long, or were not served at all."""
    wanted: Integers
    """Replicas asked for."""
    ready: Integers
    paid: Integers
    """Replicas that have a node: those that are starting, too."""
    nodes: Integers
    """Nodes, those without a replica too."""


@compiled
def gauge(load: float, slots: int, current: int, most: int) -> int:
    """Return the replicas that the forecaster asks for (its ``replicas``); a load that is none is 0."""
    if not load > 0:
        return 0
    wanted = ceil(load / slots)
    if current < wanted <= current * STEP_OVER:
        wanted = int(current * STEP_OVER) + 1
    return min(wanted, most)


@compiled
def asked(
    rules: Rules,
    pool: Pool,
    current: int,
    ready: int,
    tick: int,
    ready_at: Integers,
    busy: Floats,
    was_ready: Integers,
    in_flight: Integers,
    waits: Integers,
    forecast: float,
    blind: Blind,
    failures: int,
    proposals: Integers,
) -> int:
    """Return what the metrics ask for together, or ``INVALID``; see ``computeReplicasForMetrics``."""
    seen = max(tick - pool.sample_age_s // TICK_S, 1)
    for trigger in range(rules.series.size):
        kind, target = rules.series[trigger], rules.targets[trigger]
        if blind.begin_s <= tick * TICK_S < blind.end_s:
            proposals[trigger] = _fallback(rules, trigger, current, ready, failures)
            continue
        back = max(rules.windows_s[trigger] // TICK_S, 1)
        if kind == SLOT_WAIT:
            value = percentile_95(waits[max(seen - back, 0) : seen].sum(axis=0))
        elif kind == IN_FLIGHT:
            value = in_flight[max(seen - back, 0) : seen].mean()
        else:
            value = float(gauge(forecast, pool.slots, current, rules.most))
        usage = int(min(value * rules.scales[trigger], rules.clamps[trigger]) * MILLI)
        if rules.averages[trigger]:
            proposals[trigger] = average_replicas(current, usage, target, rules.tolerance)
        else:
            proposals[trigger] = value_replicas(current, ready, usage, target, rules.tolerance)
    if rules.cpu_percent > 0:
        proposals[-1] = _cpu(rules, pool, current, ready, tick, seen, ready_at, busy, was_ready)
    return combined(proposals, current)


@compiled
def _cpu(
    rules: Rules,
    pool: Pool,
    current: int,
    ready: int,
    tick: int,
    seen: int,
    ready_at: Integers,
    busy: Floats,
    was_ready: Integers,
) -> int:
    """Return what the CPU trigger asks for: a pod whose slots are all busy uses all that it requests."""
    begin = max(seen - pool.cpu_window_s // TICK_S, 0)
    slots = was_ready[begin:seen].sum() * pool.slots
    if slots == 0:
        return INVALID
    measured, now = ready, tick * TICK_S
    while measured > 0:
        since = ready_at[measured - 1]
        young = since - pool.startup_s + CPU_INITIALISATION_S > now
        if not (young and now - pool.sample_age_s < since + pool.cpu_window_s):
            break
        measured -= 1
    used = int(MILLI * measured * min(busy[begin:seen].sum() / slots, 1.0))
    return utilisation_replicas(
        current, measured, current - measured, used, rules.cpu_percent, rules.tolerance
    )


@compiled
def _fallback(rules: Rules, trigger: int, current: int, ready: int, failures: int) -> int:
    """Return what KEDA makes of a metric that it cannot get (``doFallback``)."""
    if failures <= rules.failures:
        return INVALID
    replicas = max(current, rules.fallback) if rules.if_higher else rules.fallback
    target = rules.targets[trigger]
    if rules.averages[trigger]:
        return average_replicas(current, target * replicas, target, rules.tolerance)
    if ready == 0:
        return INVALID
    return value_replicas(current, ready, int(target * replicas / ready), target, rules.tolerance)


@compiled
def autoscaled(
    load: Load, rules: Rules, pool: Pool, forecasts: Floats, blind: Blind
) -> tuple[int, Integers, Integers, Integers, Integers]:
    """Play a trace with a pool that an autoscaler moves; returns the fields of ``Played``.

    Args:
        load: What is asked for.
        rules: What the ScaledObject says.
        pool: The workers.
        forecasts: By look of the autoscaler: slots that the forecaster says are wanted; NaN for none.
        blind: When Prometheus does not answer.
    """
    ticks = load.demand.peak.size
    ends = [0.0]
    ends.clear()
    state, done_s = np.zeros(2, dtype=np.int64), np.zeros(1)
    waits = np.zeros((ticks, BOUNDS_S.size + 1), dtype=np.int64)
    busy, in_flight = np.zeros(ticks), np.zeros(ticks, dtype=np.int64)
    wanted, was_ready, paid, nodes = (
        np.zeros(ticks, dtype=np.int64),
        np.zeros(ticks, dtype=np.int64),
        np.zeros(ticks, dtype=np.int64),
        np.zeros(ticks, dtype=np.int64),
    )
    current = max(min(pool.first_replicas, rules.most), rules.least)
    ready_at = np.full(rules.most, -pool.startup_s - CPU_INITIALISATION_S, dtype=np.int64)
    seen = np.full(rules.most + 1, -pool.node_linger_s - 1, dtype=np.int64)
    every = pool.sync_s // TICK_S
    looks = ticks // every + 1
    said, added, removed = (
        np.full(looks, INVALID, dtype=np.int64),
        np.zeros(looks, dtype=np.int64),
        np.zeros(looks, dtype=np.int64),
    )
    proposals = np.zeros(rules.series.size + (1 if rules.cpu_percent > 0 else 0), dtype=np.int64)
    said[0] = current
    late = failures = 0
    ready = current
    for tick in range(ticks):
        now = tick * TICK_S
        while ready < current and ready_at[ready] <= now:
            ready += 1
        if tick % every == 0 and tick > 0:
            look = tick // every
            failures = failures + 1 if blind.begin_s <= now < blind.end_s else 0
            desired = asked(
                rules,
                pool,
                current,
                ready,
                tick,
                ready_at,
                busy,
                was_ready,
                in_flight,
                waits,
                forecasts[look],
                blind,
                failures,
                proposals,
            )
            if desired != INVALID:
                count = stabilised(
                    desired, current, rules.up.window_s, rules.down.window_s, said, look, pool.sync_s
                )
                said[look] = desired
                if count > current:
                    limit = limit_up(current, rules.up, added, removed, look, pool.sync_s)
                    count = min(count, rules.most, limit)
                elif count < current:
                    limit = limit_down(current, rules.down, added, removed, look, pool.sync_s)
                    count = max(count, rules.least, limit)
                if count > current:
                    added[look] = count - current
                    for number in range(current, count):
                        has_node = seen[number + 1] + pool.node_linger_s >= now
                        start = now + pool.startup_s + (0 if has_node else pool.node_delay_s)
                        # Replicas are kept in the order in which they are ready; the last ones go first.
                        place = number
                        while place > ready and ready_at[place - 1] > start:
                            ready_at[place] = ready_at[place - 1]
                            place -= 1
                        ready_at[place] = start
                else:
                    removed[look] = current - count
                current = count
                ready = min(ready, current)
        while ready < current and ready_at[ready] <= now:
            ready += 1
        with_node = ready
        while with_node < current and ready_at[with_node] - pool.startup_s <= now:
            with_node += 1
        seen[1 : with_node + 1] = now
        standing = with_node
        while standing < rules.most and seen[standing + 1] + pool.node_linger_s >= now:
            standing += 1
        wanted[tick], was_ready[tick], paid[tick], nodes[tick] = current, ready, with_node, standing
        busy[tick], in_flight[tick], found = served(
            load, tick, ready * pool.slots, ends, state, done_s, waits[tick]
        )
        late += found
    return late + unserved(load, ticks, state), wanted, was_ready, paid, nodes


@compiled
def given(load: Load, slots: int, replicas: Integers) -> int:
    """Play a trace with so many replicas ready in each tick; return how many requests are late."""
    ends = [0.0]
    ends.clear()
    state, done_s = np.zeros(2, dtype=np.int64), np.zeros(1)
    waits = np.zeros(BOUNDS_S.size + 1, dtype=np.int64)
    late = 0
    for tick in range(load.demand.peak.size):
        late += served(load, tick, replicas[tick] * slots, ends, state, done_s, waits)[2]
    return late + unserved(load, load.demand.peak.size, state)
