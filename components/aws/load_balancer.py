"""The network load balancer before the edge: TCP and UDP 443 for clients, and a TCP port for a CDN alone.

Costs about 20 USD a month, 11 USD for its three addresses, and 10 USD for each 100 GB that it sends to the
internet. Deleted, nobody reaches the platform until a new one stands and the names point to it. It belongs to
the stack, and not to a controller in the cluster, so that nothing of it is left when the stack goes.

It keeps no access log: AWS writes one for TLS listeners only, and TLS ends in nginx, which logs every request
with its client's address; that arrives unchanged.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import ec2, lb, vpc
from pulumi_kubernetes import apiextensions, meta

from components.aws.account import Account
from components.aws.protection import protects

PORT = 443
CDN_PORT = 8443
"""One that CloudFront and Cloudflare both may connect to."""
EXPOSED = {"exposure": "edge"}
"""Tells the policies that this is meant to face the internet."""
HEALTH_INTERVAL_S = 10
HEALTH_COUNT = 2


@dataclass(frozen=True)
class Addresses:
    """Who may connect."""

    networks: tuple[str, ...] = ()
    """As CIDR."""
    prefix_lists: tuple[str, ...] = ()
    """Ids of lists of addresses that AWS keeps."""


@dataclass(frozen=True)
class LoadBalancerArgs:
    """What the load balancer needs."""

    account: Account
    cluster_name: pulumi.Input[str]
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    """The public subnets."""
    target_group_id: pulumi.Input[str]
    """Security group of the edge's pods: the cluster's."""
    target_port: int
    """Where the edge listens for clients, TCP and UDP."""
    cdn_target_port: int
    """Where it listens for the CDN."""
    clients: Addresses | None
    """Who reaches the platform without a CDN, with HTTP/3; None where everyone comes through it."""
    cdn: Addresses | None
    """Where the CDN connects from; None where there is none."""
    drain_s: int
    """How long a connection to an edge that leaves is let finish, seconds: one that comes late has its whole
    answer."""
    allow_replace: Collection[str] = ()
    """The names of protected resources that the stack gives free."""
    after: Sequence[pulumi.Resource] = ()
    """What must stand before it, and after it is gone: the network's way to the internet."""


@dataclass(frozen=True)
class Entrance:
    """A port of the load balancer, and the port of the edge behind it."""

    name: str
    protocol: str
    port: int
    target_port: int
    who: Addresses


