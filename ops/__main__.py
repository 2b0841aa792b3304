"""The commands behind the make targets: ``python -m ops COMMAND``."""

# What one command alone needs, it imports itself: a preview should not wait for clients of Docker, AWS
# and HTTP/3 before it begins.

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer

from ops.bootstrap import Bootstrap, words
from ops.delivery import cli as delivery
from ops.stack import Stack, StackError
from ops.told import MEBIBYTE, StackName, Told, elapsed
from stacks import Settings, SettingsError

app = typer.Typer(
    help="The commands behind the make targets.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(delivery.app)
Simulate = Annotated[
    bool, typer.Option("--simulate", help="Work in a simulated cloud or cluster, not the real one.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON document and nothing else.")]


@app.command()
def up(
    stack: StackName = "local",
    simulate: Simulate = False,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Take back what was changed beside the program, too.")
    ] = False,
) -> None:
    """Bring the stack up, then prove it with one completion over HTTP/3."""
    started = time.monotonic()
    platform = Stack(stack, simulate=simulate)
    platform.settings()  # what is wrong with them is said first, and alone
    platform.check_possible(changing=True)
    typer.echo(f"{elapsed(started)} stack {stack}: deploying with {platform.engine_name}")
    platform.prepare()
    if not platform.simulated:
        delivery.of(platform, started).check_settled()
    if refresh:
        platform.refresh()
    platform.up()
    if platform.simulated:
        typer.echo(f"{elapsed(started)} simulated: nothing runs, so no completion is asked for")
        return
    if platform.on_machine or platform.in_cloud:
        _prove(platform, started)
    else:
        typer.echo(
            f"{elapsed(started)} ready: `{platform.way_in}` forwards the edge to this machine, TCP only"
        )
    delivery.of(platform, started).keep()


@app.command()
def backup(
    stack: StackName = "local",
    out: Annotated[
        Path | None, typer.Option(help="The archive; without it one named after the time, in backups/.")
    ] = None,
) -> None:
    """Write a stack's database, models, and state with its encrypted secrets into an archive."""
    from ops import backup as way_out

    told = Told(time.monotonic())
    file = way_out.backup(Stack(stack), out, told.say, told.seen)
    told.say(f"{file}: {file.stat().st_size / MEBIBYTE:.1f} MiB")
    typer.echo(
        "Keep it on another machine, and .state/passphrase in another place than it: the secrets in it are "
        "encrypted with that, which it does not hold."
    )


@app.command()
def restore(
    archive: Annotated[Path, typer.Option(help="What make backup wrote.")], stack: StackName = "local"
) -> None:
    """Bring a stack, of which nothing may be there, up as an archive has it, and prove it."""
    from ops import restore as way_back

    started = time.monotonic()
    told = Told(started)
    platform = Stack(stack)
    platform.settings()
    found = way_back.restore(platform, archive, told.say, told.seen)
    told.say(f"stack {stack} is as it was at {found.taken_at:%Y-%m-%d %H:%M:%S} UTC")
    _prove(platform, started)


def _prove(platform: Stack, started: float) -> None:
    """Ask for one completion over HTTP/3, and say where the platform is."""
    from ops import smoke as smoke_test

    typer.echo(f"{elapsed(started)} asking for one completion")
    outputs = platform.outputs(show_secrets=True)
    result = smoke_test.run(outputs, lambda text: typer.echo(text, nl=False))
    typer.echo(f"\n{elapsed(started)} {result.line}")
    if platform.in_cloud:
        from ops import console

        console.bring(platform, Told(started).say)
    if result.model.partition(":")[0] == smoke_test.STAND_IN and smoke_test.STAND_IN not in platform.models:
        typer.echo(
            "The model registry could not be reached, so the platform serves its own stand-in model, "
            f'"{smoke_test.STAND_IN}": real inference over random weights. Its answers mean nothing.'
        )
    typer.echo(f"{elapsed(started)} ready: {outputs['url']} (key and CA certificate: make outputs SECRETS=1)")


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
    for line in words(stack, program.outputs(show_secrets=False)):
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
    if data:
        delivery.of(platform, time.monotonic()).releases.clear()


