"""The random package, with the shapes that Pulumi's own plugin gives its states."""

import base64
import json
import uuid

import bcrypt
import pytest

from engine.values import Secret
from tests.engine.providers.harness import Failed, Plugin, opened

PACKAGE = "random"
NULL = Secret({"replace": {"raw": None}})


def token(name: str) -> str:
    return f"random:index/random{name}:Random{name}"


def test_a_password_is_secret_and_hashed(plugin: Plugin) -> None:
    inputs = plugin.check(token("Password"), {"length": 80, "special": False, "minUpper": 70})
    assert inputs == {"length": 80, "special": False, "minUpper": 70}
    id_, outputs = plugin.create(token("Password"), inputs)
    assert id_ == "none"
    result, hashed = outputs.pop("result"), outputs.pop("bcryptHash")
    assert isinstance(result, Secret)
    assert isinstance(hashed, Secret)
    assert bcrypt.checkpw(result.value.encode()[:72], hashed.value.encode())
    assert hashed.value.startswith("$2a$10$")
    assert len(result.value) == 80
    assert result.value.isalnum()
    assert sum(letter.isupper() for letter in result.value) >= 70
    assert outputs == {
        "__meta": json.dumps({"schema_version": "3"}, separators=(",", ":")),
        "__pulumi_raw_state_delta": {"obj": {"ps": {"keepers": NULL, "overrideSpecial": NULL}}},
        "id": "none", "length": 80, "lower": True, "minLower": 0, "minNumeric": 0, "minSpecial": 0,
        "minUpper": 70, "number": True, "numeric": True, "special": False, "upper": True,
    }  # fmt: skip


def test_a_change_of_what_is_drawn_draws_again_and_nothing_else_does(plugin: Plugin) -> None:
    inputs = {"length": 8, "keepers": {"a": "b"}}
    _, outputs = plugin.create(token("String"), inputs)
    assert outputs["id"] == outputs["result"]
    assert not plugin.diff(token("String"), outputs, inputs).replaces
    assert not plugin.diff(token("String"), outputs, inputs | {"special": True, "minLower": 0}).replaces
    changed = plugin.diff(token("String"), outputs, {"length": 9, "keepers": {"a": "c"}, "numeric": False})
    assert list(changed.replaces) == list(changed.diffs) == ["keepers", "length", "number", "numeric"]
    assert not changed.hasDetailedDiff


def test_bytes_ids_and_uuids_are_spelled_as_the_plugin_does(plugin: Plugin) -> None:
    id_, outputs = plugin.create(token("Id"), {"byteLength": 5, "prefix": "p-"})
    drawn = bytes.fromhex(outputs["hex"].removeprefix("p-"))
    assert len(drawn) == 5
    assert outputs["dec"] == f"p-{int.from_bytes(drawn)}"
    assert outputs["b64Std"] == "p-" + base64.b64encode(drawn).decode()
    assert outputs["b64Url"] == f"p-{id_}"
    assert base64.urlsafe_b64decode(id_ + "=") == drawn

    id_, outputs = plugin.create(token("Bytes"), {"length": 4})
    assert isinstance(outputs["hex"], Secret)
    assert base64.b64decode(id_) == bytes.fromhex(opened(outputs)["hex"])
    assert outputs.keys() == {"__pulumi_raw_state_delta", "base64", "hex", "length"}

    id_, outputs = plugin.create(token("Uuid"), {})
    assert str(uuid.UUID(id_)) == outputs["result"] == outputs["id"]


def test_impossible_wishes_are_refused(plugin: Plugin) -> None:
    with pytest.raises(Failed, match=r'"x": length is less than 5, the sum of the minima'):
        plugin.create(token("String"), {"length": 4, "minLower": 5})
    empty = dict.fromkeys(("upper", "lower", "numeric", "special"), False)
    with pytest.raises(Failed, match=r'"x": no character set is chosen'):
        plugin.create(token("String"), {"length": 4, **empty})
    with pytest.raises(
        Failed, match=r"^random:index/randomPet:RandomPet is not supported by the embedded engine"
    ):
        plugin.create(token("Pet"), {})
    assert plugin.refusals(token("String"), {"size": 1}) == [
        f'{token("String")} "x": size is not a property of this type',
        f'{token("String")} "x": length is required',
    ]
