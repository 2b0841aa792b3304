"""The gate of a rollout: a new version that does not become ready, or fails requests, is taken back.

It knows neither engine nor cluster: how to deploy and what to measure is handed to it. Releases beside each
other are judged by ``ops/delivery/gate.py``.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

FAILED = (
    '100 * sum(rate(ollamamax_requests_total{{code=~"5.."}}[{window}s]) or vector(0)) '
    "/ (sum(rate(ollamamax_requests_total[{window}s])) > 0)"
)


@dataclass(frozen=True)
class Gate:
    """What a new version must keep to."""

    errors_percent: float = 1.0
    """Requests that may fail, percent: beyond it the platform warns (report: errors)."""
    watch_s: int = 60
    """How long it is watched once it is ready, seconds."""
    every_s: float = 5.0
    """Time between two looks, seconds."""

    @property
    def query(self) -> str:
        """The query of the requests that fail, percent; no result where nobody asks."""
        return FAILED.format(window=self.watch_s)


def roll_out(
    deploy: Callable[[], None],
    back: Callable[[], None],
    failed_percent: Callable[[str], float | None],
    gate: Gate,
    unready: type[Exception],
    sleep: Callable[[float], None] = time.sleep,
) -> str | None:
    """Deploy a new version, watch it, and take it back where it fails the gate.

    Args:
        deploy: brings the new version up, and returns once it is ready.
        back: brings up what ran before.
        failed_percent: answers the gate's query; None is no result.
        gate: what the new version must keep to.
        unready: what ``deploy`` raises when it is not ready in time.
        sleep: lets seconds pass.

    Returns:
        Why it was taken back; None where it was kept.
    """
    try:
        deploy()
    except unready as error:
        reason: str | None = f"it did not become ready: {error}"
    else:
        reason = _watch(failed_percent, gate, sleep)
    if reason:
        back()
    return reason


def _watch(
    failed_percent: Callable[[str], float | None], gate: Gate, sleep: Callable[[float], None]
) -> str | None:
    """Return why a version that is ready fails the gate. Nothing measured is no proof: it fails too."""
    measured = None
    for _ in range(max(1, round(gate.watch_s / gate.every_s))):
        sleep(gate.every_s)
        found = failed_percent(gate.query)
        if found is not None and found > gate.errors_percent:
            return f"{found:.1f} % of requests failed, {gate.errors_percent:g} % may"
        measured = found if found is not None else measured
    return None if measured is not None else f"no request was measured in {gate.watch_s} s"
