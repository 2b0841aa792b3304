"""What this checkout would change on a stack, beside a base: ``make impact``; ``make comment`` tells of it.

Where the stack is only simulated, the base is brought up in a simulated cloud first, so that the plan says
what the change does and not what a first ``up`` makes. Else the plan is against the stack as it is.
"""

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ops import cost
from ops.elsewhere import Elsewhere
from ops.stack import ROOT, Stack, StackError
from ops.told import elapsed
from stacks import SettingsError

Say = Callable[[str], None]
KEPT = ROOT / ".state" / "impact"
"""The folder of the files, one for each stack."""


@dataclass(frozen=True)
class Impact:
    """What one stack has to expect of a change.

    Attributes:
        stack: its name.
        head: the commit that was looked at.
        base: the commit beside which costs are compared.
        simulated: whether the plan is against the base in a simulated cloud, not against the stack as it is.
        problem: why there is no plan; empty where there is one.
        possible: whether ``up`` could do what the plan says.
        plan: the document of ``preview --json``.
        cost: what the stack will cost; None where it is not in a cloud, or its settings are wrong.
        cost_before: what it costs at the base; None where it was not there, either.
    """

    stack: str
    head: str
    base: str
    simulated: bool
    problem: str
    possible: bool
    plan: dict[str, Any]
    cost: dict[str, Any] | None
    cost_before: dict[str, Any] | None


def look(stack: Stack, base: str, say: Say) -> Path:
    """Compare a stack with what it was at ``base``, and return the file that says how.

    Raises:
        StackError: if there is no such base, or it cannot be brought up itself.
    """
    stack.check_name()
    KEPT.mkdir(mode=0o700, parents=True, exist_ok=True)
    head, before = _commit("HEAD"), _commit(base)
    with _checkout(before) as folder:
        say(f"stack {stack.name}: {head} beside {before}")
        there = (folder / stack.settings_file.relative_to(ROOT)).exists()
        target = stack
        if stack.simulated:
            target = Elsewhere(stack.name, simulate=True, at=folder / ".state")
            if there:
                say(f"bringing {before} up in a simulated cloud")
                _ops(folder, "up", "--stack", stack.name, "--simulate")
        cost_before = _cost(folder, stack) if there and stack.in_cloud else None
        say("asking what would change")
        found = _planned(target, head, before, cost_before)
    file = KEPT / f"{stack.name}.json"
    file.write_text(json.dumps(asdict(found), indent=2, ensure_ascii=False))
    return file


def read(folder: Path = KEPT) -> list[Impact]:
    """Return what was found of this commit, by the stacks' names.

    Raises:
        StackError: if nothing was looked at.
    """
    files = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]
    found = [Impact(**one) for one in files if one["head"] == _commit("HEAD")]
    if not found:
        raise StackError("no stack has been looked at on this commit: run make impact STACK=… first")
    return found


def _planned(stack: Stack, head: str, base: str, cost_before: dict[str, Any] | None) -> Impact:
    """Ask for the plan; what is wrong with the change is part of the answer."""
    problem, possible, costs = "", False, None
    plan: dict[str, Any] = {}
    try:
        settings = stack.settings()
        costs = cost.document(settings) if stack.in_cloud else None
        stack.check_possible(changing=False)
        stack.prepare()
        plan, possible = stack.plan()
    except (SettingsError, StackError) as error:
        problem = str(error)
    return Impact(stack.name, head, base, stack.simulated, problem, possible, plan, costs, cost_before)


def _cost(folder: Path, stack: Stack) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_ops(folder, "cost", "--stack", stack.name, "--json"))
    return found


def _ops(folder: Path, *words: str) -> str:
    """Run a command of another checkout with this one's Python, and return what it printed."""
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-m", "ops", *words], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise StackError(f"{words[0]} of the base failed:\n{done.stdout[-2000:]}{done.stderr}")
    return done.stdout


@contextlib.contextmanager
def _checkout(commit: str) -> Iterator[Path]:
    """Check a commit out beside this checkout, for as long as it is looked at."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "base"
        _git("worktree", "add", "--quiet", "--detach", str(folder), commit)
        try:
            yield folder
        finally:
            _git("worktree", "remove", "--force", str(folder))


def _commit(name: str) -> str:
    try:
        return _git("rev-parse", "--short", "--verify", "--quiet", f"{name}^{{commit}}").strip()
    except subprocess.CalledProcessError as error:
        raise StackError(f"BASE={name}: git knows no such commit here; fetch it, or name another") from error


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603, S607


def main(
    stack: Annotated[str, typer.Argument(help="The stack: stacks/Pulumi.<stack>.yaml.")],
    base: Annotated[str, typer.Option(help="The commit beside which it is looked at.")] = "origin/main",
    simulate: Annotated[bool, typer.Option(help="Work in a simulated cloud, not the real one.")] = False,
) -> None:
    """Find out what this checkout would change on a stack, and cost, beside a base."""
    started = time.monotonic()
    try:
        file = look(
            Stack(stack, simulate=simulate),
            base,
            lambda text: typer.echo(f"{elapsed(started)} {text}", err=True),
        )
    except StackError as error:
        sys.exit(f"error: {error}")
    typer.echo(file.relative_to(ROOT))


if __name__ == "__main__":
    typer.run(main)
