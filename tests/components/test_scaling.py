"""What moves a replica count: the object, its queries, and what KEDA and Kubernetes make of both."""

import math
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import scaling
from components.scaling import Metrics
from components.service import Serving
from stacks.kubernetes import AutoscalingSettings, WorkerAutoscalingSettings
from tests.components.placing import SOME

METRICS = Metrics("https://prometheus.ollamamax.svc:9090", "ollamamax-prometheus", window_s=60)
SERVING = Serving("chat", 8, ("llama3.2:3b", "Mistral"))
WORKERS = replace(SOME, name="worker-chat", serving=SERVING)
LOAD = 'ollamamax_pool_load{pool="chat"}'


def spec(scaling_: AutoscalingSettings | None = None, **metrics: Any) -> dict[str, Any]:
    given_ = scaling_ or WorkerAutoscalingSettings()
    return scaling.scaled_object(WORKERS, given_, replace(METRICS, **metrics))


def triggers(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in found["triggers"]}


def test_workers_follow_the_cpu_the_waits_the_slots_and_the_forecast() -> None:
    found = triggers(spec(forecast_fresh_s=120))
    assert list(found) == ["cpu", "slot-wait", "in-flight", "forecast"]
    assert (found["cpu"]["metricType"], found["cpu"]["metadata"]["value"]) == ("Utilization", "60")
    thresholds = {name: one["metadata"].get("threshold") for name, one in found.items()}
    assert thresholds == {"cpu": None, "slot-wait": "100", "in-flight": "5.6", "forecast": "1"}


def test_without_a_forecaster_that_moves_replicas_there_is_no_trigger_of_it() -> None:
    assert "forecast" not in triggers(spec(forecast_fresh_s=None))


def test_a_gateway_follows_what_it_uses_alone_and_needs_no_prometheus() -> None:
    found = scaling.scaled_object(SOME, AutoscalingSettings(), METRICS)
    assert list(triggers(found)) == ["cpu", "memory"]
    assert "fallback" not in found, "KEDA refuses one where no trigger can fall back"


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"memory_percent": 70}, ["cpu", "memory", "slot-wait", "in-flight"]),
        ({"slot_wait_ms": None}, ["cpu", "in-flight"]),
        ({"min_replicas": 0}, ["cpu", "slot-wait", "in-flight", "activity"]),
    ],
)
def test_the_settings_say_what_counts(settings: dict[str, Any], names: list[str]) -> None:
    assert list(triggers(spec(WorkerAutoscalingSettings(**settings)))) == names


def test_a_wait_is_compared_as_it_is_and_requests_are_divided_by_the_replicas() -> None:
    found = triggers(spec(forecast_fresh_s=120))
    kinds = {name: one["metricType"] for name, one in found.items()}
    assert kinds == {
        "cpu": "Utilization",
        "slot-wait": "Value",
        "in-flight": "AverageValue",
        "forecast": "AverageValue",
    }


def test_only_a_forecast_that_is_missing_counts_as_zero() -> None:
    found = triggers(spec(WorkerAutoscalingSettings(min_replicas=0), forecast_fresh_s=120))
    ignored = {name: one["metadata"].get("ignoreNullValues") for name, one in found.items()}
    assert ignored == {
        "cpu": None,
        "slot-wait": "false",
        "in-flight": "false",
        "activity": "false",
        "forecast": "true",
    }


def test_a_query_names_models_as_the_gateways_do_and_nothing_but_them() -> None:
    query = triggers(spec())["slot-wait"]["metadata"]["query"]
    assert r'{model=~"llama3\\.2:3b|mistral:latest"}' in query


def test_what_opens_prometheus_is_named_and_not_written_down() -> None:
    for name, one in triggers(spec(forecast_fresh_s=120)).items():
        if one["type"] == "prometheus":
            assert one["authenticationRef"] == {
                "kind": "ClusterTriggerAuthentication",
                "name": "ollamamax-prometheus",
            }, name
            assert one["metadata"]["authModes"] == "basic"
            assert one["metadata"]["serverAddress"] == METRICS.address


