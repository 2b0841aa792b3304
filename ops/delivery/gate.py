"""The gate of a release: whether what is tried does worse than what is there, over the same time.

One for every place and for models too: it knows no Docker, no cluster and no Prometheus, only numbers.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ops.delivery.confidence import (
    Sample,
    Share,
    chance_of_difference,
    chance_of_share,
    chance_of_slope,
    sample,
)
from stacks.settings import Settings

AT_EACH_END = 3
"""Tests that wait for the end of a step: times, slow requests, memory. Failures are looked at all along."""
PROLONGED = 3
"""How many times as long as usual a step may last until enough requests have come."""
SLOW_SHARE = 0.01
"""Requests that may be slower than the target: it is one of the 99th percentile."""
LIKE_LOAD = 0.5
"""How many requests a side has for each of the other's where their times compare. One that is hardly asked
takes up to twice as long for each, whatever release it is of: nothing is warm when a request comes."""
HORIZON_H = 1.0
"""How far ahead memory is foreseen, hours: what reaches its limit later is for an alert to tell."""


@dataclass(frozen=True)
class Interval:
    """What one side did from one scrape to the next."""

    at: float
    """Its end, seconds."""
    requests: int
    failed: int
    """Answered 5xx."""
    times: Mapping[float, int]
    """Upper bound, seconds → requests that took as long, but longer than the bound before."""
    memory_mib: float = 0.0
    """Of one process on average, at the end; 0: unknown."""
    restarts: int = 0
    """Processes that have started again."""


@dataclass(frozen=True)
class Pair:
    """Both sides over the same time."""

    tried: Interval
    there: Interval


@dataclass(frozen=True)
class Limits:
    """What a release is held to."""

    errors_target: float
    """Requests that may fail however they compare, percent."""
    errors_most: float
    """Requests that may fail at the most, whatever the other side does, percent."""
    slow_ms: float
    """What one request in a hundred may take longer than, milliseconds."""
    slower: float
    """By how much the typical time may be longer, as a part of it."""
    memory_mib: float
    """What one process may take, MiB; 0: it is not looked at."""
    least_requests: int
    """Requests below which nothing is said of a share."""
    chance: float
    """How unlikely a difference must be to count."""
    confidence_percent: float
    """What that is over all tests together."""


def limits(settings: Settings) -> Limits:
    """Return what a release of a stack is held to: the numbers of its alerts and load tests."""
    alerts, release = settings.alerts, settings.release
    steps, looks = len(release.steps_percent), release.watch_s // settings.monitoring.scrape_interval_s
    tests = steps * (PROLONGED * max(1, looks) + AT_EACH_END)
    return Limits(
        errors_target=alerts.errors_percent.target,
        errors_most=alerts.errors_percent.warning,
        slow_ms=alerts.platform_ms.target,
        slower=release.slower_percent / 100,
        memory_mib=alerts.memory_mib.warning,
        least_requests=alerts.least_requests,
        # Bonferroni: of so many tests, not one is to be wrong.
        chance=(1 - release.confidence_percent / 100) / tests,
        confidence_percent=release.confidence_percent,
    )


def enough(step: Sequence[Pair], held_to: Limits) -> bool:
    """Tell whether so many requests have come in a step that something can be said of it."""
    return sum(pair.tried.requests for pair in step) >= held_to.least_requests


def verdict(step: Sequence[Pair], held_to: Limits, *, over: bool) -> str | None:
    """Return in one line why what is tried has to be taken back; None while there is no reason.

    Args:
        step: the pairs of a step so far. Sides are compared within it alone: between two, the load may have
            changed, and with it both sides' share of it.
        held_to: what may be.
        over: whether the step ends with it: that is when times and memory are judged.
    """
    return next(_reasons(step, held_to, over=over), None)


def _reasons(step: Sequence[Pair], held_to: Limits, *, over: bool) -> Iterator[str]:
    if restarts := sum(pair.tried.restarts for pair in step):
        yield f"it has started again {restarts} times" if restarts > 1 else "it has started again"
    tried, there = [pair.tried for pair in step], [pair.there for pair in step]
    failed = _failed(tried)
    if failed.value > held_to.errors_target / 100:
        yield from _differ(failed, _failed(there), "requests failed", held_to)
    if not over:
        return
    if failed.value > held_to.errors_most / 100:
        yield f"{_percent(failed)} of {failed.whole} requests failed, {held_to.errors_most:g} % may"
    slow = _slow(tried, held_to)
    if slow.value > SLOW_SHARE:
        what = f"requests took more than {held_to.slow_ms:g} ms"
        yield from _differ(slow, _slow(there, held_to), what, held_to)
    if sum(one.requests for one in tried) >= LIKE_LOAD * sum(one.requests for one in there):
        yield from _slower(_typical(tried), _typical(there), held_to)
    yield from _growing(step, held_to)


def _differ(tried: Share, there: Share, what: str, held_to: Limits) -> Iterator[str]:
    chance = chance_of_share(tried, there)
    if there.whole and chance < held_to.chance:
        yield (
            f"{_percent(tried)} of {tried.whole} {what}, beside {_percent(there)} of {there.whole}"
            f"{_sure(chance, held_to)}"
        )


def _slower(tried: Sample, there: Sample, held_to: Limits) -> Iterator[str]:
    chance = chance_of_difference(tried, there, math.log1p(held_to.slower))
    if chance < held_to.chance:
        longer = math.expm1(tried.mean - there.mean)
        yield (
            f"a request takes {longer:.0%} longer in it than beside it, {held_to.slower:.0%} is allowed"
            f"{_sure(chance, held_to)}"
        )


def _growing(step: Sequence[Pair], held_to: Limits) -> Iterator[str]:
    """Foresee memory from how it has grown within a step."""
    known = [pair for pair in step if pair.tried.memory_mib]
    if not known or not held_to.memory_mib:
        return
    now = known[-1].tried.memory_mib
    if now > held_to.memory_mib:
        yield f"a gateway takes {now:.0f} MiB, {held_to.memory_mib:g} may be"
        return
    hours = [pair.tried.at / 3600 for pair in known]
    # What grows on both sides is the load's doing.
    more = [pair.tried.memory_mib - pair.there.memory_mib for pair in known]
    chance = chance_of_slope(hours, more, (held_to.memory_mib - now) / HORIZON_H)
    if chance < held_to.chance:
        seconds, limit = (hours[-1] - hours[0]) * 3600, held_to.memory_mib
        yield (
            f"its memory grew by {more[-1] - more[0]:.0f} MiB within {seconds:.0f} s to {now:.0f} MiB, and "
            f"would pass {limit:g} MiB within the hour{_sure(chance, held_to)}"
        )


def _failed(side: Sequence[Interval]) -> Share:
    return Share(sum(one.failed for one in side), sum(one.requests for one in side))


def _slow(side: Sequence[Interval], held_to: Limits) -> Share:
    """Return the requests that took longer than is aimed at, to the next bound above it."""
    times = _times(side)
    limit = min((bound for bound in times if bound >= held_to.slow_ms / 1000), default=math.inf)
    return Share(sum(count for bound, count in times.items() if bound > limit), times.total())


def _typical(side: Sequence[Interval]) -> Sample:
    """Return the logarithms of the times, each as if in the middle of its bucket.

    A stall of the machine, which is a hundred times as long as a request, hardly moves their mean.
    """
    times = _times(side)
    bounds = sorted(times)
    lower = [bounds[0] / 4, *bounds[:-1]] if bounds else []
    middles = {
        math.log(below if math.isinf(bound) else math.sqrt(below * bound)): times[bound]
        for below, bound in zip(lower, bounds, strict=True)
    }
    return sample(middles)


def _times(side: Sequence[Interval]) -> Counter[float]:
    whole: Counter[float] = Counter()
    for one in side:
        whole.update(one.times)
    return whole


def _percent(share: Share) -> str:
    return f"{100 * share.value:.2f} %"


def _sure(chance: float, held_to: Limits) -> str:
    odds = f"{1 / max(chance, 1e-12):,.0f}"
    return f" (by chance once in {odds}; {held_to.confidence_percent:g} % sure over all looks)"
