"""What there is in the simulated cloud: a file for each thing, so that what is done by hand is seen."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from engine.errors import EngineError
from engine.values import Properties

Write = Callable[[Path, bytes], None]


@dataclass(frozen=True)
class Thing:
    """One thing of the cloud, without what was secret; `seed` is its first URN and how many had it before."""

    type: str
    id: str
    urn: str
    seed: str
    inputs: Properties
    outputs: Properties

    @cached_property
    def names(self) -> frozenset[str]:
        """How others may name it: the id, and all texts that the cloud made for it."""
        given = {text for _, text in texts(self.inputs)}
        return frozenset({text for _, text in texts(self.outputs)} - given | {self.id})


class Cloud:
    """The things of one stack's cloud, in a folder or, without one, in memory alone.

    `existing` are ids, ARNs and names of what the stack does not make and takes as given.
    """

    def __init__(
        self, folder: Path | None, write: Write, existing: Iterable[str] = (), things: Iterable[Thing] = ()
    ) -> None:
        self.lock, self.existing = threading.RLock(), frozenset(existing)
        self.claims = dict[tuple[str, ...], str]()  # who will have a name, by type, region and name
        self._folder, self._write, self._counts = folder, write, dict[str, int]()
        self._things = {(one.type, one.id): one for one in things}
        self._files = dict[tuple[str, str], Path]()
        for file in sorted(folder.glob("*.json")) if folder else ():
            try:
                document = json.loads(file.read_text())
                if file == self._counted:
                    self._counts = document
                else:
                    thing = Thing(**document)
                    self._things[thing.type, thing.id], self._files[thing.type, thing.id] = thing, file
            except (OSError, ValueError, TypeError) as error:
                raise EngineError(f"{file}: no thing of the simulated cloud: {error}") from error

    @property
    def things(self) -> list[Thing]:
        """All that there is."""
        return list(self._things.values())

    def find(self, type_: str, id_: str) -> Thing | None:
        """Return a thing."""
        return self._things.get((type_, id_))

    def of(self, type_: str, urn: str = "") -> list[Thing]:
        """Return all things of a type, or those of a URN."""
        return [one for one in self.things if one.type == type_ and urn in ("", one.urn)]

    def knows(self, name: str) -> bool:
        """Tell whether an id or ARN is that of a thing, or of a part of one."""
        things = self.things
        if name in self.existing or any(name in one.names for one in things):
            return True
        arns = (arn for one in things for arn in one.names if arn.startswith("arn:"))
        return name.startswith("arn:") and any(name.startswith((f"{arn}:", f"{arn}/")) for arn in arns)

    def seed(self, urn: str) -> str:
        """Return the seed of the next thing of a URN."""
        parts = (one.seed.rpartition(" ") for one in self.things)
        alive = (int(number) + 1 for first, _, number in parts if first == urn)
        return f"{urn} {max([self._counts.get(urn, 0), *alive])}"

    def put(self, thing: Thing) -> None:
        """Make or change a thing."""
        key = (thing.type, thing.id)
        with self.lock:
            self._things[key] = thing
            if self._folder:
                file = self._files.setdefault(key, self._folder / _file_name(thing))
                self._write(file, json.dumps(asdict(thing), indent=1).encode())

    def drop(self, thing: Thing) -> None:
        """Remove a thing; the next one of its URN will have another id."""
        with self.lock:
            urn, _, number = thing.seed.rpartition(" ")
            self._counts[urn] = max(self._counts.get(urn, 0), int(number) + 1)
            self._things.pop((thing.type, thing.id))
            if not self._folder:
                return
            self._files.pop((thing.type, thing.id)).unlink(missing_ok=True)
            if self._things:
                self._write(self._counted, json.dumps(self._counts, indent=1).encode())
            else:
                self._counted.unlink(missing_ok=True)

    @property
    def _counted(self) -> Path:
        return (self._folder or Path()) / "counts.json"


def _file_name(thing: Thing) -> str:
    told = re.sub(r"[^\w.-]+", "-", f"{thing.type.partition(':')[2]}.{thing.id}")[:100]
    return f"{told}.{hashlib.sha256(f'{thing.type} {thing.id}'.encode()).hexdigest()[:8]}.json"


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text in a value with its path, indexes left out."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from texts(item, f"{path}.{key}".removeprefix("."))
    elif isinstance(value, list):
        for item in value:
            yield from texts(item, path)
