"""A ScaledObject as the numbers that the autoscaler computes with."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from rehearsal.replay.rules import DISABLED, LEAST, MILLI, MOST, PERCENT, PODS, Direction, Tolerance
from rehearsal.replay.traces import Flags, Floats, Integers

Object = Mapping[str, Any]
"""The specification of a ScaledObject."""

SLOT_WAIT, IN_FLIGHT, FORECAST = 0, 1, 2
SERIES = {"slot-wait": SLOT_WAIT, "in-flight": IN_FLIGHT, "forecast": FORECAST}
"""Name of a trigger → what its query asks Prometheus for."""
STILL = ("memory",)
"""Types of triggers that do not follow the load: a worker's memory is its models' weights."""
SCALE = re.compile(r"\b1000 \* ")
CLAMP = re.compile(r"clamp_max\(.*, (\d+)\)")
DURATION = re.compile(r"\[(\d+)([smh])\]")
UNITS = {"s": 1, "m": 60, "h": 3600}
SELECT = {"Max": MOST, "Min": LEAST, "Disabled": DISABLED}
TOLERANCE = 0.1
"""Kubernetes' default."""
NEVER = 2**31
BEHAVIOUR: Object = {
    "scaleUp": {
        "stabilizationWindowSeconds": 0,
        "policies": [
            {"type": "Percent", "value": 100, "periodSeconds": 15},
            {"type": "Pods", "value": 4, "periodSeconds": 15},
        ],
    },
    "scaleDown": {
        "stabilizationWindowSeconds": 300,
        "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
    },
}
"""What Kubernetes puts in where an object says nothing."""


class ObjectError(Exception):
    """A ScaledObject that the replay does not understand."""


class Rules(NamedTuple):
    """What an object says, for the simulation."""

    least: int
    most: int
    cpu_percent: float
    """Target of the CPU trigger; 0 is no such trigger."""
    series: Integers
    """By Prometheus trigger: what it asks for."""
    averages: Flags
    """By Prometheus trigger: whether its target is an average a replica."""
    targets: Integers
    """By Prometheus trigger: its target, thousandths."""
    windows_s: Integers
    """By Prometheus trigger: the range of its query, seconds; 0 is the last sample."""
    scales: Floats
    """By Prometheus trigger: what its query multiplies a second by."""
    clamps: Floats
    """By Prometheus trigger: the most that its query returns."""
    failures: int
    """How often a metric must have been missing before KEDA's fallback counts; a large number is for ever."""
    fallback: int
    """Replicas that are then asked for."""
    if_higher: bool
    """Whether what is there counts where it is more."""
    tolerance: Tolerance
    up: Direction
    down: Direction


@dataclass(frozen=True)
class Prometheus:
    """A Prometheus trigger."""

    series: int
    average: bool
    target: float
    window_s: int
    scale: float
    clamp: float


def rules(scaled_object: Object) -> Rules:
    """Return what a ScaledObject says.

    Raises:
        ObjectError: if it has a trigger, or a policy, that the replay does not know.
    """
    cpu, found = 0.0, []
    for trigger in scaled_object["triggers"]:
        if trigger["type"] == "cpu":
            cpu = float(trigger["metadata"]["value"])
        elif trigger["type"] == "prometheus":
            found.append(_prometheus(trigger))
        elif trigger["type"] not in STILL:
            raise ObjectError(
                f"trigger of type {trigger['type']}: the replay knows cpu, memory and prometheus"
            )
    scaling = scaled_object.get("advanced", {}).get("horizontalPodAutoscalerConfig", {}).get("behavior", {})
    least = scaled_object.get("minReplicaCount", 0)
    if least < 1:
        raise ObjectError("minReplicaCount 0: the replay does not know how a pool wakes up; replay it with 1")
    fallback = scaled_object.get("fallback", {})
    behaviours = {name: default | scaling.get(name, {}) for name, default in BEHAVIOUR.items()}
    return Rules(
        least=least,
        most=scaled_object.get("maxReplicaCount", 100),
        cpu_percent=cpu,
        series=np.array([one.series for one in found], dtype=np.int64),
        averages=np.array([one.average for one in found], dtype=np.bool_),
        targets=np.array([round(one.target * MILLI) for one in found], dtype=np.int64),
        windows_s=np.array([one.window_s for one in found], dtype=np.int64),
        scales=np.array([one.scale for one in found], dtype=np.float64),
        clamps=np.array([one.clamp for one in found], dtype=np.float64),
        failures=fallback.get("failureThreshold", NEVER),
        fallback=fallback.get("replicas", 0),
        if_higher=fallback.get("behavior") == "currentReplicasIfHigher",
        tolerance=Tolerance(
            *(float(behaviours[name].get("tolerance", TOLERANCE)) for name in ("scaleDown", "scaleUp"))
        ),
        up=_direction(behaviours["scaleUp"]),
        down=_direction(behaviours["scaleDown"]),
    )


def _prometheus(trigger: Mapping[str, Any]) -> Prometheus:
    name, metadata = trigger.get("name"), trigger["metadata"]
    if name not in SERIES:
        raise ObjectError(f"Prometheus trigger {name}: the replay knows {', '.join(SERIES)}")
    query = metadata["query"]
    window, clamp = DURATION.search(query), CLAMP.search(query)
    return Prometheus(
        SERIES[name],
        trigger.get("metricType", "AverageValue") == "AverageValue",
        float(metadata["threshold"]),
        int(window[1]) * UNITS[window[2]] if window else 0,
        1000 if SCALE.search(query) else 1,
        float(clamp[1]) if clamp else math.inf,
    )


def _direction(behaviour: Mapping[str, Any]) -> Direction:
    policies: Sequence[Mapping[str, Any]] = behaviour["policies"]
    return Direction(
        behaviour["stabilizationWindowSeconds"],
        SELECT[behaviour.get("selectPolicy", "Max")],
        np.array([PODS if one["type"] == "Pods" else PERCENT for one in policies], dtype=np.int64),
        np.array([one["value"] for one in policies], dtype=np.int64),
        np.array([one["periodSeconds"] for one in policies], dtype=np.int64),
    )


def scaled(given: Rules, factor: float) -> Rules:
    """Return rules whose targets for CPU and for requests in flight are so many times as large.

    The knob that brings policies to the same lateness: less headroom, fewer replicas, more requests that
    wait.
    """
    targets = np.where(given.series == IN_FLIGHT, given.targets * factor, given.targets)
    return given._replace(cpu_percent=given.cpu_percent * factor, targets=np.rint(targets).astype(np.int64))


def without(given: Rules, series: int) -> Rules:
    """Return rules without the Prometheus triggers of a series."""
    return _kept(given, given.series != series)


def only(given: Rules, series: int) -> Rules:
    """Return rules with no other triggers than those of a series."""
    return _kept(given, given.series == series)._replace(cpu_percent=0.0)


def _kept(given: Rules, kept: Flags) -> Rules:
    return given._replace(
        series=given.series[kept],
        averages=given.averages[kept],
        targets=given.targets[kept],
        windows_s=given.windows_s[kept],
        scales=given.scales[kept],
        clamps=given.clamps[kept],
    )
