"""The cloud: the managed parts on AWS that a platform stands on, wired together here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import naming
from components.aws.account import Account
from components.aws.addons import Addons, AddonsArgs
from components.aws.budget import Budget, BudgetArgs
from components.aws.cluster import Cluster, ClusterArgs
from components.aws.database import Database, DatabaseArgs
from components.aws.gpu_pools import GpuPools, GpuPoolsArgs
from components.aws.load_balancer import Addresses, LoadBalancer, LoadBalancerArgs
from components.aws.model_store import ModelStore, ModelStoreArgs
from components.aws.network import Network, NetworkArgs
from components.aws.registry import Registry, RegistryArgs
from components.aws.valkey import Valkey, ValkeyArgs
from components.images import BuiltImages
from components.images import Registry as ImageRegistry
from components.kubernetes_target import KubernetesTarget, KubernetesTargetArgs
from components.service import Placed, Store
from stacks.settings import Settings


@dataclass(frozen=True)
class CloudArgs:
    """What the cloud needs.

    Attributes:
        settings: all of the stack's; those of ``aws`` must be there.
        stack: the stack's name.
        version: the platform's, stamped on images and objects.
        database_password: of the platform's own role.
        cache_password: of Valkey.
        images: names of the images that are built here.
        migrations, models: the services, by name, that set the database up and fill the model store.
        workers: the services, by name, that read the model store.
    """

    settings: Settings
    stack: str
    version: str
    database_password: pulumi.Input[str]
    cache_password: pulumi.Input[str]
    images: Sequence[str]
    migrations: str
    models: str
    workers: Sequence[str]
    edge: str
    edge_port: int


class Cloud(pulumi.ComponentResource):
    """Network, cluster and data stores of one stack, and the target that places services on the cluster."""

    def __init__(self, name: str, args: CloudArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        settings = args.settings.aws
        if settings is None:
            raise ValueError("target aws without its settings")  # the budgets have refused it
        self._account = account = Account(args.stack, settings.account_id, settings.region)
        self._args = args
        provider = aws.Provider(
            "aws",
            region=settings.region,
            allowed_account_ids=[settings.account_id],
            default_tags=aws.ProviderDefaultTagsArgs(tags=account.tags),
            opts=opts,
        )
        child_of = pulumi.ResourceOptions(providers=[provider])
        super().__init__("ollamamax:index:Cloud", name, None, pulumi.ResourceOptions.merge(opts, child_of))
        child = pulumi.ResourceOptions(parent=self)
        allow_replace = args.settings.policy.allow_replace
        network = Network(
            "network",
            NetworkArgs(
                account, settings.network, settings.zones, cluster_name=account.prefix, allow_replace=allow_replace
            ),
            child,
        )
