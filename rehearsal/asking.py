"""What a workload's reactive triggers ask for, given what is really the case: without delay or limits.

The rules are Kubernetes' own, as the replay has them; the forecast is left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rehearsal.replay.rules import MILLI, Tolerance, average_replicas, utilisation_replicas, value_replicas

TOLERANCE = Tolerance(0.1, 0.1)
"""Of Kubernetes' horizontal autoscaler."""
MOST_SLOT_WAIT = 2
"""The query of the slot wait counts it as no more than so many times its target."""


@dataclass(frozen=True)
class Truth:
    """What is the case."""

    current: int
    """Replicas that are wanted now."""
    ready: int
    cpu_percent: float
    """Mean use of what the ready ones requested."""
    wait_ms: float = 0.0
    in_flight: float = 0.0


@dataclass(frozen=True)
class Asked:
    """Replicas that triggers ask for; 0 where there is none of the kind."""

    by_use: int
    """Those of CPU, which metrics-server knows."""
    by_metrics: int
    """Those of what Prometheus knows."""


def asked(triggers: Sequence[Mapping[str, Any]], truth: Truth) -> Asked:
    """Return what the triggers of a ScaledObject ask for, but for memory, which does not follow the load."""
    by_use = by_metrics = 0
    for trigger in triggers:
        about = trigger["metadata"]
        match trigger["name"]:
            case "cpu":
                target, used = float(about["value"]), truth.cpu_percent / 100 * truth.ready
                by_use = utilisation_replicas(truth.current, truth.ready, 0, used, target, TOLERANCE)
            case "slot-wait":
                target = float(about["threshold"])
                wait = round(min(truth.wait_ms, MOST_SLOT_WAIT * target) * MILLI)
                wanted = value_replicas(truth.current, truth.ready, wait, round(target * MILLI), TOLERANCE)
                by_metrics = max(by_metrics, wanted)
            case "in-flight":
                usage, target = round(truth.in_flight * MILLI), round(float(about["threshold"]) * MILLI)
                wanted = average_replicas(truth.current, usage, target, TOLERANCE)
                by_metrics = max(by_metrics, wanted)
    return Asked(max(by_use, 0), by_metrics)
