"""The console's own tests, in the container that it is built in, and what its files are."""

import json
import re

from ops import console
from tests.console.conftest import Files
from tests.containers import REPOSITORY, build

SOURCES = REPOSITORY / "docker" / "console"
FIRST_PAINT_KIB = 60
WHOLE_KIB = 150
"""Compressed: pages, programs and style sheets."""


def weight(files: Files, *names: str) -> int:
    """Return how many bytes of these files a browser gets that takes Brotli."""
    return sum(len(files.get(f"{name}.br", files[name])) for name in names)


def assets(files: Files, beginning: str, suffix: str = "js") -> list[str]:
    return [name for name in files if re.fullmatch(rf"assets/{beginning}-[\w-]+\.{suffix}", name)]


def test_the_sources_are_linted_and_their_own_tests_pass() -> None:
    build("console", "--target", "test")


def test_the_first_paint_is_small_and_so_is_the_whole(files: Files) -> None:
    (dashboard,) = assets(files, "dashboard")
    imported = {f"assets/{name}" for name in re.findall(r"[\w-]+-[\w-]{8}\.js", files[dashboard].decode())}
    first = {"index.html", *assets(files, "index"), *assets(files, r"\w+", "css"), dashboard, *imported}
    assert weight(files, *first) <= FIRST_PAINT_KIB * 1024, sorted(first)
    whole = [name for name in files if re.search(r"\.(html|js|css)$", name)]
    assert weight(files, *whole) <= WHOLE_KIB * 1024


def test_the_dashboard_and_the_nodes_come_when_they_are_asked_for(files: Files) -> None:
    page = files["index.html"].decode()
    for lazy in ("dashboard", "nodes"):
        (name,) = assets(files, lazy)
        assert name not in page


def test_pages_have_nothing_that_their_policy_would_forbid(files: Files) -> None:
    page = files["index.html"].decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", page)
    programs = b"".join(content for name, content in files.items() if name.endswith(".js"))
    assert not re.search(rb"\beval\(|new Function\(|https?://(?!www\.w3\.org/)[a-z]", programs)


def test_the_service_worker_keeps_every_file(files: Files) -> None:
    worker = files["sw.js"].decode()
    kept = set(re.findall(r"assets/[\w.-]+", worker))
    assert kept == {name for name in files if re.fullmatch(r"assets/[\w.-]+\.(js|css)", name)}
    assert "__RELEASE__" not in worker


def test_what_a_cdn_is_given_is_all_that_is_not_compressed_beforehand(files: Files) -> None:
    plain = [name for name in files if not name.endswith((".br", ".gz"))]
    ours = [name for name in plain if re.fullmatch(r"(assets/)?[\w-][\w.-]+", name)]  # Docker adds others
    assert console.build(REPOSITORY) == {name: files[name] for name in ours}


def test_every_library_in_the_programs_has_its_licence_recorded() -> None:
    locked = json.loads((SOURCES / "package-lock.json").read_text())["packages"]
    carried = {
        path.removeprefix("node_modules/"): package["license"]
        for path, package in locked.items()
        if path and not package.get("dev") and not package.get("devOptional")
    }
    page = (REPOSITORY / "docs" / "licences.md").read_text()
    section = page.split("## The console", 1)[1].split("\n## ", 1)[0]
    assert dict(re.findall(r"^\| `([^`]+)` \| (\S+) \|", section, re.MULTILINE)) == carried
