"""The state that all machines share: a bucket, and the key that seals the stack's secrets in it.

Costs $1 a month for each of its two keys; the state itself is a few MiB.
Deleted, the next ``up`` would make the whole stack again beside the one that runs, which nobody would manage
any more; without the key, every password in the state is lost. So both are protected, and the bucket keeps
what was.
"""

from collections.abc import Collection
from dataclasses import dataclass

import pulumi

from components.aws.account import Account
from components.aws.bucket import Bucket, BucketArgs
from components.aws.key import Key, KeyArgs
from stacks import shared_state
from stacks.protected import EVERYTHING

VERSIONS_DAYS = 365
"""How long a state that was replaced is kept: each ``up`` replaces it."""


@dataclass(frozen=True)
class SharedStateArgs:
    """What the state needs.

    Attributes:
        account: where it is.
        first_in_account: whether the account still lacks its bucket, which all its stacks share.
        allow_replace: the names that the stack gives free.
    """

    account: Account
    first_in_account: bool
    allow_replace: Collection[str] = ()


class SharedState(pulumi.ComponentResource):
    """The account's bucket, where it is the first stack in it, and the stack's key."""

    def __init__(self, name: str, args: SharedStateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ollamamax:aws:SharedState", name, None, opts)
        self._account = args.account
        child = pulumi.ResourceOptions(parent=self)
        account = args.account
        # All that a stack has may go; what opens its state, and other stacks', is given free by name alone.
        free = [name for name in args.allow_replace if name != EVERYTHING]
        self._key = Key(
            "secrets",
            KeyArgs(account, f"Secrets in the state of stack {account.stack}", allow_replace=free),
            child,
        )
        if args.first_in_account:
            Bucket(
                "state",
                BucketArgs(
                    account,
                    key=Key(
                        "state",
                        KeyArgs(account, "State of all stacks", allow_replace=free),
                        child,
                    ),
                    versions_days=VERSIONS_DAYS,
                    name=shared_state.bucket(account.id, account.region),
                    allow_replace=free,
                    empties=False,
                ),
                child,
            )
        self.register_outputs({"backend": self.backend, "secretsProvider": self.secrets_provider})

    @property
    def secrets_key(self) -> pulumi.Output[str]:
        """ARN of the key that seals the stack's secrets."""
        return self._key.arn

    @property
    def backend(self) -> str:
        """Pulumi's URL of the state: ``PULUMI_BACKEND_URL``."""
        return shared_state.backend(self._account.id, self._account.region)

    @property
    def secrets_provider(self) -> str:
        """Pulumi's URL of the key: ``secretsprovider`` in the stack's file."""
        return shared_state.secrets_provider(self._account.stack, self._account.region)
