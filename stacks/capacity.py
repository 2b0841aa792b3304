"""How much of everything a stack's settings can ask for: arithmetic that budgets and cost share."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from stacks.hardware import GENERAL_NODE, INSTANCE_TYPES, GpuInstance
from stacks.kubernetes import GpuPoolSettings
from stacks.settings import Settings

SYSTEM_CPUS, SYSTEM_MIB = 2.0, 4096
"""Room for what a cluster runs beside the platform's services: DNS, KEDA, metrics."""

MOST_CANARIES = 8
"""Gateways of another release that have addresses in a Docker network."""

FILL_SHARE = 0.8
"""How full the nodes without a GPU are: the rest is kept by the system, or too small for one more pod."""


def edge_drain_s(s: Settings) -> int:
    """Return how long a connection to an edge that leaves is let finish: the last to come has its answer."""
    return s.edge.drain_delay_s + s.longest_stream_s


def most_gateways(s: Settings) -> int:
    """Return the most gateways that run at a time."""
    return s.gateway.autoscaling.max_replicas if s.gateway.autoscaling else s.gateway.replicas


def most_gateways_path(s: Settings) -> str:
    """Return the path of the setting that says so."""
    return "gateway.autoscaling.maxReplicas" if s.gateway.autoscaling else "gateway.replicas"


def most_canaries(s: Settings) -> int:
    """Return the most gateways of another release that are tried beside those that are there.

    As many as those are, since all requests are theirs in the end.
    """
    return min(most_gateways(s), MOST_CANARIES) if s.target == "docker" else most_gateways(s)


def scales(s: Settings) -> bool:
    """Tell whether an autoscaler moves some replica count."""
    return bool(s.gateway.autoscaling or s.gpu_pools)


def cold_start_s(s: Settings) -> int:
    """Return how long a request may wait for a worker to be started, seconds; 0 where one is always there."""
    sleeps = any(sleeping(pool) for pool in s.gpu_pools)
    return s.gateway.cold_start_timeout_s if sleeps else 0


def sleeping(pool: GpuPoolSettings) -> bool:
    """Tell whether a pool's last worker may go."""
    return pool.autoscaling.min_replicas == 0


def preloaded(s: Settings) -> tuple[str, ...]:
    """Return which models the workers without a GPU always have in memory."""
    worker = s.worker
    return s.models[: worker.max_loaded_models] if worker.preload is None else worker.preload


def known_types(pool: GpuPoolSettings) -> dict[str, GpuInstance]:
    """Return those of a pool's instance types whose hardware is known, by name."""
    return {name: INSTANCE_TYPES[name] for name in pool.instance_types if name in INSTANCE_TYPES}


def slots_a_node(pool: GpuPoolSettings, kind: GpuInstance) -> int:
    """Return for how many workers a node has GPUs."""
    return kind.gpus * (pool.sharing.slices if pool.sharing else 1) // pool.gpus_per_replica


def gpu_share_mib(pool: GpuPoolSettings, kind: GpuInstance) -> int:
    """Return how much GPU memory a worker has to itself, MiB."""
    if pool.sharing is None:
        return kind.gpu.memory_mib * pool.gpus_per_replica
    if pool.sharing.mode == "mig" and kind.gpu.slices:
        return kind.gpu.slice_mib(pool.sharing.slices)
    return kind.gpu.memory_mib // pool.sharing.slices


def least_gpu_mib(pool: GpuPoolSettings) -> int:
    """Return how much GPU memory a worker has on any of the pool's instance types, MiB; 0: not known."""
    kinds = known_types(pool)
    return min((gpu_share_mib(pool, kind) for kind in kinds.values()), default=0)


def nodes(pool: GpuPoolSettings, kind: GpuInstance, workers: int) -> int:
    """Return how many nodes of a type hold so many workers, within the pool's limit."""
    return min(pool.max_nodes, -(-workers // max(1, slots_a_node(pool, kind))))


def buys_spot(pool: GpuPoolSettings) -> bool:
    """Tell whether nodes of a pool may be interrupted."""
    return pool.capacity in ("spot", "spot-first")


def consolidates(pool: GpuPoolSettings) -> bool:
    """Tell whether nodes of a pool on AWS go when nothing needs them."""
    return pool.management == "karpenter" and pool.capacity != "reserved"


def one_worker_a_node(pool: GpuPoolSettings) -> bool:
    """Tell whether a node of a pool is either empty or in full use, whatever its type."""
    return all(slots_a_node(pool, kind) == 1 for kind in known_types(pool).values())


EXPORTERS = 4
"""Of Redis, PostgreSQL and PgBouncer, and the one that asks the edge."""


@dataclass(frozen=True)
class Pods:
    """Equal pods that need no GPU."""

    service: str
    cpus: float
    memory_mib: int
    least: int
    most: int


def general_pods(s: Settings) -> Iterator[Pods]:
    """Yield what runs on the nodes without a GPU on AWS, where database and cache are AWS's own."""
    gateway, scaling = s.gateway.resources, s.gateway.autoscaling
    least, most = (
        (scaling.min_replicas, scaling.max_replicas) if scaling else (s.gateway.replicas, s.gateway.replicas)
    )
    yield Pods("gateway", gateway.cpus, gateway.memory_mib, least, most)
    edge, pool, monitoring = s.edge, s.pool, s.monitoring
    yield Pods("edge", edge.resources.cpus, edge.resources.memory_mib, edge.replicas, edge.replicas)
    yield Pods("pool", pool.resources.cpus, pool.resources.memory_mib, pool.replicas, pool.replicas)
    yield Pods("monitoring", monitoring.resources.cpus, monitoring.resources.memory_mib, 1, 1)
    if s.autoscaler:
        forecaster = s.autoscaler.resources
        yield Pods("autoscaler", forecaster.cpus, forecaster.memory_mib, 1, 1)
    alerts = s.alerts
    yield Pods("alerting", alerts.resources.cpus, alerts.resources.memory_mib, 1, 1)
    one = alerts.exporter_resources
    yield Pods("exporters", one.cpus, one.memory_mib, EXPORTERS, EXPORTERS)
    yield Pods("system", SYSTEM_CPUS, SYSTEM_MIB, 1, 1)
    if not s.gpu_pools:
        worker = s.worker
        yield Pods(
            "worker", worker.resources.cpus, worker.resources.memory_mib, worker.replicas, worker.replicas
        )


def general_nodes(s: Settings, *, most: bool = True, trial: bool = False) -> int:
    """Return how many nodes without a GPU hold the most, or the least, that runs on them.

    They are never filled to the brim, and there is one in each zone at least. While there is a ``trial`` of a
    release, its gateways need room too; it lasts too short to count in what a month costs.
    """
    pods = [(pod, pod.most if most else pod.least) for pod in general_pods(s)]
    pods += [(pod, most_canaries(s)) for pod, _ in pods if trial and pod.service == "gateway"]
    cpus = sum(pod.cpus * count for pod, count in pods) / GENERAL_NODE.cpus
    memory = sum(pod.memory_mib * count for pod, count in pods) / (GENERAL_NODE.memory_gib * 1024)
    zones = len(s.aws.zones) if s.aws else 1
    return max(zones, math.ceil(max(cpus, memory) / FILL_SHARE))


def server_connections(s: Settings) -> int:
    """Return how many connections all PgBouncers together may open to the database."""
    return s.pool.replicas * (s.pool.default_pool_size + s.pool.reserve_pool_size)


def free_connections(s: Settings) -> int:
    """Return how many connections the database has for them."""
    return s.database.max_connections - s.database.superuser_reserved_connections
