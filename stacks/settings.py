"""Typed settings of a stack: every tuned number of the platform, in one place.

The text under a field is its documentation: what it means, its unit, and why it has this default.
``docs/settings.md`` is generated from it. Settings of what keeps data are in ``stacks/stores.py``, of
clusters in ``stacks/kubernetes.py``, of AWS in ``stacks/aws.py``; checks that span several settings in
``stacks/budgets``. Numbers marked "report" come from the performance report.
"""

from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Literal

from pydantic import Field

from stacks.aws import AwsSettings
from stacks.block import Block, Email, HostName, Mebibytes, ModelName, Percent, PublicKey, Resources, Seconds
from stacks.kubernetes import AutoscalingSettings, GpuPoolSettings, KubernetesSettings
from stacks.stores import CacheSettings, DatabaseSettings, MonitoringSettings, PoolSettings


class DockerSettings(Block):
    """Where the docker target places the platform."""

    subnet: IPv4Network = IPv4Network("172.16.84.0/24")
    """Subnet of the stack's Docker network. The lower half holds fixed addresses, the upper half dynamic
    ones: nginx resolves upstream names only when it loads, so gateways need addresses that stay. The
    default lies outside the ranges from which Docker serves networks without a subnet."""
    edge_address: IPv4Address = IPv4Address("0.0.0.0")  # noqa: S104 - the edge is the published door
    """Host address on which the edge listens. Everything else is published on loopback only."""
    health_wait_s: Seconds = 180
    """How long a container may take to become healthy before the update fails, seconds."""
    open_files: Annotated[int, Field(ge=1024, le=1_048_576)] = 16_384
    """Open files of one container (nofile). A daemon can allow no more than its own hard limit."""
    log_max_mib: Annotated[int, Field(ge=1, le=1024)] = 10
    """Size at which a container's log file is rotated, MiB; three files are kept."""


class DatabaseClientSettings(Block):
    """A gateway's own connection pool, towards PgBouncer."""

    max_open: Annotated[int, Field(ge=1, le=1000)] = 100
    """Most connections open at once (report)."""
    max_idle: Annotated[int, Field(ge=0, le=1000)] = 25
    """Most connections kept open without use (report)."""
    max_lifetime_s: Seconds = 300
    """Age at which a connection is replaced, seconds (report: 5 minutes)."""


class QueryCacheSettings(Block):
    """The gateway's cache of database query results; writes invalidate it on every replica."""

    entries: Annotated[int, Field(ge=0, le=1_000_000)] = 10_000
    """Most results kept (report)."""
    ttl_s: Seconds = 300
    """Longest time that a result is served, seconds (report: 5 minutes)."""


class ResultCacheSettings(Block):
    """Answers of workers that a gateway keeps for requests that would be answered in the same way again."""

    memory_mib: Annotated[int, Field(ge=0, le=65_536)] = 32
    """What a gateway keeps in its own memory, MiB; 0 keeps none, in Redis neither. Small, because Redis is
    behind it, and because Go's collector lets a heap grow beyond what is in use."""
    max_answer_kib: Annotated[int, Field(ge=1, le=65_536)] = 1024
    """Largest answer that is kept, KiB: a long chat answer has 100, a batch of embeddings can have megabytes
    and would drive hundreds of others out."""
    ttl_s: Seconds = 3600
    """Age at which an answer is forgotten, seconds. None grows wrong, since its key has the model's digest:
    this bounds how long a text that nobody asks for again lies about."""
    redis_timeout_ms: Annotated[int, Field(ge=1, le=1000)] = 20
    """How long a request waits for Redis to say whether it has the answer, milliseconds: little beside a
    generation."""
    across_tenants: bool = False
    """Whether an answer made for one tenant is given to another that asks the same. It saves generations, but
    how fast an answer comes then tells what others have asked."""


class EmbedBatchSettings(Block):
    """When requests for embeddings, of one tenant and model, are sent to a worker as one."""

    max_wait_ms: Annotated[int, Field(ge=0, le=100)] = 5
    """How long a request waits for others, milliseconds, while another is at a worker; 0 sends each alone."""
    max_inputs: Annotated[int, Field(ge=2, le=1024)] = 64
    """Texts of one batch."""


