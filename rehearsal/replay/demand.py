"""What a trace asks of the workers: when each request comes, and how long it holds a slot."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rehearsal.replay.compiled import compiled
from rehearsal.replay.settings import TICK_S, ReplaySettings
from rehearsal.replay.traces import Bins, Flags, Floats, Integers, Requests

LEAST_SERVICE_S = 0.001
Counts = NDArray[np.int32]


class Demand(NamedTuple):
    """Requests, in the order in which they come, and what they are where none has to wait.

    A request that finds a free slot ends at a time that hangs on nothing but itself. So how many slots
    would be busy if there were enough is the same for all policies, and is reckoned once.
    """

    start: float
    """Seconds since 1970; all times count from then."""
    arrivals: Floats
    services: Floats
    longest_s: float
    met: Counts
    """How many slots each request finds busy."""
    first: Integers
    """By tick: the first request that comes in it or later; one more than there are ticks."""
    peak: Integers
    """By tick: the most slots busy in it."""
    busy: Floats
    """By tick: slots busy, on average."""
    at_end: Integers
    """By tick: slots busy when it ends."""
    known: Flags
    """By tick: whether the trace has it."""

    @property
    def ticks(self) -> int:
        """How many ticks there are."""
        return self.peak.size


def service_s(settings: ReplaySettings, context: Integers, generated: Integers) -> Floats:
    """Return how long requests hold a slot, seconds."""
    seconds = settings.prefill_s_per_token * context + settings.decode_s_per_token * generated
    return np.maximum(seconds, LEAST_SERVICE_S)


def demand(trace: Bins | Requests, sizes: Requests, settings: ReplaySettings, seed: int) -> Demand:
    """Return what a trace asks for.

    Where it has counts, requests come at times drawn evenly from their bin, and have the sizes of requests
    drawn from ``sizes``.
    """
    if isinstance(trace, Requests):
        arrivals, services = trace.at, service_s(settings, trace.context, trace.generated)
        ticks = int(arrivals[-1] // TICK_S) + 1
        known = np.ones(ticks, dtype=np.bool_)
    else:
        random = np.random.default_rng(seed)
        begins = np.repeat(np.arange(trace.counts.size), trace.counts) * trace.width_s
        arrivals = np.sort(begins + random.random(begins.size) * trace.width_s)
        possible = service_s(settings, sizes.context, sizes.generated)
        services = possible[random.integers(possible.size, size=begins.size)]
        ticks = int(np.ceil(trace.counts.size * trace.width_s / TICK_S))
        bins = (np.arange(ticks) * TICK_S / trace.width_s).astype(np.int64)
        known = trace.known[bins]
    first = np.searchsorted(arrivals, np.arange(ticks + 1) * float(TICK_S))
    met, peak, busy, at_end = _unhindered(arrivals, np.sort(arrivals + services), ticks, float(TICK_S))
    return Demand(
        trace.start,
        arrivals,
        services,
        float(services.max(initial=0)),
        met,
        first,
        peak,
        busy,
        at_end,
        known,
    )


@compiled
def _unhindered(
    arrivals: Floats, ends: Floats, ticks: int, tick_s: float
) -> tuple[Counts, Integers, Floats, Integers]:
    """Return what ``Demand`` says of it: what requests met, and by tick the peak, the mean and the end."""
    met = np.zeros(arrivals.size, dtype=np.int32)
    peak = np.zeros(ticks, dtype=np.int64)
    busy = np.zeros(ticks)
    at_end = np.zeros(ticks, dtype=np.int64)
    come = gone = 0
    for tick in range(ticks):
        now, until = tick * tick_s, (tick + 1) * tick_s
        most = come - gone
        while True:
            arrival = arrivals[come] if come < arrivals.size else np.inf
            end = ends[gone] if gone < ends.size else np.inf
            then = min(arrival, end)
            if then >= until:
                break
            busy[tick] += (come - gone) * (then - now)
            now = then
            if end <= arrival:
                gone += 1
            else:
                met[come] = come - gone
                come += 1
                most = max(most, come - gone)
        busy[tick] = (busy[tick] + (come - gone) * (until - now)) / tick_s
        peak[tick] = most
        at_end[tick] = come - gone
    return met, peak, busy, at_end
