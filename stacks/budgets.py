"""Checks across layers: what no single setting can get wrong on its own.

Each check returns one sentence that names every layer and number involved, or nothing.
"""

from collections.abc import Callable, Iterator

from stacks.settings import Settings

FIXED_ADDRESSES = 32
"""Addresses at the bottom of the Docker subnet: the bridge, and the services with a fixed address."""
EDGE_OWN_FILES = 512
"""Files and sockets that an nginx worker has open besides its connections."""


def timeouts(s: Settings) -> Iterator[str]:
    """Each hop allows what the hops around it need."""
    if s.edge.upstream_keepalive_timeout_s >= s.gateway.idle_timeout_s:
        yield (
            f"edge.upstreamKeepaliveTimeoutS ({s.edge.upstream_keepalive_timeout_s} s) must be less than "
            f"gateway.idleTimeoutS ({s.gateway.idle_timeout_s} s): the edge sends the requests, so it must "
            "close idle connections first"
        )
    if s.gateway.drain_delay_s >= s.gateway.drain_timeout_s:
        yield (
            f"gateway.drainDelayS ({s.gateway.drain_delay_s} s) must be less than gateway.drainTimeoutS "
            f"({s.gateway.drain_timeout_s} s), which includes it"
        )
    if s.monitoring.scrape_timeout_s > s.monitoring.scrape_interval_s:
        yield (
            f"monitoring.scrapeTimeoutS ({s.monitoring.scrape_timeout_s} s) is more than "
            f"monitoring.scrapeIntervalS ({s.monitoring.scrape_interval_s} s)"
        )


def connections(s: Settings) -> Iterator[str]:
    """Every layer of the data path can hold what the layer before it may open."""
    pool = s.gateway.database_pool
    wanted = s.gateway.replicas * pool.max_open
    if wanted > s.pool.max_client_conn:
        yield (
            f"gateway.replicas ({s.gateway.replicas}) × gateway.databasePool.maxOpen ({pool.max_open}) = "
            f"{wanted} is more than pool.maxClientConn ({s.pool.max_client_conn})"
        )
    if pool.max_idle > pool.max_open:
        yield (
            f"gateway.databasePool.maxIdle ({pool.max_idle}) is more than "
            f"gateway.databasePool.maxOpen ({pool.max_open})"
        )
    wanted = s.edge.worker_connections + EDGE_OWN_FILES
    if s.target == "docker" and wanted > s.docker.open_files:
        yield (
            f"edge.workerConnections ({s.edge.worker_connections}) + {EDGE_OWN_FILES} of nginx's own = "
            f"{wanted} is more than docker.openFiles ({s.docker.open_files})"
        )
    servers = s.pool.default_pool_size + s.pool.reserve_pool_size
    free = s.database.max_connections - s.database.superuser_reserved_connections
    if servers > free:
        yield (
            f"pool.defaultPoolSize ({s.pool.default_pool_size}) + pool.reservePoolSize "
            f"({s.pool.reserve_pool_size}) = {servers} is more than database.maxConnections "
            f"({s.database.max_connections}) − database.superuserReservedConnections "
            f"({s.database.superuser_reserved_connections}) = {free}"
        )


def memory(s: Settings) -> Iterator[str]:
    """What a process may use lies under what its container may use."""
    limit = s.gateway.resources.memory_mib
    if s.gateway.go_memory_limit_mib >= limit:
        yield (
            f"gateway.goMemoryLimitMib ({s.gateway.go_memory_limit_mib}) must be less than "
            f"gateway.resources.memoryMib ({limit}): the Go runtime must collect before the kernel kills"
        )
    if s.node_memory.warning_mib >= s.node_memory.critical_mib:
        yield (
            f"nodeMemory.warningMib ({s.node_memory.warning_mib}) must be less than "
            f"nodeMemory.criticalMib ({s.node_memory.critical_mib})"
        )
    if s.cache.max_memory_mib >= s.cache.resources.memory_mib:
        yield (
            f"cache.maxMemoryMib ({s.cache.max_memory_mib}) must be less than "
            f"cache.resources.memoryMib ({s.cache.resources.memory_mib})"
        )
    if s.target != "aws" and s.database.shared_buffers_mib * 2 > s.database.resources.memory_mib:
        yield (
            f"database.sharedBuffersMib ({s.database.shared_buffers_mib}) must be at most half of "
            f"database.resources.memoryMib ({s.database.resources.memory_mib})"
        )


def placement(s: Settings) -> Iterator[str]:
    """Addresses exist for everything that the docker target places."""
    if s.docker.subnet.num_addresses < 2 * FIXED_ADDRESSES * 2:
        yield f"docker.subnet ({s.docker.subnet}) must be /25 or larger: it holds fixed and dynamic addresses"


CHECKS: tuple[Callable[[Settings], Iterator[str]], ...] = (timeouts, connections, memory, placement)


def check(settings: Settings) -> list[str]:
    """Return every budget that ``settings`` breaks, one sentence each."""
    return [problem for rule in CHECKS for problem in rule(settings)]
