"""Policy documents on the settled graph: outputs inside them are known by then."""

import pulumi

from components.aws.documents import allow, assumed_by, deny, deny_elsewhere, document, let
from tests.components.aws.conftest import statements


def settled(value: pulumi.Output[str]) -> str:
    found: list[str] = []
    pulumi.runtime.test(lambda: value.apply(found.append))()  # type: ignore[no-untyped-call]
    return found[0]


def test_a_statement_says_what_it_was_given() -> None:
    condition = {"StringEquals": {"aws:SourceAccount": "1"}}
    text = settled(
        document(
            allow(["s3:GetObject"], [pulumi.Output.from_input("arn:one")], condition),
            deny(["s3:*"], ["*"]),
            deny_elsewhere(["s3:Get*"], ["arn:three"]),
            let({"AWS": "arn:two"}, ["kms:*"], ["*"]),
        )
    )
    assert statements(text) == [
        {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:one"], "Condition": condition},
        {"Effect": "Deny", "Action": ["s3:*"], "Resource": ["*"]},
        {"Effect": "Deny", "Action": ["s3:Get*"], "NotResource": ["arn:three"]},
        {"Effect": "Allow", "Principal": {"AWS": "arn:two"}, "Action": ["kms:*"], "Resource": ["*"]},
    ]


def test_a_service_may_tag_its_session_only_where_it_has_to() -> None:
    (plain,) = statements(settled(assumed_by("ec2.amazonaws.com")))
    assert plain == {
        "Effect": "Allow",
        "Principal": {"Service": "ec2.amazonaws.com"},
        "Action": ["sts:AssumeRole"],
    }
    (tagging,) = statements(settled(assumed_by("eks.amazonaws.com", tag_session=True)))
    assert tagging["Action"] == ["sts:AssumeRole", "sts:TagSession"]
