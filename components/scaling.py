"""What moves a service's replica count on a cluster, as plain data: pure functions.

A ScaledObject of KEDA, of which KEDA makes a HorizontalPodAutoscaler. That one takes the maximum of what its
metrics ask for; one that is in error keeps the count from falling and stops no other from raising it. So a
query has no result where it knows nothing, which KEDA then takes for an error, and 0 only where there is
nothing to do. docs/autoscaling.md says what each trigger is for.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pulumi

from components.pods import Manifest
from components.service import Service, Serving
from stacks.kubernetes import AutoscalingSettings, WorkerAutoscalingSettings
from stacks.models import listed_as
from stacks.settings import Settings

SYNC_S = 15
"""How often Kubernetes asks for an autoscaler's metrics, seconds, by default."""
POLLING_S = 5
"""How often KEDA looks whether a service without replicas is wanted, seconds."""
FALLBACK_AFTER_S = 120
"""How long metrics are missing before the fallback counts: longer than Prometheus takes to start again."""
MOST_SLOT_WAIT = 2
"""Most that a wait counts for, as a multiple of its target: it says that replicas are wanting, not how many,
and so asks for twice as many at a time."""
LEAST_WINDOW_S, SCRAPES = 60, 4
"""Time over which rates are taken: one with so many scrapes in it, should one of them fail."""
GATEWAYS_SEEN = 'max_over_time(avg(up{job="gateway"})[1m:])'
"""Part of the gateways whose metrics arrive, the best of a minute: it forgets one that is replaced."""
EXACT_SINCE = "1.35"
"""The Kubernetes that takes ``tolerance`` unless it is told else; one before drops it without a word."""
NEVER = "1000000"
"""Threshold of what asks for one replica at the most."""


@dataclass(frozen=True)
class Prometheus:
    """The service that keeps what the gateways measure, and what opens it."""

    service: str
    port: int
    username: str
    password: pulumi.Input[str]
    ca_certificate: pulumi.Input[str]

    def host(self, namespace: str) -> str:
        """Return the name by which pods of another namespace than its own reach it."""
        return f"{self.service}.{namespace}.svc"


@dataclass(frozen=True)
class Metrics:
    """Where an autoscaler finds what the gateways measure."""

    address: str
    """Of Prometheus."""
    authentication: str
    """The ClusterTriggerAuthentication with what opens it."""
    window_s: int
    """Time over which rates are taken, seconds."""
    forecast_fresh_s: int | None = None
    """Age beyond which a forecast counts for nothing, seconds; None: no forecast moves replicas."""
    exact: bool = False
    """Whether the cluster can act on differences of less than a tenth: Kubernetes 1.35."""


def exact(settings: Settings) -> bool:
    """Tell whether the stack's cluster can act on differences of less than a tenth."""
    return settings.aws is not None and settings.aws.cluster.version >= EXACT_SINCE


def window_s(scrape_interval_s: int) -> int:
    """Return the time over which rates are taken, seconds."""
    return max(LEAST_WINDOW_S, SCRAPES * scrape_interval_s)


def scaled_object(service: Service, scaling: AutoscalingSettings, metrics: Metrics) -> Manifest:
    """Return the specification of the ScaledObject that moves the service's replica count.

    Values that KEDA would leave out when it writes the object back (``false``, ``0``) are left out here too.
    """
    spec: Manifest = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": service.name},
        "minReplicaCount": scaling.min_replicas,
        "maxReplicaCount": scaling.max_replicas,
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": behavior(scaling, exact=metrics.exact)}},
        "triggers": list(resources(scaling)),
    }
    if service.serving and isinstance(scaling, WorkerAutoscalingSettings):
        spec["triggers"] += measured(service.serving, scaling, metrics)
        spec["fallback"] = fallback(scaling)
        if scaling.min_replicas == 0:
            spec |= {
                "pollingInterval": POLLING_S,
                "cooldownPeriod": scaling.idle_s,
                "initialCooldownPeriod": scaling.idle_s,
            }
    return spec


def behavior(scaling: AutoscalingSettings, *, exact: bool) -> Manifest:
    """Return how fast the count may move.

    All of it is given, defaults too: KEDA compares it with what the API server has filled in.
    """
    up: Manifest = {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "policies": [
            {"type": "Percent", "value": 100, "periodSeconds": scaling.scale_up_period_s},
            {"type": "Pods", "value": 4, "periodSeconds": scaling.scale_up_period_s},
        ],
    }
    down = {
        "stabilizationWindowSeconds": scaling.scale_down_window_s,
        "selectPolicy": "Max",
        "policies": [{"type": "Percent", "value": 100, "periodSeconds": SYNC_S}],
    }
    return {"scaleUp": up | ({"tolerance": "0"} if exact else {}), "scaleDown": down}


