"""The command line of releases, a part of ``python -m ops``."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from ops.stack import Stack
from ops.told import StackName, Told

if TYPE_CHECKING:
    from ops.delivery.commands import Delivery

app = typer.Typer()


@app.command()
def release(
    stack: StackName = "local",
    until: Annotated[int, typer.Option(help="The share of the requests at which to hold it, percent.")] = 100,
) -> None:
    """Try the checkout beside what runs, with more and more requests; take it back where it is worse."""
    of(Stack(stack), time.monotonic()).release(until)


@app.command()
def promote(stack: StackName = "local") -> None:
    """Go on with the release that is held, to the end."""
    of(Stack(stack), time.monotonic()).promote()


@app.command()
def rollback(
    stack: StackName = "local",
    to: Annotated[int | None, typer.Option(help="The release; without it, the one before.")] = None,
) -> None:
    """Take the release back that is tried, or bring up a kept one as it was, with its settings."""
    of(Stack(stack), time.monotonic()).rollback(to)


@app.command()
def releases(stack: StackName = "local") -> None:
    """List the releases that are kept."""
    from ops.delivery.commands import show

    show(Stack(stack))


def of(stack: Stack, started: float) -> "Delivery":
    """Return what delivers a stack, and says so."""
    from ops.delivery.commands import Delivery  # here: other commands need not wait for its clients

    return Delivery(stack, Told(started).say)
