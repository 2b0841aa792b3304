"""Memory: what a process may use lies under what its container may use."""

from collections.abc import Iterator

from stacks import capacity, hardware, models
from stacks.settings import Settings

EDGE_REQUEST_KIB = 58
"""What nginx holds for a request or WebSocket, its two connections together: measured, docs/edge.md."""


def memory(s: Settings) -> Iterator[str]:
    """What a process may use lies under what its container, or its instance, has."""
    limit = s.gateway.resources.memory_mib
    if s.gateway.go_memory_limit_mib >= limit:
        yield (
            f"gateway.goMemoryLimitMib ({s.gateway.go_memory_limit_mib}) must be less than "
            f"gateway.resources.memoryMib ({limit}): the Go runtime must collect before the kernel kills"
        )
    edge = s.edge
    wanted = edge.worker_processes * edge.worker_connections // 2 * EDGE_REQUEST_KIB // 1024
    if wanted > edge.resources.memory_mib:
        yield (
            f"edge.workerProcesses ({edge.worker_processes}) × edge.workerConnections "
            f"({edge.worker_connections}) / 2 requests × {EDGE_REQUEST_KIB} KiB = {wanted} MiB is more than "
            f"edge.resources.memoryMib ({edge.resources.memory_mib}): raise that, or lower one of the two"
        )
    steps = s.gateway.memory
    if not steps.warn_percent < steps.shed_percent < steps.refuse_percent:
        yield (
            f"gateway.memory: warnPercent ({steps.warn_percent}), shedPercent ({steps.shed_percent}) and "
            f"refusePercent ({steps.refuse_percent}) must rise in this order"
        )
    kept = s.gateway.result_cache
    if kept.memory_mib * 2 > s.gateway.go_memory_limit_mib:
        yield (
            f"gateway.resultCache.memoryMib ({kept.memory_mib}) must be at most half of "
            f"gateway.goMemoryLimitMib ({s.gateway.go_memory_limit_mib}): requests need memory too"
        )
    if kept.memory_mib and kept.max_answer_kib > kept.memory_mib * 1024:
        yield (
            f"gateway.resultCache.maxAnswerKib ({kept.max_answer_kib}) must be at most "
            f"gateway.resultCache.memoryMib ({kept.memory_mib}) × 1024"
        )
    if limit >= s.node_memory.critical_mib:
        yield (
            f"gateway.resources.memoryMib ({limit}) must be less than nodeMemory.criticalMib "
            f"({s.node_memory.critical_mib}): a node would shed its caches while all keep to their limits"
        )
    if s.node_memory.warning_mib >= s.node_memory.critical_mib:
        yield (
            f"nodeMemory.warningMib ({s.node_memory.warning_mib}) must be less than "
            f"nodeMemory.criticalMib ({s.node_memory.critical_mib})"
        )
    if s.target != "aws" and s.cache.max_memory_mib >= s.cache.resources.memory_mib:
        yield (
            f"cache.maxMemoryMib ({s.cache.max_memory_mib}) must be less than "
            f"cache.resources.memoryMib ({s.cache.resources.memory_mib})"
        )
    if s.aws:
        gib = hardware.DATABASE_GIB.get(s.aws.database.instance_class, 0)
        limit, path = gib * 1024, f"the memory of {s.aws.database.instance_class}"
    else:
        limit, path = s.database.resources.memory_mib, "database.resources.memoryMib"
    if limit and s.database.shared_buffers_mib * 2 > limit:
        yield (
            f"database.sharedBuffersMib ({s.database.shared_buffers_mib}) must be at most half of "
            f"{path} ({limit})"
        )
    busy = s.pool.replicas * (s.pool.default_pool_size + s.pool.reserve_pool_size)
    busy += s.database.superuser_reserved_connections
    wanted = (
        s.database.shared_buffers_mib + s.database.maintenance_work_mem_mib + busy * s.database.work_mem_mib
    )
    if limit and wanted > limit:
        yield (
            f"database.sharedBuffersMib ({s.database.shared_buffers_mib}) + database.maintenanceWorkMemMib "
            f"({s.database.maintenance_work_mem_mib}) + {busy} connections of PgBouncer and operators × "
            f"database.workMemMib ({s.database.work_mem_mib}) = {wanted} is more than {path} ({limit}): "
            "raise that, or lower one of the three settings"
        )


def models_in_memory(s: Settings, catalogue: models.Catalogue) -> Iterator[str]:
    """Without a GPU, the largest model fits the worker's memory with its KV cache, context × parallel."""
    if s.gpu_pools:
        return
    worker = s.worker
    for name in s.models:
        model = models.find(catalogue, name)
        wanted = model.loaded_mib(worker.context_length, worker.parallel) if model else 0
        if model and wanted > worker.resources.memory_mib:
            yield (
                f"{name}: weights {model.weights_mib} MiB + KV cache "
                f"{model.cache_mib(worker.context_length, worker.parallel)} MiB + computing "
                f"{model.graph_mib(worker.context_length, worker.parallel)} MiB = {wanted} MiB is more than "
                f"worker.resources.memoryMib ({worker.resources.memory_mib}): raise it, or lower "
                f"worker.contextLength ({worker.context_length}) or worker.parallel ({worker.parallel})"
            )


def preloaded_models(s: Settings, catalogue: models.Catalogue) -> Iterator[str]:
    """Without a GPU, what a worker always has in memory is there, and fits together."""
    worker, kept = s.worker, capacity.preloaded(s)
    if s.gpu_pools:
        return
    for name in sorted(set(kept) - set(s.models)):
        yield f"worker.preload: {name} is not among models ({', '.join(s.models)}): add it there"
    if len(kept) > worker.max_loaded_models:
        yield (
            f"worker.preload lists {len(kept)} models, more than worker.maxLoadedModels "
            f"({worker.max_loaded_models}): raise that, or list fewer"
        )
    known = [model for name in kept if (model := models.find(catalogue, name))]
    sizes = [model.loaded_mib(worker.context_length, worker.parallel) for model in known]
    if len(sizes) > 1 and sum(sizes) > worker.resources.memory_mib:
        yield (
            f"worker.preload ({', '.join(kept)}): {' + '.join(map(str, sizes))} = {sum(sizes)} MiB is more "
            f"than worker.resources.memoryMib ({worker.resources.memory_mib}): raise it, or list fewer: what "
            "the list leaves out is loaded when it is asked for"
        )
