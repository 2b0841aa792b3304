"""What the forecaster tells Prometheus. Names and labels are a contract: add, never rename."""

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector

from ollamamax_autoscaler.forecast import Forecast, Reason


class Metrics:
    """The forecaster's metrics, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)

        def gauge(name: str, what: str) -> Gauge:
            return Gauge(f"ollamamax_{name}", what, ["pool"], registry=registry)

        self.replicas = gauge("forecast_replicas", "Workers that the forecast asks for; 0 while it abstains.")
        self.timestamp = gauge(
            "forecast_timestamp_seconds", "When the forecast was made, by Prometheus's clock, unix seconds."
        )
        self._load = gauge(
            "forecast_load_slots",
            "Most slots that the forecast expects to be wanted before a worker asked for now is ready.",
        )
        self._coverage = gauge(
            "forecast_coverage_ratio", "Share of past horizons whose load the forecast would have held."
        )
        self._skill = gauge(
            "forecast_skill_ratio",
            "Share of persistence's loss that the forecast has saved; it may be negative.",
        )
        self.horizon = gauge("forecast_horizon_seconds", "How far ahead the forecast looks.")
        self.startup = gauge(
            "startup_seconds", "What nine of ten of a pool's workers took at most from creation to ready."
        )
        self.abstentions = Counter(
            "ollamamax_forecast_abstentions_total",
            "Forecasts that were not made: the present load is missing, or there was no skill.",
            ["pool", "reason"],
            registry=registry,
        )
        self.replica_hours = Counter(
            "ollamamax_forecast_replica_hours_total",
            "Worker hours that forecasts asked for beyond what the present load asks for.",
            ["pool"],
            registry=registry,
        )
        self.failures = Counter(
            "ollamamax_forecast_failures_total",
            "Times that prometheus or kubernetes did not answer.",
            ["source"],
            registry=registry,
        )
        for source in ("kubernetes", "prometheus"):
            self.failures.labels(source)

    def begin(self, pool: str) -> None:
        """Start the counters of ``pool`` at 0: what is born at 1 has no first increase for Prometheus."""
        self.replica_hours.labels(pool)
        for reason in Reason:
            if reason:
                self.abstentions.labels(pool, reason)

    def say(self, pool: str, forecast: Forecast) -> None:
        """Publish what is known of a forecast; what is not known has no series."""
        if forecast.load is None:
            self.abstentions.labels(pool, forecast.reason).inc()
        for metric, value in (
            (self._load, forecast.load),
            (self._coverage, forecast.coverage),
            (self._skill, forecast.skill),
        ):
            metric.labels(pool)  # so that there is one to remove
            if value is None:
                metric.remove(pool)
            else:
                metric.labels(pool).set(value)
