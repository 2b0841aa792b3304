"""A private bucket in the graph."""

import json
from typing import Any

from components.aws.account import Account
from components.aws.bucket import Bucket, BucketArgs
from components.aws.documents import let
from tests.components.conftest import Graph, record_of

ACCOUNT = Account("prod", "444455556666", "eu-central-1")
ARN = "arn:aws:s3:::ollamamax-prod-things-444455556666"


def bucket(**changed: Any) -> Graph:
    args = {"account": ACCOUNT, "key": None, "versions_days": 30, **changed}
    return record_of(lambda: Bucket("things", BucketArgs(**args)), "prod", {"things": {"arn": ARN}})


def part(graph: Graph, kind: str) -> dict[str, Any]:
    return graph[f"aws:s3/{kind[0].lower()}{kind[1:]}:{kind}::things"].inputs


def test_nobody_reads_it_but_the_accounts_own_roles() -> None:
    graph = bucket()
    block = part(graph, "BucketPublicAccessBlock")
    assert {block[f"{verb}"] for verb in block if verb != "bucket"} == {True}
    assert len(block) == 5
    controls = part(graph, "BucketOwnershipControls")
    assert controls["rule"] == {"objectOwnership": "BucketOwnerEnforced"}


def test_plain_http_is_refused() -> None:
    (statement,) = json.loads(part(bucket(), "BucketPolicy")["policy"])["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Principal"] == "*"
    assert statement["Resource"] == [ARN, f"{ARN}/*"]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_a_service_is_let_in_by_a_statement_of_its_own() -> None:
    reader = let({"Service": "cloudfront.amazonaws.com"}, ["s3:GetObject"], [f"{ARN}/*"])
    statements = json.loads(part(bucket(statements=[reader]), "BucketPolicy")["policy"])["Statement"]
    assert [statement["Effect"] for statement in statements] == ["Deny", "Allow"]


def test_what_is_replaced_or_deleted_is_kept_for_its_days_and_unfinished_uploads_for_one() -> None:
    graph = bucket(versions_days=7)
    assert part(graph, "BucketVersioning")["versioningConfiguration"] == {"status": "Enabled"}
    (rule,) = part(graph, "BucketLifecycleConfiguration")["rules"]
    assert rule["noncurrentVersionExpiration"] == {"noncurrentDays": 7}
    assert rule["abortIncompleteMultipartUpload"] == {"daysAfterInitiation": 1}
    assert "expiration" not in rule


def test_a_log_s_objects_go_with_their_age() -> None:
    rules = part(bucket(expire_days=90), "BucketLifecycleConfiguration")["rules"]
    assert rules[1]["expiration"] == {"days": 90}


def test_its_name_is_unique_among_all_buckets_and_nothing_deletes_it() -> None:
    graph = bucket()
    assert part(graph, "Bucket")["bucket"] == "ollamamax-prod-things-444455556666"
    assert "forceDestroy" not in part(graph, "Bucket")
    assert graph["aws:s3/bucket:Bucket::things"].protect
    assert not bucket(allow_replace=["things"])["aws:s3/bucket:Bucket::things"].protect


def test_given_free_it_goes_with_all_that_it_holds_unless_it_may_not() -> None:
    assert part(bucket(allow_replace=["things"]), "Bucket")["forceDestroy"] is True
    kept = part(bucket(allow_replace=["things"], empties=False), "Bucket")
    assert "forceDestroy" not in kept


def test_without_a_key_s3_encrypts_with_its_own() -> None:
    (rule,) = part(bucket(), "BucketServerSideEncryptionConfiguration")["rules"]
    assert rule["applyServerSideEncryptionByDefault"] == {"sseAlgorithm": "AES256"}
