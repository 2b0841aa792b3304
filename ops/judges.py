"""The tools of the second opinion, and the schemas that they judge by: installed, built or made once.

All of it is kept in the user's cache, in folders named after versions.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ops import schemas as published
from ops.process import CACHE, search_path
from ops.stack import ROOT, StackError
from rehearsal import controlplane, programs

KUBE_SCORE = "github.com/zegl/kube-score/cmd/kube-score@v1.20.0"
KUBECONFORM = "github.com/yannh/kubeconform/cmd/kubeconform@v0.7.0"
CHECKOV = ROOT / "ops" / "checkov"
WAYS = {"go": "install Go 1.24 or newer", "uv": "install it with make setup"}
"""How a program is had that installs the others."""
VERSION = "version"
"""Name of the file beside the schemas that says which Kubernetes they are of."""


@dataclass(frozen=True)
class Schemas:
    """The schemas of all kinds of a cluster."""

    folder: Path
    version: str
    """Of Kubernetes, ``v1.34``."""


def checkov() -> Path:
    """Return checkov, installed from its lock file.

    Raises:
        StackError: if it cannot be installed.
    """
    environment = CACHE / f"checkov-{_digest((CHECKOV / 'uv.lock').read_text())}"
    program = environment / "bin" / "checkov"
    if not program.exists():
        _say("installing checkov")
        words = ["sync", "--frozen", "--quiet", "--compile-bytecode", "--project", str(CHECKOV)]
        _do("uv", words, PATH=search_path(), UV_PROJECT_ENVIRONMENT=str(environment))
    return program


def kube_score() -> Path:
    """Return kube-score, built from its module.

    Raises:
        StackError: if it cannot be built.
    """
    return _built(KUBE_SCORE)


def kubeconform() -> Path:
    """Return kubeconform, built from its module.

    Raises:
        StackError: if it cannot be built.
    """
    return _built(KUBECONFORM)


@cache
def schemas() -> Schemas:
    """Return the schemas that a real API server publishes; custom kinds are shown to it first.

    Raises:
        RehearsalError: if definitions of kinds cannot be had, or the API server cannot be built or started.
    """
    plane = controlplane.build()
    modules = [f"{one.path}@{one.version}" for one in programs.CUSTOM_KINDS]
    about = json.dumps([plane.name, modules, Path(published.__file__).read_text()])
    folder = CACHE / f"schemas-{_digest(about)}"
    if not folder.exists():
        _say("asking an API server for its schemas")
        definitions = [one for module in programs.CUSTOM_KINDS for one in module.definitions()]
        with tempfile.TemporaryDirectory(dir=CACHE) as name, controlplane.running(Path(name)) as server:
            made = Path(name) / folder.name
            made.mkdir()
            published.write(made, published.ask(server, definitions))
            (made / VERSION).write_text("v{major}.{minor}".format(**server.request("get", "/version")))
            if not folder.exists():  # another run may have been faster
                made.rename(folder)
    return Schemas(folder, (folder / VERSION).read_text())


def _built(module: str) -> Path:
    """Return a program, built from a Go module at a version."""
    path, _, version = module.partition("@")
    name = path.rpartition("/")[2]
    program = CACHE / f"{name}-{version}" / name
    if not program.exists():
        _say(f"building {name} {version}")
        _do("go", ["install", module], GOBIN=str(program.parent), GOFLAGS="")
    return program


def _do(program: str, words: list[str], **env: str) -> str:
    """Run a program in the cache, outside any module, and return what it printed."""
    CACHE.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            [program, *words],
            cwd=CACHE,
            env={**os.environ, **env},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    except FileNotFoundError as error:
        raise StackError(f"{program} is missing: {WAYS[program]}, then run the same command again") from error
    except subprocess.CalledProcessError as error:
        raise StackError(
            f"{program} {' '.join(words)} failed: {error.stdout}the message above says why"
        ) from error
    return done.stdout


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _say(text: str) -> None:
    print(f"{text} (once)", file=sys.stderr)
