"""The console's files, as its image has them."""

import io
import tarfile
from collections.abc import Iterable, Mapping
from typing import cast

import docker
import pytest

from tests.containers import build

Files = Mapping[str, bytes]
"""Path → content."""


@pytest.fixture(scope="session")
def files() -> Files:
    """Return what the image has."""
    client = docker.from_env()
    container = client.containers.create(build("console"), command="none")
    try:
        archive = io.BytesIO(b"".join(cast("Iterable[bytes]", container.export())))
    finally:
        container.remove(force=True)
        client.close()
    with tarfile.open(fileobj=archive) as tar:
        return {
            member.name: extracted.read()
            for member in tar
            if member.isfile() and (extracted := tar.extractfile(member))
        }
