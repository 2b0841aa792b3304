"""The stack's state: resource records, and the journal that turns steps into checkpoints."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from engine.values import Properties

STACK_TYPE = "pulumi:pulumi:Stack"
VERSION = "3.272.0"  # of Pulumi, whose state format this is


def now() -> str:
    """Return the time as Go writes it, RFC 3339 in UTC."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


@dataclass(eq=False)
class Resource:
    """One resource of the state; the field order is the checkpoint's.

    Fields are set, what they hold is never changed: so a checkpoint knows what is as in the one before.
    """

    urn: str
    custom: bool = False
    delete: bool = False
    id: str = ""
    type: str = ""
    inputs: Properties = field(default_factory=dict)
    outputs: Properties = field(default_factory=dict)
    parent: str = ""
    protect: bool = False
    external: bool = False  # read by the CLI, not made here
    dependencies: list[str] = field(default_factory=list)
    init_errors: list[str] = field(default_factory=list)
    provider: str = ""
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    pending_replacement: bool = False
    additional_secret_outputs: list[str] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)
    import_id: str = ""
    retain_on_delete: bool = False
    created: str = ""
    modified: str = ""
    ignore_changes: list[str] = field(default_factory=list)
    replace_on_changes: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)  # what the CLI wrote and the engine does not use

    @property
    def name(self) -> str:
        """The last part of the URN."""
        return self.urn.rsplit("::", 1)[-1]

    @property
    def ref(self) -> str:
        """How other resources name this one when it is a provider: `URN::ID`."""
        return f"{self.urn}::{self.id}"

    def needs(self) -> set[str]:
        """Return the URNs that must exist for this resource to exist."""
        urns = {self.parent, self.provider.rpartition("::")[0], *self.dependencies}
        return (urns.union(*self.property_dependencies.values())) - {"", self.urn}

    def repoint(self, change: Callable[[list[str]], list[str]]) -> None:
        """Change which URNs its inputs depend on."""
        self.dependencies = change(self.dependencies)
        self.property_dependencies = {key: change(urns) for key, urns in self.property_dependencies.items()}

    def encode(self, encode: Callable[[Any], Any]) -> dict[str, Any]:
        """Return the checkpoint's JSON object; empty fields are left out."""
        found = {key: getattr(self, name) for name, key in _KEYS.items()}
        found |= {key: encode(found[key]) for key in _ENCODED}
        return {k: v for k, v in found.items() if v or k in ("urn", "custom", "type")} | self.extra

    @classmethod
    def decode(cls, document: dict[str, Any], decode: Callable[[Any], Any]) -> Resource:
        """Read the checkpoint's JSON object."""
        found = {key: value for key, value in document.items() if value is not None}
        found |= {key: decode(found[key]) for key in ("inputs", "outputs") if key in found}
        by_key = found.get("propertyDependencies", {})
        known = {name: found.pop(key) for name, key in _KEYS.items() if key in found}
        known["property_dependencies"] = {key: urns or [] for key, urns in by_key.items()}
        return cls(**known, extra=found)


_ENCODED = ("inputs", "outputs", "propertyDependencies")  # what may hold secrets, or whose keys are sorted
_KEYS = {
    name: re.sub(r"_(id$|.)", lambda match: "ID" if match[1] == "id" else match[1].upper(), name)
    for name in Resource.__dataclass_fields__
    if name != "extra"
}


@dataclass
class Operation:
    """Something that was begun; `type` is creating, updating or deleting."""

    resource: Resource
    type: str


@dataclass
class Snapshot:
    """The resources of a stack in dependency order, and operations that were interrupted."""

    resources: list[Resource] = field(default_factory=list)
    pending: list[Operation] = field(default_factory=list)

    @property
    def outputs(self) -> Properties:
        """The stack's outputs."""
        return next((found.outputs for found in self.resources if found.type == STACK_TYPE), {})

    def problems(self) -> Iterator[str]:
        """Yield what breaks the rule that each resource comes after what it needs."""
        seen: set[str] = set()
        for resource in self.resources:
            for urn in sorted(resource.needs() - seen):
                yield f"{resource.urn} needs {urn}, which does not come before it"
            seen.add(resource.urn)


def deployment_document(snapshot: Snapshot, salt: str, encode: Callable[[Resource], Any]) -> dict[str, Any]:
    """Return the `deployment` object of an export, which is `latest` in the backend's file."""
    pending = [{"resource": encode(one.resource), "type": one.type} for one in snapshot.pending]
    document = {
        "manifest": {"time": now(), "magic": sha256(VERSION.encode()).hexdigest(), "version": VERSION},
        "secrets_providers": {"type": "passphrase", "state": {"salt": salt}},
        "resources": [encode(one) for one in snapshot.resources],
        "pending_operations": pending,
    }
    return {key: value for key, value in document.items() if value} | {"metadata": {}}


def read_deployment(document: dict[str, Any], decode: Callable[[Any], Any]) -> Snapshot:
    """Read a `deployment` object."""
    resources, pending = document.get("resources") or [], document.get("pending_operations") or []
    return Snapshot(
        [Resource.decode(one, decode) for one in resources],
        [Operation(Resource.decode(one["resource"], decode), one["type"]) for one in pending],
    )


@dataclass
class Change:
    """What a step does to the state: `add` is there now, `remove` is gone or replaced by it."""

    operation: Operation | None = None  # pending until the change is recorded
    add: Resource | None = None
    remove: Sequence[Resource] = ()


class Journal:
    """What was done in this run, and after it what was there before: so each comes after what it needs."""

    def __init__(self, base: Snapshot, save: Callable[[Snapshot], None] | None) -> None:
        self._base, self._save = base, save
        self._new, self._gone, self._pending = list[Resource](), set[int](), list(base.pending)
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._moments, self._written = itertools.count(1), 0

    def begin(self, operation: Operation) -> None:
        """Record that an operation is about to start."""
        with self._lock:
            self._pending.append(operation)
        self.write()

    def end(self, change: Change, write: bool = True) -> None:
        """Record what was done."""
        with self._lock:
            self._pending = [one for one in self._pending if one is not change.operation]
            self._gone.update(map(id, change.remove))
            self._new += [change.add] if change.add else []
        if write:
            self.write()

    def write(self) -> None:
        """Return once a checkpoint of now is written, unless this is a preview; who waits shares the next."""
        asked = next(self._moments)
        with self._writing:
            if self._save and asked > self._written:
                moment = next(self._moments)
                self._save(self.snapshot())
                self._written = moment

    def snapshot(self) -> Snapshot:
        """Return the state as it is now."""
        with self._lock:
            found = [one for one in (*self._new, *self._base.resources) if id(one) not in self._gone]
            return Snapshot(found, list(self._pending))
