"""The releases of a stack that are kept: the program with its settings, the images, and when."""

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ops.stack import Stack, StackError

PROGRAM = (
    *("Pulumi.yaml", "__main__.py", "pyproject.toml", "uv.lock"),
    *("components", "docker", "engine", "policies", "stacks", "templates"),
)
"""What deploys a stack. Images are a part of it: their tags are hashes of these files, so the same program
has the same images, and makes those anew that are gone."""
SHARED = (".state", ".venv")
"""What all releases have in common."""
RECORD = "release.json"
CACHES = "__pycache__"
State = Literal["tried", "kept"]


class Record(BaseModel):
    """What is written down of a release."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    state: State
    version: str
    """Of the platform."""
    digest: str
    """Of the program with its settings."""
    began: datetime
    deployed: datetime | None = None
    percent: int = 0
    """The share of the requests that it had when that was last changed, while it is tried."""
    held: bool = False
    """Whether it waits at that share for a word."""
    images: Mapping[str, str] = {}
    """Service → image with its digest."""


@dataclass(frozen=True)
class Releases:
    """The releases of one stack, under ``.state/releases/``."""

    stack: Stack

    @property
    def folder(self) -> Path:
        """Where they are."""
        return self.stack.state / "releases" / self.stack.name

    @property
    def all(self) -> list[Record]:
        """Every release that is written down, the oldest first.

        Raises:
            StackError: if a record is damaged.
        """
        found = []
        for file in self.folder.glob(f"*/{RECORD}"):
            try:
                found.append(Record.model_validate_json(file.read_text()))
            except ValidationError as error:
                raise StackError(f"{file} is damaged: remove the folder {file.parent}") from error
        return sorted(found, key=lambda one: one.number)

    @property
    def kept(self) -> list[Record]:
        """Those that ran."""
        return [one for one in self.all if one.state == "kept"]

    @property
    def tried(self) -> Record | None:
        """The one that is being tried, or was when its command ended."""
        return next((one for one in self.all if one.state == "tried"), None)

    @property
    def running(self) -> Record | None:
        """The one that was deployed last."""
        return max(self.kept, key=lambda one: one.deployed or one.began, default=None)

    def find(self, number: int) -> Record:
        """Return a release that is kept.

        Raises:
            StackError: if it is not.
        """
        kept = self.kept
        for one in kept:
            if one.number == number:
                return one
        there = ", ".join(str(one.number) for one in kept) or "none"
        raise StackError(f"release {number} of stack {self.stack.name} is not kept; there are: {there}")

    def before(self, running: Record) -> Record:
        """Return the release before the one that runs.

        Raises:
            StackError: if none is kept.
        """
        earlier = [one for one in self.kept if one.number < running.number]
        if not earlier:
            raise StackError(f"no release before {running.number} of stack {self.stack.name} is kept")
        return earlier[-1]

    def begin(self, version: str) -> Record:
        """Write down a release of the program as it is now, by a copy of it."""
        number = max((one.number for one in self.all), default=0) + 1
        self.write(
            record := Record(
                number=number, state="tried", version=version, digest=digest(self.stack.root), began=_now()
            )
        )
        program = self.program(record)
        for name in PROGRAM:
            source = self.stack.root / name
            if source.is_dir():
                shutil.copytree(source, program / name, symlinks=True, ignore=shutil.ignore_patterns(CACHES))
            else:
                program.mkdir(exist_ok=True)
                shutil.copy(source, program / name)
        for name in SHARED:
            (program / name).symlink_to((self.stack.root / name).resolve())
        return record

    def keep(self, record: Record, images: Mapping[str, str]) -> Record:
        """Write down that a release runs, and forget those that are too old."""
        kept = record.model_copy(
            update={"state": "kept", "deployed": _now(), "percent": 0, "held": False, "images": dict(images)}
        )
        self.write(kept)
        most = self.stack.settings().release.keep
        for one in self.kept[:-most]:
            if one.number != kept.number:
                self.forget(one)
        return kept

    def write(self, record: Record) -> None:
        """Write a release down, whole or not at all."""
        folder = self.folder / str(record.number)
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f"{RECORD}.new"
        draft.write_text(record.model_dump_json(indent=2) + "\n")
        draft.replace(folder / RECORD)

    def forget(self, record: Record) -> None:
        """Remove a release."""
        shutil.rmtree(self.folder / str(record.number))

    def clear(self) -> None:
        """Remove all of them."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def program(self, record: Record) -> Path:
        """Return the folder with a release's program."""
        return self.folder / str(record.number) / "program"

    def of(self, record: Record) -> Stack:
        """Return the stack as a release has it."""
        return replace(self.stack, root=self.program(record))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others from releasing meanwhile; who dies holds nothing.

        Raises:
            StackError: if somebody does.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise StackError(
                    f"stack {self.stack.name} is being released by process {file.read() or '?'}: wait for it"
                ) from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield


def digest(root: Path) -> str:
    """Return a hash of a program's files: their names, contents and whether they can be run."""
    whole = hashlib.sha256()
    for name in PROGRAM:
        top = root / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and CACHES not in path.parts:
                mode = "x" if path.stat().st_mode & 0o100 else "-"
                content = hashlib.sha256(path.read_bytes()).hexdigest()
                whole.update(f"{mode} {content} {path.relative_to(root)}\n".encode())
    return whole.hexdigest()[:12]


def _now() -> datetime:
    return datetime.now(UTC)