class UsageSettings(Block):
    """What keys use of the models, which a gateway counts in memory and writes to the database in batches."""

    flush_interval_s: Seconds = 10
    """Time between two writes, seconds: what a gateway that is killed loses at most. Monthly budgets count
    what other gateways let through this much later."""
    keep_days: Annotated[int, Field(ge=32, le=3660)] = 90
    """How long usage is kept, days, a quarter; more than a month, which budgets are reckoned over."""
    buffer_rows: Annotated[int, Field(ge=1000, le=10_000_000)] = 100_000
    """Rows that a gateway keeps while the database is away, one a key, model and day, about 200 bytes each;
    what would need more is dropped and counted."""


class QueueSettings(Block):
    """Requests that wait in a gateway for a slot of a worker, fairly between keys."""

    total: Annotated[int, Field(ge=1, le=100_000)] = 4096
    """Requests that may wait in one gateway; more get 503 with Retry-After."""
    per_key: Annotated[int, Field(ge=1, le=100_000)] = 1024
    """Requests of one key that may wait in one gateway, so that no key fills the queue alone."""
    max_wait_s: Annotated[int, Field(ge=1, le=600)] = 30
    """How long a request waits before it gets 503 with Retry-After, seconds."""


class BreakerSettings(Block):
    """When a worker gets no more requests for a model that it keeps failing: 5xx, silence, broken answers."""

    window_s: Annotated[int, Field(ge=1, le=600)] = 10
    """Time over which outcomes are counted, seconds."""
    min_requests: Annotated[int, Field(ge=1, le=10_000)] = 10
    """Outcomes within it that are needed to judge by."""
    failures_percent: Percent = 50
    """Share of them that has failed and opens the breaker, percent."""
    open_for_s: Annotated[int, Field(ge=1, le=600)] = 5
    """Time until one request tries the model again, seconds; its outcome decides."""


class EjectionSettings(Block):
    """When a worker that does worse than the others gets no requests for a while, whatever the model."""

    consecutive: Annotated[int, Field(ge=1, le=1000)] = 5
    """Failures in a row that leave a worker out."""
    interval_s: Annotated[int, Field(ge=1, le=600)] = 10
    """Time between two comparisons of the workers, seconds."""
    min_requests: Annotated[int, Field(ge=1, le=10_000)] = 20
    """Outcomes of a worker between them that are needed to judge by."""
    margin_percent: Percent = 30
    """How far a worker's share of good outcomes may lie below the others', percentage points."""
    base_s: Annotated[int, Field(ge=1, le=3600)] = 30
    """How long a worker is left out, seconds, times how often it was of late."""
    longest_s: Annotated[int, Field(ge=1, le=86_400)] = 300
    """The longest that it is, seconds."""
    max_percent: Annotated[int, Field(ge=0, le=100)] = 50
    """Share of the workers that may be left out at once, percent; the last never is. 0 leaves none out."""


class RoutingSettings(Block):
    """How a gateway spreads requests over the workers."""

    discovery: Literal["dns", "kubernetes"] = "dns"
    """Where workers are looked up: in DNS, every ``resolveIntervalS``, which every target has; or at the
    cluster's API server, which tells at once who is ready and who is about to leave, and which the gateways
    then have a token for."""
    affinity_load: Annotated[float, Field(ge=1, le=100)] = 1.25
    """How much of the load the worker may have whose cache knows a conversation's beginning, as a multiple of
    its share, before another one takes the next turn: little more than even, so that one prompt that all send
    does not gather on one worker."""
    spread_after_s: Annotated[int, Field(ge=1, le=600)] = 5
    """How long a request waits for a worker that has its model loaded before another one loads it in the
    place of an idle model, seconds: about what loading takes, so that models don't drive each other out."""
    slow_start_s: Annotated[int, Field(ge=0, le=3600)] = 10
    """Time in which a worker that has come up gets its full share of the load, seconds; 0: at once."""
    queue: QueueSettings = QueueSettings()
    """Requests that wait."""
    breaker: BreakerSettings = BreakerSettings()
    """Models that a worker keeps failing."""
    ejection: EjectionSettings = EjectionSettings()
    """Workers that do worse than the others."""


