"""The command line: `python -m engine COMMAND`, the same words as Pulumi's where it has them."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from engine.deployment import Deployment, Options
from engine.display import Shown
from engine.errors import EngineError
from engine.plan import outputs_lines, said, summary
from engine.policy import pack_paths
from engine.secrets import Crypter, passphrase
from engine.session import Run, Session
from engine.state import read_deployment
from engine.values import mask, reveal, thaw

INTERRUPTED = 130


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("engine", description="Run a stack without the Pulumi CLI.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (text, _) in _COMMANDS.items():
        add = commands.add_parser(name, help=text, description=text).add_argument
        add("-s", "--stack", default=os.environ.get("PULUMI_STACK", ""), help="name of the stack")
        add("--simulate", action="store_true", help="in the simulated cloud, with a state of its own")
        add("--config-file", type=Path, help="the stack's config file, instead of Pulumi.STACK.yaml")
        if name in ("preview", "up", "refresh", "destroy"):
            add("-t", "--target", action="append", default=[], help="only this URN; * and ** match parts")
            add("--kubeconfig", type=Path, help="with --simulate: a cluster for the Kubernetes objects")
            add("-p", "--parallel", type=int, default=16, help="how many things are done at once")
            add("--diff", action="store_true", help="show every property that changes")
            add("--expect-no-changes", action="store_true", help="fail when anything changes")
        if name in ("preview", "up"):
            packs: dict[str, Any] = {"type": Path, "action": "append", "default": []}
            add("--policy-pack", **packs, help="folder of a policy pack that is run, too")
            add("--policy-pack-config", **packs, help="JSON file with the config of each pack")
        if name in ("up", "refresh", "destroy"):
            add("-y", "--yes", action="store_true", help="do it; `preview` shows what would change")
        if name in ("preview", "outputs"):
            add("--json", action="store_true", help="print a JSON document and nothing else")
        if name == "outputs":
            add("--show-secrets", action="store_true", help="show secret values")
        if name == "import":
            add("--file", type=Path, required=True, help="an exported state")
    return parser.parse_args()


def _operation(args: argparse.Namespace, session: Session) -> int:
    preview = args.command == "preview"
    kind = "update" if args.command in ("preview", "up") else args.command
    if args.kubeconfig and not args.simulate:
        raise EngineError("--kubeconfig goes with --simulate; a real cluster's is the provider's own")
    if not (preview or args.yes):
        raise EngineError("--yes must be passed; `preview` shows what would change")
    with contextlib.nullcontext() if preview else session.backend.lock():
        return _operate(kind, args, session.open(create=kind == "update"), preview)


def _operate(kind: str, args: argparse.Namespace, session: Session, preview: bool) -> int:
    """Do an operation with what belongs around it: signals, display, history, summary."""
    started, as_json = time.time(), preview and args.json
    quiet = as_json or args.diff
    shown = Shown(quiet, planned=preview, live=sys.stdout.isatty())
    packs = pack_paths(args.policy_pack, args.policy_pack_config) if kind == "update" else ()
    run = Run(session, Options(preview, args.parallel, tuple(args.target), packs, args.kubeconfig), shown)
    works: dict[str, Callable[[Deployment], None]] = {
        "update": run.program, "refresh": Deployment.refresh,
        "destroy": lambda deployment: deployment.delete(session.snapshot.resources),
    }  # fmt: skip
    before = session.snapshot.outputs
    if not as_json:
        doing = f"Previewing {kind}" if preview else said(kind, "ing").capitalize()
        print(f"{doing} ({session.stack}{', simulated' if run.simulation.used else ''}):", flush=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, run.interrupt)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # which is how `nohup` starts it
        signal.signal(signal.SIGHUP, shown.console.on_broken_pipe)
    try:
        with shown.table, contextlib.redirect_stdout(sys.stderr) if quiet else contextlib.nullcontext():
            if not preview:
                run.phase(Deployment.settle)
            run.phase(works[kind])
    finally:
        run.stop()
    took, changes = time.time() - started, dict(run.changes)
    if not preview:
        with contextlib.suppress(EngineError) if run.failed else contextlib.nullcontext():
            session.backend.record(kind, started, "failed" if run.failed else "succeeded", changes)
    if as_json:
        shown.plan.diagnostics += run.policies.diagnostics()
        print(json.dumps(shown.plan.document(took, changes), indent=4, ensure_ascii=False), flush=True)
    else:
        after = session.snapshot.outputs
        outputs, policies = list(outputs_lines(before, after)), list(run.policies.lines())
        lines = ["", *policies, *(["Outputs:", *outputs, ""] if outputs else [])]
        lines = [*shown.plan.text(before, after), *policies] if args.diff else lines
        if not run.policies.broken:
            mark = " (simulated)" if run.simulation.used else ""
            lines += [line + mark for line in ("Resources:", *summary(changes, preview))]
        print(shown.masked("\n".join(lines + ([] if preview else ["", f"Duration: {math.ceil(took)}s"]))))
    changed = sum(count for op, count in changes.items() if op != "same")
    if args.expect_no_changes and changed and not run.failed:
        raise EngineError(f"no changes were expected, but there are {changed}")
    return INTERRUPTED if run.interrupted else int(run.failed)


def _outputs(args: argparse.Namespace, session: Session) -> None:
    shown = (reveal if args.show_secrets else mask)(session.open().snapshot.outputs)
    as_json = json.dumps(shown, indent=2, ensure_ascii=False)
    print(as_json if args.json else "\n".join(outputs_lines(shown, shown)), flush=True)


def _export(args: argparse.Namespace, session: Session) -> None:
    latest = session.open().backend.load() or {}
    print(json.dumps({"version": 3, "deployment": latest}, indent=4, ensure_ascii=False), flush=True)


def _import(args: argparse.Namespace, session: Session) -> None:
    with session.backend.lock():
        session.open(create=True)
        try:
            document = json.loads(args.file.read_text())["deployment"]
            # Its secrets go on under the passphrase and salt that they have.
            state = (document.get("secrets_providers") or {}).get("state", {})
            session.crypter = Crypter(passphrase(), state.get("salt", session.crypter.salt))
            snapshot = read_deployment(document, partial(thaw, decrypt=session.crypter.decrypt))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise EngineError(f"{args.file}: not an exported state: {error!r}") from error
        strangers = [one.urn for one in snapshot.resources if not one.urn.startswith(f"{session.prefix}::")]
        for problem in [f"{urn} belongs to another stack" for urn in strangers] or snapshot.problems():
            raise EngineError(f"{args.file}: {problem}; the stack is as it was")
        session.save(snapshot)
    print("Import complete.")


def _cancel(args: argparse.Namespace, session: Session) -> None:
    print(f"locks of {session.stack} removed: {session.backend.cancel()}")


_COMMANDS: dict[str, tuple[str, Callable[[argparse.Namespace, Session], int | None]]] = {
    "preview": ("show what `up` would change", _operation),
    "up": ("bring the stack to what the program describes", _operation),
    "refresh": ("bring the state to what is really there", _operation),
    "destroy": ("delete what the stack has", _operation),
    "outputs": ("print the stack's outputs", _outputs),
    "export": ("print the stack's state, as `pulumi stack export` does", _export),
    "import": ("replace the stack's state with an exported one", _import),
    "cancel": ("remove the stack's lock when its holder is gone", _cancel),
}


def main() -> int:
    """Run the command line and return its exit status."""
    args = _arguments()
    try:
        return _COMMANDS[args.command][1](args, Session(args.stack, args.config_file, args.simulate)) or 0
    except (EngineError, OSError) as error:  # of the system: a file that can't be read
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
