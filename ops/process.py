"""The process of an engine: where it finds programs, and how it is interrupted."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ollamamax"


def run(
    words: Sequence[str],
    folder: Path,
    env: Mapping[str, str],
    stdout: int | TextIO | None,
    given: str | None = None,
) -> tuple[int, str]:
    """Run an engine in a folder to its end, interrupted or not; ``given`` is what it reads.

    Returns:
        Its exit status, and what it printed if that is piped.
    """
    stdin = None if given is None else subprocess.PIPE
    engine = subprocess.Popen(words, cwd=folder, env=env, stdin=stdin, stdout=stdout, text=True)  # noqa: S603
    with _interrupts_left_to(engine):
        printed, _ = engine.communicate(given)
    return engine.returncode, printed or ""


@contextlib.contextmanager
def _interrupts_left_to(engine: subprocess.Popen[str]) -> Iterator[None]:
    """Wait for an engine that is interrupted: it finishes what is in flight and records it.

    A terminal sends Ctrl-C to the engine as well; SIGTERM, which make passes on, comes to this process alone.
    """
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: engine.terminate()),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def search_path() -> str:
    """Return the PATH, and where ``make setup`` puts uv, with which the Pulumi CLI starts the program."""
    return f"{os.environ['PATH']}:{CACHE / 'uv' / 'bin'}"