def test_replicas_come_at_once_and_go_after_the_window() -> None:
    found = scaling.behavior(
        WorkerAutoscalingSettings(scale_up_period_s=31, scale_down_window_s=301), exact=False
    )
    assert found["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert {policy["periodSeconds"] for policy in found["scaleUp"]["policies"]} == {31}
    assert found["scaleDown"]["stabilizationWindowSeconds"] == 301


def test_keda_finds_nothing_to_change_in_the_autoscaler_that_it_has_made() -> None:
    """What is left out the API server fills in, and KEDA would then write it again and again."""
    found = scaling.behavior(WorkerAutoscalingSettings(), exact=False)
    for rules in found.values():
        assert rules.keys() == {"stabilizationWindowSeconds", "selectPolicy", "policies"}


def test_a_cluster_that_can_acts_on_small_differences_upwards() -> None:
    found = scaling.behavior(WorkerAutoscalingSettings(), exact=True)
    assert found["scaleUp"]["tolerance"] == "0"
    assert "tolerance" not in found["scaleDown"]


def values(found: Any) -> list[Any]:
    if isinstance(found, dict):
        return [one for inner in found.values() for one in values(inner)]
    return [one for inner in found for one in values(inner)] if isinstance(found, list) else [found]


@given(st.integers(0, 5), st.booleans())
def test_keda_writes_the_object_back_as_it_is_here(least: int, exact: bool) -> None:
    """KEDA leaves out what is false when it adds its finalizer, which would be a difference in every plan."""
    found = spec(WorkerAutoscalingSettings(min_replicas=least), exact=exact, forecast_fresh_s=60)
    assert False not in [one for one in values(found) if isinstance(one, bool)]
    assert all(isinstance(one, str) for trigger in found["triggers"] for one in trigger["metadata"].values())


# Scale to zero


def test_a_pool_that_may_be_empty_is_looked_at_often_and_emptied_late() -> None:
    found = spec(WorkerAutoscalingSettings(min_replicas=0, idle_s=1234))
    assert (found["minReplicaCount"], found["pollingInterval"]) == (0, 5)
    assert (found["cooldownPeriod"], found["initialCooldownPeriod"]) == (1234, 1234)


def test_others_have_none_of_it_which_keda_would_warn_about() -> None:
    assert {"pollingInterval", "cooldownPeriod", "initialCooldownPeriod"}.isdisjoint(spec())


def test_what_wakes_a_pool_asks_for_one_replica_however_many_requests_come() -> None:
    found = triggers(spec(WorkerAutoscalingSettings(min_replicas=0)))["activity"]["metadata"]
    assert found["activationThreshold"] == "0"
    assert wanted(External(float(found["threshold"]), average=True), value=5000.0, replicas=1) == 1


def test_a_pool_whose_metrics_are_missing_is_not_taken_for_an_idle_one() -> None:
    """With ``replicas: 0`` KEDA takes a service in error to zero after its cooldown."""
    assert spec(WorkerAutoscalingSettings(min_replicas=0))["fallback"]["replicas"] == 1


# While metrics are missing: arithmetic of KEDA 2.21 (pkg/fallback) and of Kubernetes (replica_calculator.go)

TOLERANCE = 0.1


@dataclass(frozen=True)
class External:
    """A metric of the autoscaler that KEDA makes of a trigger."""

    target: float
    average: bool


def external(trigger: dict[str, Any]) -> External:
    metadata = trigger["metadata"]
    return External(float(metadata["threshold"]), trigger["metricType"] == "AverageValue")


def falls_back(fallback: dict[str, Any], metric: External, current: int, ready: int) -> float | None:
    """Return what KEDA says in place of a metric that is missing for too long; None is an error."""
    assert fallback["behavior"] == "currentReplicasIfHigher"
    replicas = float(max(current, fallback["replicas"]))
    if not metric.average:
        if ready == 0:
            return None
        replicas /= ready
    return math.trunc(metric.target * 1000 * replicas) / 1000


def wanted(metric: External, value: float, replicas: int, ready: int | None = None) -> int:
    """Return how many replicas Kubernetes makes of an external metric."""
    if metric.average:
        ratio = value / (metric.target * replicas)
        return replicas if abs(ratio - 1) <= TOLERANCE else math.ceil(round(value / metric.target, 9))
    ratio = value / metric.target
    if abs(ratio - 1) <= TOLERANCE:
        return replicas
    return math.ceil(round(ratio * (replicas if ready is None else ready), 9))


def desired(asked: list[int | None], current: int) -> int:
    """Return the count that comes of what each metric asks for; one in error asks for nothing, and holds."""
    most = max((one for one in asked if one is not None), default=current)
    return max(most, current) if None in asked else most


COUNTS = st.integers(1, 200)


@given(
    current=COUNTS,
    ready=st.integers(0, 200),
    cpu=st.integers(1, 200),
    least=st.integers(1, 50),
    slots=st.integers(1, 64),
    percent=st.integers(1, 100),
    wait=st.integers(1, 60_000),
)
def test_a_fallback_never_asks_for_fewer_than_there_are_nor_stands_in_the_way_of_the_cpu(
    current: int, ready: int, cpu: int, least: int, slots: int, percent: int, wait: int
) -> None:
    settings = WorkerAutoscalingSettings(
        min_replicas=least, max_replicas=1000, in_flight_percent=percent, slot_wait_ms=wait
    )
    service = replace(WORKERS, serving=replace(SERVING, slots=slots))
    found = scaling.scaled_object(service, settings, replace(METRICS, forecast_fresh_s=60))
    ready = min(ready, current)
    asked: list[int | None] = [cpu]
    for trigger in found["triggers"]:
        if trigger["type"] == "prometheus":
            metric = external(trigger)
            value = falls_back(found["fallback"], metric, current, ready)
            asked.append(None if value is None else wanted(metric, value, current, ready))
    count = desired(asked, current)
    assert count >= max(current, cpu)
    assert count <= max(current, cpu, least), "nor for more than is known to be needed"


@given(current=COUNTS, cpu=COUNTS)
def test_before_the_fallback_counts_an_error_holds_what_is_there(current: int, cpu: int) -> None:
    assert desired([cpu, None, None], current) == max(current, cpu)


@pytest.mark.parametrize(("least", "interval"), [(3, 15), (0, 5)])
def test_prometheus_may_start_again_before_the_fallback_counts(least: int, interval: int) -> None:
    threshold = spec(WorkerAutoscalingSettings(min_replicas=least))["fallback"]["failureThreshold"]
    assert threshold * interval == 120


def test_more_replicas_than_the_fewest_can_be_kept_while_metrics_are_missing() -> None:
    assert spec(WorkerAutoscalingSettings(min_replicas=3))["fallback"]["replicas"] == 3
    assert spec(WorkerAutoscalingSettings(fallback_replicas=9))["fallback"]["replicas"] == 9


def test_a_long_wait_asks_for_twice_as_many_replicas_at_the_most() -> None:
    found = triggers(spec())["slot-wait"]
    assert "clamp_max(" in found["metadata"]["query"]
    assert wanted(external(found), 200.0, replicas=10, ready=4) == 8


@given(interval=st.integers(1, 600))
def test_rates_are_taken_over_several_scrapes(interval: int) -> None:
    assert scaling.window_s(interval) >= max(60, 4 * interval)
