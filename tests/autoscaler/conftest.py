"""What the tests of the forecaster's program share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.autoscaler.backend import Backend
from tests.identity import Identity
from tests.templates.conftest import identity, services

__all__ = ["identity", "services"]


@pytest.fixture
def backend(identity: Identity, tmp_path: Path) -> Iterator[Backend]:
    """Return a server that answers as it is told."""
    started = Backend(identity, tmp_path)
    yield started
    started.stop()
