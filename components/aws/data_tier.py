"""Where the data stores stand: subnets without a way to the internet, which their clients alone reach.

Costs nothing. Deleted, nothing reaches the store whose security group it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import ec2, vpc

from components.service import Outside


@dataclass(frozen=True)
class DataTier:
    """The data subnets, and who may connect to what stands in them."""

    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    cidrs: Sequence[str]
    """Addresses of the subnets."""
    client_group_id: pulumi.Input[str]
    """Security group of those that may connect: the cluster's."""

    def admit(self, name: str, port: int, what: str, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
        """Return the security group by which clients alone reach a store; people read ``what``."""
        group = ec2.SecurityGroup(name, description=what, vpc_id=self.vpc_id, opts=opts)
        vpc.SecurityGroupIngressRule(
            name,
            security_group_id=group.id,
            description=f"{what} from the cluster",
            referenced_security_group_id=self.client_group_id,
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            opts=opts,
        )
        return group.id

    def outside(self, port: int) -> Outside:
        """Return a store as pods see it, whose network policies know addresses alone."""
        return Outside(tuple(self.cidrs), port)