class GatewaySettings(Block):
    """The gateway ``ollama-distributed``: API, keys, routing over the workers."""

    replicas: Annotated[int, Field(ge=1, le=50)] = 2
    """Gateways. Two, so that one can be replaced or lost without a failed request."""
    autoscaling: AutoscalingSettings | None = None
    """On a cluster, how the number of gateways follows the load, in place of ``replicas``."""
    resources: Resources = Resources(memory_mib=2560, cpus=2.0)
    """Limits of one gateway. The memory limit stands above ``goMemoryLimitMib``."""
    go_gc: Annotated[int, Field(ge=10, le=1000)] = 50
    """GOGC, percent: heap growth that starts a collection (report)."""
    go_memory_limit_mib: Mebibytes = 2048
    """GOMEMLIMIT, MiB: soft limit at which the Go runtime collects harder (report: 2 GiB)."""
    read_header_timeout_s: Seconds = 5
    """Longest time for a client to send its request headers, seconds (report)."""
    read_timeout_s: Seconds = 5
    """Rolling read deadline on bodies, seconds, renewed on progress (report): a 4 GB model upload passes,
    a client that stalls does not."""
    write_timeout_s: Seconds = 5
    """Rolling write deadline, seconds, renewed at every chunk the client accepts (report): taken as a
    total it would cut every stream longer than 5 s."""
    idle_timeout_s: Seconds = 60
    """Time after which an idle connection is closed, seconds (report)."""
    max_header_bytes: Annotated[int, Field(ge=1024, le=65_536)] = 8192
    """Largest request header, bytes (report); larger ones get 431."""
    max_body_mib: Annotated[int, Field(ge=1, le=1024)] = 32
    """Largest request body, MiB, except model blobs; larger ones get 413. Room for a few images."""
    drain_delay_s: Annotated[int, Field(ge=0, le=300)] = 2
    """How long a stopping gateway still accepts requests, seconds, so that clients move away first."""
    drain_timeout_s: Seconds = 30
    """How long a stopping gateway lets requests in flight finish, ``drainDelayS`` included, seconds."""
    wait_for_node_s: Seconds = 15
    """How long a request may wait for a worker to come back when none that has its model is up, seconds.
    A killed worker is back in a few."""
    health_interval_s: Seconds = 2
    """Time between health checks of a worker, seconds."""
    health_timeout_s: Seconds = 2
    """Time that a health check of a worker may take, seconds."""
    connect_timeout_s: Seconds = 2
    """Time to connect to a worker, seconds."""
    resolve_interval_s: Seconds = 5
    """Time between look-ups of the workers' names, seconds."""
    routing: RoutingSettings = RoutingSettings()
    """How requests are spread over the workers."""
    database_pool: DatabaseClientSettings = DatabaseClientSettings()
    """Connections towards PgBouncer."""
    query_cache: QueryCacheSettings = QueryCacheSettings()
    """Cache of database query results."""
    result_cache: ResultCacheSettings = ResultCacheSettings()
    """Cache of workers' answers."""
    embed_batch: EmbedBatchSettings = EmbedBatchSettings()
    """Batches of requests for embeddings."""
    usage: UsageSettings = UsageSettings()
    """What keys use."""
    public_keys: tuple[PublicKey, ...] = ()
    """OpenSSH ed25519 public keys (``~/.ollama/id_ed25519.pub``) that may sign requests in place of an API
    key: what the ``ollama`` command line does with ``OLLAMA_AUTH=1``."""
    signature_window_s: Annotated[int, Field(ge=5, le=600)] = 60
    """How far the signed time of such a request may be from the gateway's clock, seconds."""
    key_refresh_interval_s: Seconds = 10
    """Time between two reads of the keys from the database, seconds; a change is announced through Redis
    at once, so this matters only while Redis is away."""
    log_level: Literal["debug", "info", "warn", "error"] = "info"
    """Least severe message that is logged."""


class WorkerSettings(Block):
    """The Ollama servers that hold the models and generate."""

    replicas: Annotated[int, Field(ge=1, le=50)] = 2
    """Ollama servers. Two, so that one can be replaced or lost."""
    resources: Resources = Resources(memory_mib=6144, cpus=2.0)
    """Limits of one worker: models and their KV caches live in this memory."""
    parallel: Annotated[int, Field(ge=1, le=64)] = 4
    """Requests that one loaded model serves at once (OLLAMA_NUM_PARALLEL): the gateway's slots."""
    max_loaded_models: Annotated[int, Field(ge=1, le=100)] = 3
    """Models that one server keeps loaded (OLLAMA_MAX_LOADED_MODELS): what Ollama does by itself without a
    GPU. Fewer where they don't fit its memory."""
    max_queue: Annotated[int, Field(ge=1, le=10_000)] = 512
    """Requests that one server lets wait before it answers 503 (OLLAMA_MAX_QUEUE)."""
    keep_alive_s: Seconds = 1800
    """How long an unused model stays loaded, seconds (OLLAMA_KEEP_ALIVE): a reload costs the next user."""
    context_length: Annotated[int, Field(ge=256, le=1_048_576)] = 4096
    """Context window when a request names none, tokens (OLLAMA_CONTEXT_LENGTH)."""


