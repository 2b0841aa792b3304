"""The rules of Prometheus, rendered from the thresholds and limits of a stack: a pure function."""

from collections.abc import Callable, Mapping

from components.rendering import render
from stacks.settings import Settings

WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
"""Over which the share of failed requests is recorded."""
EVERYWHERE = ("edge", "errors", "monitoring", "platform", "queue", "stores", "workers")
MOST_OF_A_CONTAINER = 0.95
"""Memory beyond which a process cannot be seen for long: the kernel ends it."""
UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def rules(s: Settings) -> Mapping[str, str]:
    """Return the rule files of a stack, by name: only those whose metrics the stack has."""
    scaling = s.gateway.autoscaling
    reachable = s.gateway.resources.memory_mib * MOST_OF_A_CONTAINER
    variables = {
        "alerts": s.alerts,
        "paced": paced(s.alerts.pace),
        "gateways": scaling.min_replicas if scaling else s.gateway.replicas,
        "memory_critical_mib": min(s.alerts.memory_mib.critical, reachable),
        "edge_connections": s.edge.worker_processes * s.edge.worker_connections,
        "pool": s.pool,
        "windows": WINDOWS,
        "freshness_s": s.autoscaler.freshness_s if s.autoscaler else 0,
        "database_gib": s.aws.database.storage_gib if s.aws else 0,
    }
    groups = [*EVERYWHERE, *(["machine"] if s.target == "docker" else []), *(["cloud"] if s.aws else [])]
    groups += ["autoscaler"] if s.autoscaler else []
    groups += ["gpu"] if s.aws and s.gpu_pools else []
    return {f"rules-{group}.yml": render(f"prometheus/rules/{group}.yml.j2", **variables) for group in groups}


def paced(pace: float) -> Callable[[str], str]:
    """Return what makes of a usual time, as Prometheus writes it, the time at that pace: at 1 the same."""

    def at_pace(usual: str) -> str:
        seconds = int(usual[:-1]) * UNITS_S[usual[-1]]
        return usual if pace == 1 else f"{round(seconds / pace)}s"

    return at_pace