class LoadBalancer(pulumi.ComponentResource):
    """A public network load balancer; the edge's pods join it by ``bind``."""

    def __init__(self, name: str, args: LoadBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ollamamax:aws:LoadBalancer", name, None, opts)
        self._args = args
        self._child = child = pulumi.ResourceOptions(parent=self)
        protected = protects(name, args.allow_replace)
        entrances = []
        if args.clients:
            entrances.append(Entrance(name, "TCP_UDP", PORT, args.target_port, args.clients))
        if args.cdn:
            entrances.append(Entrance(f"{name}-cdn", "TCP", CDN_PORT, args.cdn_target_port, args.cdn))
        self._balancer = lb.LoadBalancer(
            name,
            load_balancer_type="network",
            internal=False,
            ip_address_type="ipv4",
            subnets=args.subnet_ids,
            security_groups=[self._group(one) for one in entrances],
            enable_cross_zone_load_balancing=True,
            enable_deletion_protection=protected,
            tags={"Name": f"{args.account.prefix}-{name}", **EXPOSED},
            opts=pulumi.ResourceOptions(parent=self, protect=protected, depends_on=list(args.after)),
        )
        self._targets = {one: self._target_group(one) for one in entrances}
        self._listeners = [
            lb.Listener(
                one.name,
                load_balancer_arn=self._balancer.arn,
                protocol=one.protocol,
                port=one.port,
                default_actions=[lb.ListenerDefaultActionArgs(type="forward", target_group_arn=target.arn)],
                opts=child,
            )
            for one, target in self._targets.items()
        ]
        self.register_outputs({"dnsName": self.dns_name})

    @property
    def dns_name(self) -> pulumi.Output[str]:
        """Its own name."""
        return self._balancer.dns_name

    @property
    def zone_id(self) -> pulumi.Output[str]:
        """The zone of that name, for an alias record."""
        return self._balancer.zone_id

    def bind(
        self,
        service: str,
        namespace: pulumi.Input[str],
        provider: pulumi.ProviderResource,
        after: Sequence[pulumi.Resource] = (),
    ) -> list[pulumi.Resource]:
        """Let the pods of a Kubernetes service join, and return what does so.

        The cluster registers and deregisters them; it makes nothing in AWS that could be left behind.

        Args:
            service: name of the service; its ports have the numbers of the edge's.
            namespace: where it is.
            provider: the cluster's.
            after: what must be there first, the service among it.
        """
        return [
            apiextensions.CustomResource(
                entrance.name,
                api_version="eks.amazonaws.com/v1",
                kind="TargetGroupBinding",
                metadata=meta.v1.ObjectMetaArgs(name=entrance.name, namespace=namespace),
                spec={
                    "serviceRef": {"name": service, "port": entrance.target_port},
                    "targetGroupARN": target.arn,
                    "targetType": "ip",
                },
                # No data flows from a listener: only a group that has one is a load balancer's.
                opts=pulumi.ResourceOptions(
                    parent=self, provider=provider, depends_on=[*after, *self._listeners]
                ),
            )
            for entrance, target in self._targets.items()
        ]

    def _group(self, entrance: Entrance) -> pulumi.Output[str]:
        """Return the group that lets in who may come, and on to the edge's pods.

        Each entrance has its own: a list of AWS's counts as all of its addresses, which fill a group.
        """
        group = ec2.SecurityGroup(
            entrance.name, description="To the edge", vpc_id=self._args.vpc_id, opts=self._child
        )
        for protocol in entrance.protocol.lower().split("_"):
            for source in [*entrance.who.networks, *entrance.who.prefix_lists]:
                vpc.SecurityGroupIngressRule(
                    f"{entrance.name}-{protocol}-{source}",
                    security_group_id=group.id,
                    description="To the load balancer",
                    cidr_ipv4=source if source in entrance.who.networks else None,
                    prefix_list_id=source if source in entrance.who.prefix_lists else None,
                    ip_protocol=protocol,
                    from_port=entrance.port,
                    to_port=entrance.port,
                    tags=EXPOSED,
                    opts=self._child,
                )
            for rule, this, other in (
                (vpc.SecurityGroupEgressRule, group.id, self._args.target_group_id),
                (vpc.SecurityGroupIngressRule, self._args.target_group_id, group.id),
            ):
                rule(
                    f"{entrance.name}-to-pods-{protocol}",
                    security_group_id=this,
                    description="From the load balancer to the edge",
                    referenced_security_group_id=other,
                    ip_protocol=protocol,
                    from_port=entrance.target_port,
                    to_port=entrance.target_port,
                    opts=self._child,
                )
        return group.id

    def _target_group(self, entrance: Entrance) -> lb.TargetGroup:
        args = self._args
        return lb.TargetGroup(
            entrance.name,
            vpc_id=args.vpc_id,
            target_type="ip",
            protocol=entrance.protocol,
            port=entrance.target_port,
            preserve_client_ip="true",
            deregistration_delay=args.drain_s,
            # What is still open then would hang: nobody answers any more.
            connection_termination=True,
            # A QUIC client that changes its port stays with the edge that has its connection.
            stickiness=lb.TargetGroupStickinessArgs(type="source_ip", enabled="UDP" in entrance.protocol),
            # Of the edge alone: were a gateway's answer in it, one that is away would take every edge along.
            health_check=lb.TargetGroupHealthCheckArgs(
                protocol="TCP",
                port="traffic-port",
                interval=HEALTH_INTERVAL_S,
                healthy_threshold=HEALTH_COUNT,
                unhealthy_threshold=HEALTH_COUNT,
            ),
            # Lets the controllers of EKS Auto Mode register pods.
            tags={"eks:eks-cluster-name": args.cluster_name},
            opts=self._child,
        )
