"""Settings of what keeps data: PostgreSQL and PgBouncer before it, Redis, Prometheus."""

from typing import Annotated

from pydantic import Field

from stacks.block import Block, Gibibytes, Mebibytes, Resources, Seconds


class DatabaseSettings(Block):
    """PostgreSQL: keys, nodes, models, metrics."""

    resources: Resources = Resources(memory_mib=1024, cpus=1.0)
    """Limits of the server."""
    volume_gib: Gibibytes = 20
    """Size of its volume on a cluster, GiB. On one machine it takes what the disk has."""
    max_connections: Annotated[int, Field(ge=10, le=5000)] = 100
    """Most connections that the server takes."""
    superuser_reserved_connections: Annotated[int, Field(ge=1, le=50)] = 10
    """Connections kept from PgBouncer: for an operator's psql."""
    shared_buffers_mib: Mebibytes = 256
    """Page cache of the server, MiB: a quarter of its memory, as PostgreSQL's manual advises."""
    effective_cache_size_mib: Mebibytes = 512
    """What the planner takes to be cached in all, MiB: half the memory."""
    work_mem_mib: Annotated[int, Field(ge=1, le=1024)] = 4
    """Memory of one sort or hash, MiB; every connection may use some of these at once."""
    maintenance_work_mem_mib: Mebibytes = 64
    """Memory of vacuum and index builds, MiB."""
    max_wal_size_mib: Mebibytes = 512
    """Write-ahead log between two checkpoints, MiB."""
    idle_in_transaction_timeout_s: Seconds = 60
    """A transaction left open ends after this, seconds: it would hold back vacuum and locks."""
    statement_timeout_s: Annotated[int, Field(ge=0, le=86_400)] = 30
    """A statement ends after this, seconds; 0 is never."""
    slow_statement_ms: Annotated[int, Field(ge=-1, le=3_600_000)] = 250
    """Statements that take longer are logged without their values, milliseconds; -1 logs none."""


class PoolSettings(Block):
    """PgBouncer in transaction mode, between the gateways and PostgreSQL."""

    replicas: Annotated[int, Field(ge=1, le=20)] = 1
    """PgBouncers; on a cluster two, so that one can be replaced or lost."""
    resources: Resources = Resources(memory_mib=128, cpus=0.5)
    """Limits of PgBouncer."""
    max_client_conn: Annotated[int, Field(ge=10, le=50_000)] = 1000
    """Most client connections."""
    default_pool_size: Annotated[int, Field(ge=1, le=1000)] = 20
    """Server connections to PostgreSQL."""
    reserve_pool_size: Annotated[int, Field(ge=0, le=1000)] = 5
    """More server connections, once clients have waited ``reservePoolTimeoutS``."""
    reserve_pool_timeout_s: Seconds = 3
    """Wait that opens the reserve, seconds."""
    max_prepared_statements: Annotated[int, Field(ge=1, le=10_000)] = 200
    """Prepared statements kept for each server connection; above 0, so that they work in transaction mode."""
    query_wait_timeout_s: Seconds = 10
    """A query that gets no server connection for so long fails, seconds."""
    server_lifetime_s: Seconds = 3600
    """Age at which a server connection is replaced, seconds."""
    server_idle_timeout_s: Seconds = 600
    """Idle time after which a server connection is closed, seconds."""
    server_connect_timeout_s: Seconds = 5
    """Time to connect to PostgreSQL, seconds."""
    server_login_retry_s: Seconds = 1
    """Pause after a failed connection, seconds: a restarted server is used again at once."""
    idle_transaction_timeout_s: Seconds = 60
    """A client's transaction left open ends after this, seconds."""


class CacheSettings(Block):
    """Redis: a cache and a message bus. Its loss slows requests and fails none."""

    resources: Resources = Resources(memory_mib=256, cpus=0.5)
    """Limits of Redis."""
    max_memory_mib: Mebibytes = 128
    """Data at which the least recently used keys are dropped, MiB: half the container's memory, because
    buffers and fragmentation come on top."""
    max_clients: Annotated[int, Field(ge=10, le=100_000)] = 1000
    """Most client connections."""


class MonitoringSettings(Block):
    """Prometheus."""

    resources: Resources = Resources(memory_mib=512, cpus=0.5)
    """Limits of Prometheus."""
    scrape_interval_s: Seconds = 5
    """Time between two scrapes, seconds."""
    scrape_timeout_s: Seconds = 4
    """Time that a scrape may take, seconds."""
    retention_hours: Annotated[int, Field(ge=1, le=8760)] = 96
    """How long samples are kept, hours: at least the 72 over which the error budget is watched. The
    forecaster looks back 408, where there are so many."""
    retention_mib: Annotated[int, Field(ge=64, le=1_048_576)] = 2048
    """Most disk that samples take, MiB."""
