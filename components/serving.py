"""The workers of a platform and their models: on one machine each with its own, on a cluster in one store."""

from collections.abc import Sequence

import pulumi

from components import models, worker
from components.service import Peer, Target, Workers
from stacks.settings import Settings

Placement = tuple[Sequence[Workers], Sequence[Peer], Sequence[pulumi.Resource]]
"""The workers as gateways know them, their services, and what is ready once they serve."""


def place(settings: Settings, target: Target, opts: pulumi.ResourceOptions) -> Placement:
    """Place the workers, with the models that the settings name."""
    return (_on_machine if settings.target == "docker" else _on_cluster)(settings, target, opts)


def _on_machine(settings: Settings, target: Target, opts: pulumi.ResourceOptions) -> Placement:
    """Place the workers, each with its own models; return them and their services, and what is ready."""
    hosts, service = worker.hosts(settings.worker), Peer(worker.NAME, worker.PORT)
    placed = worker.Worker(
        "worker",
        worker.WorkerArgs(settings.worker, drain_timeout_s=settings.gateway.drain_timeout_s),
        target,
        opts,
    ).placed
    loaded = models.Models(
        "models",
        models.ModelsArgs(settings.models, hosts, service, image=worker.IMAGE, home=worker.HOME_DIR),
        target,
        after=placed.replicas,
        opts=opts,
    )
    workers = [worker.reached(host, settings) for host in hosts]
    return workers, [service], loaded.jobs


def _on_cluster(settings: Settings, target: Target, opts: pulumi.ResourceOptions) -> Placement:
    """Place the store of models, then the workers that read it; return as for one machine."""
    names = tuple(sorted({model for pool in settings.gpu_pools for model in pool.models}))
    filled = models.Models(
        "models",
        models.StoreArgs(
            names or settings.models,
            worker.STORE.name,
            settings.kubernetes.model_store.size_gib,
            image=worker.IMAGE,
            home=worker.HOME_DIR,
        ),
        target,
        opts=opts,
    )
    described: list[worker.ClusterWorkerArgs | worker.WorkerPoolArgs] = [
        worker.WorkerPoolArgs(
            pool,
            max_queue=settings.worker.max_queue,
            load_timeout_s=settings.kubernetes.startup_timeout_s,
            longest_stream_s=settings.longest_stream_s,
        )
        for pool in settings.gpu_pools
    ] or [worker.ClusterWorkerArgs(settings.worker, settings.models, settings.longest_stream_s)]
    workers, services, serving = [], [], list[pulumi.Resource]()
    for args in described:
        name = worker.describe(args).name
        placed = worker.Worker(name, args, target, opts, after=filled.jobs).placed
        of_gpus = args.settings if isinstance(args, worker.WorkerPoolArgs) else None
        workers.append(worker.reached(f"{name}:{worker.PORT}", settings, of_gpus))
        services.append(Peer(name, worker.PORT))
        serving += placed.replicas
    return workers, services, serving
