"""The models' bucket in the graph, and who may do what with it."""

import json
from typing import Any

import pulumi

from components.aws.account import Account
from components.aws.model_store import ModelStore, ModelStoreArgs
from tests.components.conftest import Graph, record_of

ARN = "arn:aws:s3:::ollamamax-prod-models-444455556666"
KEY_ARN = "arn:aws:kms:eu-central-1:444455556666:key/11-22"


def store() -> tuple[Graph, dict[str, Any]]:
    settled: dict[str, Any] = {}

    def build() -> None:
        args = ModelStoreArgs(Account("prod", "444455556666", "eu-central-1"), versions_days=30)
        made = ModelStore("models", args)
        settled["volume"] = made.volume
        pulumi.Output.all(bucket=made.bucket, read=made.read_policy, write=made.write_policy).apply(
            settled.update
        )

    graph = record_of(build, "prod", {"models": {"arn": ARN}, "models-key": {"arn": KEY_ARN}})
    return graph, settled


def actions(policy: str) -> set[str]:
    return {action for statement in json.loads(policy)["Statement"] for action in statement["Action"]}


def test_the_models_are_encrypted_with_a_key_of_their_own() -> None:
    graph, _ = store()
    (rule,) = graph[
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration::models"
    ].inputs["rules"]
    assert rule["applyServerSideEncryptionByDefault"] == {
        "sseAlgorithm": "aws:kms",
        "kmsMasterKeyId": KEY_ARN,
    }
    assert rule["bucketKeyEnabled"] is True


def test_workers_read_and_change_nothing() -> None:
    _, settled = store()
    assert actions(settled["read"]) == {"s3:ListBucket", "s3:GetObject", "kms:Decrypt"}


def test_the_job_that_fills_the_store_writes_and_deletes() -> None:
    _, settled = store()
    added = actions(settled["write"]) - actions(settled["read"])
    assert added == {"s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "kms:GenerateDataKey"}


def test_nobody_is_let_at_anything_else() -> None:
    _, settled = store()
    for policy in (settled["read"], settled["write"]):
        for statement in json.loads(policy)["Statement"]:
            assert {*statement["Resource"]} <= {ARN, f"{ARN}/*", KEY_ARN}
            assert not any("*" in action for action in statement["Action"])


def test_pods_mount_the_bucket_with_their_own_identity_as_the_user_that_they_run_as() -> None:
    _, settled = store()
    assert settled["bucket"] == "ollamamax-prod-models-444455556666"
    volume = settled["volume"]
    assert volume.driver == "s3.csi.aws.com"
    assert volume.attributes["authenticationSource"] == "pod"
    assert {"uid=10001", "gid=0", "region eu-central-1", "allow-delete"} <= {*volume.mount_options}


def test_a_node_reads_a_model_once_and_keeps_it_on_a_bounded_part_of_its_disk() -> None:
    attributes = store()[1]["volume"].attributes
    assert attributes["cache"] == "emptyDir"
    assert attributes["cacheEmptyDirSizeLimit"] == "40Gi"
