"""Settings of clusters: where the kubernetes target places the platform, and how it scales there."""

from ipaddress import IPv4Network
from typing import Annotated, Literal

from pydantic import Field

from stacks.block import (
    IMAGE_PREFIX,
    INSTANCE_TYPE,
    RESERVATION,
    ZONE,
    Block,
    Gibibytes,
    Label,
    ModelName,
    Percent,
    Resources,
    Seconds,
)


class AutoscalingSettings(Block):
    """How a horizontal autoscaler moves a replica count. It is the count's only writer."""

    min_replicas: Annotated[int, Field(ge=1, le=1000)] = 3
    """Fewest replicas (report)."""
    max_replicas: Annotated[int, Field(ge=1, le=1000)] = 50
    """Most replicas (report)."""
    cpu_percent: Percent = 60
    """Mean use of the requested CPU above which replicas are added, percent (report)."""
    memory_percent: Percent | None = 70
    """Mean use of the requested memory above which replicas are added, percent (report); None is never."""
    scale_up_period_s: Annotated[int, Field(ge=1, le=1800)] = 30
    """Time over which one step up is taken, seconds (report: cooldown up)."""
    scale_down_window_s: Annotated[int, Field(ge=0, le=3600)] = 120
    """How long the load must have been lower before replicas go, seconds (report: cooldown down). 300
    flaps two to six times less."""


class WorkerAutoscalingSettings(AutoscalingSettings):
    """How the number of a pool's workers follows the load."""

    min_replicas: Annotated[int, Field(ge=0, le=1000)] = 3
    """Fewest replicas (report). 0 has the last one go once there was nothing to do for ``idleS``; the next
    request then waits in the gateway while a node and a worker start, ``gateway.coldStartTimeoutS`` at the
    most."""
    memory_percent: Percent | None = None
    """As the gateway's, percent. None: a model's weights do not shrink with more replicas."""
    slot_wait_ms: Annotated[int, Field(ge=1, le=60_000)] | None = 100
    """Wait for a slot, 95th percentile, above which replicas are added, milliseconds (report: response time);
    None is never."""
    in_flight_percent: Percent = 70
    """Part of a model's slots that is taken or waited for, mean over the replicas, above which replicas are
    added, percent: what is left serves what comes while the new ones start."""
    fallback_replicas: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Fewest replicas while the gateways' metrics are missing; None is ``minReplicas``, at least one. However
    many there are then, none goes."""
    idle_s: Seconds = 900
    """With ``minReplicas`` 0, how long there must have been nothing to do before the last replica goes,
    seconds: longer than it takes to come back."""


class ModelStoreSettings(Block):
    """The volume from which the workers of a cluster read their models: filled once, shared by all."""

    storage_class: str | None = None
    """Storage class of the volume; None is the cluster's default. On AWS the store is a bucket."""
    access: Literal["ReadWriteMany", "ReadWriteOnce"] = "ReadWriteMany"
    """``ReadWriteOnce`` where the storage class can do no more: all workers then share one node."""
    size_gib: Gibibytes = 200
    """Size of the volume, GiB."""


class ApiServerSettings(Block):
    """Where pods find the API server: at its Service's address, and at those which that one stands for."""

    networks: Annotated[tuple[IPv4Network, ...], Field(min_length=1)]
    """Its addresses, as CIDR: what ``kubectl get service,endpointslices kubernetes`` shows."""
    port: Annotated[int, Field(ge=1, le=65_535)] = 6443
    """Its port, as kubeadm sets it."""


class KedaSettings(Block):
    """KEDA on a cluster that has it already, 2.18 or newer: a cluster can have but one."""

    namespace: Label = "keda"
    """Namespace of its operator, whose pods carry the label ``app: keda-operator``: they are let in to
    Prometheus, and find its password there."""


