"""Waiting for a condition, with a deadline."""

import time
from collections.abc import Callable

PAUSE_S = 0.25


def eventually(condition: Callable[[], bool], limit_s: float, what: str) -> None:
    """Return once ``condition`` holds; fail after ``limit_s`` seconds."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {limit_s} s: {what}"
        time.sleep(PAUSE_S)
