"""``make rotate-passphrase``: another passphrase for all stacks whose states are on this machine."""

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import typer

from engine.backend import Backend
from engine.errors import EngineError
from engine.secrets import Crypter
from ops.backup import Say
from ops.private import NEXT_PASSPHRASE, PASSPHRASE, new_passphrase, write_private
from ops.stack import ROOT, StackError
from ops.told import Told

FOLDERS = (".state", ".state/bootstrap")
"""Those with a passphrase of their own."""
BACKENDS = (".pulumi", "simulated/.pulumi")
BASE64 = r"[\w+/]+=*"
SALT = re.compile(f"v1:{BASE64}:v1:{BASE64}:{BASE64}")
"""A salt, and the word by which it is known whether a passphrase is the right one."""
SEALED = re.compile(rf'("ciphertext":\s*"|\bsecure:\s*["\']?)(v1:{BASE64}:{BASE64})')
"""A secret, in a state and in a stack file."""


def rotate(root: Path, say: Say) -> None:
    """Encrypt the states of a checkout anew, with a passphrase that is made for it.

    Each file is replaced whole, and both passphrases are kept until the last one has been: after a kill at
    any moment each file opens with one of them, and the next run ends what was begun.

    Raises:
        StackError: if nothing can be opened with the passphrase that is there, or somebody works on a stack.
    """
    if "PULUMI_CONFIG_PASSPHRASE" in os.environ:
        raise StackError(
            f"PULUMI_CONFIG_PASSPHRASE is set: write it into {root / FOLDERS[0] / PASSPHRASE}, where its "
            "successor will be, and unset it"
        )
    folders = [folder for name in FOLDERS if ((folder := root / name) / PASSPHRASE).exists()]
    if not folders:
        raise StackError(f"there is no {root / FOLDERS[0] / PASSPHRASE}: nothing has been encrypted yet")
    for folder in folders:
        try:
            with ExitStack() as held:
                for file in _states(folder):
                    backend = Backend(file.parents[3].as_uri(), file.parent.name, file.stem)
                    held.enter_context(backend.lock())
                say(f"{folder}: {_rotate(folder)} files are encrypted anew")
        except EngineError as error:
            raise StackError(str(error)) from error


def _rotate(folder: Path) -> int:
    """Encrypt the files of one folder anew and return how many they were."""
    now, following = folder / PASSPHRASE, folder / NEXT_PASSPHRASE
    after = following.read_text() if following.exists() else new_passphrase()
    change = Change(now.read_text().strip(), after)
    # Once without a word written: what cannot be opened must stop the change before it begins.
    for file in _needed(folder):
        change.of(file, needed=True)
    write_private(following, after)
    count = 0
    for needed, files in ((True, _needed(folder)), (False, _others(folder))):
        for file in files:
            if (text := change.of(file, needed=needed)) is not None:
                mode = file.stat().st_mode
                write_private(file, text)
                file.chmod(mode)
                count += 1
    following.replace(now)
    return count


@dataclass
class Change:
    """From one passphrase to another.

    Attributes:
        before, after: the passphrases.
        ciphers: salt → what opens its secrets and what encrypts them anew; None where nothing is to be done.
    """

    before: str = field(repr=False)
    after: str = field(repr=False)
    ciphers: dict[str, tuple[Crypter, Crypter] | None] = field(default_factory=dict, repr=False)

    def of(self, file: Path, *, needed: bool) -> str | None:
        """Return what is to be in a file; None where it stays as it is, as one that neither passphrase opens.

        Raises:
            EngineError: if neither passphrase opens a file that is ``needed``.
        """
        text = file.read_text()
        salt = SALT.search(text)
        if not salt:
            return None
        try:
            ciphers = self._of(salt[0])
            return _sealed(text.replace(salt[0], ciphers[1].salt), *ciphers) if ciphers else None
        except EngineError as error:
            if needed:
                raise EngineError(f"{file}: {error}") from error
            return None

    def _of(self, salt: str) -> tuple[Crypter, Crypter] | None:
        if salt not in self.ciphers:
            try:
                self.ciphers[salt] = Crypter(self.before, salt), Crypter(self.after)
            except EngineError:
                Crypter(self.after, salt)  # as far as this came a change that was interrupted
                self.ciphers[salt] = None
        return self.ciphers[salt]


def _sealed(text: str, old: Crypter, new: Crypter) -> str:
    """Return a text with the secrets in it encrypted anew, those inside of others too."""
    return SEALED.sub(lambda one: one[1] + new.encrypt(_sealed(old.decrypt(one[2]), old, new)), text)


def _states(folder: Path) -> Iterator[Path]:
    """Yield the file of each stack: ``stacks/PROJECT/STACK.json``."""
    for backend in BACKENDS:
        yield from sorted((folder / backend / "stacks").glob("*/*.json"))


def _needed(folder: Path) -> Iterator[Path]:
    """Yield the files that the next command reads."""
    yield from _states(folder)
    yield from sorted(folder.glob("Pulumi.*.yaml"))


def _others(folder: Path) -> Iterator[Path]:
    """Yield stack files, whose secrets may be another machine's, and states as they were."""
    yield from sorted((folder.parent / "stacks").glob("Pulumi.*.yaml"))
    yield from sorted(folder.glob("releases/*/*/program/stacks/Pulumi.*.yaml"))
    for backend in BACKENDS:
        for kind in ("stacks/*/*.bak", "history/*/*.json", "backups/*/*.json"):
            yield from sorted((folder / backend).glob(kind))


def main() -> None:
    """Encrypt the states of all stacks on this machine anew, with a passphrase that is made for it."""
    try:
        rotate(ROOT, Told(time.monotonic()).say)
    except StackError as error:
        sys.exit(f"error: {error}")
    typer.echo(
        "Keep a copy of .state/passphrase elsewhere. Archives that make backup wrote until now open with the "
        "passphrase of their time alone: make backup writes one that opens with this."
    )


if __name__ == "__main__":
    typer.run(main)
