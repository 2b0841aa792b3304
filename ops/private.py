"""Files that their owner alone can read, and the passphrase that is one of them."""

import os
import secrets
from pathlib import Path

PRIVATE = 0o600
PASSPHRASE, NEXT_PASSPHRASE = "passphrase", "passphrase.next"
"""Files of the state folder: what its secrets are encrypted with, and, while it is changed, will be."""


def new_passphrase() -> str:
    """Return a passphrase that nobody guesses."""
    return secrets.token_urlsafe(32)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all; once this returns it is on the disk."""
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
