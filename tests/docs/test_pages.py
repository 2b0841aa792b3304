"""The pages of ``docs/``: their links lead somewhere, and what they name is there."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from stacks.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = {*re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE)}
VARIABLES = {*re.findall(r"^(\w+) \?=", MAKEFILE, re.MULTILINE)}
FOLDERS = "bench|bootstrap|components|docker|docs|engine|ops|policies|rehearsal|stacks|templates|tests"
MADE = (
    "stacks/Pulumi.<",
    "stacks/Pulumi.STACK",
    "stacks/Pulumi.mine",
    "stacks/policies.<",
    "tests/upgrade/VERSION",
)
"""Paths with a placeholder, and those that a reader makes."""
each = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def scripts(page: Path) -> list[str]:
    """Return the shell commands of a page, block by block."""
    blocks = re.findall(r"^( *)```sh\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in blocks]


def made(page: Path) -> Iterator[tuple[str, set[str]]]:
    """Yield target and variables of every ``make`` that a page has, in blocks and in its text."""
    inline = re.findall(r"`(make [^`]+)`", prose(page))
    text = "\n".join([*scripts(page), *inline])
    for words in re.findall(r"\bmake ((?:--[\w-]+ )*[a-z-]+(?: +[A-Z]+=\S*)*)", text):
        target, *given = (word for word in words.split() if not word.startswith("--"))
        yield target, {word.partition("=")[0] for word in given}


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@each
def test_every_link_leads_to_a_page_and_a_heading(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        other = (page.parent / name).resolve() if name else page
        assert other.exists(), target
        if anchor:
            assert anchor in anchors(other), target


@each
def test_every_make_command_names_a_target_and_variables_of_it(page: Path) -> None:
    for target, variables in made(page):
        assert target in TARGETS
        assert variables <= VARIABLES


@each
def test_every_block_of_commands_is_read_by_a_shell(page: Path) -> None:
    for script in scripts(page):
        done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), script


@each
def test_every_path_of_the_repository_is_there(page: Path) -> None:
    for path in re.findall(rf"`((?:{FOLDERS})/[\w./<>*-]+)`", prose(page)):
        if not path.startswith(MADE):
            assert list(ROOT.glob(path.rstrip("/"))), path


def names(block: type[BaseModel], path: str = "") -> Iterator[str]:
    """Yield the settings of a block as people write them, with and without the marks of lists."""
    for field in block.model_fields.values():
        name = f"{path}{field.alias}"
        yield name
        for kind in kinds(field.annotation):
            yield from names(kind, f"{name}.")


def kinds(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the blocks that a setting can hold."""
    if (
        isinstance(annotation, type)
        and not isinstance(annotation, UnionType)
        and issubclass(annotation, BaseModel)
    ):
        yield annotation
    for inner in get_args(annotation):
        yield from kinds(inner)


KNOWN = {*names(Settings)}
BLOCKS = {name for name in KNOWN if any(other.startswith(f"{name}.") for other in KNOWN)}


@each
def test_every_setting_that_is_named_exists(page: Path) -> None:
    top = {name for name in BLOCKS if "." not in name}
    for found in re.findall(r"`([a-z]\w+(?:\[\w*\])?(?:\.[A-Za-z]+(?:\[\])?)+)(?::[^`]*)?`", prose(page)):
        name = re.sub(r"\[\w*\]", "", found)
        if name.split(".")[0] in top and not name.endswith((".md", ".py", ".dump")):
            assert name in KNOWN, found


def test_every_page_is_reached_from_the_readme() -> None:
    reached, todo = set[Path](), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        links = re.findall(r"\]\(([^)\s#]+)", prose(page))
        todo += [(page.parent / link).resolve() for link in links if not link.startswith("https://")]
    folders = {ROOT / "docs" / "decisions"}  # which the README names as a whole
    assert [page for page in PAGES if page not in reached and page.parent not in folders] == []
