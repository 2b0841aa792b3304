"""What a workload's reactive triggers ask for, given what is really the case: without delay or limits.

The rules are those of Kubernetes' horizontal autoscaler; the forecast is left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

TOLERANCE = 0.1
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
                by_use = _proposed(truth.current, truth.ready, truth.cpu_percent / float(about["value"]))
            case "slot-wait":
                ratio = min(truth.wait_ms / float(about["threshold"]), MOST_SLOT_WAIT)
                by_metrics = max(by_metrics, _proposed(truth.current, truth.ready, ratio))
            case "in-flight":
                wanted = truth.in_flight / float(about["threshold"])
                ratio = wanted / max(truth.current, 1)
                by_metrics = max(by_metrics, _proposed(truth.current, truth.current, ratio))
    return Asked(by_use, by_metrics)


def _proposed(current: int, counted: int, ratio: float) -> int:
    """Return the replicas that a metric asks for which is so many times its target."""
    return current if abs(ratio - 1) <= TOLERANCE else ceil(round(ratio * counted, 6))
