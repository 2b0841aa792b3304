"""Permissions: who may do what in the cloud account."""

import re
from collections.abc import Iterator
from typing import Any

from policies.rule import Resource, rule
from policies.values import UNKNOWN, Properties, dig, document, items, uncertain

PERMISSIONS = (
    "aws:iam/policy:Policy",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/role:Role",
    "aws:iam/groupPolicy:GroupPolicy",
)
RESOURCE_POLICIES = (
    "aws:ecr/repositoryPolicy:RepositoryPolicy",
    "aws:kms/key:Key",
    "aws:secretsmanager/secretPolicy:SecretPolicy",
    "aws:sns/topicPolicy:TopicPolicy",
    "aws:sqs/queuePolicy:QueuePolicy",
)
ROLE = "aws:iam/role:Role"
READS = re.compile(
    r"^[\w-]+:(Get|List|Describe|BatchGet|BatchCheck|Query|Search|View|Lookup|Estimate|Simulate)"
)
UNBOUNDED = frozenset({"cloudwatch:PutMetricData", "xray:PutTraceSegments", "xray:PutTelemetryRecords"})
"""Actions that AWS lets nobody limit to a resource."""
ANYBODY = re.compile(r"(repo:|system:serviceaccount:)?\*")
"""How an OIDC subject begins that leaves open whose tokens it is."""
ADMINISTRATORS = re.compile(r":aws:policy/(AdministratorAccess|PowerUserAccess|IAMFullAccess|\w+FullAccess)$")


def statements(policy: Any) -> list[Properties]:  # noqa: ANN401
    """Return the statements of a policy document."""
    return [one for one in items(dig(policy, "Statement")) if isinstance(one, dict)]


def allows_everybody(statement: Properties) -> bool:
    """Tell whether a statement allows something to everybody, under no condition."""
    principal = statement.get("Principal")
    named = (
        [one for given in principal.values() for one in items(given)]
        if isinstance(principal, dict)
        else [principal]
    )
    return statement.get("Effect") == "Allow" and "*" in named and not statement.get("Condition")


def denies_plain_text(statement: Properties) -> bool:
    """Tell whether a statement refuses everybody's requests without TLS."""
    secure = dig(statement, "Condition", "Bool", "aws:SecureTransport")
    everybody = statement.get("Principal") in ("*", {"AWS": "*"})
    return statement.get("Effect") == "Deny" and everybody and secure in ("false", False, ["false"])


def _allowed(found: Resource) -> Iterator[Properties]:
    """Yield the statements by which a resource gives permissions."""
    inline = [dig(one, "policy") for one in items(found.props.get("inlinePolicies"))]
    for text in (found.props.get("policy"), *inline):
        yield from (one for one in statements(document(text)) if one.get("Effect") == "Allow")


@rule(
    "iam-action-wildcard",
    why="A role that may do everything turns one leaked token into the loss of the account.",
    remedy="List the actions that are needed.",
    on=PERMISSIONS,
)
def iam_action_wildcard(found: Resource) -> Iterator[str]:
    """No policy allows every action, or every action of a service, or all but some."""
    for one in _allowed(found):
        for action in items(one.get("Action")):
            if re.fullmatch(r"\*|[\w*-]+:\*", str(action)):
                yield f"statement {one.get('Sid', '')!r} allows {action}"
        if one.get("NotAction"):
            yield f"statement {one.get('Sid', '')!r} allows everything but {one['NotAction']}"


@rule(
    "iam-resource-wildcard",
    why="A write on every resource reaches those of other stacks and teams.",
    remedy="Name the resources by ARN, or add a condition (aws:ResourceTag, aws:RequestTag). Reads, and "
    "actions that AWS cannot limit to a resource, may have * without one.",
    on=PERMISSIONS,
)
def iam_resource_wildcard(found: Resource) -> Iterator[str]:
    """No policy allows a write on every resource, unless a condition limits it."""
    for one in _allowed(found):
        writes = [
            str(action)
            for action in items(one.get("Action"))
            if not READS.match(str(action)) and action not in UNBOUNDED
        ]
        if "*" in items(one.get("Resource")) and writes and not one.get("Condition"):
            yield f"statement {one.get('Sid', '')!r} allows {', '.join(writes)} on every resource"


