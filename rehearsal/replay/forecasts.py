"""What the forecaster would have said during a trace: its own code, fed as Prometheus feeds it."""

from dataclasses import dataclass
from enum import Enum

import numpy as np

from ollamamax_autoscaler.forecast import Forecaster, Parameters
from rehearsal.replay.policies import Stage
from rehearsal.replay.settings import TICK_S
from rehearsal.replay.traces import Floats


class Fault(Enum):
    """What can go wrong with a forecaster."""

    KILLED = "killed"
    """It publishes nothing."""
    NAN = "nan"
    """The load that it reads is not a number."""
    GAP = "gap"
    """There is no load to read."""
    CLOCK = "clock"
    """Its clock is an hour ahead."""
    RESTART = "restart"
    """It starts anew, from what Prometheus has kept, again and again."""


JUMP_S = 3600
RESTARTED = 20
"""Steps from one start to the next."""


@dataclass(frozen=True)
class Trouble:
    """A fault and when it lasts, seconds from the trace's begin."""

    fault: Fault
    begin_s: float
    end_s: float


def forecasts(
    stage: Stage, parameters: Parameters, horizon_s: float, trouble: Trouble | None = None
) -> Floats:
    """Return, by look of the autoscaler, the slots that the forecaster says are wanted; NaN for none.

    The load that it reads, and what of it the autoscaler reads, are as old as all that Prometheus knows.
    """
    step = round(parameters.step_s) // TICK_S
    age = stage.settings.sample_age_s // TICK_S
    forecaster, seen = Forecaster(parameters), list[tuple[float, float | None]]()
    said = np.full(stage.demand.ticks // step + 1, np.nan)
    for number in range(said.size):
        at = number * parameters.step_s
        fault = trouble.fault if trouble and trouble.begin_s <= at < trouble.end_s else None
        clock = stage.demand.start + at + (JUMP_S if fault is Fault.CLOCK else 0)
        load = _load(stage, number * step - age, step)
        if fault is Fault.GAP:
            load = None
        elif fault is Fault.NAN:
            load = float("nan")
        if fault is Fault.RESTART and number % RESTARTED == 0:
            forecaster = Forecaster(parameters)
            for one in seen:
                forecaster.observe(*one)
        seen.append((clock, load))
        forecaster.observe(clock, load)
        found = forecaster.forecast(clock, horizon_s).load
        if found is not None and fault is not Fault.KILLED:
            said[number] = found
    looks = np.arange(stage.looks) * (stage.settings.sync_s // TICK_S)
    read = (looks - age) // step
    return np.where(read >= 0, said[np.clip(read, 0, said.size - 1)], np.nan)


def _load(stage: Stage, end: int, length: int) -> float | None:
    """Return the mean of what Prometheus saw in so many ticks before ``end``; None in a gap of the trace."""
    begin = end - length
    if begin < 0 or not stage.demand.known[begin:end].all():
        return None
    return float(stage.demand.at_end[begin:end][:: -(stage.settings.sync_s // TICK_S)].mean())
