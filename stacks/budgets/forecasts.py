"""Forecasts: the forecaster finds what it forecasts from in Prometheus, and is heard in time."""

from collections.abc import Iterator

from stacks.settings import Settings


def forecasts(s: Settings) -> Iterator[str]:
    """The forecaster's interval, its freshness and Prometheus's own fit each other."""
    autoscaler, scrape_s = s.autoscaler, s.monitoring.scrape_interval_s
    if autoscaler is None:
        return
    interval_s = autoscaler.interval_s
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
    if not (autoscaler.observe or s.gpu_pools):
        yield "autoscaler.observe (false) must be true without gpuPools: no other workers have an autoscaler"
