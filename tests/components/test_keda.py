"""KEDA in the graph, and what its chart is given."""

import pulumi
from pulumi_kubernetes import Provider

from components import keda
from rehearsal import programs
from stacks import capacity
from tests.components.conftest import Graph, record_of

RELEASE = "kubernetes:helm.sh/v3:Release::keda"


def installed() -> Graph:
    def build() -> None:
        provider = Provider("cluster", kubeconfig="{}")
        nodes = pulumi.ComponentResource("test:index:Nodes", "nodes")
        keda.Keda("keda", keda.KedaArgs(provider, [provider, nodes]))

    return record_of(build, "prod")


def test_the_chart_is_pinned_to_the_version_whose_kinds_are_checked() -> None:
    inputs = installed()[RELEASE].inputs
    assert (inputs["chart"], inputs["version"]) == ("keda", keda.VERSION)
    assert inputs["repositoryOpts"] == {"repo": "https://kedacore.github.io/charts"}
    assert programs.KEDA.version == f"v{keda.VERSION}"
    assert programs.KEDA in programs.CUSTOM_KINDS


def test_it_runs_where_kubernetes_expects_it_and_makes_its_namespace() -> None:
    inputs = installed()[RELEASE].inputs
    assert (inputs["name"], inputs["namespace"], inputs["createNamespace"]) == ("keda", "keda", True)


def test_it_comes_after_the_nodes_that_it_runs_on() -> None:
    assert "pulumi:providers:kubernetes::cluster" in installed()[RELEASE].depends_on


def test_every_part_outlives_a_node_and_is_limited_and_not_root() -> None:
    found = keda.values()
    for part in ("operator", "metricsServer", "webhooks"):
        assert found[part]["replicaCount"] == 2
        assert found["topologySpreadConstraints"][part][0]["topologyKey"] == "topology.kubernetes.io/zone"
    for part in ("operator", "metricServer", "webhooks"):
        assert found["podDisruptionBudget"][part] == {"maxUnavailable": 1}
        assert found["podSecurityContext"][part] == {"runAsNonRoot": True}
        assert found["resources"][part]["limits"]["memory"]
        assert found["prometheus"][part] == {"enabled": True}


def test_it_reads_no_secrets_but_those_of_its_own_namespace() -> None:
    for part in ("operator", "metricServer"):
        assert keda.values()["permissions"][part] == {"restrict": {"secret": True}}


def test_its_pods_fit_into_the_room_that_the_cost_of_a_cluster_reckons_with() -> None:
    requests = [one["requests"] for one in keda.values()["resources"].values()]
    memory = keda.REPLICAS * sum(int(one["memory"].removesuffix("Mi")) for one in requests)
    millicores = keda.REPLICAS * sum(int(one["cpu"].removesuffix("m")) for one in requests)
    assert memory <= capacity.SYSTEM_MIB / 2, "others are there, too"
    assert millicores <= capacity.SYSTEM_CPUS * 1000 / 2
