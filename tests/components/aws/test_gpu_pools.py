"""Karpenter's node pools in the graph."""

from typing import Any

import pulumi_kubernetes
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.aws.account import Account
from components.aws.gpu_pools import GpuPools, GpuPoolsArgs, disruption, limits
from stacks.hardware import INSTANCE_TYPES
from stacks.kubernetes import DisruptionSettings, GpuPoolSettings
from tests.components.aws.conftest import ZONES
from tests.components.conftest import Graph, record_of

POOL, CLASS = "kubernetes:karpenter.sh/v1:NodePool", "kubernetes:eks.amazonaws.com/v1:NodeClass"
RESERVATIONS = ("cr-0123456789abcdef0",)


def pool(**settings: Any) -> GpuPoolSettings:
    given_ = {"name": "chat", "models": ("llama2:7b",), "instance_types": ("g6.xlarge",), **settings}
    return GpuPoolSettings(**given_)


def made(account: Account, *pools: GpuPoolSettings, free: tuple[str, ...] = ()) -> Graph:
    def build() -> None:
        provider = pulumi_kubernetes.Provider("cluster", kubeconfig="{}")
        GpuPools("pools", GpuPoolsArgs(account, pools, ZONES, "node", "sg-1", provider, free))

    return record_of(build)


def spec(graph: Graph, kind: str = POOL) -> Any:
    return graph[f"{kind}::pool-chat"].inputs["spec"]


def allowed(graph: Graph) -> dict[str, list[str]]:
    found = {}
    for requirement in spec(graph)["template"]["spec"]["requirements"]:
        assert requirement["operator"] == "In"
        found[requirement["key"]] = requirement["values"]
    return found


def test_a_pool_has_nodes_of_its_types_in_the_stacks_zones(account: Account) -> None:
    found = allowed(made(account, pool(instance_types=("g6.xlarge", "g5.xlarge"))))
    assert found["node.kubernetes.io/instance-type"] == ["g5.xlarge", "g6.xlarge"]
    assert found["topology.kubernetes.io/zone"] == ZONES
    assert found["kubernetes.io/arch"] == ["amd64"]


def test_a_pool_keeps_to_its_own_zones(account: Account) -> None:
    found = allowed(made(account, pool(zones=(ZONES[1],))))
    assert found["topology.kubernetes.io/zone"] == [ZONES[1]]


@pytest.mark.parametrize(
    ("capacity", "types"),
    [
        ("spot", ["spot"]),
        ("on-demand", ["on-demand"]),
        ("spot-first", ["on-demand", "spot"]),
        ("reserved", ["reserved"]),
    ],
)
def test_nodes_are_bought_as_the_pool_says(account: Account, capacity: str, types: list[str]) -> None:
    assert allowed(made(account, pool(capacity=capacity)))["karpenter.sh/capacity-type"] == types


def test_only_the_pools_own_workers_run_on_its_nodes(account: Account) -> None:
    template = spec(made(account, pool()))["template"]
    assert template["metadata"]["labels"] == {"ollamamax.io/pool": "chat"}
    assert template["spec"]["taints"] == [{"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}]


@given(
    types=st.sets(st.sampled_from(sorted(INSTANCE_TYPES)), min_size=1),
    most=st.integers(1, 1000),
)
def test_a_pools_limits_leave_room_for_its_nodes_and_no_more(types: set[str], most: int) -> None:
    bound = limits(pool(instance_types=tuple(types), max_nodes=most))
    kinds = [INSTANCE_TYPES[name] for name in types]
    assert int(bound["nodes"]) == most
    assert all(most * kind.gpus <= int(bound["nvidia.com/gpu"]) for kind in kinds)
    assert all(most * kind.cpus <= int(bound["cpu"]) for kind in kinds)
    assert any(most * kind.gpus == int(bound["nvidia.com/gpu"]) for kind in kinds)
    assert any(most * kind.cpus == int(bound["cpu"]) for kind in kinds)


def test_empty_nodes_go_a_few_at_a_time() -> None:
    settings = DisruptionSettings(consolidate_after_s=600, budget_percent=20)
    assert disruption(pool(disruption=settings)) == {
        "consolidationPolicy": "WhenEmpty",
        "consolidateAfter": "600s",
        "budgets": [{"nodes": "20%"}],
    }


@pytest.mark.parametrize(
    ("types", "gpus", "policy"),
    [
        (("g6.12xlarge",), 1, "WhenEmptyOrUnderutilized"),
        (("g6.xlarge", "g6.12xlarge"), 1, "WhenEmptyOrUnderutilized"),
        (("g6.12xlarge",), 2, "WhenEmptyOrUnderutilized"),
        (("g6.12xlarge",), 4, "WhenEmpty"),
        (("g6.xlarge", "g6e.2xlarge"), 1, "WhenEmpty"),
    ],
)
def test_workers_move_only_where_several_share_a_node(types: tuple[str, ...], gpus: int, policy: str) -> None:
    found = disruption(pool(instance_types=types, gpus_per_replica=gpus))
    assert found["consolidationPolicy"] == policy


def test_reserved_nodes_stay_for_they_are_paid_for_all_the_same() -> None:
    found = disruption(pool(capacity="reserved"))
    assert (found["consolidationPolicy"], found["consolidateAfter"]) == ("WhenEmpty", "Never")


def test_nodes_join_the_cluster_as_its_own(account: Account) -> None:
    found = spec(made(account, pool()), CLASS)
    assert found["role"] == "node"
    assert found["securityGroupSelectorTerms"] == [{"id": "sg-1"}]
    assert found["subnetSelectorTerms"] == [{"tags": {"karpenter.sh/discovery": "ollamamax-prod"}}]
    assert found["networkPolicy"] == "DefaultAllow", "AWS's own pods on the node have no policy"


def test_a_node_has_a_disk_for_its_images_and_models(account: Account) -> None:
    disk = spec(made(account, pool(disk_gib=200)), CLASS)["ephemeralStorage"]
    assert disk == {"size": "200Gi", "iops": 3000, "throughput": 500}


def test_what_a_node_costs_counts_as_the_stacks(account: Account) -> None:
    assert spec(made(account, pool()), CLASS)["tags"] == account.tags


def test_only_the_named_reservations_are_used(account: Account) -> None:
    found = spec(made(account, pool(capacity="reserved", reservations=RESERVATIONS)), CLASS)
    assert found["capacityReservationSelectorTerms"] == [{"id": RESERVATIONS[0]}]
    assert "capacityReservationSelectorTerms" not in spec(made(account, pool()), CLASS)


def test_a_pool_is_neither_deleted_nor_replaced_without_a_word(account: Account) -> None:
    for kind in (POOL, CLASS):
        assert made(account, pool())[f"{kind}::pool-chat"].protect
        assert not made(account, pool(), free=("pool-chat",))[f"{kind}::pool-chat"].protect


def test_the_class_is_there_before_the_pool(account: Account) -> None:
    graph = made(account, pool())
    assert f"{CLASS}::pool-chat" in graph[f"{POOL}::pool-chat"].depends_on


def test_node_groups_are_left_to_others(account: Account) -> None:
    assert not made(account, pool(management="node-group")).of_type(POOL)
