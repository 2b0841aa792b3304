"""Alerts: thresholds in their order, and numbers that can be reached."""

from collections.abc import Iterator

from stacks.settings import Settings

LONGEST_WINDOW_HOURS = 72
"""The longest window of the rules about the error budget."""
SHORTEST_WINDOW_S = 300
SAMPLES = 4
"""Fewest samples in a window: a rate needs two, and one may be missed at either end."""
FALLING = ("throughput", "disk_free_percent", "certificate_days")
"""What is better the more there is."""
RISING = ("platform_ms", "memory_mib", "errors_percent", "slot_wait_s")


def alerts(s: Settings) -> Iterator[str]:
    """Thresholds stand in their order; what the rules look back at is kept."""
    fields = type(s.alerts).model_fields
    for name in (*FALLING, *RISING):
        kpi = getattr(s.alerts, name)
        steps = (kpi.target, kpi.warning, kpi.critical)
        wanted = sorted(steps, reverse=name in FALLING)
        if list(steps) != wanted or len(set(steps)) < len(steps):
            order = "fall" if name in FALLING else "rise"
            yield (
                f"alerts.{fields[name].alias}: target ({kpi.target:g}), warning ({kpi.warning:g}) and "
                f"critical ({kpi.critical:g}) must {order} in this order"
            )
    if s.monitoring.retention_hours < LONGEST_WINDOW_HOURS:
        yield (
            f"monitoring.retentionHours ({s.monitoring.retention_hours}) must be at least "
            f"{LONGEST_WINDOW_HOURS}: the rules about the error budget look back so far"
        )
    window, interval = SHORTEST_WINDOW_S / s.alerts.pace, s.monitoring.scrape_interval_s
    if window < SAMPLES * interval:
        yield (
            f"alerts.pace ({s.alerts.pace:g}) makes {window:g} s of the shortest window, less than {SAMPLES} "
            f"times monitoring.scrapeIntervalS ({interval}): at most "
            f"{SHORTEST_WINDOW_S / SAMPLES / interval:g} is possible, or scrape more often"
        )
    mail = s.alerts.mail
    if mail and (mail.username is None) != (mail.password is None):
        yield "alerts.mail: username and password must be given together, or neither"
