"""What nodes that EKS does not make itself need: network, service addresses, names, credentials for pods.

Cost nothing beyond a few hundred MiB of such nodes. On those that EKS makes, the same is part of the system.
Deleted, pods on such nodes lose their network, names or credentials, new ones at once and old ones soon.
"""

import json
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import eks

from components.aws.account import Account
from components.aws.documents import assumed_by
from components.aws.role import Role, RoleArgs

SERVICE_ACCOUNT = "aws-node"
"""Whose pods give other pods their addresses."""


@dataclass(frozen=True)
class NodeAddonsArgs:
    """What the add-ons need."""

    account: Account
    cluster_name: pulumi.Input[str]


class NodeAddons(pulumi.ComponentResource):
    """Managed add-ons, in the versions that EKS takes for the cluster's."""

    def __init__(self, name: str, args: NodeAddonsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ollamamax:aws:NodeAddons", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        role = Role(
            "vpc-cni",
            RoleArgs(
                args.account,
                "Addresses of pods on nodes that EKS does not make",
                trust=assumed_by("pods.eks.amazonaws.com", tag_session=True),
                managed=["AmazonEKS_CNI_Policy"],
            ),
            child,
        )
        network = {
            "configuration_values": json.dumps({"enableNetworkPolicy": "true"}),
            "pod_identity_associations": [
                eks.AddonPodIdentityAssociationArgs(role_arn=role.arn, service_account=SERVICE_ACCOUNT)
            ],
        }
        extra: dict[str, dict[str, Any]] = {"vpc-cni": network}
        for addon in ("coredns", "eks-pod-identity-agent", "kube-proxy", "vpc-cni"):
            eks.Addon(
                addon,
                addon_name=addon,
                cluster_name=args.cluster_name,
                resolve_conflicts_on_create="OVERWRITE",
                resolve_conflicts_on_update="OVERWRITE",
                # What the role may do is not among the inputs.
                opts=pulumi.ResourceOptions(parent=self, depends_on=[role]),
                **extra.get(addon, {}),
            )
        self.register_outputs({})
