"""The cloud: the managed parts on AWS that a platform stands on, wired together here."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.aws import telemetry
from components.aws.account import Account
from components.aws.budget import Budget, BudgetArgs
from components.aws.cluster import Cluster, ClusterArgs
from components.aws.data_tier import DataTier
from components.aws.database import Database, DatabaseArgs
from components.aws.gpu_pools import GpuPools, GpuPoolsArgs
from components.aws.model_store import ModelStore, ModelStoreArgs
from components.aws.network import Network, NetworkArgs
from components.aws.node_groups import NodeGroups, NodeGroupsArgs
from components.aws.provider import aws_provider
from components.aws.registry import Registry, RegistryArgs
from components.aws.valkey import Valkey, ValkeyArgs
from components.cluster_scaling import scaling_args
from components.front import Front, FrontArgs
from components.images import BuiltImages
from components.images import Registry as Push
from components.keda import Keda, KedaArgs
from components.kubernetes_target import KubernetesTarget, KubernetesTargetArgs
from components.scaling import Prometheus
from components.service import Outside, Placed, Scraped, Store
from stacks import addresses, capacity
from stacks.aws import AwsSettings
from stacks.settings import Settings


@dataclass(frozen=True)
class CloudArgs:
    """What the cloud needs.

    Attributes:
        settings: all of the stack's.
        aws: those of the managed parts.
        stack: the stack's name.
        version: the platform's, stamped on images and objects.
        images: names of the images that are built here, as the registry has them.
        database_password: of the platform's own role.
        cache_password: of the cache.
        migrations: the service that sets the database up.
        models: the service that fills the model store.
        workers: the services that read it.
        edge_port, edge_cdn_port: where the edge listens for clients, and for a CDN.
        prometheus: what autoscalers read.
    """

    settings: Settings
    aws: AwsSettings
    stack: str
    version: str
    images: Sequence[str]
    database_password: pulumi.Input[str]
    cache_password: pulumi.Input[str]
    migrations: str
    models: str
    workers: Sequence[str]
    edge_port: int
    edge_cdn_port: int
    prometheus: Prometheus


class Cloud(pulumi.ComponentResource):
    """Network, cluster and data stores of one stack, and the target that places services on the cluster."""

    def __init__(self, name: str, args: CloudArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        self._args = args
        self._account = account = Account(args.stack, args.aws.account_id, args.aws.region)
        provider = aws_provider(account, opts)
        options = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(providers=[provider]))
        super().__init__("ollamamax:index:Cloud", name, None, options)
        child = pulumi.ResourceOptions(parent=self)
        free = args.settings.policy.allow_replace
        self._network = network = Network(
            "network",
            NetworkArgs(account, args.aws.network, args.aws.zones, account.prefix, free),
            child,
        )
        self._cluster = cluster = Cluster(
            "cluster",
            ClusterArgs(
                account,
                args.aws.cluster,
                network.private_subnet_ids,
                ci=args.aws.ci,
                after=[network],
                allow_replace=free,
            ),
            child,
        )
        self._store = ModelStore("models", ModelStoreArgs(account, args.aws.model_versions_days, free), child)
        tier = DataTier(
            network.vpc_id, network.data_subnet_ids, network.data_cidrs, cluster.security_group_id
        )
        self._database = Database(
            "database",
            DatabaseArgs(
                args.aws.database,
                args.settings.database,
                account,
                tier,
                args.database_password,
                free,
            ),
            child,
        )
        self._cache = Valkey(
            "cache",
            ValkeyArgs(
                args.aws.cache,
                account,
                tier,
                args.cache_password,
                free,
            ),
            child,
        )
        registry = Registry("registry", RegistryArgs(account, args.images, free), child)
        self._target = self._on_cluster(registry, child)
        self._front = front = Front(
            "front",
            FrontArgs(
                account=account,
                settings=args.aws,
                network=network,
                cluster=cluster,
                edge_port=args.edge_port,
                edge_cdn_port=args.edge_cdn_port,
                drain_s=capacity.edge_drain_s(args.settings),
                mirrored=registry.mirrored,
                allow_replace=free,
            ),
            child,
        )
        self._certificate = front.certify(self._target.namespace)
        self._telemetry = self._measure(registry, child)
        if args.settings.cost:
            Budget("budget", BudgetArgs(account, args.settings.cost), child)
        self.register_outputs({"cluster": cluster.name})

    @property
    def target(self) -> KubernetesTarget:
        """Places services on the cluster."""
        return self._target

    @property
    def database(self) -> Store:
        """The managed database."""
        return self._database.store

    @property
    def cache(self) -> Store:
        """The managed cache."""
        return self._cache.store

    @property
    def certificate(self) -> str:
        """The cluster's secret with the certificate of the edge's public names."""
        return self._certificate

    @property
    def scraped(self) -> Sequence[Scraped]:
        """What Prometheus is to ask of the cloud."""
        return self._telemetry.scraped

    @property
    def outputs(self) -> dict[str, pulumi.Input[object]]:
        """How and from where the cluster is reached; and, where there is such, what only people can do.

        That is to have the parent zone name a new zone's servers, once, and to put the console's files into
        their bucket at each release.
        """
        found: dict[str, pulumi.Input[object] | None] = {
            "clusterAccess": self._cluster.endpoint_note,
            "kubeconfig": self._cluster.kubeconfig,
            "consoleBucket": self._front.console_bucket,
            "nameServers": self._front.name_servers,
        }
        return {name: value for name, value in found.items() if value is not None}

    def publish(self, service: str, placed: Placed) -> None:
        """Let clients reach the edge, a ``service`` that is ``placed``."""
        self._front.publish(service, self._target.namespace, placed.replicas)

    def _measure(self, registry: Registry, child: pulumi.ResourceOptions) -> telemetry.Telemetry:
        """Return what turns into metrics what only AWS and GPUs know."""
        args, cluster = self._args, self._cluster
        grant = cluster.grant(
            telemetry.CLOUD,
            namespace=telemetry.NAMESPACE,
            service_account=telemetry.CLOUD,
            policy=telemetry.policy(),
        )
        return telemetry.Telemetry(
            "telemetry",
            telemetry.TelemetryArgs(
                account=self._account,
                provider=cluster.provider,
                gpus=bool(args.settings.gpu_pools),
                networks=(str(addresses.SERVICES), str(args.aws.network.cidr)),
                image=registry.mirrored,
                after=[cluster, grant],
            ),
            child,
        )

    def _on_cluster(self, registry: Registry, child: pulumi.ResourceOptions) -> KubernetesTarget:
        """Return the target, with nodes to run on, images to run and the rights of the pods."""
        args, account, cluster, network = self._args, self._account, self._cluster, self._network
        settings, free = args.settings, args.settings.policy.allow_replace
        pools = GpuPools(
            "gpu-pools",
            GpuPoolsArgs(
                account,
                settings.gpu_pools,
                args.aws.zones,
                cluster.node_role_name,
                cluster.security_group_id,
                cluster.provider,
                free,
            ),
            child,
        )
        groups = NodeGroups(
            "node-groups",
            NodeGroupsArgs(
                account,
                settings.gpu_pools,
                cluster.name,
                args.aws.cluster.version,
                dict(zip(args.aws.zones, network.private_subnet_ids, strict=True)),
                free,
            ),
            child,
        )
        rights = {
            args.migrations: self._database.admin_policy,
            args.models: self._store.write_policy,
            **dict.fromkeys(args.workers, self._store.read_policy),
        }
        grants = [
            cluster.grant(
                service,
                namespace=settings.kubernetes.namespace,
                service_account=service,
                policy=policy,
            )
            for service, policy in rights.items()
        ]
        scales = capacity.scales(settings)
        keda = Keda("keda", KedaArgs(cluster.provider, [cluster]), child).made if scales else []
        return KubernetesTarget(
            "kubernetes",
            KubernetesTargetArgs(
                settings.kubernetes,
                args.stack,
                args.version,
                BuiltImages(
                    self,
                    args.version,
                    Push(registry.prefix, registry.username, registry.password),
                    after=[registry],
                ),
                cluster.provider,
                # The Service that stands for it, and its own addresses in the private subnets.
                api_server=Outside((str(addresses.SERVICES), str(args.aws.network.cidr)), 443),
                resolvers=[cluster.resolver],
                shared_volumes={"models": self._store.volume},
                spot_pools=frozenset(pool.name for pool in settings.gpu_pools if capacity.buys_spot(pool)),
                scaling=scaling_args(settings, args.prometheus, keda) if scales else None,
            ),
            after=[cluster, *pools.node_pools, *groups.node_pools, *grants],
            opts=child,
        )
