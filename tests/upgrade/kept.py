"""What each release has kept of itself: states of two of its stacks, and a dump of a database."""

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent
MACHINE, CLOUD = "test", "prod"
"""The stacks: one that was up on a machine, one that was up in a simulated cloud."""


@dataclass(frozen=True)
class Kept:
    """A folder of a release."""

    version: str

    def checkpoint(self, stack: str) -> Path:
        """The state of a stack, as the engines export it; its secrets are those of one that is gone."""
        return FOLDER / self.version / f"{stack}.json"

    @property
    def stacks(self) -> list[str]:
        """The stacks whose states are kept."""
        return sorted(file.stem for file in (FOLDER / self.version).glob("*.json"))

    @property
    def database(self) -> Path:
        """Schema and data, as SQL."""
        return FOLDER / self.version / "database.sql"

    def resources(self, stack: str) -> list[dict[str, Any]]:
        """Return the resources in a stack's state."""
        found: list[dict[str, Any]] = json.loads(self.checkpoint(stack).read_text())["deployment"][
            "resources"
        ]
        return found


def current() -> str:
    """Return the version of this checkout."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def all_kept() -> list[Kept]:
    """Return what is kept, the oldest first."""
    names = [folder.name for folder in FOLDER.glob("*.*.*") if folder.is_dir()]
    return [Kept(name) for name in sorted(names, key=lambda name: [int(part) for part in name.split(".")])]
