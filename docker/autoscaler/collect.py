"""Copies Python, and what the forecaster needs of it, into a folder that becomes an image's root.

Usage: collect.py FOLDER

Packages are taken as a whole, less what only their developers need; of all others come the libraries that
they are linked with. Modules are compiled, and have no source beside them: where the root is read-only, each
start would compile them again.
"""

import compileall
import re
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGES = (
    "libpython3.13-minimal",
    "libpython3.13-stdlib",
    "python3-decorator",
    "python3-numpy",
    "python3-prometheus-client",
    "python3-yaml",
    "python3.13-minimal",
)
LEFT_OUT = re.compile(
    r"/(test|tests|include|f2py|distutils|_pyinstaller|numpy/random|pydoc_data)/"
    r"|/(_simd|_sqlite3|_test\w+|xx\w+|readline|_curses\w*|_dbm|_gdbm)\.cpython"
    r"|^/etc|^/usr/(share|bin/f2py)|\.dist-info/|\.(pyi|a|pyx|pxd|h|txt)$"
)
COPYRIGHT = Path("/usr/share/doc")
RELEASE = Path("/usr/lib/os-release")
STATUS = Path("var/lib/dpkg/status.d")
"""Where scanners look for the packages of an image that has no package manager: a file for each."""


def main(root: Path) -> None:
    """Fill ``root``."""
    for folder in ("usr/bin", "usr/lib", "usr/lib64", "etc/ollamamax/secrets"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for link, to in (("lib", "usr/lib"), ("lib64", "usr/lib64"), ("usr/bin/python3", "python3.13")):
        (root / link).symlink_to(to)
    (root / "etc/passwd").write_text("ollamamax:x:10001:0:OllamaMax:/:/sbin/nologin\n")
    (root / "etc/group").write_text("root:x:0:\n")
    files = [file for package in PACKAGES for file in files_of(package)]
    libraries = sorted({library for file in files for library in linked_with(file)})
    for file in [*files, *libraries]:
        copy(file, root)
    copy(RELEASE, root)
    (root / STATUS).mkdir(parents=True)
    for package in {*PACKAGES, *(owner(library) for library in libraries)}:
        copy(COPYRIGHT / package / "copyright", root)
        (root / STATUS / package).write_text(run("dpkg", "--status", package))
    compiled = compileall.compile_dir(
        root / "usr/lib", quiet=1, legacy=True, stripdir=str(root), maxlevels=20
    )
    if not compiled:
        raise SystemExit("not everything could be compiled")
    for source in (root / "usr/lib").rglob("*.py"):
        source.unlink()


def files_of(package: str) -> list[Path]:
    """Return what an installed package brings, and the program needs."""
    listed = run("dpkg", "--listfiles", package).splitlines()
    return [Path(name) for name in listed if not LEFT_OUT.search(name) and Path(name).is_file()]


def linked_with(file: Path) -> list[Path]:
    """Return the libraries that a file is linked with, where it is a program or a library."""
    if file.read_bytes()[:4] != b"\x7fELF":
        return []
    return [Path(found) for found in re.findall(r"(/\S+) \(0x", run("ldd", str(file)))]


def owner(file: Path) -> str:
    """Return the package that a library belongs to."""
    return run("dpkg", "--search", str(file.resolve())).partition(":")[0]


def copy(file: Path, root: Path) -> None:
    """Copy a file, or what a link stands for, to its place below ``root``."""
    to = root / file.parent.resolve().relative_to("/") / file.name
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(file, to)


def run(*command: str) -> str:
    """Return what a program prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - tools of the image


if __name__ == "__main__":
    main(Path(sys.argv[1]))
