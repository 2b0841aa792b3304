"""The tools of the second opinion, and the schemas that they judge by: installed, built or made once.

All of it is kept in the user's cache, in folders named after versions.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ops import schemas as published
from ops.stack import CACHE, ROOT, StackError, search_path
from rehearsal import controlplane

KUBE_SCORE = "github.com/zegl/kube-score/cmd/kube-score@v1.20.0"
KUBECONFORM = "github.com/yannh/kubeconform/cmd/kubeconform@v0.7.0"
CHECKOV = ROOT / "ops" / "checkov"
CUSTOM_KINDS = {
    "github.com/cert-manager/cert-manager@v1.21.2": "deploy/crds",
    "sigs.k8s.io/karpenter@v1.9.0": "pkg/apis/crds",
    "sigs.k8s.io/secrets-store-csi-driver@v1.5.3": "config/crd/bases",
}
"""Go modules that define kinds which stacks use, and the folder in each that holds the definitions."""
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
        StackError: if definitions of kinds cannot be had.
        ControlPlaneError: if the API server cannot be built or started.
    """
    plane = controlplane.build()
    about = json.dumps([plane.name, CUSTOM_KINDS, Path(published.__file__).read_text()])
    folder = CACHE / f"schemas-{_digest(about)}"
    if not folder.exists():
        _say("asking an API server for its schemas")
        definitions = [one for module, part in CUSTOM_KINDS.items() for one in _definitions(module, part)]
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


def _definitions(module: str, part: str) -> Iterator[dict[str, Any]]:
    """Yield the custom kinds that a Go module defines."""
    folder = json.loads(_do("go", ["mod", "download", "-json", module], GOFLAGS=""))["Dir"]
    for file in sorted(Path(folder, part).glob("*.yaml")):
        found = yaml.safe_load(file.read_text())
        if found and found["kind"] == "CustomResourceDefinition":
            yield found


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
