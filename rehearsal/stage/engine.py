"""The stack's whole program, brought up and taken down by the engine on the cluster of a rehearsal."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import stacks
from rehearsal.processes import RehearsalError
from stacks.loading import NAMESPACE, raw
from stacks.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
LAST_LINES = 40
Change = Callable[[dict[str, Any]], None]
"""Changes a stack file's settings, by the names that they have there: ``settings["gpuPools"][0]``…"""


@dataclass
class Engine:
    """One stack, with a state and a simulated cloud of its own.

    Attributes:
        stack: its name.
        folder: where state, settings and logs are kept.
        kubeconfig: the cluster that gets its objects.
    """

    stack: str
    folder: Path
    kubeconfig: Path
    _runs: int = 0

    @property
    def file(self) -> Path:
        """The stack file that the engine reads: the tracked one with changes, and the salt."""
        return self.folder / f"Pulumi.{self.stack}.yaml"

    @property
    def cloud(self) -> Path:
        """The folder of the simulated cloud."""
        return self.folder / "state" / "simulated" / ".pulumi" / "cloud"

    def write(self, change: Change) -> Settings:
        """Write the stack's settings with a change, and return them.

        Raises:
            SettingsError: if they describe no platform.
        """
        settings = given(self.stack)
        change(settings)
        document = {"config": {f"{NAMESPACE}:{key}": value for key, value in settings.items()}}
        salt = yaml.safe_load(self.file.read_text()).get("encryptionsalt") if self.file.exists() else None
        self.file.write_text(yaml.safe_dump(document | ({"encryptionsalt": salt} if salt else {})))
        return stacks.read(self.file, self.stack)

    def run(
        self,
        command: str,
        *words: str,
        within_s: float,
        targets: Sequence[str] = (),
        kubeconfig: bool = True,
    ) -> str:
        """Run a command of the engine, about ``targets`` only where some are named; return what it printed.

        Raises:
            RehearsalError: if it fails, or is not done in time; the message holds what it said last.
        """
        where = ["--kubeconfig", str(self.kubeconfig)] if kubeconfig else []
        only = [word for urn in targets for word in ("--target", urn)]
        options = ["--simulate", "--stack", self.stack, "--config-file", str(self.file), *where, *only]
        env = {
            **os.environ,
            "PULUMI_BACKEND_URL": f"file://{self.folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "nothing here lasts",
        }
        self._runs += 1
        log = self.folder / f"engine-{self._runs}-{command}.log"
        with log.open("w") as file:
            engine = subprocess.Popen(  # noqa: S603 - our own words
                [sys.executable, "-m", "engine", command, *words, *options],
                cwd=ROOT, env=env, stdout=file, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
            try:
                status = engine.wait(within_s)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                if engine.returncode is None:
                    _interrupt(engine)
        said = log.read_text()
        if status != 0:
            last = "\n".join(said.splitlines()[-LAST_LINES:])
            how = f"was not done after {within_s:g} s" if status is None else "failed"
            raise RehearsalError(f"engine {command} {how}, and said last:\n{last}")
        return said

    def resources(self) -> list[dict[str, Any]]:
        """Return the resources in the stack's state."""
        document = json.loads(self.run("export", within_s=60, kubeconfig=False))
        found: list[dict[str, Any]] = document["deployment"].get("resources") or []
        return found


def _interrupt(engine: subprocess.Popen[str]) -> None:
    """End the engine in order; told twice, it gives up what it waits for, too."""
    for patience_s in (2, None):
        engine.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            engine.wait(patience_s)


def given(stack: str) -> dict[str, Any]:
    """Return the settings that the stack's tracked file gives.

    Raises:
        SettingsError: if it cannot be read.
    """
    return raw(ROOT / "stacks" / f"Pulumi.{stack}.yaml", stack)