@app.command()
def preview(stack: StackName = "local", simulate: Simulate = False, as_json: AsJson = False) -> None:
    """Show what up would change, what the policies say of it, and what a stack on AWS costs."""
    platform = Stack(stack, simulate=simulate)
    settings = platform.settings()
    platform.check_possible(changing=False)
    platform.prepare()
    with ThreadPoolExecutor() as beside:
        priced = platform.in_cloud and not as_json
        costs = beside.submit(_costs, settings) if priced else None
        platform.preview(as_json=as_json)
    if costs:
        typer.echo(f"\n{costs.result()}")
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
    from ops import smoke as smoke_test

    typer.echo(smoke_test.run(platform.outputs(show_secrets=True), lambda _: None).line)


@app.command()
def load(
    stack: StackName = "local",
    scenario: Annotated[str, typer.Option(help="What is played: a name; without one they are listed.")] = "",
    seconds: Annotated[
        int | None, typer.Option(min=1, help="How long, instead of the scenario's own.")
    ] = None,
) -> None:
    """Put load on a stack that is up; fail where it misses its numbers, or is worse than a release before."""
    from ops import load as gate

    gate.load(Stack(stack), scenario, seconds)


@app.command()
def trust(stack: StackName = "local") -> None:
    """Have the browsers of this user trust the stack's certificate authority."""
    from ops import trust as browsers

    outputs = Stack(stack).outputs(show_secrets=True)
    if "caCertificate" not in outputs:
        raise StackError(f"stack {stack} has no certificate authority of its own, or is not up: make up")
    typer.echo(browsers.trust(stack, outputs["caCertificate"]))


@app.command()
def untrust(stack: StackName = "local") -> None:
    """Have the browsers of this user trust the stack's certificate authority no longer."""
    from ops import trust as browsers

    typer.echo(browsers.untrust(stack))


@app.command()
def secret(
    setting: Annotated[str, typer.Option(help="A secret setting, such as alerts.mail.password.")],
    stack: StackName = "local",
) -> None:
    """Encrypt a secret setting: print what is to be put into the stack file."""
    from ops import secret as secrets

    secrets.check(setting)
    platform = Stack(stack)
    printed = secrets.sealed(platform, setting, secrets.given(setting))
    typer.echo(f"To be merged into {platform.settings_file}:", err=True)
    typer.echo(printed, nl=False)


@app.command()
def cost(stack: StackName = "local", as_json: AsJson = False) -> None:
    """Say what the stack costs a month: at least, as expected, at most."""
    from ops import cost as estimate

    settings = Stack(stack).settings()
    if as_json:
        typer.echo(json.dumps(estimate.document(settings), indent=2, ensure_ascii=False))
    else:
        typer.echo(_costs(settings))


@app.command()
def dashboards(
    stack: StackName = "local",
    out: Annotated[Path, typer.Option(help="Folder that the files are written to.")] = Path("dashboards"),
) -> None:
    """Write the stack's dashboards for Grafana, and what provisions them."""
    from ops.dashboards import write

    for file in write(Stack(stack).settings(), stack, out):
        typer.echo(file)


@app.command()
def preflight(stack: StackName = "local") -> None:
    """Ask the AWS account for the quotas and instance types that the stack needs; print what to request."""
    from ops import preflight as account

    report = account.run(Stack(stack).settings(), stack)
    typer.echo(report.text)
    raise typer.Exit(0 if report.ok else 1)


@app.command()
def status(stack: StackName = "local") -> None:
    """Show the stack's containers, their state and health."""
    from ops import containers

    containers.show(Stack(stack))


@app.command()
def logs(
    stack: StackName = "local",
    service: Annotated[str, typer.Option(help="Only this service.")] = "",
    tail: Annotated[int, typer.Option(help="Lines of the past to show first.")] = 50,
) -> None:
    """Follow the logs of the stack's containers until Ctrl-C."""
    from ops import containers

    containers.follow_logs(Stack(stack), service, tail)


def _costs(settings: Settings) -> str:
    from ops import cost as estimate

    return estimate.table(settings)


def main() -> int:
    """Run the command line; one message and status 1 for what can be foreseen."""
    try:
        app()
    except (SettingsError, StackError) as error:
        typer.echo(f"error: {error}", err=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
