"""What a stack's images and this package are made of: bills of materials, and digests of what they list.

``subjects.sha256`` names every image by the digest that it was pushed with, and every file beside it: what a
workflow attests where it all was made.
"""

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ops.stack import ROOT, Stack, StackError
from rehearsal.processes import RehearsalError
from rehearsal.programs import SYFT

IMAGE = "docker:index/image:Image"
SUBJECTS = "subjects.sha256"


@dataclass(frozen=True, order=True)
class Image:
    """An image of a stack."""

    name: str
    tag: str
    """What the Docker daemon of the machine that built it knows it by."""
    repository: str
    """Where it was pushed to; empty where it was not."""
    digest: str
    """SHA-256 that the registry knows it by; empty where it was not pushed."""


def images(state: dict[str, Any]) -> list[Image]:
    """Return the images of an exported state."""
    found = []
    for one in state["deployment"].get("resources") or []:
        if one["type"] == IMAGE:
            name, outputs = one["urn"].rpartition("::")[2], one["outputs"]
            repository, _, digest = str(outputs.get("repoDigest") or "").partition("@sha256:")
            pushed = not one["inputs"].get("skipPush")
            found.append(Image(name, outputs["imageName"], repository * pushed, digest * pushed))
    return sorted(found)


def write(stack: Stack, folder: Path) -> Iterator[Path]:
    """Write the bills of a stack that is up and of the package, and yield each file.

    Raises:
        StackError: if the stack is only simulated, or syft cannot do its work.
    """
    if stack.simulated:
        raise StackError(f"stack {stack.name} is only simulated here: its images were never built")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    found = images(stack.exported())
    folder.mkdir(parents=True, exist_ok=True)
    package = folder / f"ollamamax-{version}.tar"
    package.write_bytes(_archive(version))
    yield package
    with tempfile.TemporaryDirectory() as name:
        with tarfile.open(package) as archive:
            archive.extractall(name, filter="data")
        yield _scan(f"dir:{name}", "ollamamax", version, folder)
    for image in found:
        yield _scan(f"docker:{image.tag}", image.name, version, folder)
    subjects = [(image.digest, image.repository) for image in found if image.digest]
    subjects += [(_sha256(file), file.name) for file in sorted(folder.iterdir()) if file.name != SUBJECTS]
    (folder / SUBJECTS).write_text("".join(f"{digest}  {name}\n" for digest, name in subjects))
    yield folder / SUBJECTS


def _archive(version: str) -> bytes:
    """Return the package: what is committed of this checkout."""
    words = ["git", "archive", f"--prefix=ollamamax-{version}/", "HEAD"]
    return subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout  # noqa: S603 - our own


def _scan(what: str, name: str, version: str, folder: Path) -> Path:
    """Have syft list what something is made of, as CycloneDX."""
    file = folder / f"{name}.cdx.json"
    words = ["scan", what, "--source-name", name, "--source-version", version, "--quiet"]
    try:
        program = SYFT.built() / "syft"
    except RehearsalError as error:
        raise StackError(f"syft could not be built: {error}") from error
    done = subprocess.run([program, *words, "--output", f"cyclonedx-json={file}"], check=False)  # noqa: S603
    if done.returncode != 0:
        raise StackError(f"syft did not list {what}; the message above says why")
    return file


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def main(
    stack: Annotated[str, typer.Argument(help="The stack, which is up: stacks/Pulumi.<stack>.yaml.")],
    out: Annotated[Path, typer.Option(help="The folder for them.")] = Path("sbom"),
) -> None:
    """List what a stack's images and this package are made of."""
    try:
        for file in write(Stack(stack), out):
            typer.echo(file)
    except StackError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    typer.run(main)
