"""How property values reach the rules."""

from typing import Any

import pytest
from pulumi_policy import deserialize
from pulumi_policy.deserialize import SPECIAL_SECRET_SIG, SPECIAL_SIG_KEY, deserialize_properties
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, unknown_checking_proxy

from policies.values import UNKNOWN, SecretText, dig, document, items, keep_secrets_marked, opened, texts


def secret(value: Any) -> dict[str, Any]:
    return {SPECIAL_SIG_KEY: SPECIAL_SECRET_SIG, "value": value}


@pytest.fixture
def marking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deserialize, "_deserialize_property", deserialize._deserialize_property)
    keep_secrets_marked()


def as_a_policy_gets(props: dict[str, Any]) -> Any:
    return unknown_checking_proxy(deserialize_properties(props))


def test_unknown_values_are_marked_wherever_they_stand() -> None:
    given = {
        "a": UNKNOWN_STRING_VALUE,
        "b": [1.0, UNKNOWN_STRING_VALUE],
        "c": {"d": UNKNOWN_STRING_VALUE, "e": "x"},
    }
    assert opened(as_a_policy_gets(given)) == {"a": UNKNOWN, "b": [1, UNKNOWN], "c": {"d": UNKNOWN, "e": "x"}}


def test_whole_numbers_are_whole() -> None:
    found = opened(as_a_policy_gets({"whole": 3.0, "half": 0.5, "yes": True}))
    assert found == {"whole": 3, "half": 0.5, "yes": True}
    assert isinstance(found["whole"], int)
    assert found["yes"] is True


@pytest.mark.usefixtures("marking")
def test_strings_of_secrets_are_marked() -> None:
    given = {
        "plain": "x",
        "secret": secret("x"),
        "inside": {"list": ["x", secret("y")]},
        "object": secret({"key": ["x"], "size": 3.0}),
        "unknown": secret(UNKNOWN_STRING_VALUE),
    }
    found = opened(as_a_policy_gets(given))
    marked = {path for path, text in texts(found) if isinstance(text, SecretText)}
    assert marked == {"secret", "inside.list[1]", "object.key[0]"}
    assert found["unknown"] is UNKNOWN
    assert found["object"]["size"] == 3


def test_without_the_mark_a_secret_looks_like_any_string() -> None:
    """When the SDK starts to tell them apart itself, ``keep_secrets_marked`` can go."""
    assert not isinstance(opened(as_a_policy_gets({"secret": secret("x")}))["secret"], SecretText)


def test_digging_below_what_is_unknown_finds_the_unknown() -> None:
    value = {"a": {"b": 1, "c": UNKNOWN}}
    assert dig(value, "a", "b") == 1
    assert dig(value, "a", "none", "deeper") is None
    assert dig(value, "a", "b", "deeper") is None
    assert dig(value, "a", "c", "deeper") is UNKNOWN


def test_items_of_anything() -> None:
    assert items(["a", UNKNOWN]) == ["a"]
    assert items("a") == ["a"]
    assert items(None) == items(UNKNOWN) == []


def test_documents_are_read_from_text_or_taken_as_they_are() -> None:
    assert document('{"a": 1}') == document({"a": 1}) == {"a": 1}
    assert document("no JSON") is document(None) is document(UNKNOWN) is UNKNOWN
