"""A stack of this checkout over a state that is kept in another folder."""

from dataclasses import dataclass
from pathlib import Path

from ops.stack import ROOT, Stack


@dataclass(frozen=True)
class Elsewhere(Stack):
    """A stack whose state is in the folder ``at``; the stack's own is left alone."""

    at: Path = ROOT

    @property
    def state(self) -> Path:
        """The folder that holds state, passphrase and the engine's copy of the settings."""
        return self.at

    @property
    def shared(self) -> bool:
        """Never: it is in that folder."""
        return False
