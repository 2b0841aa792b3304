"""The generated page about the settings."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_origin

from pydantic import BaseModel

from ops import settings_page
from stacks.settings import Settings

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


def paths(block: type[BaseModel], path: str = "") -> Iterator[str]:
    """Yield every setting that is no block, those of optional blocks and of lists of blocks too."""
    for name, field in block.model_fields.items():
        here = f"{path}{field.alias or name}"
        kinds = (field.annotation, *get_args(field.annotation))
        inner = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if inner:
            yield from paths(inner[0], f"{here}{'[]' if get_origin(field.annotation) is tuple else ''}.")
        else:
            yield here


def test_every_setting_is_on_the_page_once() -> None:
    rows = re.findall(r"^\| `([\w.\[\]]+)` \|", settings_page.page(), re.MULTILINE)
    assert sorted(rows) == sorted(paths(Settings))


def test_a_row_gives_type_limits_default_and_meaning() -> None:
    assert (
        "| `edge.compression.brotliLevel` | whole number, 0 – 11 | `4` | Brotli's level on the fly (report); "
        "files are compressed ahead at 11. |"
    ) in settings_page.page()


def test_every_budget_is_on_the_page() -> None:
    assert (
        "… (…) × gateway.databasePool.maxOpen (…) = … is more than pool.maxClientConn (…)"
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
