"""Programs of others that scale a stack, and the kinds of objects that they define: from their Go modules.

Each is built once for its version, outside the checkout. ``python -m rehearsal.programs`` builds them all:
about ten minutes on two cores.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from rehearsal.processes import RehearsalError

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ollamamax"


@dataclass(frozen=True)
class Module:
    """A Go module at a version."""

    name: str
    """What it is called here."""
    path: str
    version: str
    kinds: tuple[str, ...] = ()
    """Folders of it that define kinds of objects."""
    programs: Mapping[str, str] = field(default_factory=dict)
    """Program → its package in the module."""
    optimised: bool = True
    """Whether the compiler is to take its time: else it needs a quarter less."""

    def folder(self) -> Path:
        """Return its source, as Go keeps it."""
        document = _go(["mod", "download", "-json", f"{self.path}@{self.version}"], CACHE)
        return Path(json.loads(document)["Dir"])

    def definitions(self) -> Iterator[dict[str, Any]]:
        """Yield the CustomResourceDefinitions of its kinds."""
        folder = self.folder()
        for part in self.kinds:
            for file in sorted((folder / part).glob("*.yaml")):
                for found in yaml.safe_load_all(file.read_text()):
                    if found and found["kind"] == "CustomResourceDefinition":
                        yield found

    def built(self) -> Path:
        """Return the folder of its programs; building them takes minutes, once."""
        target = CACHE / f"{self.name}-{self.version}-{_go_version()}"
        if target.exists():
            return target
        with (CACHE / f"{self.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # who comes second finds it made
            if not target.exists():
                self._build(target)
        return target

    def _build(self, target: Path) -> None:
        started = time.monotonic()
        print(f"building {self.name} {self.version} (once; some minutes)", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
            made = Path(temporary) / target.name
            made.mkdir()
            for program, package in self.programs.items():
                # In the module's own folder: there its own go.mod decides, `replace` included.
                words = ["build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w"]
                # Without the debugger's data, which -w would only drop at the end, it takes an eighth less.
                compiled = "-dwarf=false" if self.optimised else "-dwarf=false -N -l"
                words += [f"-gcflags=all={compiled}", "-o", str(made / program), package]
                _go(words, self.folder())
            _move(made, target)
        print(f"built {self.name} in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


CERT_MANAGER = Module("cert-manager", "github.com/cert-manager/cert-manager", "v1.21.2", ("deploy/crds",))
K6 = Module("k6", "go.k6.io/k6", "v1.8.1", programs={"k6": "."})
"""Puts load on a stack (``make load``)."""
KARPENTER = Module(
    "karpenter", "sigs.k8s.io/karpenter", "v1.9.0",
    ("pkg/apis/crds", "kwok/apis/crds"), {"karpenter": "./kwok"},
)  # fmt: skip
KEDA = Module(
    "keda", "github.com/kedacore/keda/v2", "v2.21.0",
    ("config/crd/bases",), {"keda": "./cmd/operator", "keda-adapter": "./cmd/adapter"}, optimised=False,
)  # fmt: skip
KWOK = Module("kwok", "sigs.k8s.io/kwok", "v0.7.0", ("kustomize/crd/bases",))
METRICS_SERVER = Module(
    "metrics-server", "sigs.k8s.io/metrics-server", "v0.9.0",
    programs={"metrics-server": "./cmd/metrics-server"}, optimised=False,
)  # fmt: skip
SECRETS_STORE = Module(
    "secrets-store", "sigs.k8s.io/secrets-store-csi-driver", "v1.5.3", ("config/crd/bases",)
)  # fmt: skip
SYFT = Module("syft", "github.com/anchore/syft", "v1.57.1", programs={"syft": "./cmd/syft"})
"""Lists what images are made of (``make sbom``)."""
CUSTOM_KINDS = (CERT_MANAGER, KARPENTER, KEDA, SECRETS_STORE)
"""Modules that define kinds which stacks use."""


def prometheus() -> Path:
    """Return Prometheus: the machine's, or out of Debian's package."""
    target = CACHE / "prometheus"
    if not target.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
            made = Path(temporary) / "made"
            made.mkdir()
            script = Path(__file__).with_name("package.sh")
            done = subprocess.run([script, "prometheus", "prometheus", made], check=False)  # noqa: S603 - our own
            if done.returncode:
                raise RehearsalError("Prometheus could not be had; the message above says why")
            _move(made, target)
    return target / "prometheus"


def build_all(modules: Iterable[Module] = (KARPENTER, METRICS_SERVER, KEDA)) -> None:
    """Build everything that is not there yet."""
    prometheus()
    for module in modules:
        module.built()


@cache
def _go_version() -> str:
    return _go(["env", "GOVERSION"], CACHE).strip()


def _go(words: list[str], folder: Path) -> str:
    """Run Go in a folder, whatever its settings here are, and return what it printed."""
    folder.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "GOFLAGS": "", "GOWORK": "off", "CGO_ENABLED": "0"}  # no C compiler is needed
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            ["go", *words], cwd=folder, env=env, stdout=subprocess.PIPE, text=True, check=True,  # noqa: S607
        )  # fmt: skip
    except FileNotFoundError as error:
        raise RehearsalError(
            "Go is missing: install Go 1.24 or newer, then run the same command again"
        ) from error
    except subprocess.CalledProcessError as error:
        raise RehearsalError(
            f"go {' '.join(words)} failed: {error.stdout}the message above says why"
        ) from error
    return done.stdout


def _move(made: Path, target: Path) -> None:
    if not target.exists():  # another run may have been faster
        made.rename(target)


def main() -> int:
    """Build all programs; return the exit status."""
    try:
        build_all()
    except RehearsalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
