"""A key in the graph."""

from components.aws.account import Account
from components.aws.key import Key, KeyArgs
from tests.components.aws.conftest import of, statements
from tests.components.conftest import Graph, Registered, record_of


def made(args: KeyArgs) -> Graph:
    return record_of(lambda: Key("one", args))


def only(graph: Graph) -> Registered:
    return of(graph, "kms/key:Key")["one-key"]


def test_a_key_rotates_and_cannot_go_by_accident(account: Account) -> None:
    key = only(made(KeyArgs(account, "Something")))
    assert key.inputs["enableKeyRotation"] is True
    assert key.inputs["deletionWindowInDays"] == 30
    assert key.protect
    assert not only(made(KeyArgs(account, "Something", allow_replace=["one-key"]))).protect


def test_a_key_is_found_by_the_stacks_name(account: Account) -> None:
    alias = of(made(KeyArgs(account, "Something")), "kms/alias:Alias")["one-key"]
    assert alias.inputs["name"] == "alias/ollamamax-prod-one"


def test_only_the_accounts_own_policies_say_who_uses_a_key(account: Account) -> None:
    (owner,) = statements(only(made(KeyArgs(account, "Something"))).inputs["policy"])
    assert owner["Principal"] == {"AWS": "arn:aws:iam::111122223333:root"}


def test_logs_may_use_a_key_for_the_named_groups_only(account: Account) -> None:
    _, logs = statements(only(made(KeyArgs(account, "Logs", ["/one"]))).inputs["policy"])
    assert logs["Principal"] == {"Service": "logs.eu-central-1.amazonaws.com"}
    assert logs["Condition"]["ArnEquals"]["kms:EncryptionContext:aws:logs:arn"] == [
        "arn:aws:logs:eu-central-1:111122223333:log-group:/one"
    ]
