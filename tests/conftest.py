"""What all tests share: golden files, and how hypothesis runs."""

from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("any-machine", deadline=None)
hypothesis.settings.load_profile("any-machine")  # a busy machine is slow, and nothing is wrong with the code

TESTS = Path(__file__).parent
Golden = Callable[[Path, str], None]

TOGETHER = {"cloud", "e2e", "gateway", "kubernetes"}
"""Tiers whose files share what takes long to bring up, or are steps of one story."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the golden files anew instead of comparing with them",
    )


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each process of a parallel run whole files, or whole tiers."""
    for item in items:
        tier, *_ = item.path.relative_to(TESTS).parts
        item.add_marker(pytest.mark.xdist_group(tier if tier in TOGETHER else str(item.path)))


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
