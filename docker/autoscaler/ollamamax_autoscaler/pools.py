"""What is done once an interval: loads are read, forecasts made and published."""

import logging
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from ollamamax_autoscaler.cluster import Cluster, Pods
from ollamamax_autoscaler.configuration import Configuration, PoolBlock
from ollamamax_autoscaler.forecast import Forecaster, Parameters, Reason, replicas
from ollamamax_autoscaler.metrics import Metrics
from ollamamax_autoscaler.prometheus import MOST_POINTS, Prometheus
from ollamamax_autoscaler.web import UnavailableError

STALE_STEPS = 4
"""Steps without a load after which the present one counts as missing."""
FEW_STARTS = 3
"""With fewer the configured time stands."""
USUAL = 0.9
"""Share of starts that the horizon is to be enough for."""
RECORDED_S = 0.5
"""Time that Prometheus has, after a step has ended, to have recorded it."""
HOUR_S = 3600


@dataclass(frozen=True)
class Moment:
    """What was known of a pool at one time."""

    at: float
    """By Prometheus's clock, unix seconds."""
    load: float | None
    """Slots that were wanted."""
    forecast: float | None
    """Most slots that were expected to be wanted within the horizon."""


class Pool:
    """One pool: its forecaster, and up to when that has been told of loads."""

    def __init__(self, settings: PoolBlock, parameters: Parameters) -> None:
        self.settings = settings
        self.forecaster = Forecaster(parameters)
        self.present: float | None = None
        self.reason: Reason | None = None
        self.startup_s: float | None = None
        self.horizon_s = 0.0
        self.replicas = 0
        self.past: tuple[Moment, ...] = ()
        """The last hour, the oldest first; never changed, but for another in its place."""
        self._step = round(parameters.step_s)
        self._history = math.ceil(parameters.history_s)
        self._told: int | None = None

    def catch_up(self, prometheus: Prometheus, now: float) -> bool:
        """Tell the forecaster what it has not heard up to ``now``; return whether there was anything.

        After a start that is all the history it needs, after a failure what was missed. A clock that leaps
        makes no difference.

        Raises:
            UnavailableError: if Prometheus does not answer; what it said before is kept.
        """
        end = math.floor(now / self._step) * self._step
        if end == self._told:
            return False
        oldest = end - self._history // self._step * self._step
        start = oldest if self._told is None else min(max(oldest, self._told + self._step), end)
        while start <= end:
            last = min(end, start + (MOST_POINTS - 1) * self._step)
            loads = prometheus.loads(self.settings.name, start, last, self._step)
            for at in range(start, last + 1, self._step):
                self.forecaster.observe(at, loads.get(at))
            self.present = loads.get(last, self.present)
            self._told, start = last, last + self._step
        return True

    def note(self, moment: Moment) -> None:
        """Keep what is known at a moment, and forget what was so an hour before."""
        self.past = (*self.past, moment)[-HOUR_S // self._step :]

    def told(self) -> dict[str, object]:
        """Return the last hour as JSON has it."""
        return {
            "pool": self.settings.name,
            "replicas": self.replicas,
            "horizon_seconds": self.horizon_s,
            "abstains": str(self.reason or Reason.NONE),
            "moments": [asdict(moment) for moment in self.past],
        }


class Pools:
    """All pools of a stack."""

    def __init__(
        self,
        settings: Configuration,
        prometheus: Prometheus,
        cluster: Cluster | None,
        metrics: Metrics,
        log: logging.Logger,
    ) -> None:
        self._settings = settings
        self._prometheus = prometheus
        self._cluster = cluster
        self._metrics = metrics
        self._log = log
        parameters = Parameters(
            step_s=settings.interval_s,
            coverage=settings.coverage,
            stale_s=STALE_STEPS * settings.interval_s,
        )
        self._pools = [Pool(pool, parameters) for pool in settings.pools]
        for pool in settings.pools:
            metrics.begin(pool.name)
        self._failing: set[str] = set()

    def told(self) -> dict[str, object]:
        """Return what is known of all pools, as JSON has it."""
        return {"pools": [pool.told() for pool in self._pools]}

    def look(self) -> float:
        """Make every pool's forecast anew; return after how many seconds there is something new to see.

        Where Prometheus does not answer, what was published stays as it is, and grows too old to be used.
        """
        pods: dict[str, Pods] = {}
        if self._cluster:
            try:
                pods = dict(self._cluster.pods())
                self._answers("kubernetes")
            except UnavailableError as error:
                self._fails("kubernetes", error)
        try:
            now = self._prometheus.now()
            for pool in self._pools:
                if pool.catch_up(self._prometheus, now):
                    self._publish(pool, now, pods.get(pool.settings.service))
            self._answers("prometheus")
        except UnavailableError as error:
            self._fails("prometheus", error)
            return self._settings.interval_s
        return self._settings.interval_s - now % self._settings.interval_s + RECORDED_S

    def _publish(self, pool: Pool, now: float, pods: Pods | None) -> None:
        settings, metrics, name = pool.settings, self._metrics, pool.settings.name
        if pods and (measured := usual(list(pods.starts.values()))) is not None:
            pool.startup_s = measured
            metrics.startup.labels(name).set(measured)
        startup_s = self._settings.startup_s if pool.startup_s is None else pool.startup_s
        horizon_s = startup_s + self._settings.reaction_s
        metrics.horizon.labels(name).set(horizon_s)
        forecast = pool.forecaster.forecast(now, horizon_s)
        current = pods.current if pods and not self._settings.exact else None
        wanted = replicas(forecast.load, settings.slots, current, settings.most) or 0
        metrics.say(name, forecast)
        metrics.replicas.labels(name).set(wanted)
        metrics.timestamp.labels(name).set(now)
        pool.horizon_s, pool.replicas = horizon_s, wanted
        known = pool.present is not None and math.isfinite(pool.present)
        pool.note(Moment(now, pool.present if known else None, forecast.load))
        if pool.present is not None and known:
            plain = max(settings.least, math.ceil(pool.present / (settings.slots * settings.target)))
            metrics.replica_hours.labels(name).inc(
                max(0, wanted - plain) * self._settings.interval_s / HOUR_S
            )
        if forecast.reason is not pool.reason:
            pool.reason = forecast.reason
            what = f"the forecast abstains: {forecast.reason}" if forecast.reason else "the forecast is made"
            self._log.info(what, extra={"fields": {"pool": name}})

    def _fails(self, source: str, error: UnavailableError) -> None:
        self._metrics.failures.labels(source).inc()
        if source not in self._failing:
            self._failing.add(source)
            self._log.warning(f"{source} does not answer", extra={"fields": {"error": str(error)}})

    def _answers(self, source: str) -> None:
        if source in self._failing:
            self._failing.remove(source)
            self._log.info(f"{source} answers again")


def usual(starts: Sequence[float]) -> float | None:
    """Return what most of ``starts`` took at most, seconds; None where there are too few to tell."""
    if len(starts) < FEW_STARTS:
        return None
    return sorted(starts)[math.ceil(USUAL * len(starts)) - 1]
