"""What load a pool of workers will have before a replica that is asked for now is ready.

Nothing here reads a clock or the network: a forecast depends on the observations alone. So one that was
rebuilt from stored samples is the one that has been running, and the replay of a trace runs what production
runs.

How it forecasts. Load is taken as its square root, in which the noise of independent requests is equally
large at every load: so a margin that is right at night is right at noon, which no share of the load is. The
*level* is a mean of the last minutes. The *rise* of a step is how far the load's maximum over the horizon
stood above the level then. Expected is none, or the mean of those at the same time of the days before, or of
the same day of the weeks before: what has been best. To that comes a margin: the quantile of what such
expectations were wrong by (conformal prediction), which takes the place of a headroom, and ``burst`` for
what a mean over a step does not show. Level, expected rise and margin are the forecast.

When it abstains. All ways are judged, by what their errors cost beside their margin, against persistence,
which expects of the load what it was last, and has a margin of its own. What does not beat that says nothing.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from ollamamax_autoscaler.history import Floats, History, mean_of_known

SEASONS_A_WEEK = 7
MOST_LOAD = 1e9
"""What says more than so many slots is broken."""
HORIZON_SHARE = 0.1
"""Longest horizon, as a share of a season: forecasts look back to a season before, not into it."""
TOLERANCE_PERCENT = 10
"""A ratio of wanted to current replicas that Kubernetes takes for none, unless it is told otherwise."""


class Reason(StrEnum):
    """Why there is no forecast."""

    NONE = ""
    MISSING = "missing"
    """What the load is now is not known."""
    SKILL = "skill"
    """It has been no better than persistence."""


@dataclass(frozen=True)
class Parameters:
    """How to forecast."""

    step_s: float = 30
    """Time that one observation stands for, seconds."""
    block_s: float = 300
    """Time over which the rise to expect is the same, seconds: a whole number of steps. What is learned is
    reconsidered once a block."""
    season_s: float = 86_400
    """Time after which load repeats itself, seconds: a whole number of blocks."""
    seasons: int = 3
    """Seasons before this one whose mean is expected."""
    weeks: int = 2
    """Weeks, of seven seasons, before this one whose mean is expected where the days of a week differ."""
    level_s: float = 300
    """Time constant of the mean that the level is, seconds. In a trace of three days what deviates from such
    a mean is forgotten within a minute, so that a shorter one follows noise, while a longer one is behind in
    the morning."""
    trend_s: float = 1_800
    """Time constant of the mean of that mean, seconds: where both stand apart the load has a trend, and the
    level is moved on to where it stands now."""
    window_s: float = 172_800
    """Time over which expectations are judged and the margin is taken, seconds."""
    least_s: float = 10_800
    """Least time of known errors to judge by, seconds."""
    prior: float = 1.5
    """Margin until then, ``burst`` left aside, in square roots of slots: what came out for the trace of three
    days."""
    coverage: float = 0.98
    """Share of horizons whose maximum is to be at most what was forecast, ``burst`` left aside."""
    burst: float = 0.35
    """Margin for what the mean of a step's two samples hides, in square roots of slots. The square root of a
    Poisson number, however large, has a standard deviation of 1/2; the mean of two shows 1/2 ÷ √2 of it."""
    least_skill: float = 0.05
    """Share of persistence's loss that a way of forecasting must save, or it says nothing."""
    idle: float = 0.1
    """Mean up to which a pool is idle and nothing is asked for, in square roots of slots: it may sleep. After
    four busy slots nothing has come for a quarter of an hour then."""
    stale_s: float = 120
    """Age of the last known load from which the present one counts as missing, seconds."""
    cap: float = 2
    """Most that is forecast, as a multiple of the highest load that is remembered."""

    @property
    def history_s(self) -> float:
        """Time that a forecaster remembers, seconds."""
        longest = max(self.seasons, SEASONS_A_WEEK * self.weeks) * self.season_s
        return longest + self.window_s + self.season_s


@dataclass(frozen=True)
class Forecast:
    """What is forecast, or why nothing is."""

    load: float | None
    """Slots that will be wanted at most within the horizon; None: it abstains."""
    reason: Reason = Reason.NONE
    coverage: float | None = None
    """Share of the newer horizons that the margin of the older ones covered; None: not known."""
    skill: float | None = None
    """Share of persistence's loss that is saved; None: not known."""


@dataclass(frozen=True)
class _Judgement:
    """What a way of expecting rises is worth."""

    skill: float
    coverage: float
    rise: float
    """To expect in the block that the judgement is for, margin included; NaN: not known."""


