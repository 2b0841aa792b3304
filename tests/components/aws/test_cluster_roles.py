"""The cluster's roles in the graph."""

import pytest

from components.aws.account import Account
from components.aws.cluster_roles import ClusterRoles, ClusterRolesArgs
from tests.components.aws.conftest import of, statements
from tests.components.conftest import Graph, record_of


@pytest.fixture
def graph(account: Account) -> Graph:
    return record_of(lambda: ClusterRoles("roles", ClusterRolesArgs(account)))


def attached(graph: Graph, role: str) -> set[str]:
    found = of(graph, "iam/rolePolicyAttachment:RolePolicyAttachment")
    return {name.removeprefix(f"{role}-") for name in found if name.startswith(f"{role}-")}


def test_the_cluster_may_do_what_auto_mode_does(graph: Graph) -> None:
    assert attached(graph, "cluster") == {
        "AmazonEKSBlockStoragePolicy",
        "AmazonEKSClusterPolicy",
        "AmazonEKSComputePolicy",
        "AmazonEKSLoadBalancingPolicy",
        "AmazonEKSNetworkingPolicy",
    }


def test_a_node_joins_pulls_and_can_do_no_more(graph: Graph) -> None:
    assert attached(graph, "node") == {
        "AmazonEC2ContainerRegistryPullOnly",
        "AmazonEKSWorkerNodeMinimalPolicy",
    }
    (mirror,) = statements(of(graph, "iam/rolePolicy:RolePolicy")["node"].inputs["policy"])
    assert mirror["Action"] == ["ecr:CreateRepository"]
    assert mirror["Resource"] == ["arn:aws:ecr:eu-central-1:111122223333:repository/ollamamax-prod/*"]


def test_the_cluster_tags_only_what_is_its_own(graph: Graph) -> None:
    for statement in statements(of(graph, "iam/rolePolicy:RolePolicy")["cluster"].inputs["policy"]):
        condition = statement["Condition"]["StringEquals"]
        assert condition == {
            "aws:RequestTag/eks:eks-cluster-name": "${aws:PrincipalTag/eks:eks-cluster-name}"
        }
