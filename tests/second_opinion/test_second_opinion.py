"""The tools find what is wrong in what is exported, and waivers do what they say."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.aws import certificate_authority
from ops import judges, process, second_opinion
from ops.second_opinion import Finding, Judged, Waiver
from ops.stack import StackError
from rehearsal import programs
from tests.second_opinion.test_export import BUCKET, resource

ALLOW = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}],
}
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"
NESTED = {
    "encryptionConfig": {"provider": {"keyArn": "arn:aws:kms:eu-central-1:1:key/k"}, "resources": ["secrets"]}
}

FAULTS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "CKV_AWS_58": ("aws:eks/cluster:Cluster", NESTED, {}),
    "CKV_AWS_39": (
        "aws:eks/cluster:Cluster",
        {"vpcConfig": {"endpointPublicAccess": False}},
        {"vpcConfig": {"endpointPublicAccess": True}},
    ),
    "CKV_AWS_37": (
        "aws:eks/cluster:Cluster",
        {"enabledClusterLogTypes": ["api", "audit", "authenticator", "controllerManager", "scheduler"]},
        {"enabledClusterLogTypes": ["api"]},
    ),
    "CKV_AWS_16": ("aws:rds/instance:Instance", {"storageEncrypted": True}, {"storageEncrypted": False}),
    "CKV_AWS_157": ("aws:rds/instance:Instance", {"multiAz": True}, {"multiAz": False}),
    "CKV_AWS_293": ("aws:rds/instance:Instance", {"deletionProtection": True}, {}),
    "CKV_AWS_30": (
        "aws:elasticache/replicationGroup:ReplicationGroup",
        {"transitEncryptionEnabled": True},
        {"transitEncryptionEnabled": False},
    ),
    "CKV_AWS_51": (
        "aws:ecr/repository:Repository",
        {"imageTagMutability": "IMMUTABLE"},
        {"imageTagMutability": "MUTABLE"},
    ),
    "CKV_AWS_163": (
        "aws:ecr/repository:Repository",
        {"imageScanningConfiguration": {"scanOnPush": True}},
        {"imageScanningConfiguration": {"scanOnPush": False}},
    ),
    "CKV_AWS_136": (
        "aws:ecr/repository:Repository",
        {"encryptionConfigurations": [{"encryptionType": "KMS"}]},
        {"encryptionConfigurations": [{"encryptionType": "AES256"}]},
    ),
    "CKV_AWS_7": ("aws:kms/key:Key", {"enableKeyRotation": True}, {}),
    "CKV_AWS_158": ("aws:cloudwatch/logGroup:LogGroup", {"kmsKeyId": "arn:aws:kms:eu-central-1:1:key/k"}, {}),
    "CKV_AWS_24": (
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        {"cidrIpv4": "10.0.0.0/8", "fromPort": 22, "toPort": 22, "ipProtocol": "tcp"},
        {"cidrIpv4": "0.0.0.0/0", "fromPort": 22, "toPort": 22, "ipProtocol": "tcp"},
    ),
    "CKV_AWS_260": (
        "aws:ec2/securityGroup:SecurityGroup",
        {"ingress": [{"cidrBlocks": ["10.0.0.0/8"], "fromPort": 80, "toPort": 80, "protocol": "tcp"}]},
        {"ingress": [{"cidrBlocks": ["0.0.0.0/0"], "fromPort": 80, "toPort": 80, "protocol": "tcp"}]},
    ),
    "CKV_AWS_62": (
        "aws:iam/rolePolicy:RolePolicy",
        {"policy": json.dumps(ALLOW)},
        {"policy": json.dumps(EVERYTHING)},
    ),
    "CKV_AWS_150": ("aws:lb/loadBalancer:LoadBalancer", {"enableDeletionProtection": True}, {}),
    "CKV_AWS_2": (
        "aws:lb/listener:Listener",
        {"protocol": "TLS", "sslPolicy": TLS_POLICY},
        {"protocol": "HTTP", "defaultActions": [{"type": "forward"}]},
    ),
    "CKV_AWS_149": (
        "aws:secretsmanager/secret:Secret",
        {"kmsKeyId": "arn:aws:kms:eu-central-1:1:key/k"},
        {},
    ),
    "CKV_AWS_34": (
        "aws:cloudfront/distribution:Distribution",
        {"defaultCacheBehavior": {"viewerProtocolPolicy": "redirect-to-https"}},
        {"defaultCacheBehavior": {"viewerProtocolPolicy": "allow-all"}},
    ),
    "CKV_AWS_192": (
        "aws:wafv2/webAcl:WebAcl",
        {
            "rules": [
                {
                    "name": "known-bad-inputs",
                    "overrideAction": {"none": {}},
                    "statement": {
                        "managedRuleGroupStatement": {
                            "name": "AWSManagedRulesKnownBadInputsRuleSet",
                            "vendorName": "AWS",
                        }
                    },
                }
            ]
        },
        {"rules": []},
    ),
}
"""A check of checkov's, a resource that it is content with, and one that it is not."""


