"""What all objects of the platform have in common."""

from dataclasses import replace

from components.cluster import Cluster
from components.service import Port
from tests.components.placing import SOME, placed

CLUSTER = Cluster("mine", "test", "1.2.3", None)


def test_an_object_says_whose_it_is() -> None:
    assert CLUSTER.metadata("edge") == {
        "name": "edge",
        "namespace": "mine",
        "labels": {
            "app.kubernetes.io/name": "edge",
            "app.kubernetes.io/instance": "test",
            "app.kubernetes.io/version": "1.2.3",
            "app.kubernetes.io/part-of": "ollamamax",
            "app.kubernetes.io/managed-by": "pulumi",
        },
    }
    assert CLUSTER.metadata("edge", "edge-0123")["name"] == "edge-0123"


def test_a_new_version_replaces_no_pod_by_itself() -> None:
    old, new = (placed(replace(SOME, ports=(Port(80),)), version=version) for version in ("1.0.0", "1.0.1"))
    key = "kubernetes:apps/v1:Deployment::some"
    assert old[key].inputs["spec"] == new[key].inputs["spec"]
    assert old[key].inputs["metadata"] != new[key].inputs["metadata"]
