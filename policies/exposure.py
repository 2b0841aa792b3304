"""Public exposure: what the internet may reach."""

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

from policies.pods import WORKLOADS, containers, pod_spec
from policies.rule import Resource, rule
from policies.values import UNKNOWN, dig, items, may_be

EDGE = {"exposure": "edge"}
"""The explicit mark: the tag of what is meant to be reached from the internet."""
EXPOSURE = "ollamamax.io/exposure"
"""The same mark on a Kubernetes Service, an annotation."""
SECURITY_GROUP = "aws:ec2/securityGroup:SecurityGroup"
SECURITY_GROUP_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
INGRESS_RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EDGE_PORTS = {("tcp", 443), ("udp", 443), ("tcp", 80)}
WIDEST_V4, WIDEST_V6 = 8, 16
"""Prefix lengths below which a network is a good part of the internet, however it is written."""


def is_edge(found: Resource) -> bool:
    """Tell whether a resource is marked as the edge's."""
    tags = dig(found.props, "tags")
    return all(may_be(dig(tags, key), value) for key, value in EDGE.items())


def open_networks(*lists: Any) -> Iterator[str]:  # noqa: ANN401
    """Yield the networks that let in the internet, or a good part of it."""
    for cidr in (one for found in lists for one in items(found)):
        network = ip_network(str(cidr), strict=False)
        if network.prefixlen < (WIDEST_V4 if network.version == 4 else WIDEST_V6):
            yield str(cidr)


@rule(
    "open-security-group",
    why="An open port is found and tried within minutes.",
    remedy="Name the address ranges or the security group that need it. For the edge's 443 (TCP, UDP) and "
    "80, set the tag exposure=edge on the group or the ingress rule.",
    on=(SECURITY_GROUP, SECURITY_GROUP_RULE, INGRESS_RULE),
)
def open_security_group(found: Resource) -> Iterator[str]:
    """Only what is marked as the edge lets the internet in, on 443 and 80."""
    props = found.props
    if found.type == SECURITY_GROUP:
        rules = items(props.get("ingress"))
    elif found.type == SECURITY_GROUP_RULE:
        rules = [props] if props.get("type") == "ingress" else []
    else:
        networks = {"cidrBlocks": props.get("cidrIpv4"), "ipv6CidrBlocks": props.get("cidrIpv6")}
        rules = [props | networks | {"protocol": props.get("ipProtocol")}]
    for one in rules:
        first, last, protocol = (dig(one, key) for key in ("fromPort", "toPort", "protocol"))
        known = UNKNOWN not in (first, last, protocol)
        edge = is_edge(found) and not (known and (first != last or (protocol, first) not in EDGE_PORTS))
        for network in open_networks(dig(one, "cidrBlocks"), dig(one, "ipv6CidrBlocks")):
            if not edge:
                yield f"protocol {protocol}, ports {first} to {last} are open to {network}"


@rule(
    "open-cluster-endpoint",
    why="Whoever reaches the API server can try every token and every flaw of it.",
    remedy="Set vpcConfig.endpointPublicAccess to false, or list addresses in vpcConfig.publicAccessCidrs.",
    on=("aws:eks/cluster:Cluster",),
)
def open_cluster_endpoint(found: Resource) -> Iterator[str]:
    """The API server of a cluster is private, or public for listed addresses only."""
    vpc = found.props.get("vpcConfig")
    if dig(vpc, "endpointPublicAccess") in (None, True):
        listed = dig(vpc, "publicAccessCidrs")
        if not listed:
            yield "its endpoint is public, and vpcConfig.publicAccessCidrs lists no address"
        for network in open_networks(listed):
            yield f"its endpoint is open to {network}"


@rule(
    "public-database",
    why="A database with a public address is one password away from the internet.",
    remedy="Set publiclyAccessible to false and reach it from inside the VPC.",
    on=("aws:rds/instance:Instance", "aws:rds/clusterInstance:ClusterInstance", "aws:rds/cluster:Cluster"),
)
def public_database(found: Resource) -> Iterator[str]:
    """No database has a public address."""
    if found.props.get("publiclyAccessible") is True:
        yield "publiclyAccessible is true"


