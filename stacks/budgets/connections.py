"""Connections: every layer can hold what the layer before it may open."""

from collections.abc import Iterator

from stacks import capacity, hardware
from stacks.settings import Settings

EDGE_FILES = 2
"""Files that an nginx worker may have open for each of its connections: a body may wait in one."""
OWN_FILES = 64
"""The same of PgBouncer and Redis: log, listeners, pipes."""
CACHE_CONNECTIONS = 16
"""Connections of one gateway to Redis: its subscription, its publisher, the exchange of what keys used, and
the shared result cache's."""
RDS_BYTES_A_CONNECTION = 9_531_392
"""Memory that RDS reckons for a connection: its default is max_connections = memory / this.
docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Limits.html"""


def connections(s: Settings) -> Iterator[str]:
    """Every layer of the data path can hold what the layer before it may open."""
    pool, gateways, path = s.gateway.database_pool, capacity.most_gateways(s), capacity.most_gateways_path(s)
    if s.canary:
        gateways, path = gateways + s.canary.replicas, f"{path} + canary.replicas"
    wanted, replicas = gateways * pool.max_open, s.pool.replicas
    staying = max(1, replicas - 1)
    if wanted > staying * s.pool.max_client_conn:
        which = f"of pool.replicas ({replicas})" + (", one of which may be away" if replicas > 1 else "")
        yield (
            f"{path} ({gateways}) × gateway.databasePool.maxOpen ({pool.max_open}) = {wanted} is more than "
            f"pool.maxClientConn ({s.pool.max_client_conn}) × {staying} {which}: raise "
            "pool.maxClientConn or pool.replicas, or lower gateway.databasePool.maxOpen"
        )
    if pool.max_idle > pool.max_open:
        yield (
            f"gateway.databasePool.maxIdle ({pool.max_idle}) is more than "
            f"gateway.databasePool.maxOpen ({pool.max_open})"
        )
    servers, free = capacity.server_connections(s), capacity.free_connections(s)
    if servers > free:
        yield (
            f"pool.replicas ({s.pool.replicas}) × (pool.defaultPoolSize ({s.pool.default_pool_size}) + "
            f"pool.reservePoolSize ({s.pool.reserve_pool_size})) = {servers} is more than "
            f"database.maxConnections ({s.database.max_connections}) − "
            f"database.superuserReservedConnections ({s.database.superuser_reserved_connections}) = {free}: "
            "raise database.maxConnections, or lower pool.defaultPoolSize"
        )
    if s.aws and (gib := hardware.DATABASE_GIB.get(s.aws.database.instance_class)):
        most = gib * 1024**3 // RDS_BYTES_A_CONNECTION
        if s.database.max_connections > most:
            yield (
                f"database.maxConnections ({s.database.max_connections}) is more than the {most} for which "
                f"aws.database.instanceClass {s.aws.database.instance_class} ({gib} GiB) has memory: lower "
                "it, or take a larger class"
            )
    wanted = gateways * CACHE_CONNECTIONS
    if s.target != "aws" and wanted > s.cache.max_clients:
        yield (
            f"{path} ({gateways}) × {CACHE_CONNECTIONS} connections of one gateway = {wanted} is more than "
            f"cache.maxClients ({s.cache.max_clients}): raise it"
        )
    slots = max(
        sum(group.autoscaling.max_replicas * group.parallel for group in s.gpu_pools),
        s.worker.replicas * s.worker.parallel if not s.gpu_pools else 0,
    )
    room = s.edge.replicas * s.edge.worker_processes * s.edge.worker_connections // 2
    if slots > room:
        yield (
            f"the workers serve {slots} requests at once, more than edge.replicas ({s.edge.replicas}) × "
            f"edge.workerProcesses ({s.edge.worker_processes}) × edge.workerConnections "
            f"({s.edge.worker_connections}) / 2 = {room} that the edge passes on, two connections each: "
            "raise one of the three"
        )


def open_files(s: Settings) -> Iterator[str]:
    """In Docker, a container may open the files that its connections need."""
    if s.target != "docker":
        return  # a cluster's container may open 1,048,576, more than any setting can ask for
    wanted = s.edge.worker_connections * EDGE_FILES
    if wanted > s.docker.open_files:
        yield (
            f"edge.workerConnections ({s.edge.worker_connections}) × {EDGE_FILES} files, a connection and a "
            f"body that waits, = {wanted} is more than docker.openFiles ({s.docker.open_files}): raise that"
        )
    servers = s.pool.default_pool_size + s.pool.reserve_pool_size
    wanted = s.pool.max_client_conn + servers + OWN_FILES
    if wanted > s.docker.open_files:
        yield (
            f"pool.maxClientConn ({s.pool.max_client_conn}) + {servers} to the server + {OWN_FILES} of "
            f"PgBouncer's own = {wanted} is more than docker.openFiles ({s.docker.open_files}): raise "
            "that"
        )
    wanted = s.cache.max_clients + OWN_FILES
    if wanted > s.docker.open_files:
        yield (
            f"cache.maxClients ({s.cache.max_clients}) + {OWN_FILES} of Redis's own = {wanted} is more than "
            f"docker.openFiles ({s.docker.open_files}): raise that"
        )
