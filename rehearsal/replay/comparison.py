"""All policies on one trace."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from rehearsal.replay.objects import FORECAST, Object, Rules, only, rules, scaled
from rehearsal.replay.policies import (
    MOST,
    Outcome,
    Stage,
    at_equal_lateness,
    fewest_hours,
    free_oracle,
    perfect,
    static,
)
from rehearsal.replay.traces import Floats

STATIC = "static peak"
PLAIN = "plain HPA"
REPORT = "the report's numbers"
TWIN = "this stack, reactive"
PREDICTING = "this stack, predicting"
PERFECT = "perfect forecast"
ORACLE = "oracle"
REACTIVE_FACTORS = (1.0, 1.2, MOST)
"""Factors on the reactive targets that are tried with a forecast."""


@dataclass(frozen=True)
class Result:
    """What a policy came to."""

    as_set: Outcome | None
    """With its own settings; None where it has none."""
    equal: Outcome
    """At the lateness that all are compared at, by another factor on its targets."""


@dataclass(frozen=True)
class Comparison:
    """What came of all policies."""

    results: Mapping[str, Result]
    twin_at_same_targets: Outcome
    """The reactive twin with the targets that the predicting stack has at equal lateness."""

    def over_oracle(self, policy: str) -> float:
        """Return a policy's replica-hours at equal lateness, as a multiple of the oracle's."""
        return self.results[policy].equal.replica_hours / self.results[ORACLE].equal.replica_hours

    @property
    def gap_closed(self) -> float | None:
        """Share of what a perfect forecast would save that prediction saves; None where that is nothing."""
        twin, predicting, best = (
            self.results[one].equal.replica_hours for one in (TWIN, PREDICTING, PERFECT)
        )
        return (twin - predicting) / (twin - best) if twin > best else None

    @property
    def no_more_flaps(self) -> bool:
        """Whether the predicting stack flaps no more often than its reactive twin, each at equal lateness."""
        return self.results[PREDICTING].equal.flaps_a_day <= self.results[TWIN].equal.flaps_a_day

    @property
    def never_later(self) -> bool:
        """Whether prediction makes no more requests late than its reactive twin with the same targets."""
        predicting, twin = self.results[PREDICTING], self.results[TWIN]
        if predicting.as_set is None or twin.as_set is None:
            raise ValueError("both have settings of their own")
        return (
            predicting.as_set.late <= twin.as_set.late
            and predicting.equal.late <= self.twin_at_same_targets.late
        )


def compare(
    stage: Stage, objects: Mapping[str, Object], forecasts: Floats, progress: Callable[[str], None]
) -> Comparison:
    """Return what each policy comes to.

    Args:
        stage: The trace and the pool.
        objects: The ScaledObjects of the policies that have one: the stack's is that of ``PREDICTING``.
        forecasts: By look of the autoscaler, what the forecaster says.
        progress: What to call before each policy.
    """
    results = {}

    def add(policy: str, found: Callable[[], Result]) -> None:
        progress(policy)
        results[policy] = found()

    def reactive(policy: str, given: Rules) -> Result:
        def play(factor: float) -> Outcome:
            return stage.outcome(stage.play(scaled(given, factor)), factor)

        return Result(play(1.0), at_equal_lateness(play, stage.allowed))

    stack, ahead = rules(objects[PREDICTING]), perfect(stage)
    add(STATIC, lambda: Result(None, static(stage)))
    add(PLAIN, lambda: reactive(PLAIN, rules(objects[PLAIN])))
    add(REPORT, lambda: reactive(REPORT, rules(objects[REPORT])))
    add(TWIN, lambda: reactive(TWIN, stack))
    add(PREDICTING, lambda: _predicting(stage, stack, forecasts))
    add(
        PERFECT,
        lambda: Result(
            None,
            at_equal_lateness(partial(_forecast, stage, only(stack, FORECAST), ahead, None), stage.allowed),
        ),
    )
    add(ORACLE, lambda: Result(None, free_oracle(stage)))
    factor = results[PREDICTING].equal.factor or 1.0
    return Comparison(results, stage.outcome(stage.play(scaled(stack, factor)), factor))


def _predicting(stage: Stage, stack: Rules, said: Floats) -> Result:
    """Return what comes of the stack's reactive triggers together with a forecast.

    It has two things to be moved, its reactive targets and the forecast.
    """
    equal = (
        at_equal_lateness(partial(_forecast, stage, stack, said, factor), stage.allowed)
        for factor in REACTIVE_FACTORS
    )
    return Result(_forecast(stage, stack, said, 1.0, 1.0), fewest_hours(equal, stage.allowed))


def _forecast(
    stage: Stage, given: Rules, said: Floats, factor: float | None, forecast_factor: float
) -> Outcome:
    played = stage.play(scaled(given, factor or 1.0), said / forecast_factor)
    return stage.outcome(played, factor, forecast_factor)
