"""The stack's whole program, brought up and taken down by the engine on the cluster of a rehearsal."""

from __future__ import annotations

import json
import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import yaml

import stacks
from rehearsal.processes import RehearsalError
from stacks.loading import NAMESPACE, raw
from stacks.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
LAST_LINES = 40
ERROR = "error: "
"""How the engine begins what it says of what went wrong."""
_FORKS = multiprocessing.get_context("forkserver")
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
            "PULUMI_BACKEND_URL": f"file://{self.folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "nothing here lasts",
        }
        self._runs += 1
        log = self.folder / f"engine-{self._runs}-{command}.log"
        log.touch()
        argv = [command, *words, *options]
        engine = _FORKS.Process(target=_engine, args=(argv, {**os.environ, **env}, log))
        engine.start()
        try:
            engine.join(within_s)
        finally:
            status = engine.exitcode
            if status is None:
                _interrupt(engine)
        said = log.read_text()
        if status != 0:
            lines = said.splitlines()
            how = f"was not done after {within_s:g} s" if status is None else "failed"
            why = next((f": {line.removeprefix(ERROR)}" for line in lines if line.startswith(ERROR)), "")
            raise RehearsalError(
                "\n".join([f"engine {command} {how}{why}", "It said last:", *lines[-LAST_LINES:]])
            )
        return said

    def resources(self) -> list[dict[str, Any]]:
        """Return the resources in the stack's state."""
        document = json.loads(self.run("export", within_s=60, kubeconfig=False))
        found: list[dict[str, Any]] = document["deployment"].get("resources") or []
        return found


def preload() -> None:
    """Have the engine's runs find imported already what each would import for seconds.

    They fork from one process, which all of this Python program shares: only what does nothing but rehearse
    may say what it imports.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # as engine/__main__.py has it, before gRPC is imported
    _FORKS.set_forkserver_preload(["engine.cli", "components.platform", "components.cloud", __name__])


def _engine(words: Sequence[str], env: Mapping[str, str], log: Path) -> None:
    """Be ``python -m engine``, with all that it says in ``log``."""
    with log.open("w") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(ROOT)
    sys.argv[1:] = words
    runpy.run_module("engine", run_name="__main__", alter_sys=True)


def _interrupt(engine: ForkServerProcess) -> None:
    """End the engine in order; told twice, it gives up what it waits for, too."""
    for patience_s in (2, None):
        if engine.pid and engine.exitcode is None:
            os.kill(engine.pid, signal.SIGINT)
        engine.join(patience_s)


def given(stack: str) -> dict[str, Any]:
    """Return the settings that the stack's tracked file gives.

    Raises:
        SettingsError: if it cannot be read.
    """
    return raw(ROOT / "stacks" / f"Pulumi.{stack}.yaml", stack)
