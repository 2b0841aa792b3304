"""The roles of GitHub Actions: no key is kept there, a job proves with its token which repository it is of.

Cost nothing. Deleted, nothing of the stack changes, but nobody deploys or previews it from GitHub.

Whoever may deploy decides what runs in the account, and can give the roles of its programs any right: keep
the environment for those you would make administrators, and have it ask for an approval.
"""

from dataclasses import dataclass

import pulumi
from pulumi_aws import iam

from components.aws.account import Account
from components.aws.documents import allow, deny, deny_elsewhere, document, let
from stacks import shared_state
from stacks.aws import CiSettings

ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
CONTENTS = (
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
    "rds:Download*",
    "ssm:GetParameter*",
)
"""What AWS's read-only policy allows and no plan needs: what programs of the account wrote."""
SERVICES = (
    "acm",
    "budgets",
    "cloudfront",
    "cloudwatch",
    "ec2",
    "ecr",
    "eks",
    "elasticache",
    "elasticloadbalancing",
    "kms",
    "logs",
    "rds",
    "route53",
    "s3",
    "secretsmanager",
    "servicequotas",
    "wafv2",
)
"""What a stack is made of: a deployment uses these services and no other."""
GLOBAL_REGION = "us-east-1"
"""Where the services without regions are, and what a CDN reads."""
ROLE_ACTIONS = (
    "iam:AttachRolePolicy",
    "iam:CreateRole",
    "iam:DeleteRole",
    "iam:DeleteRolePolicy",
    "iam:DetachRolePolicy",
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:ListAttachedRolePolicies",
    "iam:ListInstanceProfilesForRole",
    "iam:ListRolePolicies",
    "iam:PassRole",
    "iam:PutRolePolicy",
    "iam:TagRole",
    "iam:UntagRole",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateRole",
)


@dataclass(frozen=True)
class CiRolesArgs:
    """What the roles need.

    Attributes:
        account: where they are.
        settings: whom they are for.
        secrets_key: ARN of the key that seals the stack's secrets.
        first_in_account: whether the account still has to be told of GitHub's identities.
    """

    account: Account
    settings: CiSettings
    secrets_key: pulumi.Input[str]
    first_in_account: bool


class CiRoles(pulumi.ComponentResource):
    """A role that reads, for pull requests, and one that deploys, for the jobs of one environment."""

    def __init__(self, name: str, args: CiRolesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ollamamax:aws:CiRoles", name, None, opts)
        self._args = args
        account, repository = args.account, args.settings.repository
        self._child = child = pulumi.ResourceOptions(parent=self)
        self._issuer: pulumi.Input[str] = account.global_arn("iam", f"oidc-provider/{ISSUER}")
        if args.first_in_account:
            self._issuer = iam.OpenIdConnectProvider(
                "github", url=f"https://{ISSUER}", client_id_lists=[AUDIENCE], opts=child
            ).arn
        self._preview = self._role(
            "preview",
            "Previews of pull requests and of the main branch",
            subjects=[f"repo:{repository}:pull_request", f"repo:{repository}:ref:refs/heads/main"],
            policy=self._read_only(),
            managed="ReadOnlyAccess",
        )
        self._deploy = self._role(
            "deploy",
            "Deployments",
            subjects=[f"repo:{repository}:environment:{args.settings.environment}"],
            policy=self._deployer(),
        )
        self.register_outputs({"preview": self.preview, "deploy": self.deploy})

    @property
    def preview(self) -> pulumi.Output[str]:
        """ARN of the role for previews."""
        return self._preview.arn

    @property
    def deploy(self) -> pulumi.Output[str]:
        """ARN of the role for deployments."""
        return self._deploy.arn

    @property
    def _bucket(self) -> str:
        """ARN of the bucket of the state."""
        account = self._args.account
        return f"arn:{account.partition}:s3:::{shared_state.bucket(account.id, account.region)}"

    def _role(
        self,
        job: str,
        description: str,
        subjects: list[str],
        policy: pulumi.Output[str],
        managed: str | None = None,
    ) -> iam.Role:
        account = self._args.account
        token = {f"{ISSUER}:aud": AUDIENCE, f"{ISSUER}:sub": subjects}
        trust = let(
            {"Federated": self._issuer}, ["sts:AssumeRoleWithWebIdentity"], condition={"StringEquals": token}
        )
        role = iam.Role(
            job,
            name=account.ci_role(job),
            description=f"{description} of stack {account.stack} by GitHub Actions",
            assume_role_policy=document(trust),
            opts=self._child,
        )
        if managed:
            iam.RolePolicyAttachment(
                job, role=role.name, policy_arn=account.managed_policy(managed), opts=self._child
            )
        iam.RolePolicy(job, name=job, role=role.name, policy=policy, opts=self._child)
        return role

    def _read_only(self) -> pulumi.Output[str]:
        """Return what a preview does beyond AWS's policy, and what it must not read."""
        account, project = self._args.account, shared_state.PREFIX
        state = [
            f"{self._bucket}/.pulumi/meta.yaml",
            f"{self._bucket}/.pulumi/stacks/{project}/{account.stack}.json*",
            f"{self._bucket}/.pulumi/history/{project}/{account.stack}/*",
        ]
        return document(
            allow(["kms:Decrypt"], [self._args.secrets_key]),
            # The bucket's own key, which another stack of the account may have made.
            allow(
                ["kms:Decrypt"],
                [account.arn("kms", "key/*")],
                {"StringEquals": {"kms:EncryptionContext:aws:s3:arn": self._bucket}},
            ),
            deny_elsewhere(["s3:GetObject*"], state),
            deny(CONTENTS, ["*"]),
        )

    def _deployer(self) -> pulumi.Output[str]:
        """Return what a deployment does, and what it must leave alone."""
        account = self._args.account
        return document(
            allow(
                [f"{service}:*" for service in SERVICES],
                ["*"],
                {"StringEquals": {"aws:RequestedRegion": sorted({account.region, GLOBAL_REGION})}},
            ),
            allow(["iam:CreateServiceLinkedRole"], [account.global_arn("iam", "role/aws-service-role/*")]),
            allow(ROLE_ACTIONS, [account.global_arn("iam", f"role/{account.prefix}-*")]),
            deny(
                ["s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:PutBucket*", "s3:PutLifecycleConfiguration"],
                [self._bucket],
            ),
            deny(["s3:DeleteObjectVersion"], [f"{self._bucket}/*"]),
            deny(["kms:DisableKey", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"], [self._args.secrets_key]),
        )
