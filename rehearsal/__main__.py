"""Rehearse a stack: ``python -m rehearsal``; docs/rehearsal.md."""

import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

import stacks
from rehearsal import player, programs, reading, report
from rehearsal.processes import RehearsalError
from rehearsal.promises import promised
from rehearsal.reading import ScenarioError
from rehearsal.record import Finding, Record
from rehearsal.scenario import Scenario
from rehearsal.stage import DEPLOYED, FULL, QUICK, Say, Stage, refuse_unfit, running
from rehearsal.stage.engine import preload
from rehearsal.traffic import Model, served
from rehearsal.verdict import Row, Verdict
from stacks import SettingsError

ROOT = Path(__file__).resolve().parents[1]
SCENARIOS = ROOT / "rehearsal" / "scenarios"


def rehearse(stack: str, given: Scenario, stage: Stage, out: Path, say: Say) -> Record:
    """Rehearse a stack on an empty stage, and write report and record, whatever comes of it.

    Raises:
        RehearsalError: if it cannot go on.
    """
    _print("Stands in for the cloud's own:", stage.substitutions)
    _print("Shortened:" if stage.overlay else "Nothing is shortened.", stage.overlay)
    record, page = player.begin(stage, stack, given, _versions(stage)), out / f"{stack}.html"
    try:
        _rehearse(given, stage, record, say)
    except BaseException as error:
        why = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error) or type(error).__name__
        _note(record, Verdict("–", "The rehearsal comes to its end", (why,)), say)
        say(f"what was found until then: {page.resolve()}")
        raise
    finally:
        record.save(out / f"{stack}.json")
        page.write_text(report.html(record))
    return record


def _rehearse(given: Scenario, stage: Stage, record: Record, say: Say) -> None:
    """Deploy the stack, play and destroy it; where it does not come up, nothing is played."""
    try:
        stage.deploy()
    except RehearsalError as error:
        _note(record, Verdict(*DEPLOYED, (str(error),)), say)
        return
    say("the stack is up")
    promise = promised(stage)
    with served(stage.traffic_port, Model(promise.pools, given.traffic)):  # gateways are there, idle
        _note(record, stage.deployed(), say)
    player.play(stage, given, promise, record, say)
    _note(record, stage.destroy(), say)


def main(
    stack: Annotated[str, typer.Option(help="The stack: stacks/Pulumi.<stack>.yaml.")] = "prod",
    file: Annotated[
        Path | None,
        typer.Option("--scenario", help="What to play; else quick.yaml or full.yaml of rehearsal/scenarios."),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Shorten no duration: full.yaml takes more than two hours.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder of report and record.")] = Path(".state/rehearsal"),
) -> None:
    """Deploy a stack onto a real control plane, play a day on it, and assert what must hold."""
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:4.0f}s] {text}", flush=True)

    for stop in (signal.SIGINT, signal.SIGTERM):  # the first is ignored where a shell has sent us to the back
        signal.signal(stop, signal.default_int_handler)
    file = file or SCENARIOS / ("full.yaml" if full else "quick.yaml")
    try:
        settings = stacks.read(ROOT / "stacks" / f"Pulumi.{stack}.yaml", stack)
        refuse_unfit(stack, settings)
        given = reading.read(file, settings)
    except (ScenarioError, SettingsError, RehearsalError) as error:
        sys.exit(f"error: {error}")
    out.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"ollamamax-rehearsal-{stack}-"))
    logs = f"the logs of all that ran are in {folder}"
    try:
        with running(folder, stack, FULL if full else QUICK, say) as stage:
            record = rehearse(stack, given, stage, out, say)
    except (SettingsError, RehearsalError) as error:
        sys.exit(f"error: {error}\n{logs}")
    except KeyboardInterrupt:
        sys.exit(f"error: interrupted; {logs}")
    page = (out / f"{stack}.html").resolve()
    if not record.passed:
        say(f"FAILED: {page}; {logs}")
        sys.exit(1)
    shutil.rmtree(folder)
    say(f"passed: {page}")


def _versions(stage: Stage) -> dict[str, str]:
    modules = (programs.KWOK, programs.KARPENTER, programs.KEDA, programs.METRICS_SERVER)
    return {
        "Kubernetes": stage.plane.request("get", "/version")["gitVersion"],
        **{module.name: module.version for module in modules},
    }


def _note(record: Record, verdict: Verdict, say: Say) -> None:
    """Record, and say, what was found of the stack as a whole."""
    at = record.samples[-1].at if record.samples else 0.0
    text = "; ".join(verdict.problems) or "nothing contradicts it"
    record.findings.append(
        Finding(name=verdict.claim, letter=verdict.letter, at=at, since=at, passed=verdict.holds, text=text)
    )
    say(f"{'ok' if verdict.holds else 'FAILED'}  {verdict.letter}. {verdict.claim}: {text}")


def _print(title: str, rows: Sequence[Row]) -> None:
    print(title)
    for row in rows:
        print(f"  {row.what}: {row.here}, for {row.of_the_program} ({row.why})")


if __name__ == "__main__":
    preload()
    typer.run(main)
