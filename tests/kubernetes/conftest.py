"""Fixtures: a real API server for all tests, and a project that the engine brings up on it for each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal.controlplane import ControlPlane, running
from tests.kubernetes.stack import Stack


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane with one simulated node; it is built when it is not there yet."""
    with running(tmp_path_factory.mktemp("controlplane")) as started:
        started.add_node("node-1")
        yield started


@pytest.fixture
def stack(plane: ControlPlane, tmp_path: Path) -> Iterator[Stack]:
    """A stack of its own; what it leaves in the cluster fails its test."""
    made = Stack(tmp_path, plane)
    yield made
    made.clean()
