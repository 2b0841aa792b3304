"""``make releases``: those that are kept."""

from rich.console import Console
from rich.table import Table

from ops.delivery.releases import Releases
from ops.stack import Stack, StackError


def show(stack: Stack) -> None:
    """Print the releases of a stack.

    Raises:
        StackError: if none is kept.
    """
    releases = Releases(stack)
    found, running = releases.all, releases.running
    if not found:
        raise StackError(f"no release of stack {stack.name} is kept: make release STACK={stack.name}")
    table = Table(box=None)
    for heading in ("release", "version", "deployed, UTC", "program", "gateway", ""):
        table.add_column(heading, no_wrap=True)
    for one in found:
        state = "runs" if one == running else "" if one.state == "kept" else f"tried, at {one.percent} %"
        deployed = f"{one.deployed:%Y-%m-%d %H:%M}" if one.deployed else ""
        image = one.images.get("gateway", "").partition("@")[0]
        table.add_row(str(one.number), one.version, deployed, one.digest, image, state)
    Console(width=120, soft_wrap=True).print(table)
