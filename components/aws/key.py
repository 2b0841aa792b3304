"""A KMS key that encrypts one part of the stack at rest.

Costs $1 a month, the same again for each of its first two yearly rotations, and $0.03 per 10,000 requests.
Deleted, what it encrypts can never be read again; AWS waits 30 days before it really goes.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import kms

from components.aws.account import Account
from components.aws.documents import Statement, document, let
from components.aws.protection import protects
from stacks import protected

DELETION_DAYS = 30
"""The longest that AWS offers."""


@dataclass(frozen=True)
class KeyArgs:
    """What a key needs.

    Attributes:
        account: where it is.
        purpose: what it encrypts, for people.
        log_groups: names of the CloudWatch log groups that are encrypted with it.
        allow_replace: the names that the stack gives free.
        statements: who else may use it, such as a service of AWS.
        retain: whether it stays when the stack goes, because what it encrypts does: snapshots.
    """

    account: Account
    purpose: str
    log_groups: Sequence[str] = ()
    allow_replace: Collection[str] = ()
    statements: Sequence[Statement] = ()
    retain: bool = False


class Key(pulumi.ComponentResource):
    """A key that rotates every year, with the alias ``ollamamax-STACK-NAME``."""

    def __init__(self, name: str, args: KeyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ollamamax:aws:Key", name, None, opts)
        key_name = protected.key(name)
        self._key = kms.Key(
            key_name,
            description=args.purpose,
            enable_key_rotation=True,
            deletion_window_in_days=DELETION_DAYS,
            policy=_policy(args),
            opts=pulumi.ResourceOptions(
                parent=self, protect=protects(key_name, args.allow_replace), retain_on_delete=args.retain
            ),
        )
        kms.Alias(
            key_name,
            name=f"alias/{args.account.prefix}-{name}",
            target_key_id=self._key.key_id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"arn": self.arn})

    @property
    def arn(self) -> pulumi.Output[str]:
        """The key's ARN."""
        return self._key.arn


def _policy(args: KeyArgs) -> pulumi.Output[str]:
    """Return who may use the key: whom the account's IAM policies let, and its named log groups."""
    account = args.account
    groups = [account.arn("logs", f"log-group:{name}") for name in args.log_groups]
    logs = let(
        {"Service": f"logs.{account.region}.amazonaws.com"},
        ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
        ["*"],
        {"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": groups}},
    )
    owner = let({"AWS": account.root}, ["kms:*"], ["*"])
    return document(owner, *([logs] if groups else []), *args.statements)
