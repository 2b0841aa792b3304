"""What a replay assumes, beyond what the stack's own objects say."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReplaySettings:
    """Assumptions of a replay; every result lists them."""

    slots: int = 4
    """Requests that a replica serves at once: the default of a pool's ``parallel``."""
    prefill_s_per_token: float = 0.0002
    """Time that a token of a request's context takes, seconds: 5,000 tokens a second."""
    decode_s_per_token: float = 0.0075
    """Time that a generated token takes, seconds. With it a request of the 2023 conversation trace takes 1.8
    s on average, and the busiest 10 s of the 2024 coding trace (87 requests a second) want 158 slots; three
    standard deviations of a Poisson process above that are 196, just what 50 replicas of 4 slots have."""
    late_s: float = 0.1
    """Wait for a slot above which a request is late, seconds (report: response time)."""
    late_share: float = 0.001
    """Share of late requests at which policies are compared (report: 99.9 %)."""
    sync_s: int = 15
    """Time between two looks of the horizontal autoscaler, seconds: Kubernetes' default."""
    sample_age_s: int = 10
    """Age of what the autoscaler sees, seconds. Prometheus and the metrics server look every 15 s, so it is
    7.5 s old on average; the next multiple of a tick."""
    forecaster_s: int = 30
    """Time between two forecasts, seconds: the last one is as old, at worst, when the autoscaler reads it."""
    cpu_window_s: int = 15
    """Time over which a pod's CPU is averaged, seconds: the metrics server's resolution."""
    flap_s: int = 600
    """A step up so soon after a step down is a flap, seconds."""
    node_delay_s: int = 0
    """Time until a replica for which no node is there has one, seconds; comes before the start-up time."""
    node_linger_s: int = 600
    """How long a node without a replica stays, seconds: ``disruption.consolidateAfterS`` of the pool."""

    @property
    def delay_s(self) -> int:
        """Time from a forecast until what it asks for begins to start, at worst, seconds."""
        return self.sync_s + self.forecaster_s


DAY_S = 86_400
TICK_S = 5
"""Grain of the simulation's clock, seconds. Requests come, wait and end at times of their own; replicas come
and go, and metrics are taken, at ticks."""
