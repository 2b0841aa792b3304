"""The name of a Service of the stack, for programs that run beside the cluster and not in it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

from rehearsal.processes import RehearsalError

HOSTS = Path("/etc/hosts")
HELD_PORT = 9089
REHEARSALS = 256


@contextlib.contextmanager
def address() -> Iterator[str]:
    """Take a loopback address that no other rehearsal on this machine has, for as long as this one lasts.

    With one of its own a Service keeps its port, and so its URL.
    """
    for number in range(REHEARSALS):
        with contextlib.ExitStack() as stack:
            held = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            try:
                held.bind((found := f"127.53.{number}.1", HELD_PORT))
            except OSError:
                continue
            yield found
            return
    raise RehearsalError(f"{REHEARSALS} rehearsals run on this machine: end one")


def write(file: Path, address: str, service: str, namespace: str) -> None:
    """Write an ``/etc/hosts`` with the names that pods of the namespace, and of others, use for a Service."""
    within = f"{service}.{namespace}"
    names = (service, within, f"{within}.svc", f"{within}.svc.cluster.local")
    file.write_text(f"{HOSTS.read_text().rstrip()}\n{address} {' '.join(names)}\n")
