"""How Kubernetes' horizontal autoscaler computes a replica count, and KEDA what it gives it to compute with.

The rules are those of Kubernetes 1.34 (``pkg/controller/podautoscaler``: ``replica_calculator.go`` and
``horizontal.go``) and KEDA 2.21 (``pkg/fallback``). External metrics and targets are thousandths, as both
pass them on; a metric that is not to be had proposes ``INVALID``.
"""

from math import ceil
from typing import NamedTuple

from rehearsal.replay.compiled import compiled
from rehearsal.replay.traces import Integers

INVALID = -1
MILLI = 1000
PODS, PERCENT = 0, 1
MOST, LEAST, DISABLED = 0, 1, 2


class Tolerance(NamedTuple):
    """How far a metric may be from its target before anything is done, as a share of it."""

    down: float
    up: float


@compiled
def within(ratio: float, tolerance: Tolerance) -> bool:
    """Tell whether a metric is so near its target that nothing is done."""
    return 1.0 - tolerance.down <= ratio <= 1.0 + tolerance.up


@compiled
def utilisation_replicas(
    current: int, measured: int, unready: int, used: int, target: float, tolerance: Tolerance
) -> int:
    """Return what a resource asks for (``GetResourceReplicas``).

    Pods that are not ready yet, and those that have only just become so, are set aside; where the others ask
    for more they count as if they used nothing.

    Args:
        current: Replicas asked for now.
        measured: Pods whose use counts.
        unready: Pods that are set aside.
        used: What the first ones use together, in thousandths of what one requests.
        target: Use of the request that is aimed at, percent.
        tolerance: Deviation at which nothing is done.
    """
    if measured == 0:
        return INVALID
    ratio = 100 * used // (MILLI * measured) / target
    if unready == 0 or ratio <= 1.0:
        return current if within(ratio, tolerance) else ceil(ratio * measured)
    pods = measured + unready
    damped = 100 * used // (MILLI * pods) / target
    if within(damped, tolerance) or damped < 1.0:
        return current
    wanted = ceil(damped * pods)
    return current if wanted < current else wanted


@compiled
def value_replicas(current: int, ready: int, usage: int, target: int, tolerance: Tolerance) -> int:
    """Return what a metric of type Value asks for (``GetExternalMetricReplicas``)."""
    ratio = usage / target
    if current == 0:
        return ceil(ratio)
    return current if within(ratio, tolerance) else ceil(ratio * ready)


@compiled
def average_replicas(current: int, usage: int, target: int, tolerance: Tolerance) -> int:
    """Return what a metric of type AverageValue asks for (``GetExternalPerPodMetricReplicas``)."""
    if current != 0 and within(usage / (target * current), tolerance):
        return current
    return ceil(usage / target)


@compiled
def combined(proposals: Integers, current: int) -> int:
    """Return the largest proposal (``computeReplicasForMetrics``).

    Where a metric is not to be had, the others can raise the count, not lower it.
    """
    wanted, invalid = 0, 0
    for proposal in proposals:
        if proposal == INVALID:
            invalid += 1
        else:
            wanted = max(wanted, proposal)
    if invalid == proposals.size or (invalid > 0 and wanted < current):
        return INVALID
    return wanted


class Direction(NamedTuple):
    """How a count may move in one direction: ``behavior.scaleUp`` or ``behavior.scaleDown``."""

    window_s: int
    select: int
    kinds: Integers
    values: Integers
    periods_s: Integers


@compiled
def _before(current: int, added: Integers, removed: Integers, sync: int, sync_s: int, period_s: int) -> int:
    """Return the count with which a period began that ends now."""
    count, back = current, 1
    while back <= sync and back * sync_s < period_s:
        count += removed[sync - back] - added[sync - back]
        back += 1
    return count


@compiled
def limit_up(current: int, up: Direction, added: Integers, removed: Integers, sync: int, sync_s: int) -> int:
    """Return the most replicas that the policies allow now (``calculateScaleUpLimitWithScalingRules``)."""
    if up.select == DISABLED:
        return current
    limit = current
    for policy in range(up.kinds.size):
        before = _before(current, added, removed, sync, sync_s, up.periods_s[policy])
        if up.kinds[policy] == PODS:
            allowed = before + up.values[policy]
        else:
            allowed = ceil(before * (1 + up.values[policy] / 100))
        smaller = up.select == LEAST
        limit = allowed if policy == 0 else min(limit, allowed) if smaller else max(limit, allowed)
    return max(current, limit)


@compiled
def limit_down(
    current: int, down: Direction, added: Integers, removed: Integers, sync: int, sync_s: int
) -> int:
    """Return the fewest replicas that the policies allow now (``calculateScaleDownLimitWithBehaviors``)."""
    if down.select == DISABLED:
        return current
    limit = current
    for policy in range(down.kinds.size):
        before = _before(current, added, removed, sync, sync_s, down.periods_s[policy])
        if down.kinds[policy] == PODS:
            allowed = before - down.values[policy]
        else:
            allowed = int(before * (1 - down.values[policy] / 100))
        larger = down.select == LEAST
        limit = allowed if policy == 0 else max(limit, allowed) if larger else min(limit, allowed)
    return min(current, limit)


@compiled
def stabilised(
    desired: int, current: int, up_window_s: int, down_window_s: int, said: Integers, sync: int, sync_s: int
) -> int:
    """Return the count that recent recommendations agree on (``stabilizeRecommendationWithBehaviors``).

    Args:
        desired: What the metrics ask for now.
        current: Replicas asked for now.
        up_window_s: How long a larger count must have been recommended, seconds.
        down_window_s: How long a smaller one must have been, seconds.
        said: What was recommended at each look, ``INVALID`` where nothing was.
        sync: Number of this look.
        sync_s: Time between two looks, seconds.
    """
    least, most, back = desired, desired, 1
    while back <= sync and back * sync_s < max(up_window_s, down_window_s):
        recommended = said[sync - back]
        if recommended != INVALID:
            if back * sync_s < up_window_s:
                least = min(least, recommended)
            if back * sync_s < down_window_s:
                most = max(most, recommended)
        back += 1
    return min(max(current, least), most)
