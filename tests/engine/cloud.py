"""A cloud for tests: a folder with a file for each thing, and a provider over it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from engine.provider import (
    Context,
    Diff,
    InitError,
    Provider,
    ProviderError,
    Resource,
)
from engine.values import Properties


class Thing(Resource):
    """`fake:index:Thing`.

    An input `size` changes in place, `kind` and `name` need a replacement, `solo` makes that one delete
    first; `broken` fails the creation, `unready` lets it fail after the thing was made.
    """

    outputs = frozenset({"link"})

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def _file(self, name: str) -> Path:
        return self.cloud.folder / f"{name}.json"

    def check(self, ctx: Context, olds: Properties, news: Properties, seed: bytes) -> Properties:
        if news.get("size") == "bad":
            raise ProviderError("size: 'bad' is no number; give one")
        inputs = dict(news)
        if "name" not in news:
            kept = olds.get("name") if "name" in olds.get("__defaults", []) else None
            inputs |= {"name": kept or f"{ctx.name}-{sha256(seed).hexdigest()[:7]}", "__defaults": ["name"]}
        return inputs

    def diff(self, ctx: Context, olds: Properties, inputs: Properties, news: Properties) -> Diff:
        keys = {*olds, *news} - {"__defaults", "link"}
        kinds = {
            key: ("add" if key not in olds else "delete" if key not in news else "update")
            + ("-replace" if key in ("kind", "name") else "")
            for key in sorted(keys)
            if olds.get(key) != news.get(key)
        }
        return Diff(kinds, delete_before_replace=bool(news.get("solo")))

    def create(self, ctx: Context, inputs: Properties) -> tuple[str, Properties]:
        name = inputs["name"]
        self.cloud.did("create", name)
        if inputs.get("broken"):
            raise ProviderError(f"{name}: broken={inputs['broken']}")
        if self._file(name).exists() and json.loads(self._file(name).read_text()).get("owner") != ctx.urn:
            raise ProviderError(f"{name} exists and is not this stack's")
        ctx.log(f"making {name}")
        self._file(name).write_text(json.dumps(inputs | {"owner": ctx.urn}))
        self.cloud.after("create", name)
        if inputs.get("unready"):
            raise InitError(name, self._outputs(inputs), f"{name} is not ready")
        return name, self._outputs(inputs)

    def _outputs(self, inputs: Properties) -> Properties:
        shown = {key: value for key, value in inputs.items() if key not in ("__defaults", "owner")}
        return shown | {"link": f"fake://{inputs['name']}"}

    def read(
        self, ctx: Context, id_: str, inputs: Properties, olds: Properties
    ) -> tuple[str, Properties] | None:
        self.cloud.did("read", id_)
        if not self._file(id_).exists():
            return None
        there = json.loads(self._file(id_).read_text())
        if inputs and not olds and there.get("owner") != ctx.urn:  # asked after an interrupted creation
            return None
        return id_, self._outputs(there)

    def update(self, ctx: Context, id_: str, olds: Properties, news: Properties) -> Properties:
        self.cloud.did("update", id_)
        self._file(id_).write_text(json.dumps(news | {"owner": ctx.urn}))
        self.cloud.after("update", id_)
        return self._outputs(news)

    def delete(self, ctx: Context, id_: str, olds: Properties) -> None:
        self.cloud.did("delete", id_)
        self._file(id_).unlink(missing_ok=True)
        self.cloud.after("delete", id_)


class Cloud(Provider):
    """The package `fake`; `before` and `after` are called around every operation on a thing."""

    name = "fake"
    version = "1.0.0"
    config_keys = frozenset({"region", "token"})

    def __init__(self, folder: Path) -> None:
        super().__init__({"fake:index:Thing": Thing(self)})
        self.folder = folder
        self.before: Callable[[str, str], None] = lambda operation, name: None
        self.after: Callable[[str, str], None] = lambda operation, name: None
        self.calls: list[tuple[str, str]] = []
        self._lock = threading.Lock()

    def did(self, operation: str, name: str) -> None:
        """Note that an operation was asked for."""
        with self._lock:
            self.calls.append((operation, name))
        self.before(operation, name)

    def things(self) -> dict[str, dict[str, Any]]:
        """Everything there is, by name."""
        return {file.stem: json.loads(file.read_text()) for file in sorted(self.folder.glob("*.json"))}

    def order(self, operation: str) -> list[str]:
        """The resource names, automatic suffix cut off, in the order in which `operation` was asked for."""
        return [re.sub(r"-[0-9a-f]{7}$", "", name) for done, name in self.calls if done == operation]
