"""The settings of the simulated providers, and the functions of aws."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2 as pb

from engine.values import Secret, from_wire, to_wire
from tests.engine.providers.harness import Failed, Plugin
from tests.engine.simulated.conftest import Aws


def call(plugin: Plugin, token: str, **args: Any) -> Any:
    """Call a function of aws."""
    answer = plugin.call("Invoke", pb.InvokeRequest(tok=f"aws:{token}", args=to_wire(args)))
    return from_wire(getattr(answer, "return"))


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"region": ""}, 'region "" is no region; set aws:region in the stack\'s config'),
        ({"region": "eu-centrl-1"}, 'region "eu-centrl-1" is no region; did you mean eu-central-1?'),
        ({"defaultTags": '{"tag": {}}'}, "defaultTags.tag is no input; did you mean tags?"),
        ({"defaultTags": "stack=prod"}, "defaultTags must be a map, not str"),
        ({"maxRetries": '"3"'}, "maxRetries must be a whole number, not str"),
        (
            {"allowedAccountIds": '["111111111111"]', "forbiddenAccountIds": '["111111111111"]'},
            "the account is 111111111111, which allowedAccountIds or forbiddenAccountIds rule out",
        ),
        (
            {
                "allowedAccountIds": '["111111111111"]',
                "assumeRoles": '[{"roleArn": "arn:aws:iam::222222222222:role/deploy"}]',
            },
            "the account is 222222222222, which allowedAccountIds or forbiddenAccountIds rule out",
        ),
    ],
)  # fmt: skip
def test_bad_settings_are_refused(aws: Aws, settings: dict[str, str], problem: str) -> None:
    with pytest.raises(Failed) as refused:
        aws(**settings)
    assert str(refused.value) == f"provider aws: {problem}"


def test_settings_that_the_sdk_does_not_have_are_refused(plugin: Plugin) -> None:
    plugin.call("CheckConfig", pb.CheckRequest(news=to_wire({"region": "eu-west-1", "profile": "me"})))
    with pytest.raises(Failed, match=r"^provider aws: regin is not supported by the embedded engine"):
        plugin.call("CheckConfig", pb.CheckRequest(news=to_wire({"regin": "eu-west-1"})))


def test_the_region_may_come_from_the_environment(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    assert call(aws(region=""), "index/getRegion:getRegion")["id"] == "us-west-2"


def test_the_account_is_the_one_that_the_settings_name(aws: Aws) -> None:
    caller = "index/getCallerIdentity:getCallerIdentity"
    assert call(aws(), caller)["accountId"] == "123456789012"
    assert call(aws(allowedAccountIds='["111111111111"]'), caller)["accountId"] == "111111111111"
    role = '[{"roleArn": "arn:aws:iam::222222222222:role/deploy"}]'
    plugin = aws(assumeRoles=role)
    assert call(plugin, caller)["arn"].startswith("arn:aws:sts::222222222222:assumed-role/")
    _, outputs = plugin.create("aws:ecr/repository:Repository", {"name": "a"})
    assert outputs["repositoryUrl"] == "222222222222.dkr.ecr.eu-central-1.amazonaws.com/a"


def test_places_are_told_as_they_are(aws: Aws) -> None:
    plugin, china = aws(), aws(region="cn-north-1")
    assert call(plugin, "index/getRegion:getRegion")["description"] == "Europe (Frankfurt)"
    zones = call(plugin, "index/getAvailabilityZones:getAvailabilityZones", state="available")
    assert zones["names"] == ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
    partition = call(china, "index/getPartition:getPartition")
    assert (partition["partition"], partition["dnsSuffix"]) == ("aws-cn", "amazonaws.com.cn")
    assert partition["reverseDnsPrefix"] == "cn.com.amazonaws"
    _, outputs = china.create("aws:eks/cluster:Cluster", {"name": "c", "vpcConfig": {"subnetIds": []}})
    assert outputs["arn"].startswith("arn:aws-cn:eks:cn-north-1:123456789012:")
    assert outputs["endpoint"].endswith(".gr7.cn-north-1.eks.amazonaws.com.cn")


def test_the_password_of_a_registry_is_secret(plugin: Plugin) -> None:
    answer = call(plugin, "ecr/getAuthorizationToken:getAuthorizationToken")
    assert answer["userName"] == "AWS"
    assert isinstance(answer["password"], Secret)
    assert isinstance(answer["authorizationToken"], Secret)
    assert answer["proxyEndpoint"] == "https://123456789012.dkr.ecr.eu-central-1.amazonaws.com"


def test_a_policy_document_is_written_as_aws_reads_it(plugin: Plugin) -> None:
    answer = call(
        plugin, "iam/getPolicyDocument:getPolicyDocument",
        sourcePolicyDocuments=['{"Statement": [{"Sid": "old", "Effect": "Deny"}, {"Sid": "kept"}]}'],
        overridePolicyDocuments=[json.dumps({"Statement": [{"Sid": "old", "Effect": "Allow"}]})],
        statements=[{
            "sid": "Pull", "effect": "Allow", "actions": ["s3:GetObject", "s3:ListBucket"],
            "resources": ["arn:aws:s3:::models/*"],
            "principals": [{"type": "Service", "identifiers": ["pods.eks.amazonaws.com"]}],
            "conditions": [{"test": "StringEquals", "variable": "aws:SourceAccount", "values": ["1"]}],
        }, {"actions": ["*"], "principals": [{"type": "*", "identifiers": ["*"]}]}],
    )  # fmt: skip
    assert answer["json"] != answer["minifiedJson"]
    assert json.loads(answer["json"]) == json.loads(answer["minifiedJson"])
    assert json.loads(answer["json"]) == {
        "Version": "2012-10-17", "Statement": [
            {"Sid": "kept"},
            {
                "Sid": "Pull", "Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetObject"],
                "Resource": "arn:aws:s3:::models/*", "Principal": {"Service": "pods.eks.amazonaws.com"},
                "Condition": {"StringEquals": {"aws:SourceAccount": "1"}},
            },
            {"Effect": "Allow", "Action": "*", "Principal": "*"},
            {"Sid": "old", "Effect": "Allow"},
        ],
    }  # fmt: skip


def test_other_functions_need_the_cli(plugin: Plugin) -> None:
    with pytest.raises(Failed, match=r"^aws:ec2/getAmi:getAmi is not supported .*: needs the Pulumi CLI$"):
        call(plugin, "ec2/getAmi:getAmi")
