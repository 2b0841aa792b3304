"""A bench for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.provider import serve
from tests.engine.bench import Bench
from tests.engine.cloud import Cloud


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "cloud").mkdir()
    cloud = Cloud(tmp_path / "cloud")
    address, stop = serve(cloud)
    yield Bench(tmp_path, cloud, address.rpartition(":")[2])
    stop()
