"""``make load``: load on a stack that is up, judged by what it is held to and by the release before."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from rich.console import Console
from rich.table import Table

from ops import load_job, pgbench
from ops.private import PRIVATE
from ops.restore import numbers
from ops.stack import ROOT, Stack, StackError
from rehearsal.processes import RehearsalError
from rehearsal.programs import K6

WORSE = 0.1
"""By how much a measure may be worse than in the release before."""
CROSSED = 99
"""The status with which k6 says that a threshold was crossed."""
DATABASE = "database"
"""The scenario that pgbench plays; k6 plays the others, for a stack on a cluster by a job there."""


@dataclass(frozen=True)
class Scenario:
    """Load of one kind: how long it goes on, and what is kept of it."""

    seconds: int
    measures: Mapping[str, tuple[str, str]]
    """What it is called → k6's metric, and the statistic of it."""


RATE = {"requests a second": ("http_reqs", "rate")}
QUICK = {"p99 without a model, ms": ("http_req_duration{kind:quick}", "p(99)")}
MORE_IS_BETTER = {*RATE, pgbench.RATE}
SCENARIOS = {
    "cache": Scenario(60, RATE | QUICK),
    DATABASE: Scenario(60, {}),
    "ramp": Scenario(240, QUICK),
    "report": Scenario(300, RATE | QUICK),
    "soak": Scenario(3600, QUICK),
    "sockets": Scenario(300, {"p95 to connect, ms": ("ws_connecting", "p(95)")}),
    "streams": Scenario(60, RATE | {"p95 to the first byte, ms": ("http_req_waiting{kind:stream}", "p(95)")}),
}


@dataclass(frozen=True)
class Result:
    """What a scenario measured, and what of it is not as it has to be."""

    measures: Mapping[str, float]
    crossed: tuple[str, ...] = ()


def load(stack: Stack, name: str, seconds: int | None) -> None:
    """Play a scenario; print what it measured, and keep it if all is well.

    Raises:
        StackError: if it cannot be played, crosses a threshold, or is worse than in the release before.
    """
    if name not in SCENARIOS:
        raise StackError(f"SCENARIO={name or '(none)'}: there are {', '.join(SCENARIOS)}")
    settings, outputs = stack.settings(), stack.outputs(show_secrets=True)
    if missing := {"url", "apiKey", "version"} - outputs.keys():
        raise StackError(f"the stack has no output {min(missing)}: make up STACK={stack.name} brings it up")
    lasting = seconds or SCENARIOS[name].seconds
    if name == DATABASE:
        result = Result(pgbench.run(stack, lasting))
    elif stack.on_machine:
        result = judged(name, _played(name, outputs, kpi=settings.alerts, seconds=lasting))
    else:
        result = judged(name, load_job.played(stack, name, lasting))
    folder, version = stack.state / "load" / stack.name / name, str(outputs["version"])
    before, then = release_before(folder, version)
    _show(result, before, then)
    if result.crossed:
        raise StackError(f"{name}: {'; '.join(result.crossed)}")
    if lost := [what for what, value in result.measures.items() if is_worse(what, value, then.get(what))]:
        raise StackError(f"{name} is more than {WORSE:.0%} worse than {before}: {', '.join(lost)}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{version}.json").write_text(json.dumps(result.measures, indent=2) + "\n")


def script(name: str, **variables: object) -> str:
    """Return a scenario as k6 reads it."""
    loader = FileSystemLoader(ROOT / "templates")
    environment = Environment(loader=loader, undefined=StrictUndefined, autoescape=False)  # noqa: S701 - no HTML
    return environment.get_template(f"k6/{name}.js.j2").render(variables)


def judged(name: str, metrics: Mapping[str, Any]) -> Result:
    """Return what k6's metrics say of a scenario."""
    measures = {}
    for what, (metric, statistic) in SCENARIOS[name].measures.items():
        if metric not in metrics:
            raise StackError(f"{name} measured no {what}: not one request was answered")
        measures[what] = float(metrics[metric]["values"][statistic])
    crossed = [
        f"{metric} is not {threshold}"
        for metric, found in metrics.items()
        for threshold, held in found.get("thresholds", {}).items()
        if not held["ok"]
    ]
    return Result(measures, tuple(crossed))


def is_worse(what: str, now: float, then: float | None) -> bool:
    """Tell whether a measure is worse than it was by more than may be."""
    if then is None:
        return False
    return now < then * (1 - WORSE) if what in MORE_IS_BETTER else now > then * (1 + WORSE)


def release_before(folder: Path, version: str) -> tuple[str, Mapping[str, float]]:
    """Return the last release before ``version`` that a result is kept of, and that; empty without one."""
    kept = {numbers(file.stem): file for file in folder.glob("*.json")}
    earlier = [one for one in kept if one < numbers(version)]
    if not earlier:
        return "", {}
    file = kept[max(earlier)]
    found: dict[str, float] = json.loads(file.read_text())
    return file.stem, found


def _played(name: str, outputs: Mapping[str, Any], **variables: object) -> dict[str, Any]:
    """Play a scenario with a k6 of this machine; return what it measured."""
    try:
        program = K6.built() / "k6"
    except RehearsalError as error:
        raise StackError(f"k6 could not be built: {error}") from error
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "scenario.js").write_text(script(name, **variables, summary="summary.json"))
        known = folder / "secrets" / "stack.json"
        known.parent.mkdir()
        known.touch(PRIVATE)
        known.write_text(json.dumps({"url": outputs["url"], "key": outputs["apiKey"]}))
        env = dict(os.environ)
        if "caCertificate" in outputs:
            (folder / "ca.pem").write_text(outputs["caCertificate"])
            env["SSL_CERT_FILE"] = str(folder / "ca.pem")
        words = ["run", "--no-usage-report", "--address=127.0.0.1:0", "scenario.js"]
        done = subprocess.run([program, *words], cwd=folder, env=env, check=False)  # noqa: S603 - our own words
        if done.returncode not in (0, CROSSED):
            raise StackError(f"k6 ended with status {done.returncode}; the messages above say why")
        measured: dict[str, Any] = json.loads((folder / "summary.json").read_text())
        return measured


def _show(result: Result, before: str, then: Mapping[str, float]) -> None:
    table = Table(box=None)
    table.add_column("measure", no_wrap=True)
    for heading in ("now", before or "no release before"):
        table.add_column(heading, justify="right", no_wrap=True)
    for what, value in result.measures.items():
        was = f"{then[what]:.2f} ({value / then[what] - 1:+.0%})" if then.get(what) else "-"
        table.add_row(what, f"{value:.2f}", was)
    Console(width=120, soft_wrap=True).print(table)
