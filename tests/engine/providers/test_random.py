"""The random package, with the shapes that Pulumi's own plugin gives its states."""

import bcrypt
import pytest

from engine.values import Secret
from tests.engine.providers.harness import Failed, Plugin

PACKAGE = "random"
PASSWORD = "random:index/randomPassword:RandomPassword"


def test_a_password_is_secret_and_hashed(plugin: Plugin) -> None:
    inputs = plugin.check(PASSWORD, {"length": 80, "special": False})
    assert inputs == {"length": 80, "special": False}
    id_, outputs = plugin.create(PASSWORD, inputs)
    assert id_ == "none"
    result, hashed = outputs.pop("result"), outputs.pop("bcryptHash")
    assert isinstance(result, Secret)
    assert isinstance(hashed, Secret)
    assert bcrypt.checkpw(result.value.encode()[:72], hashed.value.encode())
    assert hashed.value.startswith("$2a$10$")
    assert len(result.value) == 80
    assert result.value.isalnum()
    assert outputs == {
        "__meta": '{"schema_version":"3"}', "id": "none", "length": 80, "lower": True, "minLower": 0,
        "minNumeric": 0, "minSpecial": 0, "minUpper": 0, "number": True, "numeric": True, "special": False,
        "upper": True,
    }  # fmt: skip
    assert plugin.create(PASSWORD, inputs)[1]["result"] != result


def test_a_change_of_what_is_drawn_draws_again(plugin: Plugin) -> None:
    inputs = {"length": 8, "keepers": {"a": "b"}}
    _, outputs = plugin.create(PASSWORD, inputs)
    assert not plugin.diff(PASSWORD, outputs, inputs, inputs).replaces
    changed = plugin.diff(PASSWORD, outputs, inputs, {"length": 9, "keepers": {"a": "c"}, "numeric": False})
    assert list(changed.replaces) == ["keepers", "length"]


def test_impossible_wishes_are_refused(plugin: Plugin) -> None:
    with pytest.raises(Failed, match=r'"x": length must be 1 or more'):
        plugin.create(PASSWORD, {"length": 0})
    with pytest.raises(Failed, match=r'"x": no character set is chosen'):
        plugin.create(
            PASSWORD, {"length": 4, "upper": False, "lower": False, "numeric": False, "special": False}
        )
    with pytest.raises(
        Failed, match=r"^random:index/randomPet:RandomPet is not supported by the embedded engine"
    ):
        plugin.create("random:index/randomPet:RandomPet", {})
    with pytest.raises(
        Failed, match=r'"x": minUpper is not supported by the embedded engine: needs the Pulumi'
    ):
        plugin.check(PASSWORD, {"length": 4, "minUpper": 1})
