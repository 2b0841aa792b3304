"""Resources as Pulumi's Terraform bridge shows them: checked inputs, plans and the state's reserved keys."""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar

from pulumi import _types

from engine.provider import Context, Diff, Resource, unique_name
from engine.providers.schema import Field, check, fields_of, object_delta, with_defaults
from engine.values import Properties

EMPTY: tuple[Any, ...] = (None, "", [], {}, 0, False)


class Bridged(Resource):
    """One resource type. Subclasses name the SDK's classes and say what the plugin's schema says."""

    args: type
    sdk: type
    schema_version = 0
    meta: ClassVar[Properties] = {}
    defaults: ClassVar[dict[str, Any]] = {}
    """Values for inputs that were not given, by the path of the object they belong to."""
    unsupported: frozenset[str] = frozenset()
    patterns: ClassVar[dict[str, str]] = {}
    """Regular expressions that texts have to match, by path."""
    renamed: ClassVar[dict[str, str]] = {}
    """Terraform's names, where the bridge's differ by more than their spelling."""
    auto_named = False
    computed: frozenset[str] = frozenset()
    """Optional inputs whose value Docker chooses when they are not given."""
    in_place: frozenset[str] = frozenset()
    """Inputs that `update` can change; every other one replaces the resource."""
    ordered: frozenset[str] = frozenset()
    """Lists whose order matters; the others are sets."""
    delete_first = False
    nulls = False
    """Whether properties that are null are left out of the state."""

    @property
    def fields(self) -> dict[str, Field]:
        """The inputs."""
        return fields_of(self.args)

    def __init__(self) -> None:
        self.outputs = frozenset(_types.resource_types(self.sdk)) | {"id"}

    def check(self, ctx: Context, olds: Properties, news: Properties, seed: bytes) -> Properties:
        """Refuse bad inputs and fill in defaults; an automatic name is kept for the resource's life."""
        check(ctx, self.fields, news, self.unsupported, self.patterns)
        defaults = self.defaults
        if self.auto_named and not news.get("name"):
            kept = olds["name"] if "name" in olds.get("__defaults", []) else unique_name(ctx, seed)
            defaults = {**defaults, "": {**defaults.get("", {}), "name": kept}}
        return with_defaults(self.fields, news, defaults)

    def diff(self, ctx: Context, olds: Properties, news: Properties) -> Diff:
        """Compare new inputs with the recorded state, which a refresh may have changed."""
        olds, news = self.comparable(olds), self.comparable(news)
        changes: dict[str, str] = {}
        for name, one in self.fields.items():
            if name in self.computed and news.get(name) in (None, []):
                continue
            suffix = "" if name in self.in_place else "-replace"
            found = _changes(name, one, olds.get(name), news.get(name), name in self.ordered)
            changes |= {path: kind + suffix for path, kind in found.items()}
        named = self.auto_named and "name" not in news.get("__defaults", [])
        return Diff(changes, self.delete_first or named)

    def comparable(self, values: Properties) -> Properties:
        """Bring values that mean the same to the same form."""
        return values

    def state(self, values: Properties) -> Properties:
        """Outputs with the reserved keys that let the real plugin go on from here."""
        meta = {**self.meta, **({"schema_version": str(self.schema_version)} if self.schema_version else {})}
        # An absent block is an empty list to Terraform, or null where the provider may fill it.
        fields = {
            name: one
            for name, one in self.delta_fields().items()
            if values.get(name) is not None or name not in self.computed
        }
        return {
            **values,
            **({"__meta": json.dumps(meta, separators=(",", ":"))} if meta else {}),
            "__pulumi_raw_state_delta": object_delta(
                Field(dict, fields=fields), values, self.renamed, self.nulls
            ),
        }

    def delta_fields(self) -> dict[str, Field]:
        """Properties that can need a delta."""
        return self.fields


class Framework(Bridged):
    """A resource of Terraform's newer plugin framework, which lives in the state alone.

    Defaults are outputs only, what is null is left out, and a plan names properties without saying more.
    """

    nulls = True

    def check(self, ctx: Context, olds: Properties, news: Properties, seed: bytes) -> Properties:
        """Refuse bad inputs."""
        check(ctx, self.fields, news, self.unsupported, self.patterns)
        return {name: value for name, value in news.items() if value is not None}

    def diff(self, ctx: Context, olds: Properties, news: Properties) -> Diff:
        """Compare new inputs with the recorded ones."""
        news = {**self.defaults, **self.comparable(news)}
        changed = {name for name in self.fields if canonical(news.get(name)) != canonical(olds.get(name))}
        kinds = {name: "update" if name in self.in_place else "update-replace" for name in sorted(changed)}
        return Diff(kinds, detailed=False)

    def update(self, ctx: Context, id_: str, olds: Properties, news: Properties) -> Properties:
        """Take over inputs that have no other effect."""
        return {**olds, **{name: news.get(name, self.defaults.get(name)) for name in self.in_place}}

    def delta_fields(self) -> dict[str, Field]:
        """Inputs and outputs."""
        return {**dict.fromkeys(sorted(self.outputs - {"id"}), Field(str)), **self.fields}

    def state(self, values: Properties) -> Properties:
        """Outputs without what is null, which the delta names instead."""
        return super().state({name: value for name, value in values.items() if value is not None})


def canonical(value: Any) -> Any:
    """A value without what is empty, absent or the bridge's own, so that equal settings compare equal."""
    if isinstance(value, dict):
        items = {key: canonical(item) for key, item in value.items() if key != "__defaults"}
        return {key: item for key, item in items.items() if item not in EMPTY}
    if isinstance(value, list):
        return sorted((canonical(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    return value


def _changes(path: str, one: Field, old: Any, new: Any, ordered: bool) -> dict[str, str]:
    """Property paths to kinds of change; a list whose elements cannot be told apart changes as a whole."""
    same = old == new if ordered else canonical(old) == canonical(new)
    if same or (old in EMPTY and new in EMPTY):
        return {}
    if old in EMPTY and type(old) is not bool and one.kind in (list, dict):
        return {path: "add"}
    if new in (None, [], {}):
        return {path: "delete"}
    if one.kind is dict:
        keys = sorted((old or {}).keys() | new.keys() - {"__defaults"})
        found: dict[str, str] = {}
        for key in keys:
            at = f"{path}.{key}" if re.fullmatch(r"[A-Za-z_$][\w$]*", key) else f'{path}["{key}"]'
            found |= _changes(at, one.fields.get(key) or Field(str), old.get(key), new.get(key), ordered)
        return found
    if one.kind is not list:
        return {path: "add" if old is None else "update"}
    if not one.item:
        return {path: "update"}
    if ordered:
        gone = {i for i, item in enumerate(old) if i >= len(new) or item != new[i]}
        made = {i for i, item in enumerate(new) if i >= len(old) or item != old[i]}
    else:
        olds, news = [canonical(item) for item in old], [canonical(item) for item in new]
        gone = {i for i, item in enumerate(olds) if item not in news}
        made = {i for i, item in enumerate(news) if item not in olds}
        if gone and made and gone != made:
            return {path: "update"}
    found = {f"{path}[{i}]": "delete" for i in gone - made} | {f"{path}[{i}]": "add" for i in made - gone}
    for i in sorted(gone & made):
        found |= _changes(f"{path}[{i}]", one.item, old[i], new[i], ordered)
    return found