@rule(
    "cache-placement",
    why="Without subnets and security groups of its own, a cache lands in the default VPC, whose subnets "
    "are public.",
    remedy="Set subnetGroupName (subnetIds where it is serverless) and securityGroupIds.",
    on=(
        "aws:elasticache/replicationGroup:ReplicationGroup",
        "aws:elasticache/cluster:Cluster",
        "aws:elasticache/serverlessCache:ServerlessCache",
    ),
)
def cache_placement(found: Resource) -> Iterator[str]:
    """A cache stands in named subnets, behind named security groups."""
    if not (found.props.get("subnetGroupName") or found.props.get("subnetIds")):
        yield "it names no subnets"
    if not found.props.get("securityGroupIds"):
        yield "it names no security groups"


@rule(
    "public-load-balancer",
    why="Every load balancer with public addresses is a door that somebody has to watch.",
    remedy="Set internal to true; the edge's own load balancer carries the tag exposure=edge.",
    on=(
        "aws:lb/loadBalancer:LoadBalancer",
        "aws:alb/loadBalancer:LoadBalancer",
        "aws:elb/loadBalancer:LoadBalancer",
    ),
)
def public_load_balancer(found: Resource) -> Iterator[str]:
    """Only the edge's load balancer faces the internet."""
    if found.props.get("internal") in (None, False) and not is_edge(found):
        yield "it faces the internet and is not marked as the edge's"


@rule(
    "public-instance",
    why="A node with a public address bypasses the edge, its limits and its logs.",
    remedy="Leave out associatePublicIpAddress and place it in a private subnet.",
    on=("aws:ec2/instance:Instance", "aws:ec2/launchTemplate:LaunchTemplate"),
)
def public_instance(found: Resource) -> Iterator[str]:
    """No machine has a public address."""
    interfaces = [dig(one, "associatePublicIpAddress") for one in items(found.props.get("networkInterfaces"))]
    for public in (found.props.get("associatePublicIpAddress"), *interfaces):
        if public in (True, "true"):
            yield "associatePublicIpAddress is true"


@rule(
    "public-service",
    why="A LoadBalancer or NodePort Service opens a way into the cluster beside the edge.",
    remedy="Use a ClusterIP Service. Where the edge's own Service is the way in, its annotation "
    f"{EXPOSURE} is edge.",
    on=("kubernetes:core/v1:Service",),
)
def public_service(found: Resource) -> Iterator[str]:
    """Only the edge's Kubernetes Service opens a port outside the cluster."""
    edge = may_be(dig(found.props, "metadata", "annotations", EXPOSURE), "edge")
    if (kind := dig(found.props, "spec", "type")) in ("LoadBalancer", "NodePort") and not edge:
        yield f"spec.type is {kind}"
    if items(dig(found.props, "spec", "externalIPs")):
        yield "spec.externalIPs is set"


@rule(
    "host-access",
    why="What shares its node's network, processes or files can reach every other pod's.",
    remedy="Leave out hostNetwork, hostPID, hostIPC and hostPort; use a PersistentVolumeClaim or CSI "
    "volume instead of hostPath.",
    on=WORKLOADS,
)
def host_access(found: Resource) -> Iterator[str]:
    """No pod uses its node's network, processes, ports or files."""
    spec = pod_spec(found)
    for switch in ("hostNetwork", "hostPID", "hostIPC"):
        if dig(spec, switch) is True:
            yield f"{switch} is true"
    for volume in items(dig(spec, "volumes")):
        if dig(volume, "hostPath"):
            yield f"volume {dig(volume, 'name')} is a hostPath"
    for container in containers(found):
        for port in items(container.get("ports")):
            if dig(port, "hostPort"):
                yield f"container {container.get('name')} takes hostPort {port['hostPort']}"
