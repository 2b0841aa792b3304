"""Limits of properties, from the API models that AWS publishes with botocore.

A resource type stands for operations; their members are matched with its properties by name, in steps: as it
is written, in singular words, without words that say nothing, without the name of the resource.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.loaders import Loader

from engine.simulated.operations import OPERATIONS, RENAMED, SERVICES

_LOADER = Loader()
_EMPTY_WORDS = {
    "cache", "config", "configuration", "db", "document", "enable", "enabled", "is", "list", "master",
    "preferred", "text",
}  # fmt: skip


class Shape:
    """One shape of a service's model: what a value may be, and what is in it.

    `path` leads to it through the resource's properties; `top` is where the members that are named for other
    properties than their own begin.
    """

    def __init__(self, raw: Mapping[str, Any], shapes: Mapping[str, Any], kind: str = "") -> None:
        self.raw, self.kind, self.path, self.top = raw, kind, "", self
        self._shapes, self._found = shapes, dict[str, Shape | None]()

    @property
    def type(self) -> str:
        """What the model calls it: structure, list, map, string, integer and so on."""
        return str(self.raw["type"])

    @property
    def item(self) -> Shape:
        """What a list or the values of a map hold."""
        return self._with(self._shapes[(self.raw.get("member") or self.raw["value"])["shape"]], self.path)

    @property
    def key(self) -> Shape:
        """What the keys of a map are."""
        return self._with(self._shapes[self.raw["key"]["shape"]], self.path)

    @functools.cached_property
    def members(self) -> dict[str, Shape]:
        """The members of a structure by name."""
        found = self.raw["members"]
        return {name: self._with(self._shapes[one["shape"]], self.path) for name, one in found.items()}

    def member(self, name: str) -> Shape | None:
        """Return the member that a property stands for; if there is none, one of a structure in between."""
        if name not in self._found:
            self._found[name] = self._member(name, f"{self.path}.{name}".removeprefix("."))
        return self._found[name]

    def _member(self, name: str, path: str) -> Shape | None:
        found: Shape | None
        if renamed := RENAMED.get(self.kind, {}).get(path):
            found = self.top
            for step in renamed.split("."):
                found = (found.item if found.type == "list" else found).members[step]
        else:
            noun = self.kind.partition(":")[2]
            found = _match(name, self.members, noun)
            between = [one for one in self.members.values() if one.type == "structure"]
            inner = [one for one in (_match(name, outer.members, noun) for outer in between) if one]
            found = found or (inner[0] if len(inner) == 1 else None)
        return found and self._with(found.raw, path)

    def _with(self, raw: Mapping[str, Any], path: str) -> Shape:
        found = Shape(raw, self._shapes, self.kind)
        found.path, found.top = path, self.top
        return found


@functools.cache
def shape(token: str) -> Shape | None:
    """Return what the API takes for a resource type: the members of its operations in one structure."""
    area, _, name = token.partition(":")[2].partition("/")
    noun = name.partition(":")[2]
    service, kind = SERVICES.get(area, area), f"{area}:{noun}"
    members, shapes = dict[str, Any](), dict[str, Any]()
    for one in OPERATIONS.get(kind, f"{service}.Create{noun} {service}.Put{noun}").split():
        service, operation, *path = one.split(".")
        model = _model(service)
        if operation in model.get("operations", {}):
            shapes |= model["shapes"]
            found = shapes[model["operations"][operation]["input"]["shape"]]
            for step in path:
                found = shapes[
                    (found["member"] if found["type"] == "list" else found["members"][step])["shape"]
                ]
            members = found["members"] | members
    return Shape({"type": "structure", "members": members}, shapes, kind) if members else None


@functools.cache
def partitions() -> dict[str, Any]:
    """Return AWS's partitions by region."""
    found = _LOADER.load_data("partitions")["partitions"]
    return {region: one for one in found for region in one["regions"] if not region.endswith("-global")}


@functools.cache
def instance_types() -> list[str]:
    """Return EC2's instance types."""
    return list(_model("ec2")["shapes"]["InstanceType"]["enum"])


@functools.cache
def _model(service: str) -> dict[str, Any]:
    known = service in _LOADER.list_available_services("service-2")
    return dict(_LOADER.load_service_model(service, "service-2")) if known else {}


def _match(name: str, members: Mapping[str, Shape], noun: str) -> Shape | None:
    """Return the member that the first step finds alone."""
    for ours, theirs in zip(_spellings(name, ""), _spelled(tuple(members), noun), strict=True):
        if len(theirs.get(ours, ())) == 1:
            return members[theirs[ours][0]]
    return None


@functools.lru_cache(4096)
def _spelled(members: tuple[str, ...], noun: str) -> list[dict[str, list[str]]]:
    """Return for each step the members by their spelling."""
    steps: list[dict[str, list[str]]] = [{}, {}, {}, {}]
    for member in members:
        for step, spelling in zip(steps, _spellings(member, noun), strict=True):
            step.setdefault(spelling, []).append(member)
    return steps


def _spellings(name: str, noun: str) -> Iterator[str]:
    """Yield a name ever barer."""
    found = re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+", name)
    yield "".join(found).lower()
    words = [re.sub(r"ies$", "y", word.lower()).rstrip("s") for word in found]
    yield "".join(words)
    bare = [word for word in words if word not in _EMPTY_WORDS] or words
    yield "".join(bare)
    own = re.findall(r"[A-Z]+[a-z]*", noun)
    while len(bare) > 1 and bare[0] in (noun.lower(), *(word.lower().rstrip("s") for word in own)):
        bare = bare[1:]
    yield "".join(bare)
