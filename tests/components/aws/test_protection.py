"""Who may be replaced."""

from components.aws.protection import protects


def test_only_what_the_stack_names_is_given_free() -> None:
    assert protects("vpc", [])
    assert protects("vpc", ["cluster"])
    assert not protects("cluster", ["cluster"])
