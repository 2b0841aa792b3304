"""Endpoints in the graph."""

from components.aws.account import Account
from components.aws.endpoints import Endpoints, EndpointsArgs
from tests.components.aws.conftest import of
from tests.components.conftest import Graph, record_of


def made(account: Account, *services: str) -> Graph:
    args = EndpointsArgs(account, services, "vpc-1", "10.80.0.0/16", ["subnet-1", "subnet-2"], ["rtb-1"])
    return record_of(lambda: Endpoints("endpoints", args))


def test_models_and_images_come_from_s3_without_the_internet(account: Account) -> None:
    s3 = of(made(account), "ec2/vpcEndpoint:VpcEndpoint")["s3"].inputs
    assert s3["vpcEndpointType"] == "Gateway"
    assert s3["serviceName"] == "com.amazonaws.eu-central-1.s3"
    assert s3["routeTableIds"] == ["rtb-1"]


def test_a_service_answers_in_every_zone_under_its_own_name(account: Account) -> None:
    endpoint = of(made(account, "ecr.api"), "ec2/vpcEndpoint:VpcEndpoint")["ecr.api"].inputs
    assert endpoint["vpcEndpointType"] == "Interface"
    assert endpoint["serviceName"] == "com.amazonaws.eu-central-1.ecr.api"
    assert endpoint["privateDnsEnabled"] is True
    assert endpoint["subnetIds"] == ["subnet-1", "subnet-2"]


def test_endpoints_take_https_from_the_vpc_and_nothing_else(account: Account) -> None:
    graph = made(account, "sts", "logs")
    (rule,) = of(graph, "vpc/securityGroupIngressRule:SecurityGroupIngressRule").values()
    assert rule.inputs["cidrIpv4"] == "10.80.0.0/16"
    assert (rule.inputs["fromPort"], rule.inputs["toPort"], rule.inputs["ipProtocol"]) == (443, 443, "tcp")
    for name in ("sts", "logs"):
        endpoint = of(graph, "ec2/vpcEndpoint:VpcEndpoint")[name]
        assert endpoint.inputs["securityGroupIds"] == [rule.inputs["securityGroupId"]]


def test_without_a_service_there_is_no_group_for_nothing(account: Account) -> None:
    assert of(made(account), "ec2/securityGroup:SecurityGroup") == {}
