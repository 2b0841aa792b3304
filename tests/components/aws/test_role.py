"""A role in the graph."""

from components.aws.account import Account
from components.aws.documents import allow, assumed_by, document
from components.aws.role import Role, RoleArgs
from tests.components.aws.conftest import of
from tests.components.conftest import record_of


def test_a_role_has_the_policies_it_was_given_and_no_other(account: Account) -> None:
    policy = document(allow(["s3:GetObject"], ["arn:one"]))
    args = RoleArgs(account, "Somebody", assumed_by("ec2.amazonaws.com"), ["Two", "One"], policy)
    graph = record_of(lambda: Role("one", args))
    assert of(graph, "iam/role:Role")["one"].inputs["name"] == "ollamamax-prod-one"
    attached = [one.inputs for one in of(graph, "iam/rolePolicyAttachment:RolePolicyAttachment").values()]
    assert attached == [
        {"role": "ollamamax-prod-one", "policyArn": f"arn:aws:iam::aws:policy/{name}"}
        for name in ("One", "Two")
    ]
    (inline,) = of(graph, "iam/rolePolicy:RolePolicy").values()
    assert inline.inputs["role"] == "ollamamax-prod-one"


def test_a_role_without_a_policy_of_its_own_has_none(account: Account) -> None:
    graph = record_of(lambda: Role("one", RoleArgs(account, "Somebody", assumed_by("ec2.amazonaws.com"))))
    assert not of(graph, "iam/rolePolicy:RolePolicy")
