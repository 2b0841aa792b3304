"""What nodes outside Auto Mode need, in the graph."""

import json

from components.aws.account import Account
from components.aws.node_addons import NodeAddons, NodeAddonsArgs
from tests.components.aws.conftest import of
from tests.components.conftest import Graph, record_of


def made(account: Account) -> Graph:
    return record_of(lambda: NodeAddons("node-addons", NodeAddonsArgs(account, "ollamamax-prod")))


def test_pods_have_addresses_names_and_credentials(account: Account) -> None:
    assert sorted(of(made(account), "eks/addon:Addon")) == [
        "coredns",
        "eks-pod-identity-agent",
        "kube-proxy",
        "vpc-cni",
    ]


def test_network_policies_are_enforced_there_too(account: Account) -> None:
    network = of(made(account), "eks/addon:Addon")["vpc-cni"].inputs
    assert json.loads(network["configurationValues"]) == {"enableNetworkPolicy": "true"}


def test_only_the_network_plugin_may_change_interfaces(account: Account) -> None:
    graph = made(account)
    (policy,) = of(graph, "iam/rolePolicyAttachment:RolePolicyAttachment").values()
    assert policy.inputs["policyArn"] == "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy"
    (association,) = of(graph, "eks/addon:Addon")["vpc-cni"].inputs["podIdentityAssociations"]
    assert association == {"roleArn": "arn:aws:mock:::vpc-cni", "serviceAccount": "aws-node"}
