"""The VPC: subnets in every zone, and the ways out.

A NAT gateway costs $33 a month and $0.045 a GB in us-east-1, its address $3.65: three of them $110 a month.
VPC, subnets and routes are free.
Deleted: with the VPC or a subnet everything in it is gone, databases included, so both are protected. Without
a zone's NAT gateway its pods lose the internet: what is not mirrored cannot be pulled, and certificates are
not renewed.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import ec2

from components.aws.account import Account
from components.aws.endpoints import Endpoints, EndpointsArgs
from components.aws.flow_logs import FlowLogs, FlowLogsArgs
from components.aws.protection import protects
from stacks.addresses import cut
from stacks.aws import NetworkSettings

INTERNET = "0.0.0.0/0"


@dataclass(frozen=True)
class NetworkArgs:
    """What the network needs.

    Attributes:
        account: where it is.
        settings: its own.
        zones: availability zones.
        cluster_name: the cluster whose controllers look for the subnets by their tags.
        allow_replace: the names that the stack gives free.
    """

    account: Account
    settings: NetworkSettings
    zones: Sequence[str]
    cluster_name: str
    allow_replace: Collection[str] = ()


class Network(pulumi.ComponentResource):
    """A VPC with a public, a private and a data subnet in each zone.

    Public subnets hold load balancers and NAT gateways, private ones nodes and pods, data subnets the data
    stores: from these there is no way to the internet.
    """

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ollamamax:aws:Network", name, None, opts)
        self._args = args
        self._child = child = pulumi.ResourceOptions(parent=self)
        self._plan = cut(args.settings.cidr, len(args.zones))
        self._vpc = ec2.Vpc(
            "vpc",
            cidr_block=str(args.settings.cidr),
            enable_dns_support=True,
            enable_dns_hostnames=True,  # without it endpoints do not answer to the services' own names
            tags=self._named(),
            opts=pulumi.ResourceOptions(parent=self, protect=protects("vpc", args.allow_replace)),
        )
        # No rules: what forgets to name a security group can talk to nobody.
        ec2.DefaultSecurityGroup("default", vpc_id=self._vpc.id, tags=self._named("default"), opts=child)
        discovery = {"karpenter.sh/discovery": args.cluster_name}
        self._subnets = {
            "public": self._tier("public", self.public_cidrs, {"kubernetes.io/role/elb": "1"}),
            "private": self._tier(
                "private", self.private_cidrs, {"kubernetes.io/role/internal-elb": "1", **discovery}
            ),
            "data": self._tier("data", self.data_cidrs, {}),
        }
        private_tables = self._routes()
        Endpoints(
            "endpoints",
            EndpointsArgs(
                account=args.account,
                services=args.settings.interface_endpoints,
                vpc_id=self._vpc.id,
                vpc_cidr=str(args.settings.cidr),
                subnet_ids=self.private_subnet_ids,
                route_table_ids=[table.id for table in private_tables],
            ),
            child,
        )
        FlowLogs(
            "flow-logs",
            FlowLogsArgs(args.account, self._vpc.id, args.settings.flow_log_days, args.allow_replace),
            child,
        )
        self.register_outputs({"vpcId": self.vpc_id})

    @property
    def vpc_id(self) -> pulumi.Output[str]:
        """The VPC's id."""
        return self._vpc.id

    @property
    def public_subnet_ids(self) -> list[pulumi.Output[str]]:
        """Subnets of load balancers, in the order of the zones."""
        return self._ids("public")

    @property
    def private_subnet_ids(self) -> list[pulumi.Output[str]]:
        """Subnets of nodes and pods, in the order of the zones."""
        return self._ids("private")

    @property
    def data_subnet_ids(self) -> list[pulumi.Output[str]]:
        """Subnets of the data stores, in the order of the zones."""
        return self._ids("data")

    @property
    def public_cidrs(self) -> list[str]:
        """Addresses of the load balancers, in the order of the zones."""
        return [str(cidr) for cidr in self._plan.public]

    @property
    def private_cidrs(self) -> list[str]:
        """Addresses of nodes and pods, in the order of the zones."""
        return [str(cidr) for cidr in self._plan.private]

    @property
    def data_cidrs(self) -> list[str]:
        """Addresses of the data stores, in the order of the zones."""
        return [str(cidr) for cidr in self._plan.data]

    def _ids(self, tier: str) -> list[pulumi.Output[str]]:
        return [subnet.id for subnet in self._subnets[tier].values()]

    def _named(self, *words: str) -> dict[str, str]:
        """Return the tag that the console shows as a resource's name."""
        return {"Name": "-".join([self._args.account.prefix, *words])}

    def _tier(self, tier: str, cidrs: Sequence[str], tags: Mapping[str, str]) -> dict[str, ec2.Subnet]:
        """Make a tier's subnets and return them by zone."""
        made = {}
        for zone, cidr in zip(self._args.zones, cidrs, strict=True):
            name = f"{tier}-{zone}"
            made[zone] = ec2.Subnet(
                name,
                vpc_id=self._vpc.id,
                availability_zone=zone,
                cidr_block=cidr,
                map_public_ip_on_launch=False,
                tags={**self._named(name), **tags},
                opts=pulumi.ResourceOptions(parent=self, protect=protects(name, self._args.allow_replace)),
            )
        return made

    def _routes(self) -> list[ec2.RouteTable]:
        """Make the ways out and return the private route tables."""
        gateway = ec2.InternetGateway(
            "internet", vpc_id=self._vpc.id, tags=self._named("internet"), opts=self._child
        )
        zones = self._args.zones
        self._way_out("public", self._table("public", "public", zones), gateway_id=gateway.id)
        self._table("data", "data", zones)
        nats = {zone: self._nat(zone, gateway) for zone in self._nat_zones()}
        tables = []
        for zone in zones:
            table = self._table(f"private-{zone}", "private", [zone])
            self._way_out(f"private-{zone}", table, nat_gateway_id=nats.get(zone, nats[zones[0]]).id)
            tables.append(table)
        return tables

    def _nat_zones(self) -> Sequence[str]:
        return self._args.zones if self._args.settings.nat == "per-zone" else self._args.zones[:1]

    def _nat(self, zone: str, gateway: ec2.InternetGateway) -> ec2.NatGateway:
        name = f"nat-{zone}"
        address = ec2.Eip(name, domain="vpc", tags=self._named(name), opts=self._child)
        return ec2.NatGateway(
            name,
            allocation_id=address.allocation_id,
            subnet_id=self._subnets["public"][zone].id,
            tags=self._named(name),
            # It needs a VPC with a way to the internet, which none of its inputs says.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[gateway]),
        )

    def _table(self, name: str, tier: str, zones: Sequence[str]) -> ec2.RouteTable:
        """Make the route table of a tier's subnets in these zones."""
        table = ec2.RouteTable(name, vpc_id=self._vpc.id, tags=self._named(name), opts=self._child)
        for zone in zones:
            subnet = self._subnets[tier][zone]
            ec2.RouteTableAssociation(
                f"{tier}-{zone}", route_table_id=table.id, subnet_id=subnet.id, opts=self._child
            )
        return table

    def _way_out(self, name: str, table: ec2.RouteTable, **through: pulumi.Output[str]) -> None:
        ec2.Route(name, route_table_id=table.id, destination_cidr_block=INTERNET, opts=self._child, **through)
