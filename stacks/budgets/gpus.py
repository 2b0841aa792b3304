"""GPU pools: their nodes exist and hold their workers, and their models fit the GPUs."""

import difflib
from collections.abc import Iterator

from stacks import capacity, models
from stacks.hardware import INSTANCE_TYPES, MIG_SLICES
from stacks.settings import Settings

LOAD_MIB_S = 100
"""Speed at which a worker reads weights, MiB a second: the base speed of a node's disk is 125."""
IMAGES_GIB = 30
"""Disk of a node for the system and for container images with CUDA."""


def gpu_nodes(s: Settings) -> Iterator[str]:
    """A pool's instance types exist, and each has room for as many workers as it has GPUs."""
    for index, pool in enumerate(s.gpu_pools):
        if pool.name in [other.name for other in s.gpu_pools[:index]]:
            yield f"gpuPools[{pool.name}]: there are two pools of this name: workers are called after it"
        for name in pool.instance_types:
            if s.target == "aws" and name not in INSTANCE_TYPES:
                near = difflib.get_close_matches(name, INSTANCE_TYPES, n=1, cutoff=0.8)
                families = dict.fromkeys(known.partition(".")[0] for known in INSTANCE_TYPES)
                hint = f"did you mean {near[0]}?" if near else f"known families are {', '.join(families)}"
                yield f"gpuPools[{pool.name}].instanceTypes: {name} is no known GPU instance type; {hint}"
        for name, kind in capacity.known_types(pool).items():
            workers, size = capacity.slots_a_node(pool, kind), pool.resources
            if workers == 0:
                yield (
                    f"gpuPools[{pool.name}].gpusPerReplica ({pool.gpus_per_replica}) is more than the GPUs "
                    f"of {name} ({kind.gpus}): take a larger type, or leave this one out"
                )
            if workers * size.memory_mib > kind.pod_memory_mib:
                yield (
                    f"gpuPools[{pool.name}]: {workers} a node × resources.memoryMib ({size.memory_mib}) = "
                    f"{workers * size.memory_mib} is more than the {kind.pod_memory_mib} MiB that pods may "
                    f"use of {name} ({kind.memory_gib} GiB): lower it, or take a larger type"
                )
            if workers * size.cpus > kind.pod_cpus:
                yield (
                    f"gpuPools[{pool.name}]: {workers} a node × resources.cpus ({size.cpus:g}) = "
                    f"{workers * size.cpus:g} is more than the {kind.pod_cpus:.2f} that pods may use of "
                    f"{name} ({kind.cpus} CPUs): lower it, or take a larger type"
                )


def gpu_sharing(s: Settings) -> Iterator[str]:
    """A GPU is shared only where its device plugin is ours, and cut only as its maker lets it be cut."""
    for pool in s.gpu_pools:
        sharing = pool.sharing
        if sharing is None:
            continue
        if s.target == "aws" and pool.management == "karpenter":
            yield (
                f"gpuPools[{pool.name}].sharing ({sharing.mode}) needs management: node-group: the nodes of "
                "EKS Auto Mode have a device plugin of AWS's, which shares no GPU"
            )
        if pool.gpus_per_replica > 1:
            yield (
                f"gpuPools[{pool.name}].gpusPerReplica ({pool.gpus_per_replica}) must be 1 with sharing: "
                "Ollama cannot join slices of a GPU"
            )
        if sharing.mode != "mig":
            continue
        for name, kind in capacity.known_types(pool).items():
            if not kind.gpu.slices:
                yield (
                    f"gpuPools[{pool.name}].sharing: {kind.gpu.name} of {name} has no MIG: use time-slicing, "
                    "or a type with A100, H100 or H200"
                )
            elif sharing.slices not in MIG_SLICES or sharing.slices > kind.gpu.slices:
                yield (
                    f"gpuPools[{pool.name}].sharing.slices ({sharing.slices}): {kind.gpu.name} of {name} is "
                    f"cut into {', '.join(str(n) for n in MIG_SLICES if n <= kind.gpu.slices)}"
                )


def node_groups(s: Settings) -> Iterator[str]:
    """A managed node group is bought in one way, and a capacity block holds one type of instance."""
    for pool in s.gpu_pools:
        if pool.management != "node-group":
            continue
        if pool.capacity == "spot-first":
            yield (
                f"gpuPools[{pool.name}].capacity ({pool.capacity}) needs management: karpenter: a node group "
                "is bought in one way: set spot or on-demand"
            )
        if pool.capacity == "reserved" and len(pool.reservations) + len(pool.instance_types) > 2:
            yield (
                f"gpuPools[{pool.name}]: a node group uses one capacity block of one type, not "
                f"{len(pool.reservations)} reservations and {len(pool.instance_types)} instanceTypes: make a "
                "pool for each"
            )
        if pool.capacity == "reserved" and len(pool.zones) != 1:
            yield (
                f"gpuPools[{pool.name}].zones ({', '.join(pool.zones) or 'all'}): a capacity block is in one "
                "zone, and the node group's subnets have to be: name that zone"
            )


def models_on_gpus(s: Settings, catalogue: models.Catalogue) -> Iterator[str]:
    """A pool's models fit its GPUs together: weights + KV cache (context × parallel) + computing."""
    for pool in s.gpu_pools:
        found = {name: models.find(catalogue, name) for name in pool.models}
        sizes = {name: model for name, model in found.items() if model}
        for name in sorted(found.keys() - sizes.keys()):
            near = difflib.get_close_matches(name, catalogue, n=1, cutoff=0.8)
            way_out = "name its GGUF file in modelFiles"
            if near:
                way_out = f"did you mean {near[0]}? For another model, {way_out}"
            yield (f"gpuPools[{pool.name}].models: how much memory {name} takes is not known here: {way_out}")
        runners = len(sizes) * models.RUNNER_MIB
        wanted = runners + sum(
            model.loaded_mib(pool.context_length, pool.parallel) for model in sizes.values()
        )
        for name, kind in capacity.known_types(pool).items():
            share = capacity.gpu_share_mib(pool, kind)
            if wanted > share and len(sizes) == len(found):
                parts = " + ".join(
                    f"{name} ({model.weights_mib} weights + "
                    f"{model.cache_mib(pool.context_length, pool.parallel)} KV cache + "
                    f"{model.graph_mib(pool.context_length, pool.parallel)} computing)"
                    for name, model in sizes.items()
                )
                yield (
                    f"gpuPools[{pool.name}]: {parts} + {runners} for CUDA = {wanted} MiB is more than the "
                    f"{share} MiB that a worker has of {name} ({kind.gpu.name}): lower contextLength "
                    f"({pool.context_length}) or parallel ({pool.parallel}), spread the models over pools, "
                    "or take a larger GPU"
                )
        weights = sum(model.weights_mib for model in sizes.values())
        if weights > s.kubernetes.startup_timeout_s * LOAD_MIB_S:
            yield (
                f"gpuPools[{pool.name}].models weigh {weights} MiB, which takes {weights // LOAD_MIB_S} s to "
                f"load at {LOAD_MIB_S} MiB a second, more than kubernetes.startupTimeoutS "
                f"({s.kubernetes.startup_timeout_s} s): raise it, or spread the models over pools"
            )
        if weights // 1024 + IMAGES_GIB > pool.disk_gib:
            yield (
                f"gpuPools[{pool.name}].models weigh {weights // 1024} GiB, with {IMAGES_GIB} GiB for system "
                f"and images more than diskGib ({pool.disk_gib}): raise it"
            )
