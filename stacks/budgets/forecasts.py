"""Forecasts: the forecaster finds in Prometheus what it forecasts from, and is read in time."""

from collections.abc import Iterator

from stacks.settings import Settings

LEAST_HOURS = 48
"""History from which something can be said of the next day."""


def forecasts(s: Settings) -> Iterator[str]:
    """The forecaster's interval, its freshness and Prometheus's own fit each other."""
    autoscaler, monitoring = s.autoscaler, s.monitoring
    if autoscaler is None:
        return
    scrape_s, interval_s = monitoring.scrape_interval_s, autoscaler.interval_s
    if interval_s < 2 * scrape_s:
        yield (
            f"autoscaler.intervalS ({interval_s} s) must be at least twice monitoring.scrapeIntervalS "
            f"({scrape_s} s): loads would be missing"
        )
    if autoscaler.freshness_s < 2 * (interval_s + scrape_s):
        yield (
            f"autoscaler.freshnessS ({autoscaler.freshness_s} s) must be at least twice autoscaler.intervalS "
            f"({interval_s} s) and monitoring.scrapeIntervalS ({scrape_s} s) together: a forecast would not "
            "count any more when the next one comes"
        )
    if autoscaler.observe:
        return
    if not s.gpu_pools:
        yield "autoscaler.observe (false) must be true without gpuPools: no other workers have an autoscaler"
    if monitoring.retention_hours < LEAST_HOURS:
        yield (
            f"monitoring.retentionHours ({monitoring.retention_hours}) must be at least {LEAST_HOURS} with "
            "autoscaler.observe (false): forecasts are learned from the days before"
        )
