"""The EKS cluster, in Auto Mode: nodes, load balancing, disks, DNS and GPU plug-ins are AWS's to run.

Costs $73 a month ($0.10 an hour) within standard support of its Kubernetes version, and for each node that
Karpenter makes about 12 % of its on-demand price on top; logs $0.50 a GB; its key $1.
Deleted, all that runs on it is gone, and the volumes of its claims with it; databases, models and images
outlive it. So it is protected twice: here, and by EKS itself.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes
from pulumi_aws import cloudwatch, eks

from components.aws.account import Account
from components.aws.addons import Addons, AddonsArgs
from components.aws.cluster_roles import ClusterRoles, ClusterRolesArgs
from components.aws.documents import assumed_by
from components.aws.key import Key, KeyArgs
from components.aws.kubeconfig import kubeconfig
from components.aws.protection import protects
from components.aws.role import Role, RoleArgs
from stacks.addresses import SERVICES
from stacks.aws import CiSettings, ClusterSettings

LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")


@dataclass(frozen=True)
class ClusterArgs:
    """What the cluster needs.

    Attributes:
        account: where it is.
        settings: its own.
        subnet_ids: subnets of nodes and pods.
        after: what must stand before its nodes start, and after they are gone: the ways out of the subnets.
        allow_replace: the names that the stack gives free.
        ci: who deploys the stack from GitHub Actions; None is nobody.
    """

    account: Account
    settings: ClusterSettings
    subnet_ids: Sequence[pulumi.Input[str]]
    after: Sequence[pulumi.Resource] = ()
    allow_replace: Collection[str] = ()
    ci: CiSettings | None = None


class Cluster(pulumi.ComponentResource):
    """The control plane, its roles, logs and administrators, and a provider for what runs on it."""

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ollamamax:aws:Cluster", name, None, opts)
        self._args = args
        self._child = child = pulumi.ResourceOptions(parent=self)
        account, settings = args.account, args.settings
        protected = protects(name, args.allow_replace)
        # EKS would make the group itself, unencrypted and kept for ever.
        group_name = f"/aws/eks/{account.prefix}/cluster"
        key = Key(
            name,
            KeyArgs(account, "Secrets and logs of the cluster", [group_name], args.allow_replace),
            child,
        )
        logs = cloudwatch.LogGroup(
            name, name=group_name, retention_in_days=settings.log_days, kms_key_id=key.arn, opts=child
        )
        self._roles = roles = ClusterRoles("roles", ClusterRolesArgs(account), child)
        self._cluster = eks.Cluster(
            name,
            name=account.prefix,
            version=settings.version,
            role_arn=roles.cluster.arn,
            bootstrap_self_managed_addons=False,
            compute_config=eks.ClusterComputeConfigArgs(
                enabled=True, node_pools=["general-purpose", "system"], node_role_arn=roles.node.arn
            ),
            kubernetes_network_config=eks.ClusterKubernetesNetworkConfigArgs(
                service_ipv4_cidr=str(SERVICES),
                elastic_load_balancing=eks.ClusterKubernetesNetworkConfigElasticLoadBalancingArgs(
                    enabled=True
                ),
            ),
            storage_config=eks.ClusterStorageConfigArgs(
                block_storage=eks.ClusterStorageConfigBlockStorageArgs(enabled=True)
            ),
            vpc_config=eks.ClusterVpcConfigArgs(
                subnet_ids=list(args.subnet_ids),
                endpoint_private_access=True,
                endpoint_public_access=bool(settings.public_access),
                public_access_cidrs=sorted(map(str, settings.public_access)) or None,
            ),
            access_config=eks.ClusterAccessConfigArgs(
                authentication_mode="API",
                # Who administers it is listed, and does not depend on who happened to make it.
                bootstrap_cluster_creator_admin_permissions=False,
            ),
            encryption_config=eks.ClusterEncryptionConfigArgs(
                provider=eks.ClusterEncryptionConfigProviderArgs(key_arn=key.arn), resources=["secrets"]
            ),
            enabled_cluster_log_types=list(LOG_TYPES),
            # Extended support costs six times as much: at the end of the standard one, AWS upgrades instead.
            upgrade_policy=eks.ClusterUpgradePolicyArgs(support_type="STANDARD"),
            zonal_shift_config=eks.ClusterZonalShiftConfigArgs(enabled=True),
            deletion_protection=protected,
            # The roles' policies, the log group and the ways out are used, but are not among the inputs.
            opts=pulumi.ResourceOptions(
                parent=self, protect=protected, depends_on=[roles, logs, *args.after]
            ),
        )
        admitted = [self._admit(role, policy) for role, policy in self._people().items()]
        self._provider = pulumi_kubernetes.Provider(
            name,
            kubeconfig=self.kubeconfig,
            enable_server_side_apply=True,
            enable_patch_force=True,
            # Who runs this program is nobody to the cluster before, and none of it is in the kubeconfig.
            opts=pulumi.ResourceOptions(parent=self, depends_on=admitted),
        )
        Addons("addons", AddonsArgs(account, settings.addons, self.name, self._provider), child)
        self.register_outputs({"name": self.name})

    @property
    def name(self) -> pulumi.Output[str]:
        """The cluster's name; what uses it comes after the cluster."""
        return self._cluster.name

    @property
    def security_group_id(self) -> pulumi.Output[str]:
        """The group of the control plane and of all nodes and pods."""
        return self._cluster.vpc_config.cluster_security_group_id

    @property
    def node_role_name(self) -> pulumi.Output[str]:
        """The role of the nodes that EKS makes."""
        return self._roles.node.name

    @property
    def resolver(self) -> str:
        """The cluster's DNS server, as CIDR: in Auto Mode it is no pod, but runs on each node."""
        return f"{SERVICES[10]}/32"

    @property
    def provider(self) -> pulumi_kubernetes.Provider:
        """What makes Kubernetes objects in the cluster."""
        return self._provider

    @property
    def kubeconfig(self) -> pulumi.Output[str]:
        """A kubeconfig without secrets: the AWS CLI gets a token for whoever uses it."""
        account, cluster = self._args.account, self._cluster
        config = kubeconfig(
            account.prefix, account.region, cluster.endpoint, cluster.certificate_authority.data
        )
        return pulumi.Output.json_dumps(config)

    @property
    def endpoint_note(self) -> str:
        """From where the cluster can be reached, and so where ``up`` has to run; for the preview."""
        addresses = sorted(map(str, self._args.settings.public_access))
        if addresses:
            return f"The cluster's API answers inside the VPC and to {', '.join(addresses)}."
        return (
            "The cluster's API answers inside the VPC only: up has to run there, "
            "or aws.cluster.publicAccess has to list the address that it runs from."
        )

    def grant(
        self, name: str, *, namespace: str, service_account: str, policy: pulumi.Input[str]
    ) -> eks.PodIdentityAssociation:
        """Let the pods of a service account do what ``policy`` says, through the role ``PREFIX-NAME``.

        Pods get the credentials when they start: they have to come after what is returned.
        """
        account = self._args.account
        trust = assumed_by(
            "pods.eks.amazonaws.com",
            tag_session=True,
            condition={
                "StringEquals": {
                    "aws:SourceAccount": account.id,
                    "aws:RequestTag/eks-cluster-arn": account.arn("eks", f"cluster/{account.prefix}"),
                    "aws:RequestTag/kubernetes-namespace": namespace,
                    "aws:RequestTag/kubernetes-service-account": service_account,
                }
            },
        )
        role = Role(
            name,
            RoleArgs(account, f"Pods of {namespace}/{service_account}", trust, policy=policy),
            self._child,
        )
        return eks.PodIdentityAssociation(
            name,
            cluster_name=self.name,
            namespace=namespace,
            service_account=service_account,
            role_arn=role.arn,
            # What the role may do is not among its inputs.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[role]),
        )

    def _people(self) -> dict[str, str]:
        """Return whom the cluster knows: roles, and the access policy that each has."""
        account = self._args.account
        people = dict.fromkeys(sorted(self._args.settings.admin_roles), "AmazonEKSClusterAdminPolicy")
        if self._args.ci:
            people[account.global_arn("iam", f"role/{account.ci_role('deploy')}")] = (
                "AmazonEKSClusterAdminPolicy"
            )
            people[account.global_arn("iam", f"role/{account.ci_role('preview')}")] = (
                "AmazonEKSAdminViewPolicy"
            )
        return people

    def _admit(self, arn: str, policy: str) -> pulumi.Resource:
        owner, _, role = arn.split(":", 4)[4].partition(":role/")
        name = f"{owner}-{role}"
        entry = eks.AccessEntry(
            name, cluster_name=self.name, principal_arn=arn, type="STANDARD", opts=self._child
        )
        return eks.AccessPolicyAssociation(
            name,
            cluster_name=self.name,
            principal_arn=entry.principal_arn,
            policy_arn=f"arn:{self._args.account.partition}:eks::aws:cluster-access-policy/{policy}",
            access_scope=eks.AccessPolicyAssociationAccessScopeArgs(type="cluster"),
            opts=self._child,
        )
