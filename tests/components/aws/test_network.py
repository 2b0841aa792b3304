"""The VPC in the graph."""

from typing import Any

import pytest

from components.aws.account import Account
from components.aws.network import Network, NetworkArgs
from stacks.aws import NetworkSettings
from tests.components.aws.conftest import ZONES, of
from tests.components.conftest import Graph, record_of


@pytest.fixture
def account() -> Account:
    return Account("prod", "111122223333", "eu-central-1")


def made(account: Account, *, zones: list[str] = ZONES, free: tuple[str, ...] = (), **settings: Any) -> Graph:
    args = NetworkArgs(account, NetworkSettings(**settings), zones, "ollamamax-prod", free)
    return record_of(lambda: Network("network", args))


def routes(graph: Graph) -> dict[str, dict[str, Any]]:
    return {name: one.inputs for name, one in of(graph, "ec2/route:Route").items()}


def test_each_zone_has_a_subnet_of_each_kind(account: Account) -> None:
    subnets = of(made(account), "ec2/subnet:Subnet")
    assert sorted(subnets) == sorted(
        f"{tier}-{zone}" for tier in ("data", "private", "public") for zone in ZONES
    )
    for name, subnet in subnets.items():
        assert subnet.inputs["availabilityZone"] == name.partition("-")[2]


def test_the_clusters_controllers_find_their_subnets(account: Account) -> None:
    subnets = of(made(account), "ec2/subnet:Subnet")
    for zone in ZONES:
        assert subnets[f"public-{zone}"].inputs["tags"]["kubernetes.io/role/elb"] == "1"
        private = subnets[f"private-{zone}"].inputs["tags"]
        assert private["kubernetes.io/role/internal-elb"] == "1"
        assert private["karpenter.sh/discovery"] == "ollamamax-prod"
        assert subnets[f"data-{zone}"].inputs["tags"].keys() == {"Name"}


def test_nothing_gets_a_public_address_by_itself(account: Account) -> None:
    for subnet in of(made(account), "ec2/subnet:Subnet").values():
        assert subnet.inputs["mapPublicIpOnLaunch"] is False


def test_each_zone_leaves_through_its_own_nat_gateway(account: Account) -> None:
    graph = made(account)
    assert sorted(of(graph, "ec2/natGateway:NatGateway")) == [f"nat-{zone}" for zone in ZONES]
    for zone in ZONES:
        assert routes(graph)[f"private-{zone}"]["natGatewayId"] == f"nat-{zone}-id"


def test_a_single_nat_gateway_serves_every_zone(account: Account) -> None:
    graph = made(account, nat="single")
    assert sorted(of(graph, "ec2/natGateway:NatGateway")) == [f"nat-{ZONES[0]}"]
    for zone in ZONES:
        assert routes(graph)[f"private-{zone}"]["natGatewayId"] == f"nat-{ZONES[0]}-id"


def test_the_data_stores_have_no_way_to_the_internet(account: Account) -> None:
    graph = made(account)
    assert sorted(routes(graph)) == sorted(["public", *(f"private-{zone}" for zone in ZONES)])
    associations = of(graph, "ec2/routeTableAssociation:RouteTableAssociation")
    for zone in ZONES:
        assert associations[f"data-{zone}"].inputs["routeTableId"] == "data-id"


def test_who_names_no_security_group_can_talk_to_nobody(account: Account) -> None:
    (group,) = of(made(account), "ec2/defaultSecurityGroup:DefaultSecurityGroup").values()
    assert not {"ingress", "egress"} & group.inputs.keys()


def test_vpc_and_subnets_are_neither_deleted_nor_replaced_without_a_word(account: Account) -> None:
    graph = made(account, free=(f"data-{ZONES[0]}",))
    protected = {one.name for one in graph.values() if one.protect}
    wanted = {"vpc", "flow-logs-key", *of(graph, "ec2/subnet:Subnet")} - {f"data-{ZONES[0]}"}
    assert protected == wanted


def test_a_zone_more_moves_nothing(account: Account) -> None:
    before, after = made(account, zones=ZONES[:2]), made(account, zones=ZONES)
    for key, one in before.items():
        if not key.startswith("aws:ec2/vpcEndpoint:"):
            assert after[key].inputs == one.inputs


def test_the_private_subnets_reach_s3_without_a_nat_gateway(account: Account) -> None:
    s3 = of(made(account), "ec2/vpcEndpoint:VpcEndpoint")["s3"].inputs
    assert s3["routeTableIds"] == [f"private-{zone}-id" for zone in ZONES]
