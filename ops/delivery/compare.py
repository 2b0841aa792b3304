"""``make compare``: two variants of an alias, or two releases, side by side, and how sure they differ."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from rich.console import Console
from rich.table import Table

from ops.delivery.confidence import Share, chance_of_rank, chance_of_share
from ops.delivery.measure import GATEWAYS, Prometheus, Series
from ops.delivery.reach import Reach
from ops.delivery.swap import series
from ops.stack import Stack, StackError

SURE_PERCENT = 99
QUANTILES = (0.5, 0.95)


@dataclass(frozen=True)
class Variant:
    """What one of them did."""

    name: str
    failed: Share
    buckets: Mapping[float, int]
    """Bound, seconds → requests up to it."""

    @property
    def counts(self) -> Sequence[int]:
        """Requests of each bucket."""
        return [
            after - before
            for before, after in pairwise([0, *(self.buckets[one] for one in sorted(self.buckets))])
        ]

    def quantile(self, part: float) -> str:
        """Return within which time this part of the requests was answered, to a bucket's bound."""
        whole = max(self.buckets.values(), default=0)
        bound = next((one for one in sorted(self.buckets) if self.buckets[one] >= part * whole), 0.0)
        return f"<= {bound:g} s" if whole else "-"


def compare(stack: Stack, alias: str, minutes: int) -> None:
    """Print what the variants of an alias, or both releases, did of late, and how sure they differ.

    Raises:
        StackError: if there are no two.
    """
    with Reach(stack).prometheus() as prometheus:
        found = variants(prometheus, series(alias, "", "") if alias else GATEWAYS, minutes)
    if len(found) < 2:
        what = f"alias {alias}" if alias else "the gateways"
        raise StackError(f"{what}: there are no two that were asked in the last {minutes} minutes")
    table = Table(box=None)
    for heading in ("", "requests", "failed", *(f"{part:.0%} within" for part in QUANTILES)):
        table.add_column(heading, no_wrap=True)
    for one in found:
        quantiles = [one.quantile(part) for part in QUANTILES]
        table.add_row(one.name, f"{one.failed.whole:,}", f"{100 * one.failed.value:.2f} %", *quantiles)
    console = Console(width=120, soft_wrap=True)
    console.print(table)
    for first, second in combinations(found, 2):
        for line in differences(first, second):
            console.print(line)


def variants(prometheus: Prometheus, of: Series, minutes: int) -> list[Variant]:
    """Return all that were asked of late, the least first."""
    now, window = time.time(), f"{{{of.of}}}[{minutes}m]"
    failed: dict[str, Share] = {}
    for labels, value in prometheus.ask(f"sum by ({of.label}, code) (increase({of.requests}{window}))", now):
        name, count = labels.get(of.label) or "stable", round(value)
        was = failed.get(name, Share(0, 0))
        failed[name] = Share(was.part + (count if labels["code"].startswith("5") else 0), was.whole + count)
    buckets: dict[str, dict[float, int]] = {name: {} for name in failed}
    query = f"sum by ({of.label}, le) (increase({of.seconds}_bucket{window}))"
    for labels, value in prometheus.ask(query, now):
        buckets.setdefault(labels.get(of.label) or "stable", {})[float(labels["le"])] = round(value)
    return [Variant(name, failed[name], buckets[name]) for name in sorted(failed) if failed[name].whole]


def differences(first: Variant, second: Variant) -> list[str]:
    """Say of failures and of times whether two differ, and how sure that is."""
    worse, better = (first, second) if first.failed.value >= second.failed.value else (second, first)
    failures = min(1.0, 2 * chance_of_share(worse.failed, better.failed))  # either could have been the worse
    times = chance_of_rank(first.counts, second.counts)
    pair = f"{first.name} and {second.name}"
    return [
        f"{pair}: {_said(failures, f'{worse.name} fails more')} (Fisher's exact test)",
        f"{pair}: {_said(times, 'their times differ')} (Mann-Whitney test)",
    ]


def _said(chance: float, what: str) -> str:
    sure = 100 * (1 - chance)
    if sure >= SURE_PERCENT:
        return f"{what}, {min(sure, 99.99):.2f} % sure"
    return f"no difference that is {SURE_PERCENT} % sure ({sure:.0f} %)"
