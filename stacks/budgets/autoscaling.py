"""Autoscaling: replica counts have room, and one writer each."""

from collections.abc import Iterator

from stacks import capacity, models
from stacks.settings import Settings


def autoscaling(s: Settings) -> Iterator[str]:
    """A replica count has a range, one writer, and nodes enough for its most; nodes outlast their workers."""
    gateway = s.gateway.autoscaling
    if gateway and "replicas" in s.gateway.model_fields_set:
        yield (
            f"gateway.replicas ({s.gateway.replicas}) and gateway.autoscaling are both given: a replica "
            "count has one writer, leave one out"
        )
    ranges = [("gateway", gateway)] if gateway else []
    ranges += [(f"gpuPools[{pool.name}]", pool.autoscaling) for pool in s.gpu_pools]
    for path, scaling in ranges:
        if scaling.min_replicas > scaling.max_replicas:
            yield (
                f"{path}.autoscaling.minReplicas ({scaling.min_replicas}) is more than "
                f"{path}.autoscaling.maxReplicas ({scaling.max_replicas})"
            )
    for pool in s.gpu_pools:
        scaling = pool.autoscaling
        for name, kind in capacity.known_types(pool).items():
            room = pool.max_nodes * capacity.slots_a_node(pool, kind)
            if scaling.max_replicas > room > 0:
                yield (
                    f"gpuPools[{pool.name}].autoscaling.maxReplicas ({scaling.max_replicas}) × "
                    f"gpusPerReplica ({pool.gpus_per_replica}) is more than maxNodes ({pool.max_nodes}) of "
                    f"{name} have GPUs or slices for: {room} workers"
                )
        consolidated = s.target == "aws" and capacity.consolidates(pool)
        if consolidated and pool.disruption.consolidate_after_s < scaling.scale_down_window_s:
            yield (
                f"gpuPools[{pool.name}].disruption.consolidateAfterS "
                f"({pool.disruption.consolidate_after_s} s) must be at least autoscaling.scaleDownWindowS "
                f"({scaling.scale_down_window_s} s): nodes would go that the next peak needs"
            )


def metrics_missing(s: Settings) -> Iterator[str]:
    """While metrics are missing, a pool has no fewer workers than ever, and no more than it may have."""
    for pool in s.gpu_pools:
        scaling = pool.autoscaling
        kept, path = scaling.fallback_replicas, f"gpuPools[{pool.name}].autoscaling"
        if kept is not None and not scaling.min_replicas <= kept <= scaling.max_replicas:
            yield (
                f"{path}.fallbackReplicas ({kept}) must be from {path}.minReplicas ({scaling.min_replicas}) "
                f"to {path}.maxReplicas ({scaling.max_replicas})"
            )


def scale_to_zero(s: Settings) -> Iterator[str]:
    """A pool without workers gives its nodes back, and what its next request waits for has time to come."""
    for pool in s.gpu_pools:
        if not capacity.sleeping(pool):
            continue
        path = f"gpuPools[{pool.name}]"
        if s.target == "aws" and not capacity.consolidates(pool):
            yield (
                f"{path}.autoscaling.minReplicas (0) saves nothing with management {pool.management} and "
                f"capacity {pool.capacity}: its nodes stay and are paid for; set it to 1 or more"
            )
        if s.gateway.cold_start_timeout_s > s.edge.retry_window_s:
            yield (
                f"gateway.coldStartTimeoutS ({s.gateway.cold_start_timeout_s} s), for {path} with "
                f"minReplicas 0, is more than edge.retryWindowS ({s.edge.retry_window_s} s): a request whose "
                "gateway is replaced while it waits would fail rather than go to another one; raise that"
            )


def worker_memory(s: Settings, catalogue: models.Catalogue) -> Iterator[str]:
    """A pool does not scale on memory that its models take however many workers there are."""
    for pool in s.gpu_pools:
        target = pool.autoscaling.memory_percent
        weights = sum(model.weights_mib for name in pool.models if (model := models.find(catalogue, name)))
        steady = 100 * weights // pool.resources.memory_mib
        if target is not None and steady >= target:
            yield (
                f"gpuPools[{pool.name}].autoscaling.memoryPercent ({target}) is not above the {steady} % of "
                f"resources.memoryMib ({pool.resources.memory_mib}) that the models' weights ({weights} MiB) "
                "take at rest: workers would be added up to the most and stay; leave it out"
            )
