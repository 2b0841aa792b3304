"""Pulumi's file backend: the stack's file, its lock, history and backups."""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import json
import os
import socket
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import orjson

from engine.errors import EngineError
from engine.state import now


class Backend:
    """One stack in the backend at `url`, `file:///folder` or `file://~/folder` as in PULUMI_BACKEND_URL."""

    def __init__(self, url: str, project: str, stack: str) -> None:
        parsed = urlparse(url)
        if parsed.scheme != "file":
            raise EngineError(f"PULUMI_BACKEND_URL: {url!r} needs the Pulumi CLI; here it is file://FOLDER")
        self.root = Path(unquote(parsed.netloc + parsed.path)).expanduser().resolve() / ".pulumi"
        self._place, self._stack = Path(project, stack), stack
        self.file = self.root / "stacks" / project / f"{stack}.json"
        self._locks = self.root / "locks" / "organization" / self._place
        self._checkpoint = b""

    def load(self) -> dict[str, Any] | None:
        """Return the stack's `latest` deployment: None when there is no stack, {} when it is empty."""
        if not self.file.exists():
            return None
        with _guarded(self.file):
            self._checkpoint = self.file.read_bytes()
        try:
            document = json.loads(self._checkpoint)
            latest = dict(document["checkpoint"].get("latest") or {})
            if document["version"] != 3 or any("urn" not in one for one in latest.get("resources") or []):
                raise ValueError("no checkpoint of version 3")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            folder = self.root / "backups" / self._place
            backup = max(folder.glob("*.json"), default=folder)
            problem = f"the state file is corrupted ({error!r}); copy the newest backup over it: {backup}"
            raise EngineError(f"{self.file}: {problem}") from error
        return latest

    def save(self, latest: dict[str, Any]) -> None:
        """Replace the stack's file by one that holds `latest`, in which parts may be JSON already.

        A crash leaves the one or the other.
        """
        document = {"version": 3, "checkpoint": {"stack": f"organization/{self._place}", "latest": latest}}
        self._checkpoint = orjson.dumps(document) + b"\n"
        write_file(self.file, self._checkpoint)

    def record(self, kind: str, started: float, result: str, changes: dict[str, int]) -> None:
        """Add an update to the history, with a copy of the state it ended in."""
        times = {"startTime": int(started), "endTime": int(time.time())}
        update = {"kind": kind, "result": result, "resourceChanges": changes, **times}
        history, stamp = self.root / "history" / self._place, time.time_ns()
        write_file(history / f"{self._stack}-{stamp}.history.json", json.dumps(update).encode())
        write_file(history / f"{self._stack}-{stamp}.checkpoint.json", self._checkpoint)
        write_file(self.root / "backups" / self._place / f"{self._stack}.{stamp}.json", self._checkpoint)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the stack's lock.

        The file says to the CLI who holds it. What a process of this engine really holds is the folder's
        `flock`, which ends with it.
        """
        if not (self.root / "meta.yaml").exists():
            write_file(self.root / "meta.yaml", b"version: 1\n")
        with _guarded(self._locks):
            self._locks.mkdir(parents=True, exist_ok=True)
            guard = os.open(self._locks, os.O_RDONLY)
        held, host = False, socket.gethostname()
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held = True
        for file in [*self._locks.glob("*.json")] or [self._locks] * held:
            holder, about = {}, "somebody"
            with contextlib.suppress(OSError, ValueError, KeyError):
                holder = json.loads(file.read_text())
                about = "{username}@{hostname} (pid {pid}) since {timestamp}".format(**holder)
            if held or holder.get("engine") != host:
                way_out = "wait for it to end, or run `cancel` if it is not running any more"
                raise EngineError(f"the stack is currently locked by {about}: {file}; {way_out}")
            print(f"took over the lock of {about}, which is not running any more", file=sys.stderr)
            file.unlink(missing_ok=True)
        me = {"pid": os.getpid(), "username": getpass.getuser(), "hostname": host, "timestamp": now()}
        mine = self._locks / f"{uuid.uuid4()}.json"
        write_file(mine, json.dumps(me | {"engine": host}).encode())
        try:
            yield
        finally:
            mine.unlink(missing_ok=True)
            os.close(guard)

    def cancel(self) -> int:
        """Remove every lock of the stack and return how many there were."""
        locks = list(self._locks.glob("*.json"))
        for file in locks:
            file.unlink(missing_ok=True)
        return len(locks)


def write_file(file: Path, data: bytes) -> None:
    """Replace a file so that a crash leaves the old one or the new one."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    with _guarded(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)
        folder = os.open(file.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


@contextlib.contextmanager
def _guarded(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        way_out = "the old state is intact; free space there or make it yours to read and write"
        raise EngineError(f"{path}: {error.strerror}; {way_out}") from error
