"""A policy's course through a trace, what it comes to, and how it is brought to a given lateness."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from math import ceil, exp, log

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from rehearsal.replay.demand import Demand
from rehearsal.replay.objects import FORECAST, Rules, without
from rehearsal.replay.oracle import oracle
from rehearsal.replay.queue import Load
from rehearsal.replay.settings import TICK_S, ReplaySettings
from rehearsal.replay.simulation import Blind, Played, Pool, autoscaled, given
from rehearsal.replay.traces import Flags, Floats, Integers

HOUR_S = 3600
DAY_H = 24
NEVER = Blind(-1.0, -1.0)
LEAST, MOST = 0.4, 1.43
"""Factors on a policy's targets that are tried. With the largest, requests in flight may take all slots: a
stack could say so."""
HALVINGS = 8
OPENING_S = 300
"""A pool begins with what this time at the trace's begin wants."""


@dataclass(frozen=True)
class Outcome:
    """What a policy came to."""

    factor: float | None
    """By how much its reactive targets were multiplied; None where it has none."""
    forecast_factor: float | None
    """By how much what is forecast was divided; None where nothing is."""
    late: int
    late_share: float
    replica_hours: float
    node_hours: float
    flaps_a_day: float
    most_replicas: int


@dataclass(frozen=True)
class Stage:
    """A trace, and the pool that serves it."""

    settings: ReplaySettings
    demand: Demand
    scored: Flags
    """By tick: whether it counts."""
    startup_s: int

    @cached_property
    def load(self) -> Load:
        """The demand, and which of its requests count."""
        return Load(self.demand, self.scored, self.settings.late_s)

    @cached_property
    def requests(self) -> int:
        """How many requests count."""
        return int(np.diff(self.demand.first)[self.scored].sum())

    @property
    def allowed(self) -> int:
        """How many of them may be late."""
        return int(self.requests * self.settings.late_share)

    @cached_property
    def pool(self) -> Pool:
        """The workers."""
        s = self.settings
        opening = int(self.demand.peak[: OPENING_S // TICK_S].max())
        return Pool(
            slots=s.slots,
            startup_s=self.startup_s,
            node_delay_s=s.node_delay_s,
            node_linger_s=s.node_linger_s,
            first_replicas=ceil(opening / s.slots),
            sync_s=s.sync_s,
            sample_age_s=s.sample_age_s,
            cpu_window_s=s.cpu_window_s,
        )

    @property
    def looks(self) -> int:
        """How often the autoscaler looks."""
        return self.demand.ticks * TICK_S // self.settings.sync_s + 1

    def play(self, given_rules: Rules, forecasts: Floats | None = None, blind: Blind = NEVER) -> Played:
        """Return what becomes of a pool that the autoscaler moves."""
        if forecasts is None:
            given_rules, forecasts = without(given_rules, FORECAST), np.full(self.looks, np.nan)
        return Played(*autoscaled(self.load, given_rules, self.pool, forecasts, blind))

    def outcome(
        self, played: Played, factor: float | None = None, forecast_factor: float | None = None
    ) -> Outcome:
        """Return what counts of it."""
        hours = TICK_S / HOUR_S
        days = float(self.scored.sum()) * hours / DAY_H
        return Outcome(
            factor=factor,
            forecast_factor=forecast_factor,
            late=played.late,
            late_share=played.late / max(self.requests, 1),
            replica_hours=float(played.paid[self.scored].sum() * hours),
            node_hours=float(played.nodes[self.scored].sum() * hours),
            flaps_a_day=flaps(played.wanted[self.scored], self.settings.flap_s // TICK_S) / days,
            most_replicas=int(played.wanted[self.scored].max()),
        )

    def fixed(self, ready: Integers, late: int) -> Outcome:
        """Return what a course that was given beforehand comes to; each replica is paid for as it starts."""
        hours = TICK_S / HOUR_S
        ahead = ceil(self.startup_s / TICK_S)
        # A replica that is ready from a tick on has been paid for since its start-up time before.
        paid = ready[self.scored].sum() + np.maximum(np.diff(ready[self.scored]), 0).sum() * ahead
        return Outcome(
            factor=None,
            forecast_factor=None,
            late=late,
            late_share=late / max(self.requests, 1),
            replica_hours=float(paid * hours),
            node_hours=float(paid * hours),
            flaps_a_day=flaps(ready[self.scored], self.settings.flap_s // TICK_S)
            / (float(self.scored.sum()) * hours / DAY_H),
            most_replicas=int(ready[self.scored].max()),
        )


def flaps(wanted: Integers, within: int) -> int:
    """Return how often a count goes up no more than so many ticks after it went down."""
    changes = np.diff(wanted)
    at = np.flatnonzero(changes)
    down_then_up = (changes[at][:-1] < 0) & (changes[at][1:] > 0)
    return int((down_then_up & (np.diff(at) <= within)).sum())


def at_equal_lateness(play: Callable[[float], Outcome], allowed: int) -> Outcome:
    """Return the outcome with the largest factor found at which no more requests are late than may be.

    Where they are more even with the least factor, that one is returned, and its lateness says so.
    """
    if (best := play(MOST)).late <= allowed:
        return best
    low, high, best = log(LEAST), log(MOST), play(LEAST)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if (outcome := play(exp(middle))).late <= allowed:
            low, best = middle, outcome
        else:
            high = middle
    return best


def fewest_hours(outcomes: Iterable[Outcome], allowed: int) -> Outcome:
    """Return the outcome with the fewest replica-hours that is not too late, or the least late one."""
    return min(outcomes, key=lambda one: (max(one.late - allowed, 0), one.replica_hours))


def static(stage: Stage) -> Outcome:
    """Return the fewest replicas that are always there, and are enough."""
    low, high = 0, int(stage.demand.peak.max()) // stage.settings.slots + 1
    while high - low > 1:
        middle = (low + high) // 2
        if given(stage.load, stage.settings.slots, np.full(stage.demand.ticks, middle)) <= stage.allowed:
            high = middle
        else:
            low = middle
    ready = np.full(stage.demand.ticks, high)
    return stage.fixed(ready, given(stage.load, stage.settings.slots, ready))


def free_oracle(stage: Stage) -> Outcome:
    """Return what is possible at all."""
    return stage.fixed(*oracle(stage.load, stage.settings.slots, stage.startup_s, stage.allowed))


def perfect(stage: Stage) -> Floats:
    """Return, by look, the most slots that will be busy until what is asked for at the next look is ready."""
    horizon = (stage.startup_s + stage.settings.sync_s) // TICK_S + 1
    padded = np.concatenate([stage.demand.peak, np.zeros(horizon, dtype=np.int64)])
    ahead = sliding_window_view(padded, horizon).max(axis=1)
    every = stage.settings.sync_s // TICK_S
    return np.append(ahead[:-1][::every], 0).astype(np.float64)[: stage.looks]
