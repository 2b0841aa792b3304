"""What Prometheus has of both sides of a release."""

import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import niquests

from ops.asking import trusting
from ops.delivery.gate import Interval
from ops.stack import StackError

TIMEOUT_S = 10
MEBIBYTE = 1 << 20
TRIED, THERE = "tried", "there"


@dataclass(frozen=True)
class Series:
    """Which metrics tell of a side, and what tells the sides apart."""

    requests: str
    """Counter of requests, with their ``code``."""
    seconds: str
    """Histogram of their times."""
    label: str
    """The label that differs between the sides."""
    tried: str
    """Its value on the side that is tried."""
    there: str = ""
    """And on the other."""
    of: str = ""
    """Labels that both share."""
    processes: bool = True
    """Whether a side has processes of its own, whose memory and starts are its own too."""


GATEWAYS = Series(
    "ollamamax_requests_total", "ollamamax_overhead_seconds", "release", "canary", of='job="gateway"'
)


@dataclass
class Totals:
    """Running totals of one process, since it started."""

    requests: int = 0
    failed: int = 0
    times: dict[float, int] = field(default_factory=dict)
    """Upper bound, seconds → requests that took no longer."""
    memory_mib: float = 0.0
    started: float = 0.0


@dataclass(frozen=True)
class Moment:
    """The totals of all processes of both sides at one time."""

    at: float
    sides: Mapping[str, Mapping[str, Totals]] = field(default_factory=dict)
    """Side → address of the process → totals."""


@dataclass(frozen=True)
class Prometheus:
    """A stack's Prometheus."""

    url: str
    user: str
    password: str
    ca_certificate: str

    def ask(self, query: str, at: float) -> list[tuple[Mapping[str, str], float]]:
        """Return the labels and values that answer a query, as of a time.

        Raises:
            StackError: if it does not answer.
        """
        with trusting(self.ca_certificate) as session:
            try:
                answer = session.get(
                    f"{self.url}/api/v1/query",
                    params={"query": query, "time": str(at)},
                    auth=(self.user, self.password),
                    timeout=TIMEOUT_S,
                )
                answer.raise_for_status()
                found: dict[str, Any] = answer.json()
            except niquests.exceptions.RequestException as error:
                raise StackError(f"Prometheus at {self.url} does not answer: {error}") from error
        return [(one["metric"], float(one["value"][1])) for one in found["data"]["result"]]

    def under_way(self, series: Series, side: str) -> int:
        """Return how many requests a side of gateways has under way, as of the last scrape."""
        value = series.tried if side == TRIED else series.there
        query = f'sum(ollamamax_in_flight{{{series.of},{series.label}="{value}"}})'
        return round(sum(found for _, found in self.ask(query, time.time())))

    def moment(self, series: Series, at: float) -> Moment:
        """Return the totals of both sides as of a time."""
        sides: dict[str, dict[str, Totals]] = {TRIED: defaultdict(Totals), THERE: defaultdict(Totals)}
        names = {series.tried: TRIED, series.there: THERE}

        def each(query: str) -> list[tuple[Totals, Mapping[str, str], float]]:
            found = []
            for labels, value in self.ask(query, at):
                if side := names.get(labels.get(series.label, "")):
                    found.append((sides[side][labels["instance"]], labels, value))
            return found

        by, of = f"instance, {series.label}", series.of
        for totals, labels, value in each(f"sum by ({by}, code) ({series.requests}{{{of}}})"):
            totals.requests += round(value)
            totals.failed += round(value) if labels["code"].startswith("5") else 0
        for totals, labels, value in each(f"sum by ({by}, le) ({series.seconds}_bucket{{{of}}})"):
            totals.times[float(labels["le"])] = round(value)
        if series.processes:
            for totals, _, value in each(f"process_resident_memory_bytes{{{of}}}"):
                totals.memory_mib = value / MEBIBYTE
            for totals, _, value in each(f"process_start_time_seconds{{{of}}}"):
                totals.started = value
        return Moment(at, sides)


def between(before: Moment, after: Moment, side: str) -> Interval:
    """Return what a side did between two moments. A process that has started since has counted from zero."""
    then, now = before.sides.get(side, {}), after.sides.get(side, {})
    requests = failed = restarts = 0
    times: Counter[float] = Counter()
    for address, totals in now.items():
        was = then.get(address, Totals())
        if was.started not in (0.0, totals.started):
            restarts += 1
            was = Totals()
        requests += max(0, totals.requests - was.requests)
        failed += max(0, totals.failed - was.failed)
        times.update(_each(totals.times, was.times))
    memory = [one.memory_mib for one in now.values() if one.memory_mib]
    mean = sum(memory) / len(memory) if memory else 0.0
    return Interval(after.at, requests, failed, times, mean, restarts)


def _each(now: Mapping[float, int], was: Mapping[float, int]) -> dict[float, int]:
    """Return what has been added to each bucket by itself."""
    added = {bound: max(0, now[bound] - was.get(bound, 0)) for bound in sorted(now)}
    return {
        bound: max(0, count - less)
        for (bound, count), less in zip(added.items(), [0, *added.values()], strict=False)
    }


def of_stack(outputs: Mapping[str, Any]) -> Prometheus:
    """Return the Prometheus that a stack's outputs name.

    Raises:
        StackError: if they name none.
    """
    try:
        pages = outputs["dashboards"]
        authority = (outputs if "caCertificate" in outputs else pages)["caCertificate"]
        return Prometheus(pages["prometheus"], pages["user"], pages["password"], authority)
    except KeyError as error:
        raise StackError(
            f"the stack has no output {error.args[0]}: it is not up, make up brings it up"
        ) from error
