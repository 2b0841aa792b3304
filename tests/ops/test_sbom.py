"""Bills of materials: of which images and files, and with which digests, with a syft that only records."""

import hashlib
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from ops import sbom
from ops.sbom import Image
from ops.stack import Stack, StackError
from rehearsal.programs import SYFT, Module
from tests.ops.conftest import Checkout

LISTER = f"""\
#!{sys.executable}
import pathlib, sys

words = sys.argv[1:]
file = words[words.index("--output") + 1].removeprefix("cyclonedx-json=")
readme = pathlib.Path(words[1].removeprefix("dir:")) / "ollamamax-0.1.0/README.md"
what = words[1] if words[1].startswith("docker:") else f"dir:{{readme.exists()}}"
pathlib.Path(file).write_text(what)
sys.exit(words[1] == "docker:gone:1")
"""
DIGEST = "a" * 64


def image(name: str, tag: str, pushed: bool = True) -> dict[str, Any]:
    """Return an image as a state has it; one that stays on its machine has a digest of its own making."""
    outputs = {"imageName": tag, "repoDigest": f"registry/path/{name}@sha256:{DIGEST}"}
    urn = f"urn:pulumi:some::ollamamax::ollamamax:index:Platform$docker:index/image:Image::{name}"
    return {"urn": urn, "type": sbom.IMAGE, "inputs": {"skipPush": not pushed}, "outputs": outputs}


def state(*resources: dict[str, Any]) -> dict[str, Any]:
    return {"deployment": {"resources": [{"type": "pulumi:pulumi:Stack", "urn": "urn"}, *resources]}}


@pytest.fixture
def stack(embedded: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """Return a stack that is up, beside a syft that writes what it was asked for."""
    program = tmp_path / "bin" / "syft"
    program.write_text(LISTER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", "/usr/bin:/bin", prepend=":")
    monkeypatch.setattr(Module, "built", lambda module: {SYFT.name: program.parent}[module.name])
    return embedded.stack


def test_an_image_that_was_pushed_has_the_registrys_digest() -> None:
    found = sbom.images(state(image("gateway", "gateway:1"), image("edge", "edge:2", pushed=False)))
    assert found == [
        Image("edge", "edge:2", "", ""),
        Image("gateway", "gateway:1", "registry/path/gateway", DIGEST),
    ]


def test_images_and_package_are_listed_and_named_with_their_digests(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSWER", json.dumps(state(image("gateway", "gateway:1"))))
    out = tmp_path / "sbom"
    written = {file.name for file in sbom.write(stack, out)}
    assert written == {"ollamamax-0.1.0.tar", "ollamamax.cdx.json", "gateway.cdx.json", "subjects.sha256"}
    assert (out / "gateway.cdx.json").read_text() == "docker:gateway:1"
    assert (out / "ollamamax.cdx.json").read_text() == "dir:True", "the package is what is listed"
    with tarfile.open(out / "ollamamax-0.1.0.tar") as package:
        assert "ollamamax-0.1.0/README.md" in package.getnames()
    lines = (out / "subjects.sha256").read_text().splitlines()
    assert lines[0] == f"{DIGEST}  registry/path/gateway"
    told = {name: digest for digest, name in (line.split("  ") for line in lines[1:])}
    assert told == {
        name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in written - {"subjects.sha256"}
    }


def test_an_image_that_cannot_be_listed_is_one_message(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSWER", json.dumps(state(image("gone", "gone:1"))))
    with pytest.raises(StackError, match="syft did not list docker:gone:1; the message above says why"):
        list(sbom.write(stack, tmp_path / "sbom"))


def test_a_simulated_stack_has_none() -> None:
    with pytest.raises(StackError, match="stack prod is only simulated here: its images were never built"):
        list(sbom.write(Stack("prod", simulate=True), Path("sbom")))