class CompressionSettings(Block):
    """Compression at the edge, of text, JSON and JavaScript; never of streams."""

    min_bytes: Annotated[int, Field(ge=20, le=1_048_576)] = 1024
    """Smallest answer that is compressed, bytes (report)."""
    gzip_level: Annotated[int, Field(ge=1, le=9)] = 5
    """gzip's level: beyond 5 it costs more time than it saves bytes."""
    brotli_level: Annotated[int, Field(ge=0, le=11)] = 4
    """Brotli's level on the fly (report); files are compressed ahead at 11."""


class EdgeSettings(Block):
    """nginx: TLS, HTTP/2 and HTTP/3, compression, limits."""

    replicas: Annotated[int, Field(ge=1, le=50)] = 1
    """Edges. Docker publishes the ports of one only; a cluster has three, one a zone."""
    names: Annotated[tuple[HostName, ...], Field(min_length=1)] = ("localhost",)
    """Host names in the edge's certificate; localhost, 127.0.0.1 and ::1 are added."""
    resources: Resources = Resources(memory_mib=512, cpus=2.0)
    """Limits of the edge."""
    worker_processes: Annotated[int, Field(ge=1, le=128)] = 2
    """nginx workers, one a core."""
    worker_connections: Annotated[int, Field(ge=64, le=65_000)] = 8192
    """Connections of one nginx worker, to clients and gateways together."""
    drain_delay_s: Annotated[int, Field(ge=0, le=300)] = 30
    """On a cluster, how long a stopping edge still accepts connections, seconds: longer than nodes and a load
    balancer take to notice that it leaves."""
    drain_timeout_s: Seconds = 30
    """How long a stopping edge lets answers under way finish after that, seconds."""
    alt_svc_max_age_s: Annotated[int, Field(ge=0, le=31_536_000)] = 86_400
    """How long a client may remember that HTTP/3 is offered, seconds (report)."""
    hsts_max_age_s: Annotated[int, Field(ge=0, le=63_072_000)] = 0
    """Strict-Transport-Security, seconds; 0 sends none: it would bind every port of ``localhost``."""
    max_concurrent_streams: Annotated[int, Field(ge=1, le=10_000)] = 128
    """Requests at a time on one HTTP/2 or HTTP/3 connection."""
    keepalive_requests: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    """Requests on one client connection before it is closed (report)."""
    keepalive_timeout_s: Seconds = 75
    """Idle time after which a client connection is closed, seconds (report)."""
    tcp_keepalive_s: Seconds = 60
    """Silence on a client's TCP connection after which the kernel probes it, seconds: a load balancer takes
    the probe for traffic, and does not forget the connection while a model thinks."""
    header_timeout_s: Seconds = 5
    """Time in which a request's headers must arrive, seconds (report)."""
    body_timeout_s: Seconds = 5
    """Rolling: time between two reads of a request's body, seconds (report)."""
    send_timeout_s: Seconds = 5
    """Rolling: time between two writes that the client accepts, seconds (report)."""
    upstream_keepalive: Annotated[int, Field(ge=1, le=4096)] = 64
    """Idle connections to the gateways that one nginx worker keeps."""
    upstream_keepalive_timeout_s: Seconds = 50
    """Idle time after which the edge closes a connection to a gateway, seconds: less than the gateway's
    ``idleTimeoutS``, because the side that sends requests must close first."""
    upstream_connect_timeout_s: Seconds = 1
    """Time to reach a gateway before the next one is tried, seconds."""
    upstream_send_timeout_s: Seconds = 10
    """Rolling: time between two writes that a gateway accepts, seconds."""
    retry_window_s: Seconds = 600
    """How long after its arrival a request may still be passed to another gateway, seconds: as long as a
    model may think before its first token."""
    trusted_proxies: tuple[IPv4Network, ...] = ()
    """Address ranges whose X-Forwarded-For is believed: those of a CDN or load balancer in front."""
    compression: CompressionSettings = CompressionSettings()
    """Compression."""


