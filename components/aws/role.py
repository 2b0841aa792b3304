"""An IAM role with what it may do.

Costs nothing. Deleted, what runs with it is refused by AWS once its credentials end, within an hour.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import iam

from components.aws.account import Account


@dataclass(frozen=True)
class RoleArgs:
    """What a role needs.

    Attributes:
        account: where it is.
        description: whom it serves, for people.
        trust: the policy that says who may take it.
        managed: names of AWS's own policies that it gets.
        policy: what else it may do.
    """

    account: Account
    description: str
    trust: pulumi.Input[str]
    managed: Sequence[str] = ()
    policy: pulumi.Input[str] | None = None


class Role(pulumi.ComponentResource):
    """The role ``ollamamax-STACK-NAME``. Who depends on this component depends on its policies too."""

    def __init__(self, name: str, args: RoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ollamamax:aws:Role", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self._role = iam.Role(
            name,
            name=f"{args.account.prefix}-{name}",
            description=args.description,
            assume_role_policy=args.trust,
            opts=child,
        )
        for policy in sorted(args.managed):
            iam.RolePolicyAttachment(
                f"{name}-{policy}",
                role=self._role.name,
                policy_arn=args.account.managed_policy(policy),
                opts=child,
            )
        if args.policy is not None:
            iam.RolePolicy(name, name=name, role=self._role.name, policy=args.policy, opts=child)
        self.register_outputs({"arn": self.arn})

    @property
    def arn(self) -> pulumi.Output[str]:
        """The role's ARN."""
        return self._role.arn

    @property
    def name(self) -> pulumi.Output[str]:
        """The role's name."""
        return self._role.name
