"""Releases: the steps by which one is tried."""

from collections.abc import Iterator

from stacks.delivery import ALL
from stacks.settings import Settings


def steps(s: Settings) -> Iterator[str]:
    """A release is given more and more of the requests, in the end all."""
    given = s.release.steps_percent
    if list(given) != sorted(given) or given[-1] != ALL:
        shown = ", ".join(map(str, given))
        yield f"release.stepsPercent ({shown}) must rise, and end at {ALL}"
