"""Managed node groups in the graph."""

import base64
import tomllib
from typing import Any

import pytest

from components.aws.account import Account
from components.aws.node_groups import NodeGroups, NodeGroupsArgs, boot_settings
from stacks.kubernetes import GpuPoolSettings, SharingSettings
from tests.components.aws.conftest import ZONES, of
from tests.components.conftest import Graph, Registered, record_of

RESERVATION = "cr-0123456789abcdef0"


def pool(**settings: Any) -> GpuPoolSettings:
    given = {
        "name": "chat",
        "models": ("llama2:7b",),
        "instance_types": ("g6.xlarge", "g5.xlarge"),
        "management": "node-group",
        "capacity": "on-demand",
        "max_nodes": 2,
        **settings,
    }
    return GpuPoolSettings(**given)


def made(account: Account, *pools: GpuPoolSettings, free: tuple[str, ...] = ()) -> Graph:
    subnets = {zone: f"subnet-{zone}" for zone in ZONES}
    args = NodeGroupsArgs(account, pools, "ollamamax-prod", "1.34", subnets, free)
    return record_of(lambda: NodeGroups("groups", args))


def group(graph: Graph) -> Registered:
    return of(graph, "eks/nodeGroup:NodeGroup")["pool-chat"]


def template(graph: Graph) -> dict[str, Any]:
    return of(graph, "ec2/launchTemplate:LaunchTemplate")["pool-chat"].inputs


def test_a_group_has_its_nodes_always_in_every_zone(account: Account) -> None:
    inputs = group(made(account, pool())).inputs
    assert inputs["scalingConfig"] == {"minSize": 2, "desiredSize": 2, "maxSize": 2}
    assert inputs["subnetIds"] == [f"subnet-{zone}" for zone in ZONES]
    assert inputs["instanceTypes"] == ["g5.xlarge", "g6.xlarge"]


def test_only_the_pools_own_workers_run_on_its_nodes(account: Account) -> None:
    inputs = group(made(account, pool())).inputs
    assert inputs["labels"] == {"ollamamax.io/pool": "chat"}
    assert inputs["taints"] == [{"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}]


@pytest.mark.parametrize(("capacity", "kind"), [("spot", "SPOT"), ("on-demand", "ON_DEMAND")])
def test_nodes_are_bought_as_the_pool_says(account: Account, capacity: str, kind: str) -> None:
    graph = made(account, pool(capacity=capacity))
    assert group(graph).inputs["capacityType"] == kind
    assert not {"instanceType", "instanceMarketOptions"} & template(graph).keys()


def test_a_capacity_block_is_used_in_its_zone(account: Account) -> None:
    settings = {"instance_types": ("p5.48xlarge",), "reservations": (RESERVATION,), "zones": (ZONES[1],)}
    graph = made(account, pool(capacity="reserved", **settings))
    assert group(graph).inputs["capacityType"] == "CAPACITY_BLOCK"
    assert group(graph).inputs["subnetIds"] == [f"subnet-{ZONES[1]}"]
    assert "instanceTypes" not in group(graph).inputs
    assert template(graph)["instanceType"] == "p5.48xlarge"
    assert template(graph)["instanceMarketOptions"] == {"marketType": "capacity-block"}
    target = template(graph)["capacityReservationSpecification"]["capacityReservationTarget"]
    assert target == {"capacityReservationId": RESERVATION}


def test_disks_are_encrypted_and_hold_images_and_models(account: Account) -> None:
    system, data = template(made(account, pool(disk_gib=200)))["blockDeviceMappings"]
    assert system["ebs"]["encrypted"] == data["ebs"]["encrypted"] == "true"
    assert data["deviceName"] == "/dev/xvdb"
    assert data["ebs"]["volumeSize"] == 200


def test_a_pod_gets_no_credentials_of_its_node(account: Account) -> None:
    options = template(made(account, pool()))["metadataOptions"]
    assert options["httpTokens"] == "required"
    assert options["httpPutResponseHopLimit"] == 1


def test_what_a_node_costs_counts_as_the_stacks(account: Account) -> None:
    for specification in template(made(account, pool()))["tagSpecifications"]:
        assert account.tags.items() <= specification["tags"].items()


def test_a_group_is_neither_deleted_nor_replaced_without_a_word(account: Account) -> None:
    assert group(made(account, pool())).protect
    assert not group(made(account, pool(), free=("pool-chat",))).protect


def test_nodes_find_what_they_need_to_become_ready(account: Account) -> None:
    graph = made(account, pool())
    for addon in of(graph, "eks/addon:Addon").values():
        assert addon.key in group(graph).depends_on
    attached = of(graph, "iam/rolePolicyAttachment:RolePolicyAttachment")
    for policy in ("AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodePolicy"):
        assert attached[f"node-group-{policy}"].key in group(graph).depends_on


def test_a_few_nodes_at_a_time_are_replaced(account: Account) -> None:
    assert group(made(account, pool())).inputs["updateConfig"] == {"maxUnavailablePercentage": 10}


def test_a_gpu_is_cut_when_its_node_starts() -> None:
    sharing = SharingSettings(mode="mig", slices=7)
    settings = tomllib.loads(boot_settings(pool(instance_types=("p4d.24xlarge",), sharing=sharing)))
    plugin = settings["settings"]["kubelet-device-plugins"]["nvidia"]
    assert plugin["device-partitioning-strategy"] == "mig"
    assert plugin["mig"]["profile"] == {"a100.40gb": "7"}


def test_a_gpu_is_shared_under_the_name_of_a_whole_one(account: Account) -> None:
    sharing = SharingSettings(mode="time-slicing", slices=4)
    data = template(made(account, pool(sharing=sharing)))["userData"]
    settings = tomllib.loads(base64.b64decode(data).decode())
    plugin = settings["settings"]["kubelet-device-plugins"]["nvidia"]
    assert plugin["device-sharing-strategy"] == "time-slicing"
    assert plugin["time-slicing"] == {"replicas": 4, "rename-by-default": False}


def test_a_whole_gpu_needs_no_settings(account: Account) -> None:
    assert "userData" not in template(made(account, pool()))


def test_without_node_groups_nothing_is_made(account: Account) -> None:
    graph = made(account, pool(management="karpenter"))
    assert [one.type for one in graph.values()] == ["ollamamax:aws:NodeGroups"]
