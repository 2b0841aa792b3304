"""The stack's certificate authority among those that the browsers of a user trust.

Chromium and Chrome read the user's NSS database, Firefox has one in each profile; ``certutil`` changes both.
"""

import subprocess
from pathlib import Path

from ops.stack import StackError

CHROMIUM = Path(".pki") / "nssdb"
FIREFOX = (".mozilla/firefox", "snap/firefox/common/.mozilla/firefox")
PROFILE = "cert9.db"
"""A folder with this file is a profile."""
FOR_SERVERS = "C,,"
"""Trusted to vouch for servers, and for neither mail nor programs."""


def trust(stack: str, certificate: str) -> str:
    """Add the authority to every database, and return in words where it is.

    Args:
        stack: the stack's name, which tells its authority from others'.
        certificate: PEM.

    Raises:
        StackError: if ``certutil`` is missing, or refuses.
    """
    home = Path.home()
    if not (home / CHROMIUM / PROFILE).exists():
        (home / CHROMIUM).mkdir(mode=0o700, parents=True, exist_ok=True)
        _certutil(home / CHROMIUM, "-N", "--empty-password")
    _remove(stack)
    for database in _databases():
        _certutil(database, "-A", "-n", _name(stack), "-t", FOR_SERVERS, stdin=certificate)
    return (
        f"browsers trust the authority of stack {stack} ({_listed(_databases())}); start them anew. "
        f"Whoever has the stack's state can vouch for any site: make untrust STACK={stack} takes it out again"
    )


def untrust(stack: str) -> str:
    """Remove the authority from every database that has it, and return in words where it was.

    Raises:
        StackError: if ``certutil`` is missing, or refuses.
    """
    removed = _remove(stack)
    if not removed:
        return f"no browser trusted the authority of stack {stack}"
    return f"browsers no longer trust the authority of stack {stack} ({_listed(removed)}); start them anew"


def _remove(stack: str) -> list[Path]:
    removed = []
    for database in _databases():
        names = [
            line.rsplit(maxsplit=1)[0] for line in _certutil(database, "-L").splitlines() if line.strip()
        ]
        if _name(stack) in names:
            _certutil(database, "-D", "-n", _name(stack))
            removed.append(database)
    return removed


def _databases() -> list[Path]:
    home = Path.home()
    profiles = [file.parent for folder in FIREFOX for file in (home / folder).glob(f"*/{PROFILE}")]
    chromium = [home / CHROMIUM] if (home / CHROMIUM / PROFILE).exists() else []
    return [*chromium, *sorted(profiles)]


def _certutil(database: Path, *words: str, stdin: str = "") -> str:
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            ["certutil", "-d", f"sql:{database}", *words],  # noqa: S607 - as the PATH says
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise StackError(
            "certutil is missing: install it (Debian's package libnss3-tools), then run this again"
        ) from error
    if done.returncode != 0:
        raise StackError(f"certutil could not change {database}: {done.stderr.strip()}")
    return done.stdout


def _name(stack: str) -> str:
    return f"OllamaMax {stack}"


def _listed(databases: list[Path]) -> str:
    return ", ".join(str(database) for database in databases)
