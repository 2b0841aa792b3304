"""The AWS provider in the graph."""

import json

from components.aws.account import Account
from components.aws.provider import aws_provider
from tests.components.conftest import record_of


def test_the_provider_keeps_to_the_stacks_account_and_tags_what_it_makes(account: Account) -> None:
    inputs = record_of(lambda: aws_provider(account))["pulumi:providers:aws::aws"].inputs
    assert inputs["region"] == "eu-central-1"
    assert json.loads(inputs["allowedAccountIds"]) == ["111122223333"]
    assert json.loads(inputs["defaultTags"]) == {"tags": account.tags}
