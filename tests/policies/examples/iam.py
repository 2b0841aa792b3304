"""Permissions."""

import json
from typing import Any

from policies.iam import PERMISSIONS, RESOURCE_POLICIES
from policies.rule import Resource
from tests.policies.examples import fails, passes, thing

ROLE = "aws:iam/role:Role"
POD = {"Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"}, "Action": "sts:AssumeRole"}
CI = {
    "Effect": "Allow",
    "Principal": {"Federated": "arn:aws:iam::1:oidc-provider/ci.example.org"},
    "Action": "sts:AssumeRoleWithWebIdentity",
}
AUDIENCE = {"ci.example.org:aud": "sts.amazonaws.com"}


def document(**fields: Any) -> str:
    """Return a policy document of one statement that allows to read a bucket but for what is given."""
    statement = {
        "Sid": "One",
        "Effect": "Allow",
        "Action": ["s3:GetObject"],
        "Resource": ["arn:aws:s3:::models/*"],
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement | fields]})


def permissions(kind: str, **fields: Any) -> Resource:
    """Return what gives permissions by one statement."""
    text = document(**fields)
    return thing(
        kind, **{"inlinePolicies": [{"name": "a", "policy": text}]} if kind == ROLE else {"policy": text}
    )


def trust(**fields: Any) -> Resource:
    """Return a role with a trust policy of one statement."""
    return thing(ROLE, assumeRolePolicy={"Version": "2012-10-17", "Statement": fields})


def subject(pattern: str) -> dict[str, Any]:
    """Return the conditions under which CI gets a role."""
    return {"StringEquals": AUDIENCE, "StringLike": {"ci.example.org:sub": pattern}}


EXAMPLES = [
    *(
        example
        for kind in PERMISSIONS
        for example in (
            fails("iam-action-wildcard", permissions(kind, Action="*"), says="statement 'One' allows *"),
            fails(
                "iam-action-wildcard", permissions(kind, Action=["s3:*"]), says="statement 'One' allows s3:*"
            ),
            passes("iam-action-wildcard", permissions(kind, Action=["s3:Get*"])),
            passes("iam-action-wildcard", permissions(kind, Action="*", Effect="Deny")),
            fails(
                "iam-resource-wildcard",
                permissions(kind, Action=["ec2:DescribeVpcs", "ec2:TerminateInstances"], Resource="*"),
                says="allows ec2:TerminateInstances on every resource",
            ),
            passes(
                "iam-resource-wildcard", permissions(kind, Action="ecr:GetAuthorizationToken", Resource="*")
            ),
            passes(
                "iam-resource-wildcard", permissions(kind, Action="cloudwatch:PutMetricData", Resource="*")
            ),
            passes(
                "iam-resource-wildcard",
                permissions(
                    kind,
                    Action="ec2:TerminateInstances",
                    Resource="*",
                    Condition={"StringEquals": {"aws:ResourceTag/stack": "prod"}},
                ),
            ),
        )
    ),
    fails(
        "iam-action-wildcard",
        thing(PERMISSIONS[0], policy=json.dumps({"Statement": {"Effect": "Allow", "NotAction": "iam:*"}})),
        says="allows everything but iam:*",
    ),
    *(
        example
        for kind in (
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            "aws:iam/policyAttachment:PolicyAttachment",
        )
        for example in (
            fails(
                "iam-administrator",
                thing(kind, policyArn="arn:aws:iam::aws:policy/AdministratorAccess"),
                says="it attaches arn:aws:iam::aws:policy/AdministratorAccess",
            ),
            passes(
                "iam-administrator", thing(kind, policyArn="arn:aws:iam::aws:policy/AmazonEKSClusterPolicy")
            ),
        )
    ),
    fails(
        "iam-administrator",
        thing(ROLE, managedPolicyArns=["arn:aws:iam::aws:policy/AmazonS3FullAccess"]),
        says="AmazonS3FullAccess",
    ),
    *(
        fails("iam-user", thing(f"aws:{kind}"), says=f"{kind.partition(':')[2]} is a credential")
        for kind in (
            "iam/user:User",
            "iam/accessKey:AccessKey",
            "iam/userPolicy:UserPolicy",
            "iam/userPolicyAttachment:UserPolicyAttachment",
            "iam/userLoginProfile:UserLoginProfile",
            "ec2/keyPair:KeyPair",
        )
    ),
    passes("iam-user", thing(ROLE)),
    fails("iam-trust", trust(**POD | {"Principal": {"AWS": "*"}}), says="trusts everybody"),
    fails("iam-trust", trust(**POD | {"Principal": "*"}), says="trusts everybody"),
    passes("iam-trust", trust(**POD)),
    fails("iam-oidc-subject", trust(**CI), says="takes tokens of any subject"),
    fails("iam-oidc-subject", trust(**CI, Condition={"StringEquals": AUDIENCE}), says="any subject"),
    fails("iam-oidc-subject", trust(**CI, Condition=subject("repo:*")), says="any subject"),
    passes("iam-oidc-subject", trust(**CI, Condition=subject("repo:example/platform:ref:refs/heads/main"))),
    passes("iam-oidc-subject", trust(**POD)),
    *(
        example
        for kind in RESOURCE_POLICIES
        for example in (
            fails(
                "resource-policy-public",
                thing(kind, policy=document(Principal="*", Action="ecr:BatchGetImage")),
                says="statement 'One' allows ecr:BatchGetImage to everybody",
            ),
            passes(
                "resource-policy-public",
                thing(kind, policy=document(Principal={"AWS": "arn:aws:iam::1:root"})),
            ),
        )
    ),
]
