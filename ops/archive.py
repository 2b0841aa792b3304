"""Archives of a stack: a tar file for its owner alone, ended by a manifest of versions and digests."""

import contextlib
import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from ops.private import PRIVATE
from ops.stack import StackError

FORMAT = 1
MANIFEST = "manifest.json"
PIECE = 1 << 20
"""How much is read at once, bytes."""
Seen = Callable[[int], object]
"""Told how many bytes have been read since it was told last."""


class Readable(Protocol):
    """What content is read from."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to ``size`` bytes."""
        ...


class Manifest(BaseModel):
    """What an archive holds, and of what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    stack: str
    version: str
    """Of the platform that ran."""
    taken_at: datetime
    """What was committed before is in it."""
    postgresql: str
    schema_version: int
    """Of the database: the last migration that it has had."""
    images: dict[str, str]
    """Service → image."""
    volumes: list[str]
    """Volumes with models; an archive keeps what they have in common once."""
    digests: dict[str, str]
    """File → SHA-256 of its content."""


@dataclass
class Hashed:
    """Reads on, and keeps the digest of what it has read."""

    source: Readable
    seen: Seen
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def read(self, size: int = -1, /) -> bytes:
        """Return up to ``size`` bytes."""
        piece = self.source.read(size)
        self.digest.update(piece)
        self.seen(len(piece))
        return piece


@dataclass
class Draft:
    """An archive that is being written."""

    tar: tarfile.TarFile
    seen: Seen
    digests: dict[str, str] = field(default_factory=dict)

    def add(self, entry: tarfile.TarInfo, content: Readable | None = None) -> str:
        """Add an entry, and return the digest of its content; empty where it has none."""
        if content is None:
            self.tar.addfile(entry)
            return ""
        hashed = Hashed(content, self.seen)
        self.tar.addfile(entry, hashed)
        self.digests[entry.name] = hashed.digest.hexdigest()
        return self.digests[entry.name]

    def add_text(self, name: str, text: str) -> None:
        """Add a file."""
        entry, content = tarfile.TarInfo(name), text.encode()
        entry.size, entry.mode = len(content), PRIVATE
        self.add(entry, io.BytesIO(content))


@dataclass(frozen=True)
class Archive:
    """An archive that holds what its manifest says."""

    tar: tarfile.TarFile
    manifest: Manifest
    seen: Seen

    def open(self, name: str) -> Hashed:
        """Return the content of a file."""
        content = self.tar.extractfile(name)
        assert content, f"{name} is no file"  # noqa: S101 - told to the type checker: what has a digest is one
        return Hashed(content, self.seen)

    def text(self, name: str) -> str:
        """Return the content of a file of text."""
        return self.open(name).read().decode()


@contextlib.contextmanager
def writing(file: Path, seen: Seen) -> Iterator[Draft]:
    """Write an archive, whole or not at all; the draft's last file must be its manifest.

    Raises:
        StackError: if the file is there already, or cannot be written.
    """
    if file.exists():
        raise StackError(f"{file} is there already: move it away, or name another file (OUT=)")
    partial = file.with_name(f".{file.name}.partial")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            stack.callback(partial.unlink, missing_ok=True)
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE)
            with os.fdopen(descriptor, "wb") as out:
                with tarfile.open(fileobj=out, mode="w") as tar:
                    yield Draft(tar, seen)
                out.flush()
                os.fsync(out.fileno())
            partial.replace(file)
    except OSError as error:
        raise StackError(
            f"cannot write {file}: {error.strerror}; nothing is left of it: name another place (OUT=)"
        ) from error


@contextlib.contextmanager
def reading(file: Path, seen: Seen) -> Iterator[Archive]:
    """Open an archive once every file in it has been compared with its digest.

    Raises:
        StackError: if it cannot be read, or is not as it was written.
    """
    with contextlib.ExitStack() as stack:
        try:
            tar = stack.enter_context(tarfile.open(file, "r:"))
            archive = Archive(tar, _manifest(tar), seen)
            _check(archive)
        except OSError as error:
            raise StackError(f"{file}: {error.strerror}: name an archive that make backup wrote") from error
        except (tarfile.TarError, KeyError, ValueError) as error:
            raise StackError(
                f"{file} is no whole archive of make backup: {error}; nothing was restored: take another copy"
            ) from error
        yield archive


def _manifest(tar: tarfile.TarFile) -> Manifest:
    last = tar.getmembers()[-1:]
    if [one.name for one in last] != [MANIFEST] or not (content := tar.extractfile(last[0])):
        raise ValueError("it does not end with its manifest")
    text = content.read()
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{MANIFEST}: {where}: {first['msg']}") from error


def _check(archive: Archive) -> None:
    if archive.manifest.format != FORMAT:
        raise ValueError(f"it is of format {archive.manifest.format}, and this release reads {FORMAT}")
    files = {one.name for one in archive.tar if one.isfile()} - {MANIFEST}
    for name in sorted(files ^ archive.manifest.digests.keys()):
        raise ValueError(f"{name} is in the archive or in its manifest, not in both")
    for name, digest in archive.manifest.digests.items():
        content = archive.open(name)
        while content.read(PIECE):
            pass
        if content.digest.hexdigest() != digest:
            raise ValueError(f"{name} has changed since")
