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
def swap(
    alias: Annotated[str, typer.Option(help="What clients ask for.")],
    model: Annotated[str, typer.Option(help="The model that is to answer; a worker has it already.")],
    stack: StackName = "local",
    slower: Annotated[
        int | None,
        typer.Option(help="By how much longer it may take, percent, instead of release.slowerPercent."),
    ] = None,
) -> None:
    """Try another model behind an alias, with more and more requests; take it back where it is worse."""
    of(Stack(stack), time.monotonic()).swap(alias, model, slower)


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
def compare(
    stack: StackName = "local",
    alias: Annotated[str, typer.Option(help="The alias; without it, the release that is tried.")] = "",
    minutes: Annotated[int, typer.Option(min=1, help="How far to look back.")] = 60,
) -> None:
    """Compare the variants of an alias, or both releases, and say how sure they differ."""
    from ops.delivery.compare import compare as compared

    compared(Stack(stack), alias, minutes)


@app.command()
def releases(stack: StackName = "local") -> None:
    """List the releases that are kept."""
    from ops.delivery.listing import show

    show(Stack(stack))


def of(stack: Stack, started: float) -> "Delivery":
    """Return what delivers a stack, and says so."""
    from ops.delivery.commands import Delivery  # here: other commands need not wait for its clients

    return Delivery(stack, Told(started).say)
