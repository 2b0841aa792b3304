"""What a plan becomes in other tools' languages."""

from typing import Any

import pytest

from ops import export

UNKNOWN = export.UNKNOWN


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
    document = {"steps": [{"op": "create", "newState": one} for one in resources]}
    found: list[dict[str, Any]] = export.terraform_plan(export.resources(document))["planned_values"][
        "root_module"
    ]["resources"]
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


def test_what_is_unknown_refers_to_where_it_comes_from() -> None:
    found = planned(
        resource(KEY, "secrets", {}),
        resource(
            CLUSTER,
            "main",
            {"encryptionConfig": {"provider": {"keyArn": UNKNOWN}}, "roleArn": UNKNOWN},
            encryptionConfig=[f"{KEY}::secrets"],
        ),
    )
    assert found[1]["values"] == {
        "encryption_config": [{"provider": [{"key_arn": "aws_kms_key.secrets.id"}]}],
        "role_arn": "known after apply",
    }


def test_references_are_kept_where_the_value_is_known_too() -> None:
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


def test_an_export_is_read_as_a_preview_is() -> None:
    found = [
        resource(KEY, "main", {}),
        resource("random:index/randomPassword:RandomPassword", "password", {}),
    ]
    assert export.resources({"deployment": {"resources": found}}) == found[:1]
    assert export.resources({"steps": [{"op": "create", "newState": one} for one in found]}) == found[:1]
    assert export.resources({"changeSummary": {}}) == []


def test_what_an_object_does_not_know_yet_is_plausible() -> None:
    pod = {"containers": [{"name": "gateway", "image": UNKNOWN, "args": [UNKNOWN]}]}
    inputs = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": pod}
    (found,) = export.manifests([resource("kubernetes:core/v1:Pod", "gateway", inputs)]).items()
    assert found == (
        "Pod/gateway",
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "one"},
            "spec": {
                "containers": [
                    {
                        "name": "gateway",
                        "image": f"registry.example/unknown@sha256:{'0' * 64}",
                        "args": ["unknown"],
                    }
                ]
            },
        },
    )


def test_charts_are_told_apart() -> None:
    chart = resource("kubernetes:helm.sh/v3:Release", "keda", {"chart": "keda"})
    assert export.manifests([chart]) == {}
    assert export.charts([chart]) == ["Release/keda"]
