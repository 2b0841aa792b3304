"""What is wrong with the inputs of a resource: all of it, each with its path, its value and the limit."""

from __future__ import annotations

import enum
import functools
import json
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.provider import WORDS
from engine.simulated import sdk
from engine.simulated.api import Shape
from engine.simulated.limits import PROSE, TAG_KEY, TAG_VALUE, TAGS, near
from engine.values import UNKNOWN, Properties

FEW = 30
"""A choice among more is told by what is near, not in full."""
_TYPES = {**WORDS, float: "a number"}
_CLASSES = {r"\p{L}": r"\w", r"\p{N}": r"\d", r"\p{Z}": r"\s"}  # as Python has them, or a little wider
_NUMBERS = ("integer", "long", "float", "double")


class Check:
    """A check of a resource of one kind, `AREA:NAME`, that would stand in a region."""

    def __init__(self, kind: str, region: str) -> None:
        self._kind, self._region = kind, region

    def object(self, cls: type, shape: Shape | None, value: Properties, path: str = "") -> Iterator[str]:
        """Yield the problems of what a class of inputs describes."""
        known, dot = sdk.inputs(cls), f"{path}." if path else ""
        for name, item in sorted(value.items()):
            if name in known:
                inner = shape.member(name) if shape else None
                yield from self._value(known[name].kind, inner, item, dot + name, known[name].limits)
            elif name != "__defaults":
                names = [*known, *(one.python for one in known.values())]
                yield f"{dot}{name} is no input{near(name, names)}"
        for name, about in known.items():
            if about.required and value.get(name) is None:
                yield f"{dot}{name} is missing"

    def _value(
        self, kind: Any, shape: Shape | None, value: Any, path: str, words: Mapping[str, Any] | None = None
    ) -> Iterator[str]:
        origin, inner = typing.get_origin(kind), [sdk.unwrapped(one) for one in typing.get_args(kind)]
        many, mapping = origin in (list, Sequence), origin in (dict, Mapping)
        expected = list if many else dict if mapping or sdk.is_object(kind) else kind
        if value is None or value == UNKNOWN:
            return
        if expected in _TYPES and not _is(value, expected):
            yield f"{path} must be {_TYPES[expected]}, not {type(value).__name__}"
        elif many:
            shape = _items(shape)
            if shape and shape.type == "list":
                yield from _counted(shape.raw, len(value), path, "items")
                shape = shape.item
            for index, item in enumerate(value):
                yield from self._value(inner[0], shape, item, f"{path}[{index}]", words)
        elif mapping:
            keys, values = _entries(shape)
            if path == "tags":
                keys, values = keys or TAG_KEY, values or TAG_VALUE
                yield from _counted(TAGS, len(value), path, "tags")
            for key, item in sorted(value.items()):
                at = f"{path}.{key}" if re.fullmatch(r"[\w$]+", key) else f"{path}[{json.dumps(key)}]"
                yield from _limited(keys, key, f"{path}: the key")
                yield from _limited(values, item, at) if inner[1] is str else ()
                yield from self._value(inner[1], None, item, at)
        elif sdk.is_object(kind):
            shape = _plain(shape)
            yield from self.object(kind, shape if shape and shape.type == "structure" else None, value, path)
        elif isinstance(kind, type) and issubclass(kind, enum.Enum):
            yield from _limited({"type": "string", "enum": [one.value for one in kind]}, value, path)
        else:
            yield from self._scalar(_plain(shape), value, path, words)

    def _scalar(
        self, shape: Shape | None, value: Any, path: str, words: Mapping[str, Any] | None
    ) -> Iterator[str]:
        bare = re.sub(r"\[\d+\]", "", path)
        named = bare.rpartition(".")[2] if not self._kind.startswith("cloudflare:") else ""
        prose = PROSE.get(f"{self._kind}.{bare}") or PROSE.get(named)
        if callable(prose):
            problem = prose(value, self._region) if isinstance(value, str) else ""
            yield from [f"{path} {json.dumps(value)} {problem}"] if problem else []
        else:
            yield from _limited(prose or words or (shape.raw if shape else None), value, path)


def _is(value: Any, expected: type) -> bool:
    if isinstance(value, bool) or expected is bool:
        return isinstance(value, bool) and expected is bool
    return isinstance(value, int | float if expected is float else expected)


def _plain(shape: Shape | None) -> Shape | None:
    """Return what a list holds: the SDK has one thing where the API has a list of it."""
    while shape and shape.type == "list":
        shape = shape.item
    return shape


def _items(shape: Shape | None) -> Shape | None:
    """Return the shape of a list where the API wraps it into a structure, or has a map."""
    if shape and shape.type == "structure":
        return shape.members.get("Items", shape)
    return shape.item if shape and shape.type == "map" else shape


def _entries(shape: Shape | None) -> tuple[Any, Any]:
    """Return the limits of a map's keys and values; the API may have it as a list of pairs."""
    if shape and shape.type == "map":
        return shape.key.raw, shape.item.raw
    pair = _plain(_items(shape))
    if pair and pair.type == "structure":
        by_name = {name.lower(): one.raw for name, one in pair.members.items()}
        return by_name.get("key"), by_name.get("value")
    return None, None


def _limited(raw: Mapping[str, Any] | None, value: Any, path: str) -> Iterator[str]:
    """Yield what is wrong with a text or number; one of another type than its limit is not judged."""
    number, text = isinstance(value, int | float) and not isinstance(value, bool), isinstance(value, str)
    if not raw or not (number if raw["type"] in _NUMBERS else text and raw["type"] == "string"):
        return
    told = f"{path} {json.dumps(value, ensure_ascii=False)}"
    if "enum" in raw:
        words = list(map(str, raw["enum"]))
        if str(value) not in words:
            choice = ", ".join(words) if len(words) <= FEW else f"{len(words)} words"
            yield f"{told} is none of {choice}{near(str(value), words) if text else ''}"
    elif text:
        yield from _counted(raw, len(value), path, "characters")
        expression = _compiled(raw.get("pattern", ""))
        if expression and not expression.fullmatch(value):
            yield f"{told} does not match {raw['pattern']}"
    elif value not in raw.get("also", ()):
        if value < raw.get("min", value):
            yield f"{told} is less than {raw['min']}"
        if value > raw.get("max", value):
            yield f"{told} is more than {raw['max']}"


def _counted(raw: Mapping[str, Any], count: int, path: str, what: str) -> Iterator[str]:
    if count < raw.get("min", 0):
        yield f"{path} has {count} {what}, fewer than {raw['min']}"
    if count > raw.get("max", count):
        yield f"{path} has {count} {what}, more than {raw['max']}"


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """Return a model's pattern, which is Java's; None for the few that Python has no words for."""
    for theirs, ours in _CLASSES.items():
        pattern = pattern.replace(theirs, ours)
    try:
        return re.compile(pattern, re.DOTALL) if pattern else None
    except re.error:
        return None
