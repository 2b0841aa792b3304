"""The roles of GitHub Actions in the graph."""

import ast
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

import components.aws
from components.aws.account import Account
from components.aws.ci_roles import CiRoles, CiRolesArgs
from stacks.aws import CiSettings
from tests.components.aws.conftest import of, statements
from tests.components.conftest import Graph, record_of

KEY = "arn:aws:kms:eu-central-1:111122223333:key/1"
BUCKET = "arn:aws:s3:::ollamamax-state-111122223333-eu-central-1"
PREFIX = "token.actions.githubusercontent.com"


def made(account: Account, *, first: bool = True) -> Graph:
    settings = CiSettings(repository="example/platform", environment="production")
    return record_of(lambda: CiRoles("ci", CiRolesArgs(account, settings, KEY, first)))


def trust(graph: Graph, job: str) -> dict[str, Any]:
    (statement,) = statements(of(graph, "iam/role:Role")[job].inputs["assumeRolePolicy"])
    return statement


def policy(graph: Graph, job: str) -> list[dict[str, Any]]:
    return statements(of(graph, "iam/rolePolicy:RolePolicy")[job].inputs["policy"])


def denied(graph: Graph, job: str) -> dict[str, list[str]]:
    """Return action → what it is denied on."""
    found = [one for one in policy(graph, job) if one["Effect"] == "Deny" and "Resource" in one]
    return {action: one["Resource"] for one in found for action in one["Action"]}


def test_only_jobs_of_the_environment_deploy(account: Account) -> None:
    condition = trust(made(account), "deploy")["Condition"]["StringEquals"]
    assert condition == {
        f"{PREFIX}:aud": "sts.amazonaws.com",
        f"{PREFIX}:sub": ["repo:example/platform:environment:production"],
    }


def test_pull_requests_and_the_main_branch_preview(account: Account) -> None:
    condition = trust(made(account), "preview")["Condition"]["StringEquals"]
    assert condition[f"{PREFIX}:sub"] == [
        "repo:example/platform:pull_request",
        "repo:example/platform:ref:refs/heads/main",
    ]


def test_the_account_is_told_of_github_once(account: Account) -> None:
    kind = "iam/openIdConnectProvider:OpenIdConnectProvider"
    first, second = made(account), made(account, first=False)
    assert of(first, kind)["github"].inputs["url"] == f"https://{PREFIX}"
    assert not of(second, kind)
    known = f"arn:aws:iam::111122223333:oidc-provider/{PREFIX}"
    assert trust(second, "deploy")["Principal"] == {"Federated": known}


def test_a_preview_reads_its_own_stacks_state_and_no_other_object(account: Account) -> None:
    graph = made(account)
    attached = of(graph, "iam/rolePolicyAttachment:RolePolicyAttachment")["preview"].inputs
    assert attached["policyArn"] == "arn:aws:iam::aws:policy/ReadOnlyAccess"
    (elsewhere,) = [one for one in policy(graph, "preview") if "NotResource" in one]
    assert elsewhere["Effect"] == "Deny"
    assert elsewhere["Action"] == ["s3:GetObject*"]
    assert elsewhere["NotResource"] == [
        f"{BUCKET}/.pulumi/meta.yaml",
        f"{BUCKET}/.pulumi/stacks/ollamamax/prod.json*",
        f"{BUCKET}/.pulumi/history/ollamamax/prod/*",
    ]


@pytest.mark.parametrize(
    "action",
    [
        "dynamodb:GetItem",
        "dynamodb:Query",
        "dynamodb:Scan",
        "logs:FilterLogEvents",
        "logs:GetLogEvents",
        "logs:GetLogObject",
        "logs:GetLogRecord",
        "logs:GetQueryResults",
        "logs:StartLiveTail",
        "logs:StartQuery",
        "rds:DownloadCompleteDBLogFile",
        "rds:DownloadDBLogFilePortion",
        "ssm:GetParametersByPath",
    ],
)
def test_a_preview_reads_nothing_that_programs_wrote(account: Account, action: str) -> None:
    found = denied(made(account), "preview")
    assert [on for pattern, on in found.items() if fnmatchcase(action, pattern)] == [["*"]]


def test_a_preview_changes_nothing(account: Account) -> None:
    allowed = [one for one in policy(made(account), "preview") if one["Effect"] == "Allow"]
    assert {action for one in allowed for action in one["Action"]} == {"kms:Decrypt"}
    assert allowed[0]["Resource"] == [KEY]
    assert allowed[1]["Condition"] == {"StringEquals": {"kms:EncryptionContext:aws:s3:arn": BUCKET}}


def test_a_deployment_changes_the_stacks_roles_and_not_its_own(account: Account) -> None:
    graph = made(account)
    (roles,) = [one for one in policy(graph, "deploy") if "iam:PutRolePolicy" in one["Action"]]
    assert roles["Resource"] == ["arn:aws:iam::111122223333:role/ollamamax-prod-*"]
    names = [one.inputs["name"] for one in of(graph, "iam/role:Role").values()]
    assert names == ["ollamamax-ci-prod-deploy", "ollamamax-ci-prod-preview"]


def test_a_deployment_uses_the_services_that_a_stack_is_made_of_in_its_region(account: Account) -> None:
    graph = made(account)
    assert sorted(of(graph, "iam/rolePolicyAttachment:RolePolicyAttachment")) == ["preview"]
    services, *_ = policy(graph, "deploy")
    assert services["Condition"] == {"StringEquals": {"aws:RequestedRegion": ["eu-central-1", "us-east-1"]}}
    allowed = {action.partition(":")[0] for action in services["Action"]}
    called = {"cloudwatch": "logs", "lb": "elasticloadbalancing", "vpc": "ec2"}
    used = {
        called.get(alias.name, alias.name)
        for file in Path(components.aws.__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "pulumi_aws"
        for alias in node.names
    }
    assert used - {"iam"} <= allowed, "a deployment may not make what the program does"


def test_a_deployment_cannot_lose_the_state(account: Account) -> None:
    found = denied(made(account), "deploy")
    assert found["s3:DeleteBucket"] == [BUCKET]
    assert found["s3:DeleteObjectVersion"] == [f"{BUCKET}/*"]
    assert found["kms:ScheduleKeyDeletion"] == [KEY]