class Forecaster:
    """Forecasts the load of one pool."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = p = parameters
        per_block = _whole(p.block_s / p.step_s, "block_s", "step_s")
        self._per_season = _whole(p.season_s / p.block_s, "season_s", "block_s")
        self._longest = int(self._per_season * per_block * HORIZON_SHARE)
        self._history = History(per_block, math.ceil(p.history_s / p.block_s))
        self._judged: tuple[int, int, int] | None = None
        """What ``_best`` is for: revision of the history, horizon, block."""
        self._best: _Judgement | None = None
        self._highest = 0.0

    def observe(self, at: float, load: float | None) -> None:
        """Note the mean ``load`` of the step before ``at``, unix seconds; None is missing, which is not zero.

        What was noted for ``at`` or later is forgotten: the clock has been set back.
        """
        if not math.isfinite(at):
            return
        p, history = self._parameters, self._history
        position = history.advance(math.floor(at / p.step_s))
        if load is None or not 0 <= load <= MOST_LOAD:
            return
        root = mean = slow = math.sqrt(load)
        if history.last is not None:
            since_s = (position - history.last) * p.step_s
            mean = _towards(float(history.means[history.last]), root, since_s / p.level_s)
            slow = _towards(float(history.slows[history.last]), mean, since_s / p.trend_s)
        history.roots[position], history.means[position], history.slows[position] = root, mean, slow
        # The mean is behind by its time constant, and by what the slower one says moves on in that time.
        history.levels[position] = mean + (mean - slow) * p.level_s / p.trend_s
        history.last = position

    def forecast(self, at: float, horizon_s: float) -> Forecast:
        """Return the most load that is to be expected within ``horizon_s`` after ``at``, in slots."""
        p, history = self._parameters, self._history
        if history.last is None or not (math.isfinite(at) and math.isfinite(horizon_s)):
            return Forecast(None, Reason.MISSING)
        age_s = (math.floor(at / p.step_s) - history.start - history.last) * p.step_s
        if not 0 <= age_s < p.stale_s:
            return Forecast(None, Reason.MISSING)
        self._learn(max(1, min(math.ceil(horizon_s / p.step_s), self._longest)))
        best = self._best
        if best is not None and not best.skill >= p.least_skill:
            return Forecast(None, Reason.SKILL, best.coverage, best.skill)
        root = 0.0
        if history.means[history.last] > p.idle:
            rise = p.prior if best is None else best.rise
            root = max(0.0, float(history.levels[history.last]) + rise + p.burst)
        most = p.cap * max(self._highest, float(history.roots[history.last])) ** 2
        known = (best.coverage, best.skill) if best else (None, None)
        return Forecast(min(root * root, most), Reason.NONE, *known)

    def _learn(self, horizon: int) -> None:
        """Find out which way is best, once a block: of the present one nothing is used."""
        history, block = self._history, self._history.block
        if (history.revision, horizon, block) == self._judged:
            return
        history.measure(horizon)
        self._highest = history.highest
        p, season = self._parameters, self._per_season
        lags: tuple[list[int], ...] = (
            [],
            [season * ago for ago in range(1, p.seasons + 1)],
            [season * SEASONS_A_WEEK * ago for ago in range(1, p.weeks + 1)],
        )
        judged = [found for lag in lags if (found := self._judge(block, lag))]
        self._best = max(judged, key=lambda judgement: judgement.skill, default=None)
        self._judged = (history.revision, horizon, block)

    def _judge(self, block: int, lags: list[int]) -> _Judgement | None:
        """Judge the mean of the rises ``lags`` blocks before, for ``block``; None: too little is known.

        Without ``lags`` no rise is expected.
        """
        p, history = self._parameters, self._history
        start = max(0, history.risen - math.ceil(p.window_s / p.block_s))
        expected = self._expected(start, block + 1, lags)
        rises = history.rises[start : history.risen]
        errors = (rises - expected[: len(rises), None]).ravel()
        known = np.isfinite(errors)
        if math.isnan(expected[-1]):
            return None
        errors, naive = errors[known], history.plain[start : history.risen].ravel()[known]
        if len(errors) * p.step_s < p.least_s:
            return None
        half, margin = len(errors) // 2, _quantile(errors, p.coverage)
        loss = _loss(errors - margin, p.coverage)
        plain = _loss(naive - _quantile(naive, p.coverage), p.coverage)
        return _Judgement(
            skill=1 - loss / plain if plain > 0 else 0.0,
            coverage=float(np.mean(errors[half:] <= _quantile(errors[:half], p.coverage))),
            rise=float(expected[-1]) + margin,
        )

    def _expected(self, start: int, stop: int, lags: list[int]) -> Floats:
        """Return the rise to expect in each block: the mean of those ``lags`` before and their neighbours."""
        if not lags:
            return np.zeros(stop - start)
        typical = self._history.typical
        before = [typical(start - lag + beside, stop - lag + beside) for lag in lags for beside in (-1, 0, 1)]
        return mean_of_known(np.array(before), 1)


def replicas(load: float | None, slots: int, current: int | None, cap: int) -> int | None:
    """Return how many replicas, of so many ``slots`` each and ``cap`` at most, ``load`` asks for.

    A little more than ``current`` would count as no change: then it is as many as count.
    """
    if load is None:
        return None
    wanted = math.ceil(load / slots)
    if current is not None and wanted > current:
        wanted = max(wanted, current * (100 + TOLERANCE_PERCENT) // 100 + 1)
    return min(wanted, cap)


def _towards(mean: float, value: float, constants: float) -> float:
    """Return an exponential mean after so many of its time constants at ``value``."""
    return mean + (value - mean) * -math.expm1(-constants)


def _whole(ratio: float, name: str, of: str) -> int:
    """Return ``ratio``, which must be a whole number."""
    if ratio < 1 or not math.isclose(ratio, round(ratio)):
        raise ValueError(f"{name} must be a whole number of {of}, not {ratio:g}")
    return round(ratio)


def _quantile(errors: Floats, coverage: float) -> float:
    """Return what the next error is at most with probability ``coverage``, if it is like these."""
    rank = min(math.ceil((len(errors) + 1) * coverage), len(errors)) - 1
    return float(np.partition(errors, rank)[rank])


def _loss(missed: Floats, coverage: float) -> float:
    """Return the quantile loss: what is too low costs ``coverage``, what is too high the rest of one."""
    return float(np.mean(np.maximum(coverage * missed, (coverage - 1) * missed)))
