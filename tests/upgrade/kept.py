"""What each release has kept of itself: a checkpoint of its stack `test`, and a dump of its database."""

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent
STACK = "test"
PASSPHRASE = "of the tests"
"""What the checkpoints' secrets are encrypted with: those of a stack that is gone."""


@dataclass(frozen=True)
class Kept:
    """A folder of a release."""

    version: str

    @property
    def checkpoint(self) -> Path:
        """The stack's state, as the engines export it."""
        return FOLDER / self.version / "checkpoint.json"

    @property
    def database(self) -> Path:
        """Schema and data, as SQL."""
        return FOLDER / self.version / "database.sql"

    @property
    def resources(self) -> list[dict[str, Any]]:
        """The resources of the state."""
        found: list[dict[str, Any]] = json.loads(self.checkpoint.read_text())["deployment"]["resources"]
        return found


def current() -> str:
    """Return the version of this checkout."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def all_kept() -> list[Kept]:
    """Return what is kept, the oldest first."""
    names = [folder.name for folder in FOLDER.glob("*.*.*") if folder.is_dir()]
    return [Kept(name) for name in sorted(names, key=lambda name: [int(part) for part in name.split(".")])]
