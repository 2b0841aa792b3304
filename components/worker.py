"""The workers: Ollama servers that hold the models and generate."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pulumi

from components.service import (
    Limits,
    Placed,
    Port,
    Probe,
    Service,
    Serving,
    Stop,
    Target,
    Volume,
    Workers,
)
from stacks import capacity
from stacks.kubernetes import GpuPoolSettings
from stacks.settings import Settings, WorkerSettings

NAME = "worker"
IMAGE = "ollama"
GPU_IMAGE = "ollama:cuda"
PORT = 11434
MODELS_DIR = "/models"
HOME_DIR = "/var/lib/ollama"
"""Holds the server's own key pair, made at every start."""
STORE = Volume("models", MODELS_DIR, shared=True, read_only=True)
"""The models of a cluster: one job fills it, every worker reads it."""
SCRATCH = {HOME_DIR: 16, "/tmp": 256}  # noqa: S108 - in the container
ALIVE = Probe(("ollama", "ps"), interval_s=3, timeout_s=5)
NOTICE_S = 15
"""Time after which every gateway has noticed that a worker is leaving; ``drain`` waits for no less."""
STOP_MARGIN_S = 10
"""Time between the end of the drain and the container being killed."""


@dataclass(frozen=True)
class WorkerArgs:
    """What the workers of a machine need."""

    settings: WorkerSettings
    drain_timeout_s: int
    """How long an answer under way may go on when a worker is stopped, seconds."""


@dataclass(frozen=True)
class ClusterWorkerArgs:
    """What the workers of a cluster need."""

    settings: WorkerSettings
    models: Sequence[str]
    """What each of them must have in the store before it gets requests."""
    longest_stream_s: int
    """Longest answer that the end of a worker waits for, seconds."""


@dataclass(frozen=True)
class WorkerPoolArgs:
    """What the workers of a pool of GPU nodes need."""

    settings: GpuPoolSettings
    max_queue: int
    """Requests that one server lets wait."""
    load_timeout_s: int
    """How long a model may take to load, seconds."""
    longest_stream_s: int
    """Longest answer that the end of a worker waits for, seconds."""


def hosts(settings: WorkerSettings) -> tuple[str, ...]:
    """Return where the workers of a machine listen, as ``name:port``."""
    return tuple(f"{NAME}-{index}:{PORT}" for index in range(1, settings.replicas + 1))


def pool_name(pool: str) -> str:
    """Return what the workers of a pool are called."""
    return f"{NAME}-{pool}"


def at_once(settings: WorkerSettings | GpuPoolSettings) -> tuple[int, int]:
    """Return how many requests of one model a worker serves at once, and how many models it keeps loaded."""
    if isinstance(settings, GpuPoolSettings):
        return settings.parallel, len(settings.models)
    return settings.parallel, settings.max_loaded_models


def reached(host: str, settings: Settings, pool: GpuPoolSettings | None = None) -> Workers:
    """Return what the gateways need to know of workers, which belong to a pool of GPU nodes or to none."""
    slots, loaded_models = at_once(pool or settings.worker)
    if pool is None:
        memory_mib, preload = settings.worker.resources.memory_mib, capacity.preloaded(settings)
        return Workers(host, slots, loaded_models, memory_mib, preload)
    return Workers(
        host,
        slots,
        loaded_models,
        capacity.least_gpu_mib(pool),
        pool.models,
        pool=pool.name,
        cold_start_s=settings.gateway.cold_start_timeout_s if capacity.sleeping(pool) else 0,
    )


def describe(args: WorkerArgs | ClusterWorkerArgs | WorkerPoolArgs) -> Service:
    """Return the workers as a service."""
    match args:
        case WorkerArgs():
            return _on_machine(args)
        case ClusterWorkerArgs():
            return _on_cluster(args)
        case WorkerPoolArgs():
            return _in_pool(args)


