"""What a platform stands on: where its services are placed, and which data stores are there already."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from components.credentials import Credentials
from components.docker_target import DockerTarget, DockerTargetArgs
from components.scaling import Prometheus
from components.service import Outside, Placed, Scraped, Store, Target
from stacks import capacity
from stacks.settings import Settings


@dataclass(frozen=True)
class GroundArgs:
    """What the ground is laid from."""

    settings: Settings
    stack: str
    version: str
    credentials: Credentials
    names: "Names"
    prometheus: Prometheus


@dataclass(frozen=True)
class Names:
    """What the services are called that a cloud gives rights, images or clients."""

    images: Sequence[str]
    migrations: str
    models: str
    workers: Sequence[str]
    edge: str
    edge_port: int
    edge_cdn_port: int


@dataclass(frozen=True)
class Ground:
    """Where services are placed.

    Attributes:
        target: places them.
        database, cache: data stores that are there; where there is none the platform places its own.
        certificate: the cluster's secret with the edge's certificate; None has the platform make one.
        publish: lets clients reach the edge, once it is placed.
        scraped: what Prometheus is to ask beside the platform's services.
        outputs: what people have to know of it.
    """

    target: Target
    database: Store | None = None
    cache: Store | None = None
    certificate: str | None = None
    publish: Callable[[Placed], None] = lambda placed: None
    scraped: Sequence[Scraped] = ()
    outputs: Mapping[str, pulumi.Input[object]] = field(default_factory=dict)


def lay(args: GroundArgs, opts: pulumi.ResourceOptions) -> Ground:
    """Return the ground that the settings name.

    What only clusters need is imported only for them: it takes seconds that one machine need not wait.
    """
    match args.settings.target:
        case "docker":
            return _machine(args, opts)
        case "kubernetes":
            return _cluster(args, opts)
        case "aws":
            return _cloud(args, opts)


def _machine(args: GroundArgs, opts: pulumi.ResourceOptions) -> Ground:
    settings = args.settings
    target = DockerTargetArgs(settings.docker, args.stack, args.version, settings.port_offset)
    return Ground(DockerTarget("docker", target, opts))


def _cluster(args: GroundArgs, opts: pulumi.ResourceOptions) -> Ground:
    import pulumi_kubernetes as kubernetes

    from components.cluster_scaling import scaling_args
    from components.images import BuiltImages, Registry
    from components.keda import Keda, KedaArgs
    from components.kubernetes_target import KubernetesTarget, KubernetesTargetArgs

    settings = args.settings.kubernetes
    api = settings.api_server
    provider = kubernetes.Provider(
        "cluster",
        context=settings.context,
        enable_server_side_apply=True,
        # What a person has changed by hand is the program's again: else their `kubectl` keeps the field.
        enable_patch_force=True,
        opts=opts,
    )
    registry = Registry(settings.registry) if settings.registry else None
    parent = opts.parent
    if parent is None:
        raise ValueError("the images need a parent")
    scales = capacity.scales(args.settings)
    keda = Keda("keda", KedaArgs(provider), opts).made if scales and not settings.keda else []
    target = KubernetesTargetArgs(
        settings,
        args.stack,
        args.version,
        BuiltImages(parent, args.version, registry),
        provider,
        api_server=Outside(tuple(map(str, api.networks)), api.port) if api else None,
        scaling=scaling_args(args.settings, args.prometheus, keda) if scales else None,
    )
    return Ground(KubernetesTarget("kubernetes", target, opts=opts))


def _cloud(args: GroundArgs, opts: pulumi.ResourceOptions) -> Ground:
    from components.cloud import Cloud, CloudArgs

    if args.settings.aws is None:
        raise ValueError("target aws has no settings")  # the budgets have refused that
    names = args.names
    cloud = Cloud(
        "cloud",
        CloudArgs(
            args.settings,
            args.settings.aws,
            args.stack,
            args.version,
            names.images,
            args.credentials.database,
            args.credentials.cache,
            names.migrations,
            names.models,
            names.workers,
            names.edge_port,
            names.edge_cdn_port,
            args.prometheus,
        ),
        opts,
    )
    return Ground(
        cloud.target,
        cloud.database,
        cloud.cache,
        cloud.certificate,
        publish=lambda placed: cloud.publish(names.edge, placed),
        scraped=cloud.scraped,
        outputs=cloud.outputs,
    )
