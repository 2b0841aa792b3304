"""What a workload's reactive triggers ask for, given what is really the case: without delay or limits.

The rules are Kubernetes' own, as the replay has them; the forecast is left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rehearsal.replay.objects import TOLERANCE
from rehearsal.replay.rules import MILLI, Tolerance, average_replicas, utilisation_replicas, value_replicas

EITHER_WAY = Tolerance(TOLERANCE, TOLERANCE)
"""Of Kubernetes' horizontal autoscaler, up and down."""
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
        target = float(about.get("threshold") or about["value"])
        match trigger["name"]:
            case "cpu":
                used = _milli(truth.cpu_percent / 100 * truth.ready)
                by_use = utilisation_replicas(truth.current, truth.ready, 0, used, target, EITHER_WAY)
            case "slot-wait":
                wait = _milli(min(truth.wait_ms, MOST_SLOT_WAIT * target))
                wanted = value_replicas(truth.current, truth.ready, wait, _milli(target), EITHER_WAY)
                by_metrics = max(by_metrics, wanted)
            case "in-flight":
                wanted = average_replicas(truth.current, _milli(truth.in_flight), _milli(target), EITHER_WAY)
                by_metrics = max(by_metrics, wanted)
    return Asked(max(0, by_use), by_metrics)


def _milli(value: float) -> int:
    return round(value * MILLI)
