"""ARNs and names, before anything exists."""

import pytest

from components.aws.account import Account


@pytest.mark.parametrize(
    ("region", "partition"),
    [("eu-central-1", "aws"), ("us-gov-west-1", "aws-us-gov"), ("cn-north-1", "aws-cn")],
)
def test_an_arn_names_the_partition_of_its_region(region: str, partition: str) -> None:
    account = Account("prod", "111122223333", region)
    assert account.arn("eks", "cluster/one") == f"arn:{partition}:eks:{region}:111122223333:cluster/one"
    assert account.root == f"arn:{partition}:iam::111122223333:root"
    assert account.managed_policy("One") == f"arn:{partition}:iam::aws:policy/One"


def test_two_stacks_of_an_account_share_no_name_and_no_cost() -> None:
    one, other = (Account(stack, "111122223333", "eu-central-1") for stack in ("staging", "prod"))
    assert one.prefix != other.prefix
    assert one.tags != other.tags
