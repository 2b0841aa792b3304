"""The commands behind the make targets: ``python -m ops COMMAND``."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import docker
import typer
from docker.errors import DockerException
from rich.console import Console
from rich.table import Table

from ops import cost as estimate
from ops import preflight as account
from ops import smoke as smoke_test
from ops.bootstrap import Bootstrap, words
from ops.stack import Stack, StackError
from stacks import SettingsError

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
StackName = Annotated[str, typer.Option("--stack", "-s", help="The stack: stacks/Pulumi.<stack>.yaml.")]
Simulate = Annotated[bool, typer.Option("--simulate", help="Change a simulated cloud, not the real one.")]
STATUS_WIDTH = 120


@app.command()
def up(stack: StackName = "local", simulate: Simulate = False) -> None:
    """Bring the stack up, then prove it with one completion over HTTP/3."""
    started = time.monotonic()
    platform = Stack(stack, simulate=simulate)
    typer.echo(f"{_elapsed(started)} stack {stack}: deploying with {platform.engine_name}")
    platform.prepare()
    platform.up()
    if platform.simulated:
        typer.echo(f"{_elapsed(started)} simulated: nothing runs, so there is nothing to ask")
        return
    if not (platform.on_machine or platform.in_cloud):
        typer.echo(f"{_elapsed(started)} ready: `{platform.way_in}` brings the edge here, TCP alone")
        return
    typer.echo(f"{_elapsed(started)} asking for one completion")
    outputs = platform.outputs(show_secrets=True)
    result = smoke_test.run(outputs, lambda text: typer.echo(text, nl=False))
    typer.echo(f"\n{_elapsed(started)} {result.line}")
    if result.model.partition(":")[0] == smoke_test.STAND_IN and smoke_test.STAND_IN not in platform.models:
        typer.echo(
            "The model registry could not be reached, so the platform serves its own stand-in model, "
            f'"{smoke_test.STAND_IN}": real inference over random weights. Its words mean nothing.'
        )
    typer.echo(
        f"{_elapsed(started)} ready: {outputs['url']} (key and CA certificate: make outputs SECRETS=1)"
    )


@app.command()
def bootstrap(stack: StackName = "local", simulate: Simulate = False) -> None:
    """Make what a stack on AWS needs before its first up: shared state, and the roles of CI."""
    program = Bootstrap(stack, simulate=simulate)
    program.prepare()
    program.up()
    if not program.simulated:
        Stack(stack).create()
    for line in words(program.outputs(show_secrets=False)):
        typer.echo(line)


@app.command()
def down(
    stack: StackName = "local",
    data: Annotated[bool, typer.Option("--data", help="Remove volumes, secrets and CA too.")] = False,
    simulate: Simulate = False,
) -> None:
    """Take the stack down. Data volumes, their secrets and the CA stay for the next up."""
    platform = Stack(stack, simulate=simulate)
    platform.prepare()
    platform.destroy(data=data)


@app.command()
def preview(stack: StackName = "local") -> None:
    """Show what up would change, what the policies say of it, and what the stack costs."""
    platform = Stack(stack)
    platform.prepare()
    with ThreadPoolExecutor() as beside:
        cost = beside.submit(lambda: estimate.table(platform.settings())) if platform.in_cloud else None
        platform.preview()
    if cost:
        typer.echo(f"\n{cost.result()}")
        typer.echo(f"\nWhether the account has the quotas and zones for it: make preflight STACK={stack}")


@app.command()
def outputs(
    stack: StackName = "local",
    show_secrets: Annotated[bool, typer.Option(help="Show secret values too.")] = False,
) -> None:
    """Print the stack's outputs as JSON."""
    typer.echo(json.dumps(Stack(stack).outputs(show_secrets=show_secrets), indent=2))


@app.command()
def smoke(stack: StackName = "local") -> None:
    """Send one chat over HTTP/3 and print protocol, node and time to first token."""
    typer.echo(smoke_test.run(Stack(stack).outputs(show_secrets=True), lambda _: None).line)


@app.command()
def cost(
    stack: StackName = "local",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Say what the stack costs a month: at least, as expected, at most."""
    settings = Stack(stack).settings()
    typer.echo(json.dumps(estimate.document(settings), indent=2) if as_json else estimate.table(settings))


@app.command()
def preflight(stack: StackName = "local") -> None:
    """Ask the AWS account for the quotas and instance types that the stack needs; print what to request."""
    report = account.run(Stack(stack).settings(), stack)
    typer.echo(report.text)
    raise typer.Exit(0 if report.ok else 1)


@app.command()
def status(stack: StackName = "local") -> None:
    """Show the stack's containers, their state and health."""
    client = _docker()
    table = Table(box=None)
    for heading in ("container", "state", "health", "restarts", "image"):
        table.add_column(heading, no_wrap=True)
    found = client.containers.list(all=True, filters={"label": f"ollamamax.stack={stack}"})
    for container in sorted(found, key=lambda c: c.name or ""):
        state = container.attrs["State"]
        health = state.get("Health", {}).get("Status", "-")
        text = f"exited ({state['ExitCode']})" if state["Status"] == "exited" else state["Status"]
        table.add_row(
            container.name,
            text,
            health,
            str(container.attrs["RestartCount"]),
            container.attrs["Config"]["Image"],
        )
    if not found:
        raise StackError(f"stack {stack} has no containers: make up STACK={stack} brings it up")
    # Names are for copying: in a narrow window lines wrap rather than lose their ends.
    Console(width=max(Console().width, STATUS_WIDTH), soft_wrap=True).print(table)


@app.command()
def logs(
    stack: StackName = "local",
    service: Annotated[str, typer.Option(help="Only this service.")] = "",
    tail: Annotated[int, typer.Option(help="Lines of the past to show first.")] = 50,
) -> None:
    """Follow the logs of the stack's containers until Ctrl-C."""
    labels = [f"ollamamax.stack={stack}"] + ([f"ollamamax.service={service}"] if service else [])
    found = _docker().containers.list(all=True, filters={"label": labels})
    if not found:
        raise StackError(f"stack {stack} has no containers" + (f" of service {service}" if service else ""))
    names = sorted(container.name or "" for container in found)
    width = max(map(len, names))
    followers = [
        subprocess.Popen(  # noqa: S602 - names come from Docker, which allows no shell characters in them
            f"docker logs --follow --tail {tail} {name} 2>&1 | sed -u 's/^/{name.ljust(width)} | /'",
            shell=True,
        )
        for name in names
    ]
    for follower in followers:
        follower.wait()


def _docker() -> docker.DockerClient:
    """Return a client of the daemon.

    Raises:
        StackError: if none answers.
    """
    try:
        return docker.from_env()
    except DockerException as error:
        where = os.environ.get("DOCKER_HOST", "its usual socket")
        raise StackError(f"no Docker daemon answers at {where}: start it (make setup does)") from error


def _elapsed(started: float) -> str:
    return f"[{time.monotonic() - started:4.0f}s]"


def main() -> int:
    """Run the command line; one message and status 1 for what can be foreseen."""
    try:
        app()
    except (SettingsError, StackError, smoke_test.SmokeError, DockerException) as error:
        typer.echo(f"error: {error}", err=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
