"""The command of a page of ``docs/`` that is made from the code: ``python -m MODULE FILE``."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer


def run(page: Callable[[], str], of: str) -> None:
    """Write the page, or say with ``--check`` whether it is up to date; ``of`` is what it must match."""

    def main(
        file: Annotated[Path, typer.Argument(help="The page.")],
        check: Annotated[
            bool, typer.Option("--check", help="Only say whether the page is up to date.")
        ] = False,
    ) -> None:
        if not check:
            file.write_text(page())
        elif not file.exists() or file.read_text() != page():
            sys.exit(f"error: {file} does not match {of}: make docs writes it anew")

    main.__doc__ = "Write the page, or check it."
    typer.run(main)
