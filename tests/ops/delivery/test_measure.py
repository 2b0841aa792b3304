"""What Prometheus has of both sides, and what they did between two moments."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.delivery.measure import (
    GATEWAYS,
    THERE,
    TRIED,
    Moment,
    Prometheus,
    Totals,
    between,
    of_stack,
)
from ops.stack import StackError

STABLE, CANARY = {"instance": "gateway-1:9090"}, {"instance": "gateway-canary-1:9090", "release": "canary"}
ANSWERS: dict[str, list[tuple[Mapping[str, str], float]]] = {
    "sum by (instance, release, code) (ollamamax_requests_total": [
        (STABLE | {"code": "200"}, 900.0),
        (STABLE | {"code": "502"}, 3.0),
        (CANARY | {"code": "200"}, 90.0),
        (CANARY | {"code": "404"}, 8.0),
        (CANARY | {"code": "500"}, 2.0),
    ],
    "sum by (instance, release, le) (ollamamax_overhead_seconds_bucket": [
        (CANARY | {"le": "0.01"}, 95.0),
        (CANARY | {"le": "0.025"}, 99.0),
        (CANARY | {"le": "+Inf"}, 100.0),
    ],
    "process_resident_memory_bytes": [(CANARY, 64.0 * 1024 * 1024)],
    "process_start_time_seconds": [(CANARY, 1000.0), (STABLE, 10.0)],
}


@dataclass(frozen=True)
class Recorded(Prometheus):
    """Answers from a table."""

    url: str = "https://prometheus"
    user: str = ""
    password: str = ""
    ca_certificate: str = ""
    asked: list[str] = field(default_factory=list)

    def ask(self, query: str, at: float) -> list[tuple[Mapping[str, str], float]]:
        self.asked.append(query)
        return next(answer for known, answer in ANSWERS.items() if query.startswith(known))


def test_the_sides_are_told_apart_by_their_label() -> None:
    prometheus = Recorded()
    moment = prometheus.moment(GATEWAYS, 5.0)
    times = {0.01: 95, 0.025: 99, math.inf: 100}
    assert moment.sides[TRIED] == {"gateway-canary-1:9090": Totals(100, 2, times, 64, 1000)}
    assert moment.sides[THERE] == {"gateway-1:9090": Totals(903, 3, {}, 0, 10)}
    assert all('{job="gateway"}' in query for query in prometheus.asked)


@given(counts=st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=1, max_size=9))
def test_each_bucket_counts_what_was_added_to_it_alone(counts: list[tuple[int, int]]) -> None:
    then = {float(n): sum(before for before, _ in counts[: n + 1]) for n in range(len(counts))}
    now = {float(n): then[n] + sum(more for _, more in counts[: n + 1]) for n in range(len(counts))}
    before, after = (Moment(at, {TRIED: {"a": Totals(times=of)}}) for at, of in ((0, then), (5, now)))
    assert list(between(before, after, TRIED).times.values()) == [more for _, more in counts]


def test_one_that_started_again_has_counted_from_zero() -> None:
    then = Moment(0, {TRIED: {"a": Totals(100, 1, {1.0: 100}, 50, 10)}})
    now = Moment(5, {TRIED: {"a": Totals(30, 2, {1.0: 30}, 70, 13), "b": Totals(7, 0, {1.0: 7}, 90, 12)}})
    found = between(then, now, TRIED)
    assert (found.requests, found.failed, found.times, found.restarts) == (37, 2, {1.0: 37}, 1)
    assert found.memory_mib == 80


def test_a_side_that_is_not_there_has_done_nothing() -> None:
    found = between(Moment(0), Moment(5), THERE)
    assert (found.requests, found.times, found.memory_mib) == (0, {}, 0)


@pytest.mark.parametrize("names", [{"caCertificate": "PEM"}, {}])
def test_prometheus_is_trusted_by_the_stacks_own_authority(names: dict[str, str]) -> None:
    pages = {"prometheus": "https://localhost", "user": "u", "password": "p", "caCertificate": "PEM"}
    found = of_stack({"dashboards": {name: pages[name] for name in pages.keys() - names}, **names})
    assert found == Prometheus("https://localhost", "u", "p", "PEM")


def test_a_stack_that_is_not_up_is_named() -> None:
    with pytest.raises(StackError, match="has no output dashboards: it is not up"):
        of_stack({})
