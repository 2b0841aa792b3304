"""The EKS cluster in the graph."""

from ipaddress import IPv4Network
from typing import Any

from components.aws.account import Account
from components.aws.cluster import Cluster, ClusterArgs
from components.aws.documents import allow, document
from stacks.aws import CiSettings, ClusterSettings
from tests.components.aws.conftest import of, statements
from tests.components.conftest import Graph, Registered, record_of

SUBNETS = ["subnet-1", "subnet-2", "subnet-3"]
ADMINS = ("arn:aws:iam::111122223333:role/Admin", "arn:aws:iam::444455556666:role/teams/Admin")


def build(account: Account, *, free: tuple[str, ...] = (), **settings: Any) -> Cluster:
    args = ClusterArgs(account, ClusterSettings(**settings), SUBNETS, allow_replace=free)
    return Cluster("cluster", args)


def made(account: Account, **settings: Any) -> Graph:
    return record_of(lambda: build(account, **settings))


def cluster(graph: Graph) -> Registered:
    return of(graph, "eks/cluster:Cluster")["cluster"]


def test_nodes_disks_and_load_balancers_are_awss_to_run(account: Account) -> None:
    inputs = cluster(made(account)).inputs
    assert inputs["computeConfig"]["enabled"] is True
    assert inputs["computeConfig"]["nodePools"] == ["general-purpose", "system"]
    assert inputs["storageConfig"]["blockStorage"]["enabled"] is True
    assert inputs["kubernetesNetworkConfig"]["elasticLoadBalancing"]["enabled"] is True
    assert inputs["bootstrapSelfManagedAddons"] is False


def test_a_cluster_without_listed_addresses_is_private(account: Account) -> None:
    network = cluster(made(account)).inputs["vpcConfig"]
    assert network["endpointPrivateAccess"] is True
    assert network["endpointPublicAccess"] is False
    assert "publicAccessCidrs" not in network


def test_only_listed_addresses_reach_the_cluster_from_the_internet(account: Account) -> None:
    listed = (IPv4Network("203.0.113.0/24"), IPv4Network("198.51.100.7/32"))
    network = cluster(made(account, public_access=listed)).inputs["vpcConfig"]
    assert network["endpointPublicAccess"] is True
    assert network["publicAccessCidrs"] == ["198.51.100.7/32", "203.0.113.0/24"]


def test_the_preview_says_from_where_the_cluster_is_reached(account: Account) -> None:
    notes: list[str] = []
    record_of(lambda: notes.append(build(account).endpoint_note))
    listed = (IPv4Network("203.0.113.0/24"),)
    record_of(lambda: notes.append(build(account, public_access=listed).endpoint_note))
    private, public = notes
    assert "inside the VPC only" in private
    assert "aws.cluster.publicAccess" in private
    assert "203.0.113.0/24" in public


def test_secrets_are_encrypted_with_the_stacks_own_key(account: Account) -> None:
    graph = made(account)
    (key,) = of(graph, "kms/key:Key").values()
    config = cluster(graph).inputs["encryptionConfig"]
    assert config == {"provider": {"keyArn": f"arn:aws:mock:::{key.name}"}, "resources": ["secrets"]}


def test_all_that_the_control_plane_does_is_logged_encrypted_and_kept_for_a_while(account: Account) -> None:
    graph = made(account, log_days=14)
    assert sorted(cluster(graph).inputs["enabledClusterLogTypes"]) == [
        "api",
        "audit",
        "authenticator",
        "controllerManager",
        "scheduler",
    ]
    (group,) = of(graph, "cloudwatch/logGroup:LogGroup").values()
    assert group.inputs["name"] == "/aws/eks/ollamamax-prod/cluster", "EKS makes its own, if it finds none"
    assert group.inputs["retentionInDays"] == 14
    assert group.inputs["kmsKeyId"]
    assert group.key in cluster(graph).depends_on


def test_the_cluster_is_not_deleted_without_a_word(account: Account) -> None:
    protected = cluster(made(account))
    assert protected.protect
    assert protected.inputs["deletionProtection"] is True
    free = cluster(made(account, free=("cluster",)))
    assert not free.protect
    assert free.inputs["deletionProtection"] is False


