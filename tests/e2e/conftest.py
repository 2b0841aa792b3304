"""The whole platform, brought up by the make target that a user types, in a copy of the checkout.

The stack is `test`: other names, ports and addresses than `local`. Nothing of it is left afterwards.
"""

import json
import os
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from playwright.sync_api import Browser, Playwright, sync_playwright

from tests.chromium import chromium
from tests.e2e.signer import Signer, run

REPOSITORY = Path(__file__).parents[2]
STACK = "test"
LABEL = f"label=ollamamax.stack={STACK}"
UP_LIMIT_S = 2400
"""A machine without a single image has to build them all first."""


def docker(*words: str) -> str:
    """Run a docker command and return what it printed."""
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout.strip()


def sql(statement: str) -> str:
    """Run SQL as the superuser inside the database's container."""
    return docker(
        "exec",
        f"ollamamax-{STACK}-postgres-1",
        "psql",
        "-U",
        "postgres",
        "-d",
        "ollamamax",
        "-Atc",
        statement,
    )


def left_behind() -> list[str]:
    """Return every container, network and volume that belongs to the stack."""
    return [
        *docker("ps", "--all", "--quiet", "--filter", LABEL).split(),
        *docker("network", "ls", "--quiet", "--filter", LABEL).split(),
        *docker("volume", "ls", "--quiet", "--filter", LABEL).split(),
    ]


def sweep() -> None:
    """Remove what a test run that was killed left of the stack."""
    for container in docker("ps", "--all", "--quiet", "--filter", LABEL).split():
        docker("rm", "--force", "--volumes", container)
    for network in docker("network", "ls", "--quiet", "--filter", LABEL).split():
        docker("network", "rm", network)
    for volume in docker("volume", "ls", "--quiet", "--filter", LABEL).split():
        docker("volume", "rm", volume)


@dataclass(frozen=True)
class Checkout:
    """A copy of the project, with a state folder of its own."""

    root: Path

    def make(self, target: str, *words: str, env: Mapping[str, str] | None = None) -> "Done":
        """Run a make target on the stack."""
        # The embedded engine, also where a Pulumi CLI is installed: its plugins are not to be had everywhere.
        path = os.pathsep.join(
            folder
            for folder in os.environ["PATH"].split(os.pathsep)
            if not (Path(folder) / "pulumi").exists()
        )
        done = subprocess.run(
            ["make", "--no-print-directory", target, *(words or (f"STACK={STACK}",))],
            cwd=self.root,
            env={**os.environ, "PATH": path, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=UP_LIMIT_S,
            check=False,
        )
        return Done(done.returncode, done.stdout)

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs, secrets included."""
        done = self.make("outputs", f"STACK={STACK}", "SECRETS=1")
        assert done.status == 0, done.text
        outputs: dict[str, Any] = json.loads(done.text)
        return outputs

    def settings(self, **changed: Any) -> None:
        """Change settings in the stack file."""
        import yaml

        file = self.root / "stacks" / f"Pulumi.{STACK}.yaml"
        document = yaml.safe_load(file.read_text())
        for name, value in changed.items():
            document["config"][f"ollamamax:{name}"] = value
        file.write_text(yaml.safe_dump(document))


@dataclass(frozen=True)
class Done:
    """What a make target ended with, and everything it printed."""

    status: int
    text: str


@dataclass(frozen=True)
class Platform:
    """A running platform, as a client sees it."""

    checkout: Checkout
    up: Done
    url: str
    key: str
    ca: Path

    @property
    def trust(self) -> ssl.SSLContext:
        """A TLS context that trusts the stack's authority alone."""
        return ssl.create_default_context(cafile=self.ca)

    @property
    def headers(self) -> dict[str, str]:
        """What a client sends to be let in."""
        return {"Authorization": f"Bearer {self.key}"}

    @property
    def port(self) -> int:
        """The edge's port."""
        return int(self.url.rpartition(":")[2])


def copy_checkout(folder: Path) -> Checkout:
    """Copy what git tracks or would track, and use the environment that is running."""
    root = folder / "checkout"
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, names.split("\0")):
        source, copy = REPOSITORY / name, root / name
        if source.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(source.read_bytes())
            copy.chmod(source.stat().st_mode)
    (root / ".venv").symlink_to(REPOSITORY / ".venv")
    return Checkout(root)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The copy that the stack is deployed from."""
    return copy_checkout(tmp_path_factory.mktemp("e2e"))


@pytest.fixture(scope="session")
def platform(checkout: Checkout) -> Iterator[Platform]:
    """The stack, up and proven; gone afterwards."""
    sweep()
    try:
        up = checkout.make("up")
        assert up.status == 0, up.text
        outputs = checkout.outputs()
        ca = checkout.root / "ca.pem"
        ca.write_text(outputs["caCertificate"])
        yield Platform(checkout, up, outputs["url"], outputs["apiKey"], ca)
        down = checkout.make("down", f"STACK={STACK}", "DATA=1")
        assert down.status == 0, down.text
        assert left_behind() == [], "make down DATA=1 leaves no container, network or volume"
    finally:
        sweep()


@pytest.fixture(scope="session")
def signer(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Signer:
    """A user of the command line, whose key has been registered by a change of the stack."""
    key = Ed25519PrivateKey.generate()
    home = tmp_path_factory.mktemp("home")
    folder = home / ".ollama"
    folder.mkdir()
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    (folder / "id_ed25519").write_bytes(private)
    (folder / "id_ed25519").chmod(0o600)
    (folder / "id_ed25519.pub").write_bytes(public)
    image = docker("inspect", "--format", "{{.Config.Image}}", f"ollamamax-{STACK}-worker-1")
    before = run(image, home, platform.ca, platform.url, "list")
    platform.checkout.settings(gateway={"publicKeys": [f"{public.decode()} tester"], "signatureWindowS": 5})
    up = platform.checkout.make("up")
    assert up.status == 0, up.text
    return Signer(key, public.decode(), home, platform.ca, image, before, up.text)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """What drives browsers."""
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright: Playwright, platform: Platform) -> Iterator[Browser]:
    """Chromium, which trusts the platform's edge."""
    from tests.e2e.browsing import trusting  # here: it knows what a platform is

    with chromium(playwright, *trusting(platform)) as running:
        yield running
