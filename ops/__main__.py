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
from docker.models.containers import Container
from rich.console import Console
from rich.table import Table

from ops import cost as estimate
from ops import preflight as account
from ops import smoke as smoke_test
from ops.bootstrap import Bootstrap, words
from ops.stack import Stack, StackError
from stacks import SettingsError

app = typer.Typer(
    help="The commands behind the make targets.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
StackName = Annotated[str, typer.Option("--stack", "-s", help="The stack: stacks/Pulumi.<stack>.yaml.")]
Simulate = Annotated[
    bool, typer.Option("--simulate", help="Work in a simulated cloud or cluster, not the real one.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON document and nothing else.")]
STATUS_WIDTH = 120


@app.command()
def up(stack: StackName = "local", simulate: Simulate = False) -> None:
    """Bring the stack up, then prove it with one completion over HTTP/3."""
    started = time.monotonic()
    platform = Stack(stack, simulate=simulate)
    platform.settings()  # what is wrong with them is said first, and alone
    platform.check_possible(changing=True)
    typer.echo(f"{_elapsed(started)} stack {stack}: deploying with {platform.engine_name}")
    platform.prepare()
    platform.up()
    if platform.simulated:
        typer.echo(f"{_elapsed(started)} simulated: nothing runs, so no completion is asked for")
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
    program.settings()
    program.check_possible(changing=True)
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
    platform.check_possible(changing=True)
    platform.prepare()
    platform.destroy(data=data)


@app.command()
def preview(stack: StackName = "local", simulate: Simulate = False, as_json: AsJson = False) -> None:
    """Show what up would change, what the policies say of it, and what a stack on AWS costs."""
    platform = Stack(stack, simulate=simulate)
    settings = platform.settings()
    platform.check_possible(changing=False)
    platform.prepare()
    with ThreadPoolExecutor() as beside:
        priced = platform.in_cloud and not as_json
        cost = beside.submit(estimate.table, settings) if priced else None
        platform.preview(as_json=as_json)
    if cost:
        typer.echo(f"\n{cost.result()}")
        typer.echo(f"\nWhether the account has the quotas and zones for it: make preflight STACK={stack}")


@app.command()
def outputs(
    stack: StackName = "local",
    simulate: Simulate = False,
    show_secrets: Annotated[bool, typer.Option("--show-secrets", help="Show secret values too.")] = False,
) -> None:
    """Print the stack's outputs as JSON."""
    found = Stack(stack, simulate=simulate).outputs(show_secrets=show_secrets)
    typer.echo(json.dumps(found, indent=2, ensure_ascii=False))


@app.command()
def smoke(stack: StackName = "local") -> None:
    """Send one chat over HTTP/3 and print protocol, node and time to first token."""
    platform = Stack(stack)
    if platform.simulated:
        raise StackError(f"stack {stack} is only simulated here: nothing answers")
    typer.echo(smoke_test.run(platform.outputs(show_secrets=True), lambda _: None).line)


@app.command()
def cost(stack: StackName = "local", as_json: AsJson = False) -> None:
    """Say what the stack costs a month: at least, as expected, at most."""
    settings = Stack(stack).settings()
    if as_json:
        typer.echo(json.dumps(estimate.document(settings), indent=2, ensure_ascii=False))
    else:
        typer.echo(estimate.table(settings))


@app.command()
def preflight(stack: StackName = "local") -> None:
    """Ask the AWS account for the quotas and instance types that the stack needs; print what to request."""
    report = account.run(Stack(stack).settings(), stack)
    typer.echo(report.text)
    raise typer.Exit(0 if report.ok else 1)


@app.command()
def status(stack: StackName = "local") -> None:
    """Show the stack's containers, their state and health."""
    found = _containers(stack)
    if not found:
        raise StackError(f"stack {stack} has no containers: make up STACK={stack} brings it up")
    table = Table(box=None)
    for heading in ("container", "state", "health", "restarts", "image"):
        table.add_column(heading, no_wrap=True)
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
    # Names are for copying: in a narrow window lines wrap rather than lose their ends.
    Console(width=max(Console().width, STATUS_WIDTH), soft_wrap=True).print(table)


@app.command()
def logs(
    stack: StackName = "local",
    service: Annotated[str, typer.Option(help="Only this service.")] = "",
    tail: Annotated[int, typer.Option(help="Lines of the past to show first.")] = 50,
) -> None:
    """Follow the logs of the stack's containers until Ctrl-C."""
    found = _containers(stack, service)
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


def _containers(stack: str, service: str = "") -> list[Container]:
    """Return the containers of a stack, or of one of its services.

    Raises:
        StackError: if the stack does not run in Docker on this machine, or no daemon answers.
    """
    if not Stack(stack).on_machine:
        raise StackError(f"stack {stack} runs on a cluster, not on this machine: ask kubectl")
    labels = [f"ollamamax.stack={stack}"] + ([f"ollamamax.service={service}"] if service else [])
    try:
        return docker.from_env().containers.list(all=True, filters={"label": labels})
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
