"""What all commands share: the stack that they are for, and how they say what they do."""

import time
from dataclasses import dataclass
from typing import Annotated

import typer

StackName = Annotated[str, typer.Option("--stack", "-s", help="The stack: stacks/Pulumi.<stack>.yaml.")]
MEBIBYTE = 1 << 20
PATIENCE_S = 5
"""How long nothing may be said, seconds, while much is read."""


@dataclass
class Told:
    """Says what is done, and while that takes long, how much has been read."""

    started: float
    read: int = 0
    at: float = 0

    def say(self, text: str) -> None:
        """Say what is done, and how long after the beginning."""
        typer.echo(f"{elapsed(self.started)} {text}")
        self.at = time.monotonic()

    def seen(self, size: int) -> None:
        """Count what has been read; say so where nothing has been said for long."""
        self.read += size
        if time.monotonic() - self.at > PATIENCE_S:
            self.say(f"{self.read / MEBIBYTE:.0f} MiB read")


def elapsed(started: float) -> str:
    """Return the time since ``started`` as it stands before what is said."""
    return f"[{time.monotonic() - started:4.0f}s]"
