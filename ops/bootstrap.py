"""What a stack on AWS needs before its first ``up``: the program in ``bootstrap/``, and its state."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.stack import Stack, StackError


@dataclass(frozen=True)
class Bootstrap(Stack):
    """The program's own stack, one for each stack on AWS; its state cannot be in the bucket that it makes."""

    @property
    def state(self) -> Path:
        """The folder that holds its state, for all stacks."""
        return self.root / ".state" / "bootstrap"

    @property
    def folder(self) -> Path:
        """The folder of the program."""
        return self.root / "bootstrap"

    @property
    def project(self) -> str:
        """The program's own project."""
        return "ollamamax-bootstrap"

    @property
    def shared(self) -> bool:
        """Never: it makes what others share."""
        return False

    def prepare(self) -> None:
        """Make its state folder.

        Raises:
            StackError: if the stack shares no state.
        """
        if self.settings_file.exists() and not self.in_cloud:
            raise StackError(
                f"STACK={self.name}: only a stack on AWS shares its state, and needs a bootstrap"
            )
        super().prepare()

    @property
    def _policies(self) -> list[str]:
        return []


def words(stack: str, outputs: Mapping[str, Any]) -> Iterator[str]:
    """Yield what to write where, line by line, given the outputs of the program for a stack."""
    yield "make up, preview and down find the state by themselves. For the Pulumi CLI without make:"
    yield f"  export PULUMI_BACKEND_URL='{outputs['backend']}'"
    yield f"  secretsprovider: {outputs['secretsProvider']}"
    if "deployRole" in outputs:
        yield "Variables of the repository on GitHub, for its workflows:"
        yield f"  {stack.upper()}_PREVIEW_ROLE={outputs['previewRole']}"
        yield f"  {stack.upper()}_DEPLOY_ROLE={outputs['deployRole']}"