class KubernetesSettings(Block):
    """Where and how the kubernetes target places the platform; the ``aws`` target uses it for its cluster."""

    context: str | None = None
    """Context of the kubeconfig that names the cluster. Target ``kubernetes`` needs it: a platform must not
    land on whatever cluster happens to be the current one. Target ``aws`` makes its own."""
    namespace: Label = "ollamamax"
    """Namespace that holds the platform. It is the stack's own: created and deleted with it."""
    registry: Annotated[str, Field(pattern=IMAGE_PREFIX)] | None = None
    """Registry, and path in it, that the images are pushed to and pulled from. None leaves them on the
    machine that built them, for clusters that run there (kind, minikube). On AWS it is the stack's own."""
    edge_service: Literal["LoadBalancer", "NodePort", "ClusterIP"] = "ClusterIP"
    """How the edge is reached from outside the cluster. On AWS a load balancer of the stack stands before
    it, and the pods join its target groups."""
    storage_class: str | None = None
    """Storage class of the data volumes; None is the cluster's default."""
    model_store: ModelStoreSettings = ModelStoreSettings()
    """The models' volume."""
    api_server: ApiServerSettings | None = None
    """The API server, which the gateways may then reach, and the forecaster, which times by it how long
    workers take to start; needed where ``gateway.routing.discovery`` is ``kubernetes``. Target ``aws`` knows
    its own."""
    keda: KedaSettings | None = None
    """KEDA, where the cluster has it; with None a stack in which something scales installs it. On AWS it is
    the stack's own."""
    zone_spread: Literal["required", "preferred"] = "preferred"
    """Whether replicas that cannot be spread over the zones wait, or are placed all the same. Karpenter
    counts a zone in which nothing is to be had as an empty one: where spread is ``required``, what a lost
    zone took does not come back in the others, and a pool stops growing when one zone has no GPUs left."""
    startup_timeout_s: Seconds = 900
    """How long a worker may take to load its models before the start counts as failed, seconds."""


class DisruptionSettings(Block):
    """When nodes of a pool may be taken away without need."""

    consolidate_after_s: Annotated[int, Field(ge=0, le=86_400)] = 300
    """How long a node must have been empty before it goes, seconds; at least the pool's
    ``autoscaling.scaleDownWindowS``, or nodes go that the next peak needs. One with room for several workers
    may also go when nothing has come or gone on it for so long, and its workers fit on others."""
    budget_percent: Annotated[int, Field(ge=1, le=100)] = 10
    """Most nodes of the pool that are taken away at a time, percent, at least one."""


class SharingSettings(Block):
    """Several workers on one GPU; only on managed node groups, with the NVIDIA device plugin of their own."""

    mode: Literal["mig", "time-slicing"]
    """``mig`` cuts the GPU into slices with memory of their own; ``time-slicing`` shares all of it."""
    slices: Annotated[int, Field(ge=2, le=7)]
    """Workers a GPU."""


class GpuPoolSettings(Block):
    """A pool of GPU nodes, and the workers that run on it."""

    name: Label
    """Name of the pool: its workers are called ``worker-NAME``."""
    models: Annotated[tuple[ModelName, ...], Field(min_length=1)]
    """Models that every worker of the pool serves, by their Ollama names; a worker is ready once it has
    them in its GPU's memory."""
    instance_types: Annotated[tuple[Annotated[str, Field(pattern=INSTANCE_TYPE)], ...], Field(min_length=1)]
    """Instance types of its nodes. Several, so that capacity is found."""
    management: Literal["karpenter", "node-group"] = "karpenter"
    """Who makes its nodes: Karpenter (EKS Auto Mode), as many as the workers need; or a managed node group,
    which always has ``maxNodes``."""
    capacity: Literal["spot", "on-demand", "spot-first", "reserved"] = "spot-first"
    """What nodes are bought as; ``spot-first`` takes on-demand ones where there is no spot capacity,
    ``reserved`` only those of ``reservations``."""
    reservations: tuple[Annotated[str, Field(pattern=RESERVATION)], ...] = ()
    """Capacity reservations or capacity blocks that its nodes use; for a node group one capacity block."""
    zones: tuple[Annotated[str, Field(pattern=ZONE)], ...] = ()
    """Availability zones of its nodes, where it may not be all of the stack's: GPUs, and reservations, are
    not in every one."""
    max_nodes: Annotated[int, Field(ge=1, le=1000)] = 50
    """Most nodes: the pool's limit on the cloud bill."""
    gpus_per_replica: Annotated[int, Field(ge=1, le=16)] = 1
    """GPUs, or slices of one, that a worker takes."""
    sharing: SharingSettings | None = None
    """Whether workers share a GPU."""
    resources: Resources = Resources(memory_mib=12_288, cpus=3.0)
    """Limits of one worker. It must fit a node of each instance type, beside the system's own pods."""
    parallel: Annotated[int, Field(ge=1, le=64)] = 4
    """Requests that one loaded model serves at once (OLLAMA_NUM_PARALLEL); each has its own KV cache."""
    context_length: Annotated[int, Field(ge=256, le=1_048_576)] = 8192
    """Context window when a request names none, tokens (OLLAMA_CONTEXT_LENGTH)."""
    disk_gib: Gibibytes = 100
    """Disk of a node, GiB: images and what the kernel caches of the models."""
    autoscaling: WorkerAutoscalingSettings = WorkerAutoscalingSettings()
    """How many workers."""
    disruption: DisruptionSettings = DisruptionSettings()
    """When its nodes may go."""
