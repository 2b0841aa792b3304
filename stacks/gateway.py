"""Settings of the gateway: how it is reached, how it spreads requests, and what it keeps."""

from ipaddress import IPv4Network
from typing import Annotated, Literal

from pydantic import Field

from stacks.block import (
    HTTP_URL,
    Block,
    Mebibytes,
    ModelName,
    Origin,
    Percent,
    PublicKey,
    Resources,
    Seconds,
    Variant,
)
from stacks.kubernetes import AutoscalingSettings


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


class MemorySettings(Block):
    """What a gateway does as its container fills up, in parts of ``resources.memoryMib``.

    It stops once use is 5 % below. Thresholds of the node are in ``nodeMemory``.
    """

    warn_percent: Percent = 80
    """Use at which it warns, percent: where the Go runtime collects harder, at ``goMemoryLimitMib``."""
    shed_percent: Percent = 90
    """Use at which it forgets the answers that it keeps, percent."""
    refuse_percent: Percent = 95
    """Use at which requests for models get 503, percent: the kernel would kill soon."""


class TracingSettings(Block):
    """Traces of requests for OpenTelemetry."""

    endpoint: Annotated[str, Field(pattern=HTTP_URL)]
    """Receiver of OTLP over HTTP, without ``/v1/traces``: a collector, which knows where traces go."""
    networks: Annotated[tuple[IPv4Network, ...], Field(min_length=1)] = (IPv4Network("0.0.0.0/0"),)
    """On a cluster, address ranges in which the receiver is: the gateways are let out to its port there."""
    sample_ratio: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Part of the requests that are traced, where the client has not decided: a hundredth shows what is
    usual, and costs nothing."""
    ca_certificate: str | None = None
    """Certificate of the authority of an ``https`` receiver, PEM; without, those that every machine
    trusts."""


class LiveSettings(Block):
    """What clients that follow the platform over a WebSocket (``/ws``) are sent."""

    flush_ms: Annotated[int, Field(ge=1, le=1000)] = 16
    """Least time between two frames to a client, milliseconds (report): one a frame of the screen."""
    batch: Annotated[int, Field(ge=1, le=1000)] = 100
    """Most messages of one frame (report)."""
    buffer: Annotated[int, Field(ge=1000, le=1_048_576)] = 8192
    """Messages that a client may be behind, a few hundred bytes each, kept once for all clients; one that is
    further behind is told how many it missed."""
    clients: Annotated[int, Field(ge=1, le=100_000)] = 2000
    """Most clients of one gateway, about 36 KiB each; more get 503. Twice the thousand of the report's load
    test, so that the clients of one gateway find room at another."""
    origins: tuple[Origin, ...] = ()
    """Origins of pages of other hosts that may connect (``https://host``, with the port where it is not the
    usual one); the stack's own console may anyway."""


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


class AliasTargetSettings(Block):
    """A model that an alias stands for."""

    model: ModelName
    """One of the models that the stack pulls."""
    weight: Annotated[int, Field(ge=0, le=1_000_000)] = 1
    """Its share of the requests, beside the weights of the other targets; with 0 it answers only those that
    ask for its variant."""
    variant: Variant | None = None
    """What requests and metrics call it by; its model's name where none is given."""


class AliasSettings(Block):
    """A name that stands for models, for clients that are to stay as they are when the model changes."""

    name: ModelName
    """What requests ask for. A model's own name may be given: the alias then comes before it."""
    targets: tuple[AliasTargetSettings, ...] = ()
    """The models that answer; none is the model of the alias's own name, which so gets fallbacks."""
    fallbacks: tuple[ModelName, ...] = ()
    """Models that answer while no target can, the first first."""


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
    cold_start_timeout_s: Seconds = 600
    """How long a request may wait for the first worker of a pool with ``autoscaling.minReplicas`` 0, seconds:
    until a node and its models are there. Beyond it, it gets 503 with Retry-After."""
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
    aliases: tuple[AliasSettings, ...] = ()
    """Names that stand for models. They can't be changed by the API, which has others of its own."""
    memory: MemorySettings = MemorySettings()
    """What it does as memory runs short."""
    tracing: TracingSettings | None = None
    """Traces; with none, those that clients have begun are handed on to the workers."""
    live: LiveSettings = LiveSettings()
    """Clients that follow what goes on."""
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
