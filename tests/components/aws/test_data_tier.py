"""Where the data stores stand, and who may come."""

import pulumi

from components.service import Outside
from tests.components.aws.conftest import TIER, of
from tests.components.conftest import record_of


def test_a_store_is_reached_by_its_clients_at_its_port_alone() -> None:
    graph = record_of(lambda: TIER.admit("store", 5432, "PostgreSQL", pulumi.ResourceOptions()))
    (group,) = of(graph, "ec2/securityGroup:SecurityGroup").values()
    assert group.inputs["vpcId"] == "vpc-1"
    assert not group.inputs.keys() & {"ingress", "egress"}
    (rule,) = of(graph, "vpc/securityGroupIngressRule:SecurityGroupIngressRule").values()
    assert rule.inputs["securityGroupId"] == "store-id"
    assert rule.inputs["referencedSecurityGroupId"] == "sg-cluster"
    assert (rule.inputs["ipProtocol"], rule.inputs["fromPort"], rule.inputs["toPort"]) == ("tcp", 5432, 5432)
    assert not rule.inputs.keys() & {"cidrIpv4", "cidrIpv6"}


def test_pods_reach_it_in_every_zone() -> None:
    assert TIER.outside(5432) == Outside(("10.80.250.0/24", "10.80.251.0/24"), 5432)
