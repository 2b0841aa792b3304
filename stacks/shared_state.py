"""Where the state of a cloud stack is kept: the names that ``make bootstrap`` makes and ``make up`` uses.

``.state/`` on one machine would let a second machine create production again.
"""

PREFIX = "ollamamax"


def bucket(account_id: str, region: str) -> str:
    """Return the name of the account's state bucket in ``region``; bucket names are global."""
    return f"{PREFIX}-state-{account_id}-{region}"


def key_alias(stack: str) -> str:
    """Return the alias of the KMS key that seals a stack's secrets."""
    return f"alias/{PREFIX}-{stack}-secrets"


def backend(account_id: str, region: str) -> str:
    """Return Pulumi's URL of the state: ``PULUMI_BACKEND_URL``."""
    return f"s3://{bucket(account_id, region)}?region={region}&awssdk=v2"


def secrets_provider(stack: str, region: str) -> str:
    """Return Pulumi's URL of the key."""
    return f"awskms://{key_alias(stack)}?region={region}&awssdk=v2"
