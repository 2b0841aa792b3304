"""What a stack promises: read from its settings and objects once it stands, before anything is played."""

from dataclasses import dataclass

from rehearsal.record import GENERAL, Bounds, Expected
from rehearsal.recorder import GATEWAY, worker
from rehearsal.stage import Stage
from rehearsal.traffic import Pool
from stacks import Settings, capacity, cost
from stacks.kubernetes import AutoscalingSettings
from stacks.models import listed_as


@dataclass(frozen=True)
class Promise:
    """What a scenario's load is measured by, and what comes of it."""

    settings: Settings
    pools: tuple[Pool, ...]
    expected: Expected


def promised(stage: Stage) -> Promise:
    """Return what the stack promises that stands there now."""
    return Promise(stage.settings, _pools(stage.settings), _expected(stage))


def _expected(stage: Stage) -> Expected:
    settings = stage.settings
    path = f"/apis/policy/v1/namespaces/{stage.namespace}/poddisruptionbudgets"
    budgets = {
        one["metadata"]["name"]: str(one["spec"]["maxUnavailable"])
        for one in stage.plane.request("get", path)["items"]
    }
    scaled: dict[str, tuple[AutoscalingSettings, int, str]] = {
        worker(pool.name): (pool.autoscaling, pool.parallel, pool.name) for pool in settings.gpu_pools
    }
    if settings.gateway.autoscaling:
        scaled[GATEWAY] = (settings.gateway.autoscaling, 0, GENERAL)
    return Expected(
        workloads={
            name: Bounds(
                least=scaling.min_replicas,
                most=scaling.max_replicas,
                slots=slots,
                down_window_s=scaling.scale_down_window_s,
                pool=pool,
                at_a_time=budgets[name],
            )
            for name, (scaling, slots, pool) in scaled.items()
        },
        consolidate_after_s={
            # Elsewhere workers that have been in peace for so long move to what others have just left.
            pool.name: pool.disruption.consolidate_after_s if capacity.one_worker_a_node(pool) else 0
            for pool in settings.gpu_pools
            if pool.management == "karpenter"
        },
        cost_most_hour=cost.nodes_hour(settings).most,
        sync_s=stage.sync_s,
    )


def _pools(settings: Settings) -> tuple[Pool, ...]:
    scaling, queue = settings.gateway.autoscaling, settings.gateway.routing.queue
    gateways = scaling.min_replicas if scaling else settings.gateway.replicas
    return tuple(
        Pool(
            workload=worker(pool.name),
            label=pool.name,
            models=tuple(sorted(map(listed_as, pool.models))),
            slots=pool.parallel,
            most=pool.autoscaling.max_replicas,
            queue=queue.total * gateways / len(pool.models),
            max_wait_s=queue.max_wait_s,
        )
        for pool in settings.gpu_pools
    )
