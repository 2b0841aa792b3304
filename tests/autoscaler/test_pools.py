"""The program's one loop: what it reads, what it publishes, and what happens when what it needs is away."""

import json
import logging
import math
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ollamamax_autoscaler.cluster import Pods
from ollamamax_autoscaler.configuration import Configuration, parse
from ollamamax_autoscaler.forecast import Reason
from ollamamax_autoscaler.metrics import Metrics
from ollamamax_autoscaler.pools import Pools, usual
from ollamamax_autoscaler.web import UnavailableError

STEP = 60
DAY = 86_400
NOON = 20_000 * DAY + DAY // 2
LEAST, MOST, SLOTS = 2, 50, 4
LOG = logging.getLogger("test")

Load = Callable[[int], float | None]


def configuration(*names: str, exact: bool = False) -> Configuration:
    pool = {"service": "worker-chat", "slots": SLOTS, "least": LEAST, "most": MOST, "target": 0.7}
    given = {
        "prometheus": {"url": "https://prometheus:9090", "ca": "ca", "user": "user", "passwordFile": "file"},
        "intervalS": STEP,
        "startupS": 300,
        "reactionS": 60,
        "coverage": 0.95,
        "exact": exact,
        "pools": [{"name": name, **pool} for name in names or ("chat",)],
    }
    return parse(yaml.safe_dump(given))