class NodeMemorySettings(Block):
    """Memory of a node: a gateway and what shares its host, not one container."""

    warning_mib: Mebibytes = 4096
    """Use at which a node warns, MiB (report)."""
    critical_mib: Mebibytes = 5120
    """Use at which a node sheds its caches, MiB (report)."""


class ModelFileSettings(Block):
    """The file of a model whose size is not published, or not the published one."""

    model: ModelName
    """The model's Ollama name."""
    file: str
    """Its GGUF file, from the folder in which the command runs. Only the header is read."""


class CostSettings(Block):
    """What the stack may cost, and what the estimate of it assumes."""

    monthly_usd: Annotated[int, Field(ge=1, le=100_000_000)]
    """Budget a month, US dollars: the expected cost must not exceed it, and an alarm watches it."""
    alarm_emails: Annotated[tuple[Email, ...], Field(min_length=1)]
    """Who is told when spending, or its forecast, passes the budget."""
    expected_scale_percent: Annotated[int, Field(ge=0, le=100)] = 20
    """Where autoscalers stand between their fewest and most replicas, mean over a month, percent."""
    expected_spot_percent: Annotated[int, Field(ge=0, le=100)] = 70
    """Part of the node hours of ``spot-first`` pools that is found on spot, percent."""
    expected_busy_percent: Annotated[int, Field(ge=0, le=100)] = 40
    """Part of the time in which a worker's slots generate, percent: what the tokens of a month, and so the
    price of a million, are reckoned with."""


class PolicySettings(Block):
    """What the policies let pass here; their levels are in ``stacks/policies.<stack>.json``."""

    allow_replace: tuple[str, ...] = ()
    """The explicit word for a dangerous change: which of the protected resources may be replaced or deleted,
    by name; ``*`` is all of them. Empty it again afterwards."""


class Settings(Block):
    """All settings of one stack."""

    target: Literal["docker", "kubernetes", "aws"]
    """Where the platform runs: ``docker`` is this machine, ``kubernetes`` a cluster that exists, ``aws`` a
    cluster that the stack makes, with managed data stores, a CDN and names around it."""
    models: Annotated[tuple[ModelName, ...], Field(min_length=1)] = ("smollm2:135m",)
    """Models that every worker holds before the platform counts as ready, by their Ollama names."""
    model_files: tuple[ModelFileSettings, ...] = ()
    """Files of models whose size is not published: they then count with their real size."""
    port_offset: Annotated[int, Field(ge=0, le=50_000)] = 0
    """Added to every published port (edge 8443, Prometheus 9091), so that stacks run side by side."""
    longest_generation_s: Annotated[int, Field(ge=10, le=7200)] = 600
    """Longest silence allowed between two pieces of a model's answer, seconds; every hop allows it."""
    longest_stream_s: Annotated[int, Field(ge=10, le=7200)] = 600
    """Longest whole answer that a rollout or a scale-down on a cluster waits for, seconds. A spot node that
    is taken away ends what runs on it after 120 s, however long this is."""
    docker: DockerSettings = DockerSettings()
    """The docker target."""
    edge: EdgeSettings = EdgeSettings()
    """The edge."""
    gateway: GatewaySettings = GatewaySettings()
    """The gateways."""
    worker: WorkerSettings = WorkerSettings()
    """The workers."""
    database: DatabaseSettings = DatabaseSettings()
    """PostgreSQL."""
    pool: PoolSettings = PoolSettings()
    """PgBouncer."""
    cache: CacheSettings = CacheSettings()
    """Redis."""
    monitoring: MonitoringSettings = MonitoringSettings()
    """Prometheus."""
    node_memory: NodeMemorySettings = NodeMemorySettings()
    """Memory thresholds of a node."""
    kubernetes: KubernetesSettings = KubernetesSettings()
    """The kubernetes target."""
    gpu_pools: tuple[GpuPoolSettings, ...] = ()
    """Pools of GPU nodes on a cluster; with none, ``worker`` describes workers without a GPU."""
    aws: AwsSettings | None = None
    """The managed parts of target ``aws``."""
    cost: CostSettings | None = None
    """The stack's budget; a cloud stack must have one."""
    policy: PolicySettings = PolicySettings()
    """The stack's policies."""