@rule(
    "iam-administrator",
    why="A managed policy for administrators allows more with every service that AWS adds.",
    remedy="Write a policy with the actions and resources that are needed.",
    on=(
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "aws:iam/policyAttachment:PolicyAttachment",
        ROLE,
    ),
)
def iam_administrator(found: Resource) -> Iterator[str]:
    """No role has a managed policy that allows everything, or everything of a service."""
    for arn in [*items(found.props.get("policyArn")), *items(found.props.get("managedPolicyArns"))]:
        if ADMINISTRATORS.search(str(arn)):
            yield f"it attaches {arn}"


@rule(
    "iam-user",
    why="Users and access keys are passwords that do not expire, copied to where nobody knows.",
    remedy="Use a role: Pod Identity in the cluster, OIDC in CI, IAM Identity Center for people.",
    on=(
        "aws:iam/user:User",
        "aws:iam/accessKey:AccessKey",
        "aws:iam/userPolicy:UserPolicy",
        "aws:iam/userPolicyAttachment:UserPolicyAttachment",
        "aws:iam/userLoginProfile:UserLoginProfile",
        "aws:ec2/keyPair:KeyPair",
    ),
)
def iam_user(found: Resource) -> Iterator[str]:
    """There are no users, access keys or key pairs, only roles."""
    yield f"{found.type.rpartition(':')[2]} is a credential that does not expire"


@rule(
    "iam-trust",
    why="A role that everybody may assume gives its permissions to every AWS account in the world.",
    remedy="Name the service, account or role in Principal.",
    on=(ROLE,),
)
def iam_trust(found: Resource) -> Iterator[str]:
    """No role trusts everybody."""
    for one in statements(document(found.props.get("assumeRolePolicy"))):
        if allows_everybody(one):
            yield f"assumeRolePolicy: statement {one.get('Sid', '')!r} trusts everybody"


@rule(
    "iam-oidc-subject",
    why="Without the subject, every repository of the CI's host, or every pod of the cluster, gets the role.",
    remedy='Add a condition on the provider\'s ":sub" that names repository and branch, or the service '
    "account.",
    on=(ROLE,),
)
def iam_oidc_subject(found: Resource) -> Iterator[str]:
    """A role that trusts an OIDC provider names whose tokens it takes."""
    for one in statements(document(found.props.get("assumeRolePolicy"))):
        if one.get("Effect") != "Allow" or "sts:AssumeRoleWithWebIdentity" not in items(one.get("Action")):
            continue
        condition = one.get("Condition") or {}
        tests = list(condition.values()) if isinstance(condition, dict) else [UNKNOWN]
        subjects = [
            value
            for test in tests
            if isinstance(test, dict)
            for key, given in test.items()
            if key.endswith(":sub")
            for value in (given if isinstance(given, list) else [given])
        ]
        if not uncertain(tests) and (not subjects or any(ANYBODY.match(str(value)) for value in subjects)):
            yield f"assumeRolePolicy: statement {one.get('Sid', '')!r} takes tokens of any subject"


@rule(
    "resource-policy-public",
    why="A policy for everybody shares images, keys, secrets or messages with every AWS account.",
    remedy="Name the principals, or add a condition such as aws:SourceArn or aws:PrincipalOrgID.",
    on=RESOURCE_POLICIES,
)
def resource_policy_public(found: Resource) -> Iterator[str]:
    """No key, secret, repository, topic or queue is open to everybody."""
    for one in statements(document(found.props.get("policy"))):
        if allows_everybody(one):
            yield f"statement {one.get('Sid', '')!r} allows {one.get('Action')} to everybody"