def deployment(name: str, **container: Any) -> dict[str, Any]:
    spec = {
        "selector": {"matchLabels": {"app": name}},
        "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": "one", "image": "registry.example/one:latest", **container}]},
        },
    }
    meta = {"name": f"{name}-0a1b2c3d", "namespace": "ollamamax"}
    inputs = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}
    return resource("kubernetes:apps/v1:Deployment", name, inputs)


def custom(version: str, kind: str, **spec: Any) -> dict[str, Any]:
    inputs = {"apiVersion": version, "kind": kind, "metadata": {"name": "one"}, "spec": spec}
    return resource(f"kubernetes:{version}:{kind}", "one", inputs)


@pytest.fixture(scope="module")
def found() -> set[Finding]:
    """Return what the tools find in one document with all that the tests here ask about."""
    pairs = [
        resource(kind, f"{how}-{check}", inputs)
        for check, (kind, right, wrong) in FAULTS.items()
        for how, inputs in (("right", right), ("wrong", wrong))
    ]
    shut = dict.fromkeys(
        ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"), True
    )
    block = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
    resources = [
        *pairs,
        resource(BUCKET, "shut", {"bucket": "shut"}),
        resource(BUCKET, "open", {"bucket": "open"}),
        resource(block, "shut", {**shut, "bucket": "shut"}, bucket=[f"{BUCKET}::shut"]),
        deployment("gateway", privileged=True),
        custom("karpenter.sh/v1", "NodePool", template={}, budget=1),
        custom("cert-manager.io/v1", "Certificate", secretName="a"),
        custom("secrets-store.csi.x-k8s.io/v1", "SecretProviderClass", provider=1),
        custom("example.org/v1", "Strange"),
        resource("kubernetes:helm.sh/v3:Release", "keda", {"chart": "keda"}),
    ]
    return second_opinion.find(resources)


def checks(found: set[Finding], resource: str, tool: str) -> dict[str, str]:
    return {one.check: one.message for one in found if (one.resource, one.tool) == (resource, tool)}


def test_checkov_finds_in_the_plan_what_is_wrong_and_not_what_is_right(found: set[Finding]) -> None:
    said = {(one.check, one.resource.partition(".")[2]) for one in found}
    assert {check for check in FAULTS if (check, f"wrong-{check}") not in said} == set()
    assert {check for check in FAULTS if (check, f"right-{check}") in said} == set()


def test_checkov_follows_references(found: set[Finding]) -> None:
    assert [one.resource for one in found if one.check == "CKV2_AWS_6"] == ["aws_s3_bucket.open"]


def test_checkov_and_kube_score_find_what_is_wrong_in_an_object(found: set[Finding]) -> None:
    said = checks(found, "Deployment/gateway", "checkov")
    assert "CKV_K8S_14" in said, "the image's tag is latest"
    assert "CKV2_K8S_6" in said, "no network policy is about its pods"
    assert "container-image-tag" in checks(found, "Deployment/gateway", "kube-score")


@pytest.mark.parametrize(
    ("key", "complaint"),
    [
        ("Deployment/gateway", "additional properties 'privileged' not allowed"),
        ("NodePool/one", "additional properties 'budget' not allowed"),
        ("Certificate/one", "missing property 'issuerRef'"),
        ("SecretProviderClass/one", "got number, want string"),
    ],
)
def test_objects_are_compared_with_the_api_servers_schemas(
    found: set[Finding], key: str, complaint: str
) -> None:
    assert complaint in checks(found, key, "kubeconform")["invalid"]


def test_the_kinds_of_a_chart_are_those_of_its_version() -> None:
    assert programs.CERT_MANAGER.version == certificate_authority.VERSION


