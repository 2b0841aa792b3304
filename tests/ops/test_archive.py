"""Archives: whole or not there, for their owner alone, and read only as they were written."""

import io
import os
import re
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ops import archive
from ops.stack import StackError

TEXT = "what is kept\n"
TAKEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def nothing(_: int) -> None:
    """Stand in for whoever wants to know how much has been read."""


def written(file: Path, **changed: object) -> Path:
    """Write an archive of one file, with ``changed`` in its manifest."""
    with archive.writing(file, nothing) as draft:
        draft.add_text("kept.txt", TEXT)
        fields = {
            "stack": "some", "version": "0.1.0", "taken_at": TAKEN, "postgresql": "17.6", "schema_version": 6,
            "images": {}, "volumes": [], "digests": draft.digests,
        }  # fmt: skip
        draft.add_text(archive.MANIFEST, archive.Manifest.model_validate(fields | changed).model_dump_json())
    return file


def refused(file: Path) -> str:
    """Return why an archive is not read."""
    with pytest.raises(StackError) as caught, archive.reading(file, nothing):
        pytest.fail("it was read")
    return str(caught.value)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    seen: list[int] = []
    with archive.reading(written(tmp_path / "a.tar"), seen.append) as found:
        assert found.text("kept.txt") == TEXT
        assert found.manifest.taken_at == TAKEN
    assert sum(seen) == 2 * len(TEXT), "compared with its digest, then read"


def test_an_archive_is_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        file = written(tmp_path / "new" / "a.tar")
    finally:
        os.umask(before)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("error", [StackError("no database"), KeyboardInterrupt()])
def test_nothing_is_left_of_one_that_was_not_finished(tmp_path: Path, error: BaseException) -> None:
    def write() -> None:
        with archive.writing(tmp_path / "a.tar", nothing) as draft:
            draft.add_text("kept.txt", TEXT)
            raise error

    with pytest.raises(type(error)):
        write()
    assert list(tmp_path.iterdir()) == []


def test_an_archive_is_never_overwritten(tmp_path: Path) -> None:
    file = written(tmp_path / "a.tar")
    before = file.read_bytes()
    with pytest.raises(StackError, match=r"a\.tar is there already: move it away, or name another file"):
        written(file)
    assert file.read_bytes() == before


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StackError, match=r"^cannot write .*/file/a\.tar: .*; nothing is left of it: name an"):
        written(tmp_path / "file" / "a.tar")


def test_a_missing_archive_is_named(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.tar") == (
        f"{tmp_path}/none.tar: No such file or directory: name an archive that make backup wrote"
    )


def cut(content: bytes) -> bytes:
    """End within the manifest."""
    return content[:1800]


def change(content: bytes) -> bytes:
    return content.replace(b"what is kept", b"what is lost")


def lose(content: bytes) -> bytes:
    """Drop the first file."""
    return content[1024:]


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (cut, "it does not end with its manifest|unexpected end of data"),
        (change, r"kept\.txt has changed since"),
        (lose, r"kept\.txt is in the archive or in its manifest, not in both"),
        (lambda content: b"", "empty file|it does not end with its manifest"),
        (lambda content: b"no archive at all" * 100, "invalid header|truncated header"),
    ],
)
def test_an_archive_that_is_not_as_it_was_written_is_refused(
    tmp_path: Path, damage: Callable[[bytes], bytes], why: str
) -> None:
    file = written(tmp_path / "a.tar")
    file.write_bytes(damage(file.read_bytes()))
    said = refused(file)
    assert re.search(f"is no whole archive of make backup: ({why})", said), said
    assert said.endswith("nothing was restored: take another copy")


def test_a_format_of_another_release_is_named(tmp_path: Path) -> None:
    said = refused(written(tmp_path / "a.tar", format=2))
    assert "it is of format 2, and this release reads 1" in said


def test_a_manifest_that_is_none_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.tar"
    with tarfile.open(file, "w") as tar:
        entry = tarfile.TarInfo(archive.MANIFEST)
        entry.size = 2
        tar.addfile(entry, io.BytesIO(b"{}"))
    assert "manifest.json: stack: Field required" in refused(file)
