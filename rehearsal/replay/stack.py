"""The pool of a stack, and the ScaledObjects that policies make of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components import scaling
from components.cluster_scaling import scaling_args
from components.scaling import Metrics, Prometheus
from components.service import Limits, Service, Serving
from rehearsal.replay.comparison import PLAIN, PREDICTING, REPORT
from rehearsal.replay.objects import Object, ObjectError
from rehearsal.replay.settings import ReplaySettings
from stacks import capacity, loading, node_hour
from stacks.kubernetes import GpuPoolSettings
from stacks.settings import Settings

STACKS = Path(__file__).parents[2] / "stacks"
REPORT_DOWN_S = 120
"""The report's cooldown, which stacks may raise."""
FRESH_S = 120
"""Age up to which a forecast counts in the object; in a replay none is older."""


@dataclass(frozen=True)
class StackPool:
    """A pool of a stack, with as many slots a replica as the replay has."""

    name: str
    objects: Mapping[str, Object]
    """By policy."""
    node_hour_usd: float
    """What a node costs an hour: of its cheapest type, on spot as often as the stack expects."""
    node_linger_s: int


def pool_of(stack: str, name: str | None, settings: ReplaySettings) -> StackPool:
    """Return a pool of a stack; without a name its first.

    Raises:
        SettingsError: if the stack file does not describe a platform.
        ObjectError: if it has no such pool.
    """
    found = loading.read(STACKS / f"Pulumi.{stack}.yaml", stack)
    pools = {pool.name: pool for pool in found.gpu_pools}
    pool = pools.get(name) if name else next(iter(pools.values()), None)
    if pool is None:
        raise ObjectError(f"stack {stack} has no pool {name or ''}: it has {', '.join(pools) or 'none'}")
    given = scaled_object(found, pool, settings.slots)
    down = pool.model_copy(
        update={"autoscaling": pool.autoscaling.model_copy(update={"scale_down_window_s": REPORT_DOWN_S})}
    )
    return StackPool(
        pool.name,
        {
            PLAIN: {**_only(given, "cpu"), "advanced": {}},
            REPORT: _only(scaled_object(found, down, settings.slots), "cpu", "memory", "slot-wait"),
            PREDICTING: given,
        },
        _node_hour(found, pool),
        pool.disruption.consolidate_after_s,
    )


def scaled_object(settings: Settings, pool: GpuPoolSettings, slots: int) -> Object:
    """Return the ScaledObject that the stack deploys for a pool, were it of so many slots a replica."""
    service = Service(
        name=f"worker-{pool.name}",
        image="",
        limits=Limits(pool.resources.memory_mib, pool.resources.cpus),
        scaling=pool.autoscaling,
        serving=Serving(pool.name, slots, pool.models),
    )
    args = scaling_args(settings, Prometheus("prometheus", 0, "", "", ""), ())
    metrics = Metrics("", "", args.window_s, FRESH_S, args.exact)
    return scaling.scaled_object(service, pool.autoscaling, metrics)


def _only(given: Object, *names: str) -> dict[str, Any]:
    """Return an object with no other triggers than these."""
    triggers: Sequence[Object] = given["triggers"]
    return {**given, "triggers": [trigger for trigger in triggers if trigger["name"] in names]}


def _node_hour(settings: Settings, pool: GpuPoolSettings) -> float:
    if settings.aws is None or settings.cost is None:
        return 0.0
    spot = {"spot": 1.0, "spot-first": settings.cost.expected_spot_percent / 100}.get(pool.capacity, 0.0)
    return min(node_hour.gpu(settings.aws, pool, name, spot) for name in capacity.known_types(pool))
