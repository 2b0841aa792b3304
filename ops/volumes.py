"""Docker volumes read and filled through a container that runs tar, whoever uses them meanwhile."""

import contextlib
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from typing import BinaryIO

from ops.stack import StackError

IMAGE = "debian:trixie-slim"
"""What the images of the platform are made from: ``make setup`` has it."""


@contextlib.contextmanager
def content_of(volume: str, *words: str) -> Iterator[tarfile.TarFile]:
    """Read what ``words`` select in a volume, as arguments of GNU tar.

    Raises:
        StackError: if tar or Docker fails.
    """
    with tempfile.TemporaryFile() as said:
        command = [*_container(volume, "ro"), "tar", "--create", "--directory=/volume", *words]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said)  # noqa: S603 - our own words
        assert process.stdout  # noqa: S101 - told to the type checker
        with _ended_well(process, f"volume {volume} could not be read", said), process.stdout:
            with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
                yield tar
            process.stdout.read()  # what tar fills its last block with


@contextlib.contextmanager
def filling(volume: str) -> Iterator[tarfile.TarFile]:
    """Write into a volume; the owners of the entries are kept.

    Raises:
        StackError: if tar or Docker fails.
    """
    with tempfile.TemporaryFile() as said:
        command = [*_container(volume, "rw"), "tar", "--extract", "--directory=/volume", "--numeric-owner"]
        process = subprocess.Popen(  # noqa: S603 - our own words
            command, stdin=subprocess.PIPE, stdout=said, stderr=said
        )
        assert process.stdin  # noqa: S101 - told to the type checker
        with (
            _ended_well(process, f"volume {volume} could not be filled", said),
            process.stdin,
            tarfile.open(fileobj=process.stdin, mode="w|") as tar,
        ):
            yield tar


def _container(volume: str, mode: str) -> list[str]:
    mount = f"{volume}:/volume:{mode}"
    return ["docker", "run", "--rm", "--interactive", "--network=none", "--volume", mount, IMAGE]


@contextlib.contextmanager
def _ended_well(process: subprocess.Popen[bytes], failed: str, said: BinaryIO) -> Iterator[None]:
    """Wait for the container's end; what it said of a failure goes before what that broke here."""
    broken: Exception | None = None
    try:
        yield
    except (BrokenPipeError, tarfile.TarError) as error:
        broken = error
    finally:
        process.wait()
    if process.returncode or broken:
        said.seek(0)
        text = " ".join(said.read().decode(errors="replace").split())
        raise StackError(f"{failed}: {text or broken}") from broken