def fallback(scaling: WorkerAutoscalingSettings) -> Manifest:
    """Return what holds while the gateways' metrics are missing: what is there stays, or more comes.

    At least one replica: with none, KEDA would take an idle service that it knows nothing of to zero.
    """
    # Both count failures: KEDA where the service may have no replicas, Kubernetes where it has some.
    interval_s = SYNC_S if scaling.min_replicas else POLLING_S
    return {
        "behavior": "currentReplicasIfHigher",
        "failureThreshold": FALLBACK_AFTER_S // interval_s,
        "replicas": fallback_replicas(scaling),
    }


def fallback_replicas(scaling: WorkerAutoscalingSettings) -> int:
    """Return the fewest replicas while the gateways' metrics are missing."""
    return scaling.fallback_replicas or max(1, scaling.min_replicas)


def resources(scaling: AutoscalingSettings) -> Iterator[Manifest]:
    """Yield the triggers that go by what the replicas themselves use."""
    for name, percent in (("cpu", scaling.cpu_percent), ("memory", scaling.memory_percent)):
        if percent is not None:
            yield {
                "name": name,
                "type": name,
                "metricType": "Utilization",
                "metadata": {"value": str(percent)},
            }


def measured(serving: Serving, scaling: WorkerAutoscalingSettings, metrics: Metrics) -> Iterator[Manifest]:
    """Yield the triggers that go by what the gateways measure, and by the forecast made of it."""
    if scaling.slot_wait_ms is not None:
        most = scaling.slot_wait_ms * MOST_SLOT_WAIT
        query = slot_wait(serving, metrics.window_s, most)
        yield _prometheus(metrics, "slot-wait", query, str(scaling.slot_wait_ms), "Value")
    slots = serving.slots * scaling.in_flight_percent / 100
    yield _prometheus(metrics, "in-flight", in_flight(serving), f"{round(slots, 3):g}")
    if scaling.min_replicas == 0:
        # Short requests can all end between two scrapes.
        yield _prometheus(metrics, "activity", activity(serving, metrics.window_s), NEVER)
    if metrics.forecast_fresh_s is not None:
        query = forecast(serving, metrics.forecast_fresh_s)
        yield _prometheus(metrics, "forecast", query, "1", missing_is_zero=True)


def slot_wait(serving: Serving, window_s: int, most_ms: int) -> str:
    """Return the query of the 95th percentile of the waits for a slot, milliseconds; 0 without requests."""
    buckets = f"ollamamax_slot_wait_seconds_bucket{{{_models(serving)}}}"
    quantile = f"1000 * histogram_quantile(0.95, sum by (le) (rate({buckets}[{window_s}s])))"
    # Without requests the quantile is no number, which the comparison leaves out.
    return f"clamp_max({quantile} >= 0, {most_ms}) or {_nothing(serving)}"


def in_flight(serving: Serving) -> str:
    """Return the query of the requests that hold a slot or wait for one, for the model with most of them.

    It stands for all gateways, should some of them not be seen for longer than a minute.
    """
    return f"max(sum by (model) ({_load(serving)})) / {GATEWAYS_SEEN}"


def activity(serving: Serving, window_s: int) -> str:
    """Return the query of the requests a second for the pool's models."""
    return f"sum(rate(ollamamax_pool_requests_total{{{_pool(serving)}}}[{window_s}s]))"


def forecast(serving: Serving, fresh_s: int) -> str:
    """Return the query of the replicas that a forecast asks for; 0 where it is old, missing or no number."""
    pool = _pool(serving)
    age = f"abs(time() - ollamamax_forecast_timestamp_seconds{{{pool}}})"
    fresh = f"ollamamax_forecast_replicas{{{pool}}} and on (pool) {age} < {fresh_s}"
    return f"max({fresh}) >= 0 or vector(0)"


def _load(serving: Serving) -> str:
    return f"ollamamax_pool_load{{{_pool(serving)}}}"


def _pool(serving: Serving) -> str:
    return f"pool={json.dumps(serving.pool)}"


def _nothing(serving: Serving) -> str:
    """Return a query that is 0 while a gateway is seen, and has no result while none is."""
    return f"0 * sum({_load(serving)})"


def _models(serving: Serving) -> str:
    return f"model=~{json.dumps('|'.join(_escaped(serving.models)))}"


def _escaped(models: Iterable[str]) -> list[str]:
    return [re.escape(listed_as(model)) for model in models]


def _prometheus(
    metrics: Metrics,
    name: str,
    query: str,
    threshold: str,
    metric_type: str = "AverageValue",
    *,
    missing_is_zero: bool = False,
) -> Manifest:
    return {
        "name": name,
        "type": "prometheus",
        "metricType": metric_type,
        "metadata": {
            "serverAddress": metrics.address,
            "query": query,
            "threshold": threshold,
            "activationThreshold": "0",
            "ignoreNullValues": json.dumps(missing_is_zero),
            "authModes": "basic",
        },
        "authenticationRef": {"kind": "ClusterTriggerAuthentication", "name": metrics.authentication},
    }
