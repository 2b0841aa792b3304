"""What a platform stands on, for each target."""

import subprocess
import sys

import pytest

from tests.components.conftest import ROOT, Graph

CLUSTERS_ONLY = ("pulumi_aws", "pulumi_cloudflare", "pulumi_kubernetes", "botocore")


def test_a_machine_places_its_own_data_stores(local: Graph) -> None:
    assert {"postgres-1", "redis-1"} <= {one.name for one in local.containers}


def test_a_cluster_places_its_own_data_stores(cluster: Graph) -> None:
    assert "kubernetes:apps/v1:StatefulSet::postgres" in cluster
    assert "kubernetes:apps/v1:Deployment::redis" in cluster


def test_a_cloud_has_managed_data_stores_and_places_none(cloud: Graph) -> None:
    assert "aws:rds/instance:Instance::database" in cloud
    assert "aws:elasticache/replicationGroup:ReplicationGroup::cache" in cloud
    assert {"postgres", "redis"}.isdisjoint(one.name for one in cloud.values())


def test_a_cluster_is_named_by_its_context(cluster: Graph) -> None:
    assert cluster["pulumi:providers:kubernetes::cluster"].inputs["context"] == "somewhere"


@pytest.mark.parametrize("package", CLUSTERS_ONLY)
def test_one_machine_does_not_wait_for_the_sdks_of_clusters(package: str) -> None:
    program = f"import components.platform, sys; sys.exit('{package}' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


def test_what_was_changed_by_hand_can_be_taken_back_on_every_cluster(cluster: Graph, cloud: Graph) -> None:
    # Without it the official plugin fails wherever a person's tool has become the owner of a field.
    for graph in (cluster, cloud):
        assert graph["pulumi:providers:kubernetes::cluster"].inputs["enablePatchForce"] == "true"
