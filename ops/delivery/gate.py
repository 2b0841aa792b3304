"""The gate of a release: whether what is tried does worse than what is there, over the same time.

One for every place and for models too: it knows no Docker, no cluster and no Prometheus, only numbers.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ops.delivery.confidence import Share, chance_of_mean, chance_of_share, chance_of_slope
from stacks.settings import Settings

AT_EACH_END = 3
"""Tests that wait for the end of a step: times, slow requests, memory. Failures are looked at all along."""
PROLONGED = 3
"""How many times as long as usual a step may last until enough requests have come."""
SLOW_SHARE = 0.01
"""Requests that may be slower than the target: it is one of the 99th percentile."""
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
    timed: int
    """Requests whose time is known."""
    seconds: float
    """All their times together."""
    slow: int
    """Those slower than ``Limits.slow_ms``."""
    memory_mib: float = 0.0
    """Of one process on average, at the end; 0: unknown."""
    restarts: int = 0
    """Processes that have started again."""

    @property
    def mean(self) -> float:
        """Mean time, seconds."""
        return self.seconds / self.timed if self.timed else 0.0


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
    """By how much the mean time may be longer, as a part of it."""
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


def verdict(before: Sequence[Pair], step: Sequence[Pair], held_to: Limits, *, over: bool) -> str | None:
    """Return in one line why what is tried has to be taken back; None while there is no reason.

    Args:
        before: the pairs of the steps before this one.
        step: those of this step so far. Shares are compared within a step: between two, the load may have
            changed, and with it both sides' share of it.
        held_to: what may be.
        over: whether the step ends with it: that is when times and memory are judged.
    """
    return next(_reasons(before, step, held_to, over=over), None)


def _reasons(before: Sequence[Pair], step: Sequence[Pair], held_to: Limits, *, over: bool) -> Iterator[str]:
    if restarts := sum(pair.tried.restarts for pair in step):
        yield f"it has started again {restarts} times" if restarts > 1 else "it has started again"
    failed = _share(step, "failed", "requests")
    if failed[0].value > held_to.errors_target / 100:
        yield from _differ(*failed, "requests failed", held_to)
    if not over:
        return
    if failed[0].value > held_to.errors_most / 100:
        yield f"{_percent(failed[0])} of {failed[0].whole} requests failed, {held_to.errors_most:g} % may"
    slow = _share(step, "slow", "timed")
    if slow[0].value > SLOW_SHARE:
        yield from _differ(*slow, f"requests took more than {held_to.slow_ms:g} ms", held_to)
    yield from _slower([*before, *step], held_to)
    yield from _growing(step, held_to)


def _differ(tried: Share, there: Share, what: str, held_to: Limits) -> Iterator[str]:
    chance = chance_of_share(tried, there)
    if there.whole and chance < held_to.chance:
        yield (
            f"{_percent(tried)} of {tried.whole} {what}, beside {_percent(there)} of {there.whole}"
            f"{_sure(chance, held_to)}"
        )


def _slower(pairs: Sequence[Pair], held_to: Limits) -> Iterator[str]:
    """Compare mean times pair by pair: what slows the whole machine down slows both sides."""
    both = [pair for pair in pairs if pair.tried.seconds > 0 and pair.there.seconds > 0]
    ratios = [math.log(pair.tried.mean / pair.there.mean) for pair in both]
    chance = chance_of_mean(ratios, math.log1p(held_to.slower))
    if chance < held_to.chance:
        typical = math.exp(math.fsum(ratios) / len(ratios)) - 1
        yield (
            f"a request takes {typical:.0%} longer in it than beside it, {held_to.slower:.0%} is allowed"
            f"{_sure(chance, held_to)}"
        )


def _growing(step: Sequence[Pair], held_to: Limits) -> Iterator[str]:
    """Foresee memory from the second half of a step: in the first, caches of a new process still fill."""
    late = [pair for pair in step[len(step) // 2 :] if pair.tried.memory_mib]
    if not late or not held_to.memory_mib:
        return
    now = late[-1].tried.memory_mib
    if now > held_to.memory_mib:
        yield f"a gateway takes {now:.0f} MiB, {held_to.memory_mib:g} may be"
        return
    hours = [pair.tried.at / 3600 for pair in late]
    # What grows on both sides is the load's doing.
    more = [pair.tried.memory_mib - pair.there.memory_mib for pair in late]
    chance = chance_of_slope(hours, more, (held_to.memory_mib - now) / HORIZON_H)
    if chance < held_to.chance:
        grown = more[-1] - more[0]
        yield (
            f"its memory grew by {grown:.0f} MiB within {(hours[-1] - hours[0]) * 3600:.0f} s to {now:.0f} "
            f"MiB, and would pass {held_to.memory_mib:g} MiB within the hour{_sure(chance, held_to)}"
        )


def _share(pairs: Sequence[Pair], part: str, whole: str) -> tuple[Share, Share]:
    """Return a share of the requests of both sides, the tried one first."""
    tried, there = [pair.tried for pair in pairs], [pair.there for pair in pairs]
    first, second = (
        Share(sum(getattr(one, part) for one in side), sum(getattr(one, whole) for one in side))
        for side in (tried, there)
    )
    return first, second


def _percent(share: Share) -> str:
    return f"{100 * share.value:.2f} %"


def _sure(chance: float, held_to: Limits) -> str:
    odds = f"{1 / max(chance, 1e-12):,.0f}"
    return f" (by chance once in {odds}; {held_to.confidence_percent:g} % sure over all looks)"