def _on_machine(args: WorkerArgs) -> Service:
    """Each has its own store of models."""
    return replace(
        _plain(args.settings),
        volumes=(Volume("models", MODELS_DIR),),
        stop=Stop(grace_s=args.drain_timeout_s),
    )


def _on_cluster(args: ClusterWorkerArgs) -> Service:
    """They share a store, and load a model when it is first asked for."""
    return _sharing(_plain(args.settings), _ready(*args.models), args.longest_stream_s)


def _in_pool(args: WorkerPoolArgs) -> Service:
    """They share a store, and keep the pool's models in their GPUs' memory for good."""
    settings = args.settings
    slots, loaded = at_once(settings)
    resources = settings.resources
    service = Service(
        name=pool_name(settings.name),
        image=GPU_IMAGE,
        scaling=settings.autoscaling,
        serving=Serving(settings.name, slots, settings.models),
        limits=Limits(resources.memory_mib, resources.cpus, gpus=settings.gpus_per_replica),
        env={
            "OLLAMA_CONTEXT_LENGTH": str(settings.context_length),
            "OLLAMA_KEEP_ALIVE": "-1",
            "OLLAMA_LOAD_TIMEOUT": f"{args.load_timeout_s}s",
            "OLLAMA_MAX_LOADED_MODELS": str(loaded),
            "OLLAMA_MAX_QUEUE": str(args.max_queue),
            "OLLAMA_NUM_PARALLEL": str(slots),
        },
        scratch=SCRATCH,
        ports=(Port(PORT),),
        probe=ALIVE,
        node_pool=settings.name,
    )
    return _sharing(service, _ready("--loaded", "GPU", *settings.models), args.longest_stream_s)


def _plain(settings: WorkerSettings) -> Service:
    slots, loaded = at_once(settings)
    return Service(
        name=NAME,
        image=IMAGE,
        replicas=settings.replicas,
        limits=Limits(settings.resources.memory_mib, settings.resources.cpus),
        env={
            "OLLAMA_CONTEXT_LENGTH": str(settings.context_length),
            "OLLAMA_KEEP_ALIVE": f"{settings.keep_alive_s}s",
            "OLLAMA_MAX_LOADED_MODELS": str(loaded),
            "OLLAMA_MAX_QUEUE": str(settings.max_queue),
            "OLLAMA_NUM_PARALLEL": str(slots),
        },
        scratch=SCRATCH,
        ports=(Port(PORT),),
        probe=ALIVE,
    )


def _sharing(service: Service, ready: Probe, longest_stream_s: int) -> Service:
    """Return the workers with the cluster's store, found one by one, and stopped after their last answer.

    That answer may still begin while the gateways have not noticed yet that the worker is leaving.
    """
    drain_s = NOTICE_S + longest_stream_s
    return replace(
        service,
        # A server tidies its store up when it starts; this one is not its own.
        env={**service.env, "OLLAMA_NOPRUNE": "1"},
        volumes=(STORE,),
        ready=ready,
        stop=Stop(grace_s=drain_s + STOP_MARGIN_S, before=("/usr/local/bin/drain", str(drain_s))),
        headless=True,
    )


def _ready(*arguments: str) -> Probe:
    return Probe(("/usr/local/bin/models-ready", *arguments), interval_s=5, timeout_s=10, retries=3)


class Worker(pulumi.ComponentResource):
    """Ollama servers that serve the same models."""

    def __init__(
        self,
        name: str,
        args: WorkerArgs | ClusterWorkerArgs | WorkerPoolArgs,
        target: Target,
        opts: pulumi.ResourceOptions | None = None,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        """Place the servers once everything in ``after`` is ready."""
        super().__init__("ollamamax:index:Worker", name, None, opts)
        self._placed = target.place(describe(args), parent=self, after=after)
        self.register_outputs({})

    @property
    def placed(self) -> Placed:
        """The servers."""
        return self._placed
