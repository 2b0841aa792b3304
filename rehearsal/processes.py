"""Programs of others as processes of this one: each has a log, and none outlives what started it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

LOG_LINES = 15
LAVISH = {"GOGC": "200"}
"""Programs in Go collect their garbage half as often as by default, for more memory."""


class RehearsalError(Exception):
    """A rehearsal cannot begin or go on; the message says why."""


class Processes:
    """What runs in a folder; the log of NAME is ``NAME.log`` there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._kept: list[socket.socket] = []

    def port(self) -> int:
        """Return a port of loopback that is kept for one of them, whenever that starts, until all are ended.

        Nobody gets the port who asks for any one, and no connection leaves from it.
        """
        keeper = socket.socket()
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do, who may so share it
        keeper.bind(("127.0.0.1", 0))
        self._kept.append(keeper)
        return int(keeper.getsockname()[1])

    def start(
        self, name: str, command: Sequence[object], *,
        env: Mapping[str, str] | None = None, hosts: Path | None = None,
    ) -> None:  # fmt: skip
        """Start a program, with `hosts` as its own ``/etc/hosts``.

        It is killed when the thread that starts it ends.
        """
        words = [str(word) for word in command]
        if guard := shutil.which("setpriv"):  # nothing outlives a run that is killed
            words = [guard, "--pdeathsig", "KILL", *_if_child_of(os.getpid()), *words]
        if hosts:
            words = [*_with_hosts(hosts), *words]
        with self.log(name).open("ab") as log:
            self._running[name] = subprocess.Popen(  # noqa: S603 - what was built or installed for it
                words, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env={**LAVISH, **os.environ, **(env or {})}, start_new_session=True,
            )  # fmt: skip

    def log(self, name: str) -> Path:
        """Return the file that holds what a program says."""
        return self.folder / f"{name}.log"

    def kill(self, name: str) -> None:
        """End a program at once, as a fault would."""
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def runs(self, name: str) -> bool:
        """Tell whether a program was started and not killed."""
        return name in self._running

    def stop(self) -> None:
        """End all programs, the last one first, and at once: nothing that they know is needed any more."""
        for name in reversed(list(self._running)):
            self.kill(name)
        while self._kept:
            self._kept.pop().close()

    def check(self) -> None:
        """Raise RehearsalError if a program has ended by itself."""
        for name, process in self._running.items():
            if process.poll() is not None:
                last = self.log(name).read_text(errors="replace").splitlines()[-LOG_LINES:]
                raise RehearsalError("\n".join([f"{name} ended with {process.returncode}:", *last]))

    def wait(self, what: str, done: Callable[[], bool], seconds: float) -> None:
        """Wait until something is done, while all programs run; `what` says it of what is not."""
        deadline = time.monotonic() + seconds
        while not done():
            self.check()
            if time.monotonic() > deadline:
                raise RehearsalError(f"{what} within {seconds:g} s: see the logs in {self.folder}")
            time.sleep(0.1)


def _if_child_of(parent: int) -> list[str]:
    """Return the beginning of a command for a program whose parent may have ended before it could be told."""
    return ["sh", "-c", 'test "$PPID" = "$0" && exec "$@"', str(parent)]


def _with_hosts(hosts: Path) -> list[str]:
    """Return the beginning of a command for a program that sees another ``/etc/hosts``, it alone."""
    unshare = shutil.which("unshare")
    if unshare is None:
        raise RehearsalError("unshare is missing: install util-linux; only Linux can give a program names")
    alone = [unshare, "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    return [*alone, "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts)]
