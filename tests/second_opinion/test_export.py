"""What a plan becomes in other tools' languages."""

from typing import Any

import pytest

from ops import export


def resource(kind: str, name: str, inputs: dict[str, Any], **uses: list[str]) -> dict[str, Any]:
    """Return a resource as engines write it; ``uses`` holds what each input depends on, as ``type::name``."""
    start = "urn:pulumi:prod::ollamamax"
    depends = {key: [f"{start}::{one}" for one in urns] for key, urns in uses.items()}
    return {
        "urn": f"{start}::{kind}::{name}",
        "type": kind,
        "inputs": inputs,
        "propertyDependencies": depends,
    }


def planned(*resources: dict[str, Any]) -> list[dict[str, Any]]:
    module = export.terraform_plan(list(resources))["planned_values"]["root_module"]
    found: list[dict[str, Any]] = module["resources"]
    return found


def values(kind: str, inputs: dict[str, Any], **uses: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = planned(resource(kind, "one", inputs, **uses))[0]["values"]
    return found


BUCKET = "aws:s3/bucket:Bucket"
KEY = "aws:kms/key:Key"
CLUSTER = "aws:eks/cluster:Cluster"


def test_a_resource_goes_by_the_name_that_terraform_has_for_it() -> None:
    (found,) = planned(resource("aws:rds/instance:Instance", "database", {"multiAz": True}))
    assert found == {
        "address": "aws_db_instance.database",
        "mode": "managed",
        "type": "aws_db_instance",
        "name": "database",
        "values": {"multi_az": True},
    }


@pytest.mark.parametrize(
    ("pulumi", "terraform"),
    [
        ("ipv6CidrBlock", "ipv6_cidr_block"),
        ("cidrIpv4", "cidr_ipv4"),
        ("performanceInsightsKmsKeyId", "performance_insights_kms_key_id"),
        ("enableHttp2", "enable_http2"),
    ],
)
def test_names_are_spelt_as_terraform_spells_them(pulumi: str, terraform: str) -> None:
    assert values(BUCKET, {pulumi: "x"}) == {terraform: "x"}


def test_a_block_is_a_list_and_a_map_is_none() -> None:
    inputs = {"vpcConfig": {"endpointPublicAccess": False}, "tags": {"keepThis": "Name"}}
    assert values(CLUSTER, inputs) == {
        "vpc_config": [{"endpoint_public_access": False}],
        "tags": {"keepThis": "Name"},
    }


def test_repeated_blocks_are_named_in_the_singular() -> None:
    inputs = {
        "rules": [{"id": "a", "noncurrentVersionTransitions": [{"noncurrentDays": 1}]}],
        "aliases": [{}],
    }
    assert values(BUCKET, inputs) == {
        "rule": [{"id": "a", "noncurrent_version_transition": [{"noncurrent_days": 1}]}],
        "alias": [{}],
    }
    assert values(
        BUCKET, {"subnetIds": ["a"], "ingress": [{"fromPort": 1}], "customHeaders": {"items": [{}]}}
    ) == {
        "subnet_ids": ["a"],
        "ingress": [{"from_port": 1}],
        "custom_headers": [{"items": [{}]}],
    }


def test_cloudflares_objects_are_no_blocks() -> None:
    (found,) = planned(
        resource("cloudflare:index/ruleset:Ruleset", "cache", {"rules": [{"actionParameters": {"a": 1}}]})
    )
    assert found["address"] == "cloudflare_ruleset.cache"
    assert found["values"] == {"rules": [{"action_parameters": {"a": 1}}]}


def test_the_plan_says_which_resource_a_value_comes_from() -> None:
    block = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
    found = [
        resource(BUCKET, "models", {"bucket": "ollamamax-models"}),
        resource(block, "models", {"bucket": "ollamamax-models"}, bucket=[f"{BUCKET}::models"]),
    ]
    module = export.terraform_plan(found)["configuration"]["root_module"]
    assert [one["expressions"] for one in module["resources"]] == [
        {},
        {"bucket": {"references": ["aws_s3_bucket.models"]}},
    ]


def test_secrets_stay_masked() -> None:
    secret = {export.SIGNATURE: "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:abc"}
    assert values("aws:secretsmanager/secretVersion:SecretVersion", {"secretString": secret}) == {
        "secret_string": "[secret]"
    }
    inputs = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}}
    for data in (secret, "[secret]"):
        found = export.manifests(
            [resource("kubernetes:core/v1:Secret", "keys", {**inputs, "stringData": data})]
        )
        assert found["Secret/keys"]["stringData"] == {"masked": ""}
    found = export.manifests(
        [resource("kubernetes:core/v1:Secret", "keys", {**inputs, "stringData": {"a": secret}})]
    )
    assert found["Secret/keys"]["stringData"] == {"a": "[secret]"}


def test_an_unknown_type_is_refused_by_name() -> None:
    with pytest.raises(export.ExportError) as error:
        planned(resource("aws:sqs/queue:Queue", "jobs", {}))
    assert str(error.value) == (
        "urn:pulumi:prod::ollamamax::aws:sqs/queue:Queue::jobs: no name in Terraform is known for "
        "aws:sqs/queue:Queue: add sqs/queue to AWS_TYPES in ops/export.py"
    )


def test_two_resources_under_one_address_are_refused() -> None:
    twin = resource(KEY, "main", {})
    with pytest.raises(export.ExportError, match=r"several resources would be called aws_kms_key\.main"):
        export.terraform_plan([twin, {**twin, "urn": twin["urn"].replace("::aws", "::other$aws")}])


def test_only_what_is_in_a_cloud_or_a_cluster_counts() -> None:
    found = [
        resource(KEY, "main", {}),
        resource("random:index/randomPassword:RandomPassword", "password", {}),
    ]
    assert export.resources({"version": 3, "deployment": {"resources": found}}) == found[:1]


def test_charts_are_told_apart() -> None:
    chart = resource("kubernetes:helm.sh/v3:Release", "keda", {"chart": "keda"})
    assert export.manifests([chart]) == {}
    assert export.charts([chart]) == ["Release/keda"]
