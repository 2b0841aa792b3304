"""Resource inputs as the Python SDKs describe them: one source for names, types and what is required."""

from __future__ import annotations

import collections.abc
import enum
import inspect
import re
import typing
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pulumi
from pulumi import _types

from engine.provider import CheckError, Context
from engine.values import UNKNOWN, Properties, Secret

WORDS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a map",
}


@dataclass(frozen=True)
class Field:
    """An input: str, int, float, bool, list or dict. A dict with `fields` is an object, else a map."""

    kind: type
    required: bool = False
    item: Field | None = None
    fields: dict[str, Field] = field(default_factory=dict)

    @property
    def empty(self) -> Any:
        """What Terraform's SDK stores in a nested element for an input that was not given."""
        if self.kind is list:
            return []
        return {} if self.kind is dict and not self.fields else "" if self.kind is str else None


def _field(hint: Any, required: bool = False) -> Field:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Union:
        return _field(args[0], required and type(None) not in args)
    if origin is collections.abc.Sequence:
        return Field(list, required, _field(args[0]))
    if origin is collections.abc.Mapping:
        return Field(dict, required, _field(args[1]))
    if inspect.isclass(hint) and issubclass(hint, enum.Enum):
        return Field(str, required)
    return Field(hint, required) if hint in WORDS else Field(dict, required, fields=fields_of(hint))


@cache
def fields_of(args: type) -> dict[str, Field]:
    """Inputs of an SDK's `…Args` class, by their Pulumi names."""
    names = _types.input_type_py_to_pulumi_names(args)
    init: Any = args.__dict__["__init__"]
    hints = typing.get_type_hints(init, localns={"Output": pulumi.Output, "T": pulumi.output.T})
    needed = {
        key
        for key, one in inspect.signature(init).parameters.items()
        if one.default is inspect.Parameter.empty
    }
    return {names[key]: _field(hint, key in needed) for key, hint in hints.items() if key in names}


def check(
    ctx: Context,
    fields: dict[str, Field],
    news: Properties,
    unsupported: frozenset[str],
    patterns: dict[str, str],
) -> None:
    """Refuse what is missing, unknown, of a wrong type, or real but not handled here; all of it at once."""
    failures: list[tuple[str, str]] = []
    where = f'{ctx.type} "{ctx.name}"'

    def visit(one: Field, value: Any, path: str, key: str) -> None:
        if value is None or value == UNKNOWN:
            return
        right = isinstance(value, one.kind) and isinstance(value, bool) == (one.kind is bool)
        if not right and not (one.kind is float and type(value) is int):
            failures.append((path, f"{where}: {path} must be {WORDS[one.kind]}, not {type(value).__name__}"))
        elif key in patterns and isinstance(value, str) and not re.fullmatch(patterns[key], value):
            failures.append((path, f'{where}: {path} "{value}" does not match {patterns[key]}'))
        elif one.fields:
            visit_object(one.fields, value, path, key)
        elif one.item:
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            for name, item in pairs:
                visit(one.item, item, f"{path}[{name}]" if one.kind is list else f"{path}.{name}", key)

    def visit_object(known: dict[str, Field], values: Properties, path: str = "", keys: str = "") -> None:
        for name, value in sorted(values.items()):
            at, key = (f"{path}.{name}", f"{keys}.{name}") if path else (name, name)
            if name == "__defaults" or value is None:
                continue
            if name not in known:
                failures.append((at, f"{where}: {at} is not a property of this type"))
            elif key in unsupported:
                failures.append(ctx.unsupported(at))
            else:
                visit(known[name], value, at, key)
        for name, one in known.items():
            if one.required and values.get(name) is None:
                at = f"{path}.{name}" if path else name
                failures.append((at, f"{where}: {at} is required"))

    visit_object(fields, news)
    if failures:
        raise CheckError(failures)


def with_defaults(
    fields: dict[str, Field], news: Properties, defaults: dict[str, Properties], at: str = ""
) -> Properties:
    """Inputs with defaults filled in and listed in `__defaults`, nested objects too, as the bridge does."""
    filled: Properties = {}
    for name, value in sorted(news.items()):
        one, path = fields.get(name), f"{at}.{name}" if at else name
        if value is None or name == "__defaults":
            continue
        if one and one.fields and isinstance(value, dict):
            value = with_defaults(one.fields, value, defaults, path)
        elif one and one.item and one.item.fields and isinstance(value, list):
            value = [
                with_defaults(one.item.fields, v, defaults, path) if isinstance(v, dict) else v for v in value
            ]
        filled[name] = value
    missing = {name: value for name, value in defaults.get(at, {}).items() if name not in filled}
    return {**filled, **missing, "__defaults": sorted(missing)}


def delta(one: Field, value: Any, renamed: dict[str, str], nulls: bool) -> Properties:
    """How a value differs from Terraform's own state, as the bridge records it to find its way back."""
    if one.kind is list and value is not None:
        inner = (
            {str(i): object_delta(one.item, v, renamed, nulls) for i, v in enumerate(value)}
            if one.item
            else {}
        )
        return {"arr": {"el": inner} if inner and one.item and one.item.fields else {}}
    if one.fields:
        return {"plu": {"i": {} if value is None else object_delta(one, value, renamed, nulls)}}
    return {"map": {}} if one.kind is dict and value is not None else {}


def object_delta(one: Field, values: Any, renamed: dict[str, str], nulls: bool) -> Properties:
    """The delta of an object. With `nulls`, what is left out is null, or an empty list of blocks."""
    found: Properties = {}
    for name, inner in one.fields.items():
        if name in values:
            found[name] = delta(inner, values[name], renamed, nulls)
        elif nulls:
            found[name] = Secret({"replace": {"raw": [] if inner.fields else None}})
    changed = {name: renamed[name] for name in one.fields if name in renamed and (nulls or name in values)}
    parts = {"ps": {name: part for name, part in found.items() if part}, "renamed": changed}
    return {"obj": {name: part for name, part in parts.items() if part}}
