"""The roles of the EKS cluster: what EKS does on the stack's behalf, and what a node may do.

Cost nothing. Deleted, EKS can neither make nor remove nodes, disks and load balancers, and nodes cannot pull.
"""

from dataclasses import dataclass

import pulumi

from components.aws.account import Account
from components.aws.documents import allow, assumed_by, document
from components.aws.role import Role, RoleArgs

CLUSTER_POLICIES = (
    "AmazonEKSBlockStoragePolicy",
    "AmazonEKSClusterPolicy",
    "AmazonEKSComputePolicy",
    "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingPolicy",
)
"""One for each thing that Auto Mode does."""
NODE_POLICIES = ("AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodeMinimalPolicy")
"""All that a node in Auto Mode has to do itself: join the cluster, pull images."""


@dataclass(frozen=True)
class ClusterRolesArgs:
    """What the roles need."""

    account: Account


class ClusterRoles(pulumi.ComponentResource):
    """The cluster's role and the nodes'."""

    def __init__(self, name: str, args: ClusterRolesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ollamamax:aws:ClusterRoles", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        account = args.account
        self._cluster = Role(
            "cluster",
            RoleArgs(
                account,
                "What EKS does for the cluster",
                trust=assumed_by("eks.amazonaws.com", tag_session=True),
                managed=CLUSTER_POLICIES,
                policy=_tagging(),
            ),
            child,
        )
        self._node = Role(
            "node",
            RoleArgs(
                account,
                "Nodes that EKS makes",
                trust=assumed_by("ec2.amazonaws.com"),
                managed=NODE_POLICIES,
                # The first pull of an image through the registry's cache makes its repository.
                policy=document(
                    allow(["ecr:CreateRepository"], [account.arn("ecr", f"repository/{account.prefix}/*")])
                ),
            ),
            child,
        )
        self.register_outputs({})

    @property
    def cluster(self) -> Role:
        """What EKS does for the cluster."""
        return self._cluster

    @property
    def node(self) -> Role:
        """Nodes that EKS makes."""
        return self._node


def _tagging() -> pulumi.Output[str]:
    """Return what AWS's own policies leave out: to tag nodes, their network interfaces and volumes."""
    cluster = {"aws:RequestTag/eks:eks-cluster-name": "${aws:PrincipalTag/eks:eks-cluster-name}"}
    node = {f"aws:RequestTag/eks:kubernetes-node-{part}-name": "*" for part in ("class", "pool")}
    interface = {"aws:RequestTag/eks:kubernetes-cni-node-name": "*"}
    return document(
        allow(
            ["ec2:CreateFleet", "ec2:CreateLaunchTemplate", "ec2:RunInstances"],
            ["*"],
            {"StringEquals": cluster, "StringLike": node},
        ),
        allow(["ec2:CreateNetworkInterface"], ["*"], {"StringEquals": cluster, "StringLike": interface}),
        allow(["ec2:CreateVolume"], ["*"], {"StringEquals": cluster}),
    )
