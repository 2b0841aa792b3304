"""Property values on the wire and by path."""

from __future__ import annotations

from typing import Any

import pytest

from engine.values import OUTPUT, SECRET, SIGNATURE, UNKNOWN, Secret, at, from_wire, graft, steps_of, to_wire


@pytest.mark.parametrize(
    ("value", "path", "scion", "expected"),
    [
        ({"a": 1, "b": 2}, "a", 3, {"a": 3, "b": 2}),
        ({"a": 1, "b": 2}, "a", None, {"b": 2}),
        ({"b": 2}, "a.c", None, {"b": 2}),
        ({}, 'a["x y"][0]', 1, {"a": {"x y": [1]}}),
        ({"a": [1, 2, 3]}, "a[1]", None, {"a": [1, 3]}),
        ({"a": [1]}, "a.b", None, {"a": [1]}),
        ({"a": UNKNOWN}, "a.b", 1, {"a": UNKNOWN}),
        ({"a": Secret([1, 2])}, "a[1]", 3, {"a": [Secret(1), 3]}),
        ({"a": Secret({"b": 1})}, "a.c", None, {"a": Secret({"b": 1})}),
    ],
)
def test_a_path_is_grafted(value: Any, path: str, scion: Any, expected: Any) -> None:
    before = repr(value)
    assert graft(value, steps_of(path), scion) == expected
    assert repr(value) == before, "what was given stays as it is"


def test_what_is_inside_a_secret_is_secret() -> None:
    value = {"a": Secret([{"b": 1}])}
    assert at(value, steps_of("a[0].b")) == Secret(1)
    assert at(value, steps_of("a[1].b")) is None


def test_the_wire_knows_whole_numbers_secrets_and_output_values() -> None:
    wire = to_wire({"a": 1, "b": [2.5, None, True, Secret({"c": "d"})]})
    assert from_wire(wire) == {"a": 1, "b": [2.5, None, True, Secret({"c": "d"})]}
    assert isinstance(from_wire(wire)["a"], int)
    marked = {"known": {SIGNATURE: OUTPUT, "value": 1}, "not": {SIGNATURE: OUTPUT, "secret": True}}
    assert from_wire(to_wire(marked)) == {"known": 1, "not": Secret(UNKNOWN)}
    assert from_wire(to_wire({"a": {SIGNATURE: SECRET, "value": 1}})) == {"a": Secret(1)}