@pytest.mark.parametrize(
    ("ask", "complaint"),
    [
        (judges.checkov, "uv is missing: install it with make setup, then run the same command again"),
        (judges.kube_score, "go is missing: install Go 1.24 or newer, then run the same command again"),
    ],
)
def test_what_is_missing_is_one_message(
    ask: Callable[[], Path], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (judges, process):
        monkeypatch.setattr(module, "CACHE", tmp_path / "cache")
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(StackError) as error:
        ask()
    assert str(error.value) == complaint


def test_what_no_tool_looked_at_is_a_finding_too(found: set[Finding]) -> None:
    assert "no-schema" in checks(found, "Strange/one", "kubeconform")
    assert "chart" in checks(found, "Release/keda", "export")


WHY = "a reason that says why"
ROTATION = Finding("aws_kms_key.main", "CKV_AWS_7", "Ensure rotation", "checkov")
OTHER = Finding("aws_kms_key.other", "CKV_AWS_7", "Ensure rotation", "checkov")


def test_a_waiver_takes_its_finding_away_and_nothing_else() -> None:
    waiver = Waiver(check="CKV_AWS_7", resources=("aws_kms_key.main",), reason=WHY)
    assert second_opinion.judge({ROTATION, OTHER}, "prod", [waiver]) == Judged([OTHER], [ROTATION], [])


def test_a_waiver_that_waives_nothing_is_told() -> None:
    waiver = Waiver(check="CKV_AWS_7", resources=("aws_kms_key.main", "aws_kms_key.gone"), reason=WHY)
    assert second_opinion.judge({ROTATION}, "prod", [waiver]).unused == ["CKV_AWS_7 aws_kms_key.gone"]


def test_a_waiver_may_leave_open_what_settings_name() -> None:
    waiver = Waiver(check="CKV_AWS_7", resources=("aws_kms_key.*",), reason=WHY)
    assert second_opinion.judge({ROTATION, OTHER}, "prod", [waiver]).waived == [ROTATION, OTHER]


def test_a_waiver_of_another_stack_counts_in_no_way() -> None:
    waiver = Waiver(check="CKV_AWS_7", resources=("aws_kms_key.main",), reason=WHY, stacks=("staging",))
    assert second_opinion.judge({ROTATION}, "prod", [waiver]) == Judged([ROTATION], [], [])


def test_a_bad_file_of_waivers_names_every_place(tmp_path: Path) -> None:
    file = tmp_path / "waivers.yaml"
    file.write_text(
        f"- {{check: A, resources: [], reason: {WHY}}}\n"
        "- {check: B, resources: [x], reason: because}\n"
        f"- {{check: C, resources: [x], reason: {WHY}, why: 1}}\n"
    )
    with pytest.raises(StackError) as error:
        second_opinion.read_waivers(file)
    places = [line.strip().partition(":")[0] for line in str(error.value).splitlines()[1:]]
    assert places == ["0.resources", "1.reason", "2.why"]


@pytest.mark.parametrize(
    ("stack", "complaint"),
    [
        ("local", "error: stack local: nothing to judge: target docker has no cloud and no cluster"),
        ("nowhere", "error: STACK=nowhere: no Pulumi.nowhere.yaml in stacks/; there are: local, "),
    ],
)
def test_a_stack_that_cannot_be_judged_is_one_message(stack: str, complaint: str) -> None:
    with pytest.raises(SystemExit) as ended:
        second_opinion.main(stack)
    assert str(ended.value.code).startswith(complaint)


@pytest.mark.parametrize(
    ("resources", "status", "said"),
    [
        (("aws_kms_key.main",), None, ["stack prod: 0 findings; waived: 1"]),
        (
            ("aws_kms_key.main", "aws_kms_key.gone"),
            "error: fix what was found, or waive it with a reason in policies/waivers.yaml",
            [
                "CKV_AWS_7 aws_kms_key.gone: no finding matches this waiver any more: remove it",
                "stack prod: 0 findings; waived: 1",
            ],
        ),
        (
            (),
            "error: fix what was found, or waive it with a reason in policies/waivers.yaml",
            [
                "aws_kms_key.main: CKV_AWS_7 (checkov): Ensure rotation",
                "stack prod: 1 finding; waived: 0",
            ],
        ),
    ],
)
def test_the_command_fails_on_what_nobody_has_answered(
    resources: tuple[str, ...],
    status: str | None,
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    waivers = [Waiver(check="CKV_AWS_7", resources=resources, reason=WHY)] if resources else []
    monkeypatch.setattr(second_opinion, "read_waivers", lambda: waivers)
    monkeypatch.setattr(second_opinion, "find", lambda _: {ROTATION})
    monkeypatch.setattr(second_opinion, "simulated", lambda *_: [])
    if status is None:
        second_opinion.main("prod")
    else:
        with pytest.raises(SystemExit) as ended:
            second_opinion.main("prod")
        assert ended.value.code == status
    assert capsys.readouterr().out.splitlines() == said


def test_what_the_tools_are_shown_is_kept_in_a_new_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ollamamax"}}
    made = [resource(BUCKET, "models", {}), resource("kubernetes:core/v1:Namespace", "namespace", namespace)]
    monkeypatch.setattr(second_opinion, "read_waivers", list)
    monkeypatch.setattr(second_opinion, "find", lambda _: set())
    monkeypatch.setattr(second_opinion, "simulated", lambda *_: made)
    second_opinion.main("prod", tmp_path / "kept")
    plan = json.loads((tmp_path / "kept" / "plan.json").read_text())
    assert [one["address"] for one in plan["resource_changes"]] == ["aws_s3_bucket.models"]
    assert yaml.safe_load((tmp_path / "kept" / "Namespace" / "namespace.yaml").read_text()) == namespace
    with pytest.raises(SystemExit, match="File exists; name a folder that can be made"):
        second_opinion.main("prod", tmp_path / "kept")