class Recorded:
    """In place of Prometheus: what it would have recorded, and its clock."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.at = float(NOON)
        self.asked: list[tuple[int, int]] = []

    def now(self) -> float:
        if math.isnan(self.at):
            raise UnavailableError("away")
        return self.at

    def loads(self, pool: str, start: int, end: int, step: int) -> Mapping[int, float]:
        self.asked.append((start, end))
        found = {at: self.load(at) for at in range(start, end + 1, step)}
        return {at: value for at, value in found.items() if value is not None}


class Cluster:
    """In place of the API server."""

    def __init__(self, current: int, *starts: float) -> None:
        self.answer: Pods | None = Pods(current, {str(index): took for index, took in enumerate(starts)})

    def pods(self) -> Mapping[str, Pods]:
        if self.answer is None:
            raise UnavailableError("away")
        return {"worker-chat": self.answer}


def started(
    recorded: Recorded, cluster: Cluster | None = None, *names: str, exact: bool = False
) -> tuple[Pools, Metrics]:
    metrics = Metrics()
    return Pools(configuration(*names, exact=exact), recorded, cluster, metrics, LOG), metrics  # type: ignore[arg-type]


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"ollamamax_{name}", {"pool": "chat", **labels})


def daily(at: int) -> float:
    """Return load that rises from 8 slots to 120 within an hour before noon, and is a little noisy."""
    hour = at % DAY / 3600
    mean = 8 + 112 * min(max(hour - 11, 0), 1) * (hour < 18)
    return mean + float(np.random.default_rng(at).normal(0, 1))


def test_a_forecast_made_right_after_the_start_is_that_of_one_that_has_been_running() -> None:
    running, restarted = Recorded(daily), Recorded(daily)
    running.at = NOON - 2 * 3600
    pools, metrics = started(running)
    while running.at <= NOON - 1800:
        pools.look()
        running.at += STEP
    restarted.at = running.at - STEP
    again, anew = started(restarted)
    again.look()
    for name in (
        "forecast_replicas",
        "forecast_load_slots",
        "forecast_skill_ratio",
        "forecast_coverage_ratio",
    ):
        assert value(anew, name) == value(metrics, name)
    assert value(metrics, "forecast_timestamp_seconds") == running.at - STEP
    assert value(metrics, "forecast_replicas") == pytest.approx(120 / 2 / SLOTS, rel=0.5)


def test_all_history_is_asked_for_at_the_start_and_then_only_what_is_new() -> None:
    recorded = Recorded(daily)
    pools, _ = started(recorded)
    pools.look()
    assert recorded.asked[0][0] < NOON - 14 * DAY
    assert all((end - start) // STEP < 11_000 for start, end in recorded.asked), "Prometheus gives no more"
    assert [end for _, end in recorded.asked][-1] == NOON
    assert all(
        after[0] == before[1] + STEP
        for before, after in zip(recorded.asked, recorded.asked[1:], strict=False)
    )
    recorded.asked.clear()
    recorded.at += STEP
    pools.look()
    pools.look()
    assert recorded.asked == [(NOON + STEP, NOON + STEP)]


def test_forecasts_are_told_beside_what_came_for_an_hour() -> None:
    recorded = Recorded(daily)
    recorded.at -= 2 * 3600
    pools, metrics = started(recorded)
    while recorded.at <= NOON:
        pools.look()
        recorded.at += STEP
    recorded.load = lambda _: None
    pools.look()
    (told,) = json.loads(json.dumps(pools.told(), allow_nan=False))["pools"]
    assert (told["pool"], told["abstains"], told["horizon_seconds"]) == ("chat", "", 360)
    assert told["replicas"] == value(metrics, "forecast_replicas")
    assert [moment["at"] for moment in told["moments"]] == [NOON + (n - 58) * STEP for n in range(60)]
    noon = told["moments"][-2]
    assert (noon["at"], noon["load"]) == (NOON, pytest.approx(120, abs=5))
    assert noon["forecast"] > 100


def test_it_looks_again_when_there_is_something_new() -> None:
    recorded = Recorded(daily)
    pools, _ = started(recorded)
    recorded.at += 12.25
    assert pools.look() == pytest.approx(STEP - 12.25, abs=1)
    recorded.at = math.nan
    assert pools.look() == STEP


def test_while_prometheus_is_away_what_was_said_stays_and_grows_old() -> None:
    recorded = Recorded(daily)
    recorded.at -= 1800
    pools, metrics = started(recorded)
    pools.look()
    said = [value(metrics, name) for name in ("forecast_replicas", "forecast_timestamp_seconds")]
    recorded.at = math.nan
    for _ in range(9):
        pools.look()
    assert [value(metrics, name) for name in ("forecast_replicas", "forecast_timestamp_seconds")] == said
    assert (
        metrics.registry.get_sample_value("ollamamax_forecast_failures_total", {"source": "prometheus"}) == 9
    )
    recorded.asked.clear()
    recorded.at = NOON - 1800 + 10 * STEP
    pools.look()
    assert recorded.asked == [(NOON - 1800 + STEP, NOON - 1800 + 10 * STEP)], "what was missed is read"


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        (lambda at: None, "missing"),
        (lambda at: math.nan, "missing"),
        (lambda at: math.inf, "missing"),
        (lambda at: 0.0, "skill"),
        (lambda at: daily(at) if at < NOON - 600 else None, "missing"),
    ],
    ids=["nothing recorded", "no number", "endless", "no traffic", "gateways away"],
)
def test_it_asks_for_nothing_where_it_knows_nothing(load: Load, reason: str) -> None:
    pools, metrics = started(Recorded(load))
    pools.look()
    assert value(metrics, "forecast_replicas") == 0
    assert value(metrics, "forecast_timestamp_seconds") == NOON
    assert value(metrics, "forecast_load_slots") is None
    assert value(metrics, "forecast_abstentions_total", reason=reason) == 1


def test_counters_begin_at_zero() -> None:
    _, metrics = started(Recorded(daily))
    assert {reason: value(metrics, "forecast_abstentions_total", reason=reason) for reason in Reason} == {
        Reason.NONE: None,
        Reason.MISSING: 0,
        Reason.SKILL: 0,
    }
    assert value(metrics, "forecast_replica_hours_total") == 0


@given(
    st.lists(
        st.sampled_from([-3 * DAY, -STEP, 0, 1, STEP, 17 * STEP, 3 * DAY, 400 * DAY, math.nan]), max_size=8
    ),
    st.lists(st.none() | st.floats() | st.floats(0, 300), min_size=1, max_size=30),
)
def test_whatever_clock_and_samples_do_what_is_asked_for_is_a_number_within_its_limits(
    leaps: list[float], samples: list[float | None]
) -> None:
    recorded = Recorded(lambda at: samples[at // STEP % len(samples)])
    pools, metrics = started(recorded)
    at = recorded.at
    for leap in leaps:
        at += 0 if math.isnan(leap) else leap
        recorded.at = leap if math.isnan(leap) else at
        assert 0 < pools.look() <= STEP + 1
        replicas = value(metrics, "forecast_replicas")
        assert replicas is None or 0 <= replicas <= MOST


def test_the_horizon_is_what_starts_take_once_some_have_been_timed() -> None:
    cluster = Cluster(3, 100, 110)
    pools, metrics = started(recorded := Recorded(daily), cluster)
    pools.look()
    assert value(metrics, "forecast_horizon_seconds") == 300 + 60
    assert value(metrics, "startup_seconds") is None
    assert cluster.answer
    cluster.answer.starts["2"] = 130
    recorded.at += STEP
    pools.look()
    assert value(metrics, "startup_seconds") == 130
    assert value(metrics, "forecast_horizon_seconds") == 130 + 60
    cluster.answer = None
    recorded.at += STEP
    pools.look()
    assert value(metrics, "forecast_horizon_seconds") == 130 + 60, "it was known a moment ago"


def test_a_forecast_just_above_the_present_count_steps_over_the_tolerance() -> None:
    recorded = Recorded(daily)
    recorded.at -= 1800
    plain, of_plain = started(recorded)
    plain.look()
    wanted = value(of_plain, "forecast_replicas")
    assert wanted
    beside, of_beside = started(recorded, Cluster(int(wanted) - 1))
    beside.look()
    assert value(of_beside, "forecast_replicas") == (wanted - 1) * 11 // 10 + 1
    exact, of_exact = started(recorded, Cluster(int(wanted) - 1), exact=True)
    exact.look()
    assert value(of_exact, "forecast_replicas") == wanted


def test_what_is_asked_for_beyond_the_present_load_is_added_up() -> None:
    recorded = Recorded(daily)
    recorded.at -= 1800
    pools, metrics = started(recorded)
    pools.look()
    wanted, now = value(metrics, "forecast_replicas"), daily(NOON - 1800)
    assert wanted
    beyond = max(0, wanted - max(LEAST, math.ceil(now / SLOTS / 0.7)))
    assert value(metrics, "forecast_replica_hours_total") == pytest.approx(beyond * STEP / 3600)


def test_every_pool_has_its_own_forecast() -> None:
    pools, metrics = started(Recorded(daily), None, "chat", "code")
    pools.look()
    assert value(metrics, "forecast_replicas", pool="code") is not None


@pytest.mark.parametrize(
    ("starts", "most"), [((), None), ((10, 20), None), ((30, 10, 20), 30), (range(1, 21), 18)]
)
def test_nine_of_ten_starts_take_no_longer(starts: list[float], most: float | None) -> None:
    assert usual(list(starts)) == most
