"""The AWS provider of a stack."""

import pulumi
import pulumi_aws as aws

from components.aws.account import Account


def aws_provider(account: Account, opts: pulumi.ResourceOptions | None = None) -> aws.Provider:
    """Return a provider that refuses credentials of any other account and tags all that it makes."""
    return aws.Provider(
        "aws",
        region=account.region,
        allowed_account_ids=[account.id],
        default_tags=aws.ProviderDefaultTagsArgs(tags=account.tags),
        opts=opts,
    )
