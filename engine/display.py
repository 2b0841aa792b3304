"""What a run says while it works: plain lines, a live table on a terminal, or nothing but the plan."""

from __future__ import annotations

import re
import sys
import threading
import time
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from engine.plan import PREFIXES, Plan, Step, is_default_provider
from engine.values import MASK, Properties, secret_words

_WORDS = {
    "create": ("creating", "created", "green"), "delete": ("deleting", "deleted", "red"),
    "update": ("updating", "updated", "yellow"), "replace": ("replacing", "replaced", "magenta"),
    "create-replacement": ("creating replacement", "created replacement", "green"),
    "delete-replaced": ("deleting original", "deleted original", "red"), "same": ("unchanged",) * 2 + ("",),
    "import": ("importing", "imported", "cyan"), "refresh": ("refreshing", "refreshed", ""),
}  # fmt: skip


class Shown:
    """Shows a run; everything said goes through here, so nothing that is known to be secret gets out."""

    def __init__(self, quiet: bool, planned: bool, live: bool) -> None:
        self.plan, self.diagnostics = Plan(), list[dict[str, Any]]()
        self._quiet, self._planned, self._is_live = quiet, planned, live and not quiet
        self._console = Console(file=sys.stderr if quiet else sys.stdout, highlight=False, soft_wrap=True)
        self._running: dict[int, Step] = {}
        self._secrets: set[str] = set()
        self._lock = threading.RLock()
        self._live = Live(get_renderable=self._table, console=self._console, transient=True)

    def __enter__(self) -> Shown:
        if self._is_live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def learn(self, *found: Properties) -> None:
        """Remember which words are secret."""
        with self._lock:
            self._secrets |= secret_words(list(found))

    def masked(self, text: str) -> str:
        """Return `text` without the secrets that are known."""
        with self._lock:
            words = sorted(self._secrets, key=len, reverse=True)
        return re.sub("|".join(map(re.escape, words)), MASK, text) if words else text

    def begin(self, step: Step) -> None:
        """Show that a step starts."""
        with self._lock:
            self._learn(step)
            self.plan.add(step)
            if step.op != "same" and not is_default_provider(step.resource.urn):
                self._running[id(step)] = step
                step.began = time.monotonic()
                if not self._planned and not self._is_live:
                    self._line(step, f"{_WORDS[step.op][0]} (0s)")

    def end(self, step: Step, error: str = "") -> None:
        """Show that a step ended."""
        with self._lock:
            self._learn(step)
            if self._running.pop(id(step), None) is None or (step.doing, step.op) == ("refresh", "same"):
                return
            took = f" ({time.monotonic() - step.began:.2f}s)"
            if error:
                self._line(step, f"**{_WORDS[step.op][0]} failed**{took}")
            else:
                done = step.op if self._planned else _WORDS[step.op][1] + took
                self._line(step, done + (f" [diff: {reasons}]" if (reasons := _reasons(step)) else ""))

    def log(self, severity: str, message: str, urn: str = "", ephemeral: bool = False) -> None:
        """Show what the program, a provider or the engine has to say."""
        text = self.masked(message.rstrip())
        with self._lock:
            at = next((one for one in self._running.values() if urn and one.resource.urn == urn), None)
            if ephemeral or (at and severity == "info"):
                line = text.partition("\n")[0]
                if at and line != at.message:
                    at.message = line
                    if not self._is_live:
                        self._line(at, f"{_WORDS[at.op][0]} ({time.monotonic() - at.began:.0f}s) {line}")
                return
            about = {"urn": urn} if urn else {}
            self.diagnostics.append({**about, "message": f"{severity}: {text}\n", "severity": severity})
            if urn and urn not in text:
                text = f"{_short(urn.split('::')[2].rpartition('$')[2])} {urn.rsplit('::', 1)[-1]}: {text}"
            style = {"error": "red", "warning": "yellow"}.get(severity, "")
            self._console.print(Text(text if severity == "info" else f"{severity}: {text}", style=style))

    def _learn(self, step: Step) -> None:
        for state in filter(None, (step.old, step.new)):
            self.learn(state.inputs, state.outputs)

    def _line(self, one: Step, what: str) -> None:
        if not self._quiet:
            found = one.resource
            line = f" {PREFIXES[one.op]} {_short(found.type)} {found.name} {what}"
            self._console.print(Text(self.masked(line), style=_WORDS[one.op][2]))

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        with self._lock:
            for one in self._running.values():
                found, (doing, _, style) = one.resource, _WORDS[one.op]
                elapsed = f"{time.monotonic() - one.began:.0f}s"
                cells = (PREFIXES[one.op], _short(found.type), found.name, doing, elapsed, one.message[:100])
                table.add_row(*(Text(cell, style=style) for cell in cells))
        return table


def _short(type_: str) -> str:
    """Return a type as people read it: docker:index:Container for docker:index/container:Container."""
    return re.sub(r"/[^:]*:", ":", type_)


def _reasons(step: Step) -> str:
    """Return what changed, as Pulumi abbreviates it: -memorySwap~envs,memory."""
    keys: dict[str, list[str]] = {"+": [], "-": [], "~": []}
    for path, about in ((step.diff.detailed if step.diff else None) or {}).items():
        mark = {"add": "+", "delete": "-"}.get(about["kind"].removesuffix("-replace"), "~")
        keys[mark].append(re.split(r"[.\[]", path)[0])
    return "".join(mark + ",".join(dict.fromkeys(found)) for mark, found in keys.items() if found)
