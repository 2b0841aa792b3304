"""The command of the generated pages."""

import subprocess
import sys
from pathlib import Path

import pytest

from ops import policies_page, settings_page

ROOT = Path(__file__).parents[2]
PAGES = {"settings": (settings_page, "the settings"), "policies": (policies_page, "the policy pack")}
anew = pytest.mark.parametrize("name", PAGES)


def run(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", PAGES[name][0].__name__, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@anew
def test_the_page_is_up_to_date(name: str) -> None:
    page = ROOT / "docs" / f"{name}.md"
    assert page.read_text() == PAGES[name][0].page(), f"make docs writes {page} anew"


@anew
def test_a_stale_page_is_refused(name: str, tmp_path: Path) -> None:
    stale = tmp_path / "page.md"
    stale.write_text("old")
    done = run(name, "--check", str(stale))
    said = f"error: {stale} does not match {PAGES[name][1]}: make docs writes it anew\n"
    assert (done.returncode, done.stderr) == (1, said)
    assert run(name, str(stale)).returncode == 0
    assert run(name, "--check", str(stale)).returncode == 0


def test_a_missing_page_is_refused(tmp_path: Path) -> None:
    done = run("settings", "--check", str(tmp_path / "none.md"))
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path}/none.md does not match the settings")
