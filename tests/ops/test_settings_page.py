"""The generated page about the settings."""

import re
import subprocess
import sys
from pathlib import Path

from ops import settings_page
from stacks.settings import Settings
from tests.stacks.test_settings import fields

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "settings.md"


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ops.settings_page", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == settings_page.page(), "make docs writes docs/settings.md anew"


def test_every_setting_is_on_the_page_once() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \|", settings_page.page(), re.MULTILINE)
    assert sorted(rows) == sorted(path for path, _ in fields(Settings))


def test_a_row_gives_type_limits_default_and_meaning() -> None:
    assert (
        "| `edge.compression.brotliLevel` | whole number, 0 – 11 | `4` | Brotli's level on the fly (report); "
        "files are compressed ahead at 11. |"
    ) in settings_page.page()


def test_every_budget_is_on_the_page() -> None:
    assert (
        "gateway.replicas (…) × gateway.databasePool.maxOpen (…) = … is more than pool.maxClientConn (…)"
        in settings_page.page()
    )


def test_a_stale_page_is_refused(tmp_path: Path) -> None:
    stale = tmp_path / "settings.md"
    stale.write_text("old")
    done = run("--check", str(stale))
    assert (done.returncode, done.stderr) == (
        1,
        f"error: {stale} does not match the settings: make docs writes it anew\n",
    )
    assert run(str(stale)).returncode == 0
    assert run("--check", str(stale)).returncode == 0


def test_a_missing_page_is_refused(tmp_path: Path) -> None:
    done = run("--check", str(tmp_path / "none.md"))
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path}/none.md does not match the settings")
