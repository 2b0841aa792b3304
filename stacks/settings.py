"""Typed settings of a stack: every tuned number of the platform, in one place.

The text under a field is its documentation: what it means, its unit, and why it has this default.
``docs/settings.md`` is generated from it. Settings of the gateway are in ``stacks/gateway.py``, of what
keeps data in ``stacks/stores.py``, of the forecaster in ``stacks/autoscaler.py``, of clusters in
``stacks/kubernetes.py``, of AWS in ``stacks/aws.py``, of secrets that are made anew in
``stacks/rotation.py``; checks that span several settings in ``stacks/budgets``. Numbers marked "report" come
from the performance report.
"""

from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Literal

from pydantic import Field

from stacks.alerts import AlertSettings
from stacks.autoscaler import AutoscalerSettings
from stacks.aws import AwsSettings
from stacks.block import Block, Email, HostName, Mebibytes, ModelName, Resources, Seconds
from stacks.delivery import CanarySettings, LoadSettings, ReleaseSettings
from stacks.gateway import GatewaySettings
from stacks.kubernetes import GpuPoolSettings, KubernetesSettings
from stacks.rotation import RotationSettings
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
    preload: tuple[ModelName, ...] | None = None
    """Which of the stack's ``models`` a server always has in its memory: loaded by the gateways as soon as it
    is up, and again where it has lost one (report: preload). None: the first ones, ``maxLoadedModels`` at
    most; an empty list: none, each is loaded when it is first asked for."""
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


class ClientSettings(Block):
    """What one client may take of an edge; what a key may ask for in a minute is the gateway's to count."""

    requests_per_address: Annotated[int, Field(ge=1, le=65_000)] = 2048
    """Requests and WebSockets of one address at a time; more get 429. An eighth of the connections of an edge
    with default settings, and room for an office behind one address."""
    requests_per_key: Annotated[int, Field(ge=1, le=65_000)] = 2048
    """Requests that show one API key at a time, from however many addresses; more get 429."""
    rate_per_address: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    """Requests of one address a second, and at once; more get 429. What a core of the edge carries."""


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
    balancer take to notice that it leaves. Target ``aws`` needs 120, and better has 180: its network load
    balancer sends new connections for two minutes to an edge that has left."""
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
    client: ClientSettings = ClientSettings()
    """What one client may take."""
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
    """Added to every published port (edge 8443, Prometheus 9091, Alertmanager 9093), so that stacks run side
    by side."""
    longest_generation_s: Annotated[int, Field(ge=10, le=7200)] = 600
    """Longest silence allowed between two pieces of a model's answer, seconds; every hop allows it."""
    longest_stream_s: Annotated[int, Field(ge=10, le=7200)] = 600
    """Longest whole answer that a rollout or a scale-down on a cluster waits for, seconds. Workers of a pool
    that may be on spot have 105 s, however long this is: a spot node is taken away after 120, and a pod has
    one grace period."""
    docker: DockerSettings = DockerSettings()
    """The docker target."""
    edge: EdgeSettings = EdgeSettings()
    """The edge."""
    gateway: GatewaySettings = GatewaySettings()
    """The gateways."""
    release: ReleaseSettings = ReleaseSettings()
    """How ``make release`` tries a release before it takes the place of the one before."""
    canary: CanarySettings | None = None
    """Gateways of another release beside those that run: ``make release`` says so while it tries one."""
    load: LoadSettings | None = None
    """Load that a job on a cluster puts on the platform: ``make load`` says so while it plays a scenario."""
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
    autoscaler: AutoscalerSettings | None = AutoscalerSettings()
    """The forecaster; None: there is none."""
    alerts: AlertSettings = AlertSettings()
    """Alerts."""
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
    rotation: RotationSettings = RotationSettings()
    """Secrets that are to be made anew."""
    policy: PolicySettings = PolicySettings()
    """The stack's policies."""
