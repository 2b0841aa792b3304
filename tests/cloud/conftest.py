"""The cloud stacks, as the embedded engine deploys them to a simulated cloud."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PASSPHRASE = "of the tests"
SHOWN = {"create", "update", "replace", "delete", "create-replacement", "delete-replaced"}


@dataclass(frozen=True)
class Step:
    """What a preview would do to one resource."""

    op: str
    type: str
    name: str
    detail: frozenset[str] = frozenset()
    """Property paths that change."""


@dataclass(frozen=True)
class Simulated:
    """One stack with settings and a simulated cloud of its own."""

    stack: str
    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / f"Pulumi.{self.stack}.yaml"

    def write(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Write the stack's tracked settings with ``change`` made to them, and the salt."""
        document = yaml.safe_load((ROOT / "stacks" / f"Pulumi.{self.stack}.yaml").read_text())
        settings = {key.removeprefix("ollamamax:"): value for key, value in document["config"].items()}
        change(settings)
        document["config"] = {f"ollamamax:{key}": value for key, value in settings.items()}
        if self.config.exists():
            salt = yaml.safe_load(self.config.read_text()).get("encryptionsalt")
            document |= {"encryptionsalt": salt} if salt else {}
        self.config.write_text(yaml.safe_dump(document, sort_keys=False))

    def setting(self, name: str) -> Any:
        """Return a setting of the stack as the tests last wrote it."""
        return yaml.safe_load(self.config.read_text())["config"][f"ollamamax:{name}"]

    def engine(self, *words: str, simulate: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the engine."""
        return subprocess.run(
            [
                sys.executable,
                "-m",
                "engine",
                *words,
                "--stack",
                self.stack,
                "--config-file",
                str(self.config),
                *(["--simulate"] if simulate else []),
            ],
            cwd=ROOT,
            env={
                **os.environ,
                "PULUMI_BACKEND_URL": f"file://{self.folder}",
                "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def up(self) -> str:
        done = self.engine("up", "--yes")
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def resources(self) -> list[dict[str, Any]]:
        """Return the resources in the stack's state."""
        (file,) = self.folder.glob(f"simulated/.pulumi/stacks/*/{self.stack}.json")
        found: list[dict[str, Any]] = json.loads(file.read_text())["checkpoint"]["latest"]["resources"]
        return found

    def preview(self) -> dict[str, Any]:
        """Return the document of a preview."""
        done = self.engine("preview", "--json")
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def changes(self, change: Callable[[dict[str, Any]], None] = lambda settings: None) -> set[Step]:
        """Return what a preview would do after ``change`` of the settings."""
        self.write(change)
        return set(steps(self.preview()))


def steps(document: dict[str, Any]) -> Iterator[Step]:
    """Yield what the preview ``document`` would do, leaving out what stays."""
    for step in document.get("steps", []):
        if step["op"] in SHOWN:
            *_, types, name = step["urn"].split("::")
            yield Step(step["op"], types.rpartition("$")[2], name, frozenset(step.get("detailedDiff") or {}))


def deployed(stack: str, folder: Path) -> Simulated:
    """Return a stack that is up in its simulated cloud."""
    found = Simulated(stack, folder)
    found.write(lambda settings: None)
    found.up()
    return found


@pytest.fixture(scope="session")
def staging(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    """Return ``staging``, which is up; tests only preview changes of it."""
    return deployed("staging", tmp_path_factory.mktemp("staging"))


@pytest.fixture(scope="session")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    """Return ``prod``, which is up; tests only preview changes of it."""
    return deployed("prod", tmp_path_factory.mktemp("prod"))
