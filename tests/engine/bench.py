"""Where engine tests work: a project, backend and cloud of its own, the engine in its own process."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import sys
import textwrap
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.engine.cloud import Cloud

LIBRARY = Path(__file__).with_name("fake.py")
LIMIT_S = 180
"""How long a command may take, seconds: a hundred objects, with a rehearsal beside it on two cores."""
os.environ["GRPC_VERBOSITY"] = "NONE"  # as engine/__main__.py has it; read when grpc is first imported
_SERVER = multiprocessing.get_context(
    "forkserver"
)  # its processes start with what takes long imported already
_SERVER.set_forkserver_preload([
    "engine.cli", "engine.providers", "kubernetes.dynamic", "pulumi", "pulumi_kubernetes.apps.v1",
    "pulumi_kubernetes.core.v1",
])  # fmt: skip


def _engine(argv: list[str], env: dict[str, str], folder: str, out: str, err: str) -> None:
    gc.set_threshold(1_000_000, 20, 20)  # as engine/__main__.py has it
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    for number, file in ((1, out), (2, err)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["engine", *argv]
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
    from engine import cli

    status: int | None = 70
    try:
        status = cli.main()
    except SystemExit as leaving:
        status = int(leaving.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status or 0)


@dataclass
class Result:
    """How a command ended and what it said."""

    status: int
    stdout: str
    stderr: str


class Running:
    """A command under way."""

    def __init__(self, process: Any, out: Path, err: Path) -> None:
        self.process, self._out, self._err = process, out, err

    @property
    def pid(self) -> int:
        """The process."""
        return int(self.process.pid)

    def said(self) -> str:
        """What it has said so far."""
        return self._out.read_text() + self._err.read_text()

    def wait(self) -> Result:
        """Wait for the end."""
        self.process.join(LIMIT_S)
        assert self.process.exitcode is not None, f"still running after {LIMIT_S} s: {self._out.read_text()}"
        return Result(self.process.exitcode, self._out.read_text(), self._err.read_text())


class Bench:
    """Where a test works."""

    def __init__(self, folder: Path, cloud: Cloud, port: str) -> None:
        self.folder, self.cloud = folder, cloud
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")} | {
            "PULUMI_BACKEND_URL": f"file://{folder}/state",
            "PULUMI_CONFIG_PASSPHRASE": "open sesame",
            "PULUMI_DEBUG_PROVIDERS": f"fake:{port}",
        }
        (folder / "Pulumi.yaml").write_text("name: demo\nruntime: python\nmain: program\n")
        (folder / "program").mkdir()
        (folder / "program" / "fake.py").write_text(LIBRARY.read_text())
        (folder / "state").mkdir()
        self.state_file = folder / "state/.pulumi/stacks/demo/dev.json"
        self._count = 0

    def program(self, text: str) -> None:
        """Write the program."""
        head = "import pulumi\nfrom pulumi import ResourceOptions as Opts\nfrom fake import Thing, Group\n"
        (self.folder / "program" / "__main__.py").write_text(head + textwrap.dedent(text))

    def start(self, command: str, *args: str) -> Running:
        """Start a command of the engine."""
        self._count += 1
        out, err = (self.folder / f"{self._count}.{name}" for name in ("out", "err"))
        for file in (out, err):  # so that there is something to read at once
            file.touch()
        argv = [command, "--stack", "dev", "--config-file", "state/Pulumi.dev.yaml", *args]
        process = _SERVER.Process(target=_engine, args=(argv, self.env, str(self.folder), str(out), str(err)))
        process.start()
        return Running(process, out, err)

    def run(self, command: str, *args: str, status: int = 0) -> Result:
        """Run a command of the engine to its end and check its exit status."""
        result = self.start(command, *args).wait()
        said = result.stdout + result.stderr
        assert result.status == status, said
        assert "Traceback" not in said or "the program failed" in said, said
        return result

    def up(self, *args: str, status: int = 0) -> Result:
        """Run `up`."""
        return self.run("up", "--yes", *args, status=status)

    def preview(self, *args: str) -> Any:
        """Return the document of `preview --json`."""
        return json.loads(self.run("preview", "--json", *args).stdout)

    @property
    def latest(self) -> dict[str, Any]:
        """The deployment in the state file."""
        return dict(json.loads(self.state_file.read_text())["checkpoint"]["latest"])

    @property
    def resources(self) -> dict[str, dict[str, Any]]:
        """The resources in the state by name, without providers and the stack."""
        return {
            one["urn"].rsplit("::", 1)[-1]: one
            for one in self.latest.get("resources", [])
            if not one["type"].startswith("pulumi:")
        }
