"""Ways to AWS's services that do not leave the VPC.

An interface endpoint costs $7.30 a month and zone, and $0.01 a GB, in us-east-1: the default seven in three
zones $153 a month. The gateway endpoint of S3 is free and spares the NAT gateways' charge for every image
layer and model that is read.
Deleted, calls to these services go through the NAT gateways; without these too, nodes can neither pull images
nor get credentials, and pods that restart stay down.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import ec2, vpc

from components.aws.account import Account

HTTPS = 443


@dataclass(frozen=True)
class EndpointsArgs:
    """What the endpoints need.

    Attributes:
        account: where they are.
        services: names of the services that get an interface endpoint, such as ``ecr.api``.
        vpc_id: the VPC.
        vpc_cidr: its addresses, all of which may call.
        subnet_ids: one subnet a zone.
        route_table_ids: tables that lead to S3's gateway endpoint.
    """

    account: Account
    services: Sequence[str]
    vpc_id: pulumi.Input[str]
    vpc_cidr: str
    subnet_ids: Sequence[pulumi.Input[str]]
    route_table_ids: Sequence[pulumi.Input[str]]


class Endpoints(pulumi.ComponentResource):
    """S3's gateway endpoint, and an interface endpoint for each service."""

    def __init__(self, name: str, args: EndpointsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ollamamax:aws:Endpoints", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        prefix = args.account.prefix
        ec2.VpcEndpoint(
            "s3",
            vpc_id=args.vpc_id,
            service_name=self._service(args, "s3"),
            vpc_endpoint_type="Gateway",
            route_table_ids=list(args.route_table_ids),
            tags={"Name": f"{prefix}-s3"},
            opts=child,
        )
        if args.services:
            self._interfaces(name, args, child)
        self.register_outputs({})

    def _interfaces(self, name: str, args: EndpointsArgs, child: pulumi.ResourceOptions) -> None:
        """Make an endpoint for each service, and the group by which the VPC reaches them."""
        prefix = args.account.prefix
        group = ec2.SecurityGroup(
            name,
            name=f"{prefix}-{name}",
            description="HTTPS from the VPC to its endpoints",
            vpc_id=args.vpc_id,
            tags={"Name": f"{prefix}-{name}"},
            opts=child,
        )
        vpc.SecurityGroupIngressRule(
            name,
            security_group_id=group.id,
            description="HTTPS from the VPC",
            cidr_ipv4=args.vpc_cidr,
            ip_protocol="tcp",
            from_port=HTTPS,
            to_port=HTTPS,
            opts=child,
        )
        for service in sorted(args.services):
            ec2.VpcEndpoint(
                service,
                vpc_id=args.vpc_id,
                service_name=self._service(args, service),
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=list(args.subnet_ids),
                security_group_ids=[group.id],
                tags={"Name": f"{prefix}-{service}"},
                opts=child,
            )

    @staticmethod
    def _service(args: EndpointsArgs, service: str) -> str:
        return f"com.amazonaws.{args.account.region}.{service}"