def test_the_key_outlives_a_cluster_that_may_be_replaced(account: Account) -> None:
    (key,) = of(made(account, free=("cluster",)), "kms/key:Key").values()
    assert key.protect


def test_the_cluster_outlives_what_it_needs(account: Account) -> None:
    graph = made(account)
    for needed in ("iam/rolePolicyAttachment:RolePolicyAttachment", "iam/rolePolicy:RolePolicy"):
        for one in of(graph, needed).values():
            assert one.key in cluster(graph).depends_on


def test_a_version_that_ends_is_left_behind_rather_than_paid_for(account: Account) -> None:
    assert cluster(made(account)).inputs["upgradePolicy"] == {"supportType": "STANDARD"}


def people(graph: Graph) -> dict[str, str]:
    """Return whom the cluster knows, and the access policy of each."""
    entries = {one.inputs["principalArn"] for one in of(graph, "eks/accessEntry:AccessEntry").values()}
    policies = of(graph, "eks/accessPolicyAssociation:AccessPolicyAssociation").values()
    found = {one.inputs["principalArn"]: one.inputs["policyArn"].rpartition("/")[2] for one in policies}
    assert entries == found.keys()
    assert all(one.inputs["accessScope"] == {"type": "cluster"} for one in policies)
    return found


def test_the_listed_roles_administer_the_cluster_and_nobody_else(account: Account) -> None:
    graph = made(account, admin_roles=ADMINS)
    assert cluster(graph).inputs["accessConfig"] == {
        "authenticationMode": "API",
        "bootstrapClusterCreatorAdminPermissions": False,
    }
    assert people(graph) == dict.fromkeys(ADMINS, "AmazonEKSClusterAdminPolicy")


def test_ci_deploys_to_the_cluster_and_previews_without_changing_it(account: Account) -> None:
    ci = CiSettings(repository="example/ollamamax", environment="production")
    graph = record_of(lambda: Cluster("cluster", ClusterArgs(account, ClusterSettings(), SUBNETS, ci=ci)))
    assert people(graph) == {
        "arn:aws:iam::111122223333:role/ollamamax-ci-prod-deploy": "AmazonEKSClusterAdminPolicy",
        "arn:aws:iam::111122223333:role/ollamamax-ci-prod-preview": "AmazonEKSAdminViewPolicy",
    }


def test_objects_in_the_cluster_are_made_by_its_own_provider(account: Account) -> None:
    graph = made(account)
    config = graph["pulumi:providers:kubernetes::cluster"].inputs["kubeconfig"]
    assert "https://cluster.eks.mock" in config


def test_nothing_is_made_in_the_cluster_before_or_after_who_makes_it_may(account: Account) -> None:
    graph = made(account, admin_roles=ADMINS)
    admitted = {one.key for one in of(graph, "eks/accessPolicyAssociation:AccessPolicyAssociation").values()}
    assert admitted <= {*graph["pulumi:providers:kubernetes::cluster"].depends_on}


def test_a_grant_reaches_one_service_account_of_this_cluster(account: Account) -> None:
    def program() -> None:
        policy = document(allow(["s3:GetObject"], ["arn:one"]))
        build(account).grant("reader", namespace="omx", service_account="worker", policy=policy)

    graph = record_of(program)
    (association,) = of(graph, "eks/podIdentityAssociation:PodIdentityAssociation").values()
    assert association.inputs["namespace"] == "omx"
    assert association.inputs["serviceAccount"] == "worker"
    assert "aws:iam/rolePolicy:RolePolicy::reader" in association.depends_on
    (trust,) = statements(of(graph, "iam/role:Role")["reader"].inputs["assumeRolePolicy"])
    assert trust["Condition"] == {
        "StringEquals": {
            "aws:SourceAccount": "111122223333",
            "aws:RequestTag/eks-cluster-arn": "arn:aws:eks:eu-central-1:111122223333:cluster/ollamamax-prod",
            "aws:RequestTag/kubernetes-namespace": "omx",
            "aws:RequestTag/kubernetes-service-account": "worker",
        }
    }
