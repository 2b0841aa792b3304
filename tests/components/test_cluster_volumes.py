"""Volumes that services share."""

from dataclasses import replace

from components.cluster_volumes import SharedVolume
from components.service import Volume
from tests.components.placing import SOME, one, placed

WRITER = replace(SOME, name="writer", volumes=(Volume("models", "/store", shared=True),))
READER = replace(SOME, name="reader", volumes=(Volume("models", "/models", shared=True, read_only=True),))
BUCKET = SharedVolume(
    driver="s3.csi.aws.com",
    handle="models",
    attributes={"bucketName": "the-bucket"},
    mount_options=("region eu-central-1",),
)


def test_all_who_name_a_volume_get_the_same_one() -> None:
    graph = placed(WRITER, READER)
    claim = one(graph, "PersistentVolumeClaim", "models")["metadata"]["name"]
    for name, read_only in (("writer", False), ("reader", True)):
        pod = one(graph, "Deployment", name)["spec"]["template"]["spec"]
        (volume,) = [volume for volume in pod["volumes"] if "persistentVolumeClaim" in volume]
        assert volume["persistentVolumeClaim"] == {"claimName": claim} | (
            {"readOnly": True} if read_only else {}
        )
        (mount,) = [one for one in pod["containers"][0]["volumeMounts"] if one["name"] == volume["name"]]
        assert mount.get("readOnly", False) is read_only


def test_a_new_volume_is_as_the_stack_says() -> None:
    store = {"storage_class": "efs", "access": "ReadWriteMany", "size_gib": 50}
    spec = one(placed(READER, settings={"model_store": store}), "PersistentVolumeClaim", "models")["spec"]
    assert spec == {
        "accessModes": ["ReadWriteMany"],
        "resources": {"requests": {"storage": "50Gi"}},
        "storageClassName": "efs",
    }


def test_the_clusters_own_class_is_taken_where_none_is_named() -> None:
    assert "storageClassName" not in one(placed(READER), "PersistentVolumeClaim", "models")["spec"]


def test_a_volume_that_exists_is_bound_and_outlives_the_stack() -> None:
    graph = placed(WRITER, READER, shared_volumes={"models": BUCKET}, settings={"namespace": "mine"})
    volume, claim = one(graph, "PersistentVolume", "models"), one(graph, "PersistentVolumeClaim", "models")
    assert volume["metadata"]["name"] == claim["spec"]["volumeName"] == "mine-models"
    assert volume["spec"]["claimRef"] == {"namespace": "mine", "name": claim["metadata"]["name"]}
    assert volume["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    assert volume["spec"]["storageClassName"] == claim["spec"]["storageClassName"] == ""
    assert volume["spec"]["mountOptions"] == ["region eu-central-1"]
    assert volume["spec"]["csi"] == {
        "driver": "s3.csi.aws.com",
        "volumeHandle": "models",
        "volumeAttributes": {"bucketName": "the-bucket"},
    }


def test_an_update_does_not_wait_for_a_volume_that_waits_for_its_pods() -> None:
    claim = one(placed(READER), "PersistentVolumeClaim", "models")
    assert claim["metadata"]["annotations"] == {"pulumi.com/skipAwait": "true"}
