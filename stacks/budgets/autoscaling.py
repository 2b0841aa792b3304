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
