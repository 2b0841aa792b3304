"""What all tests share: golden files, an event loop, how memory is cleared, and how hypothesis runs."""

import asyncio
import gc
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

hypothesis.settings.register_profile("any-machine", deadline=None)
hypothesis.settings.load_profile("any-machine")  # a busy machine is slow, and nothing is wrong with the code

gc.set_threshold(200_000, 20, 100)  # an SDK is many objects that stay: going over them was a third of a plan

Golden = Callable[[Path, str], None]

LOOP = asyncio.new_event_loop()
"""Of all tests: one that nobody holds would say at its end that it was not closed."""
TOGETHER = {"cloud", "e2e", "gateway", "kubernetes"}
"""Tiers whose files share what takes long to bring up, or are steps of one story."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the golden files anew instead of comparing with them",
    )


class Files(LoadScopeScheduling):  # type: ignore[misc]
    """Gives each process of a parallel run whole files, or whole tiers."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, _ = nodeid.partition("::")
        _, tier, *_ = file.split("/")
        return tier if tier in TOGETHER else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Files:
    """Share the tests out by files: xdist's own groups are of pytest before 9.2."""
    return Files(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Give each test an event loop: Pulumi's SDK needs one, and asyncio.run leaves none behind."""
    asyncio.set_event_loop(LOOP)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Return a function that compares a text with a golden file, or writes it with --update-golden."""

    def compare(file: Path, text: str) -> None:
        if request.config.getoption("--update-golden"):
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        assert file.exists(), f"{file} is missing: pytest --update-golden writes it"
        assert text == file.read_text(), f"{file.name} differs: if that is meant, pytest --update-golden"

    return compare
