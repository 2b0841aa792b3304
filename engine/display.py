"""What a run says while it works: plain lines, a live table on a terminal, or nothing but the plan."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from engine.plan import PREFIXES, Diff, Plan, Step, is_default_provider, said
from engine.values import MASK, Properties, secret_words, steps_of

_COLOURS = {"+": "green", "-": "red", "~": "yellow", "=": "cyan", "error": "red", "warning": "yellow"}


class _Console(Console):
    def on_broken_pipe(self, *_: object) -> None:
        """End the run as SIGTERM does: nobody reads any more what it says.

        The library's own answer is to end the thread, which leaves whoever waits for it waiting.
        """
        if not self.quiet:  # once: a second signal would have providers give up what is under way
            self.quiet = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())
            os.kill(os.getpid(), signal.SIGTERM)

    def _check_buffer(self) -> None:
        try:
            super()._check_buffer()
        except OSError:  # a terminal that is gone: the library knows pipes alone
            self.on_broken_pipe()


class Shown:
    """Shows a run; everything said goes through here, so nothing that is known to be secret gets out."""

    def __init__(self, quiet: bool, planned: bool, live: bool) -> None:
        self.plan, self._quiet, self._planned, self._live = Plan(), quiet, planned, live and not quiet
        self.console = _Console(file=sys.stderr if quiet else sys.stdout, highlight=False, soft_wrap=True)
        self.table = Progress(
            TextColumn("{task.description}", markup=False), TimeElapsedColumn(),
            TextColumn("{task.fields[doing]}", markup=False),
            console=self.console, transient=True, disable=not self._live,
        )  # fmt: skip
        self._running, self._secrets, self._lock = dict[int, Step](), set[str](), threading.RLock()

    def learn(self, *found: Properties) -> None:
        """Remember which words are secret; a provider's copy of inputs, sealed as a whole, tells of none."""
        with self._lock:
            self._secrets |= secret_words([one | {"__inputs": None} for one in found])

    def masked(self, text: str) -> str:
        """Return `text` without the secrets that are known."""
        with self._lock:
            words = sorted(self._secrets, key=len, reverse=True)
        return re.sub("|".join(map(re.escape, words)), MASK, text) if words else text

    def begin(self, step: Step) -> None:
        """Show that a step starts."""
        with self._lock:
            self._learn(step)
            if self._quiet:  # else what happens is said, and no plan shown
                self.plan.add(step)
            if step.op != "same" and not is_default_provider(step.resource.urn):
                self._running[id(step)], step.began = step, time.monotonic()
                step.task = self.table.add_task(_title(step), total=None, doing="")
                self._doing(step, "")

    def end(self, step: Step, error: str = "") -> None:
        """Show that a step ended."""
        with self._lock:
            self._learn(step)
            if self._running.pop(id(step), None) is None:
                return
            self.table.remove_task(step.task)
            took = f" ({time.monotonic() - step.began:.2f}s)"
            if error:
                self._line(step, f"**{said(step.op, 'ing')} failed**{took}")
            elif step.op != "same":  # what a refresh found as it was
                diff = step.diff or Diff()
                keys = diff.keys or sorted({str(steps_of(path)[0]) for path in diff.detailed or ()})
                why = f" [diff: {', '.join(keys)}]" if keys else ""
                self._line(step, (step.op if self._planned else said(step.op, "ed") + took) + why)

    def log(self, severity: str, message: str, urn: str = "", ephemeral: bool = False) -> None:
        """Show what the program, a provider or the engine has to say."""
        text = self.masked(message.rstrip())
        with self._lock:
            at = next((one for one in self._running.values() if one.resource.urn == urn), None)
            if at and (ephemeral or severity == "info"):
                self._doing(at, text.partition("\n")[0])
            elif not ephemeral:
                told = {"message": f"{severity}: {text}\n", "severity": severity}
                self.plan.diagnostics.append({"urn": urn, **told} if urn else told)
                if urn and urn not in text:
                    text = f"{named(urn)}: {text}"
                text = text if severity == "info" else f"{severity}: {text}"
                self.console.print(Text(text, style=_COLOURS.get(severity, "")))

    def _learn(self, step: Step) -> None:
        for state in filter(None, (step.old, step.new)):
            self.learn(state.inputs, state.outputs)

    def _doing(self, step: Step, message: str) -> None:
        doing, elapsed = said(step.op, "ing"), time.monotonic() - step.began
        self.table.update(step.task, doing=f"{doing} {message}")
        if not (self._planned or self._live) and (message != step.message or not message):
            self._line(step, f"{doing} ({elapsed:.0f}s) {message}".rstrip())
        step.message = message

    def _line(self, step: Step, what: str) -> None:
        if not self._quiet:
            # A name is no secret, and a user's or a version may be equal to one that a secret text holds.
            line, colour = f"{_title(step)} {self.masked(what)}", _COLOURS.get(PREFIXES[step.op][0], "")
            self.console.print(Text(line, style=colour))


def _title(step: Step) -> str:
    return f" {PREFIXES[step.op]} {named(step.resource.urn)}"


def named(urn: str) -> str:
    """Return a resource as people name it: docker:index:Container web."""
    _, _, type_, name = urn.split("::", 3)
    return re.sub(r"/([^:]*):(?=(?i:\1)$)", ":", type_.rpartition("$")[2]) + f" {name}"
