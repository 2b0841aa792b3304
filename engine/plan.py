"""What would change, as Pulumi prints it: the document of `preview --json` and the text of `--diff`."""

from __future__ import annotations

import difflib
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

from rich.progress import TaskID

from engine.state import STACK_TYPE, Resource
from engine.values import UNKNOWN, Properties, Secret, Value, at, fields, graft, mask, steps_of

PREFIXES = {
    "same": "  ", "create": "+ ", "delete": "- ", "update": "~ ", "replace": "+-", "create-replacement": "++",
    "delete-replaced": "--", "refresh": "~ ", "import": "= ",
}  # fmt: skip


@dataclass
class Diff:
    """What a provider says about old and new: `detailed` maps property paths to kinds of change."""

    changed: bool = False
    replaces: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    delete_before_replace: bool = False
    detailed: dict[str, dict[str, Any]] | None = None


@dataclass
class Step:
    """One thing that is done, or in a preview would be; `logical` ones count and are shown in plans."""

    op: str
    old: Resource | None = None
    new: Resource | None = None
    diff: Diff | None = None
    logical: bool = True
    began: float = field(default_factory=time.monotonic)
    message: str = ""
    task: TaskID = field(default=TaskID(0))  # its line in the live table

    @property
    def resource(self) -> Resource:
        """The resource as it will be, or was."""
        return cast(Resource, self.new or self.old)


def is_default_provider(urn: str) -> bool:
    """Tell whether a resource is a default provider, which plans and counts leave out."""
    return re.search(r"::pulumi:providers:[^:]+::default(_|$)", urn) is not None


def said(op: str, ending: str) -> str:
    """Return an operation in words: `created` or `creating replacement`."""
    verb, _, of = op.replace("replaced", "original").partition("-")  # the words of the CLI
    return f"{verb.removesuffix('e')}{ending} {of}".rstrip()


class Plan:
    """Collects the steps of a run, each as it was when it began."""

    def __init__(self) -> None:
        self.diagnostics, self._steps = list[dict[str, Any]](), list[dict[str, Any]]()
        self._text, self._depths = list[str](), dict[str, int]()  # by URN, how deep its children stand

    def add(self, step: Step) -> None:
        """Take a step, if a plan shows it."""
        old, new, found, diff = step.old, step.new, step.resource, step.diff or Diff()
        shown = step.op != "same" or found.type == STACK_TYPE
        depth = self._depths.get(found.parent, 0)
        self._depths[found.urn] = depth + shown
        if not (shown and step.logical) or is_default_provider(found.urn):
            return
        document = {
            "op": step.op, "urn": found.urn, "provider": found.provider,
            "oldState": old and old.encode(mask),
            "newState": new and replace(new, id=new.id if step.op == "import" else "").encode(mask),
            "diffReasons": diff.keys, "replaceReasons": diff.replaces,
        }  # fmt: skip
        told = {key: value for key, value in document.items() if value}
        self._steps.append(told | {"detailedDiff": diff.detailed})
        start = "    " * depth
        about = {"id": old.id if old else "", "urn": found.urn, "provider": found.provider}
        self._text.append(f"{start}{PREFIXES[step.op]}{found.type}: ({step.op})")
        self._text += [f"{start}    [{key}={value}]" for key, value in about.items() if value]
        self._text += _details(step, depth + 1)

    def document(self, seconds: float, changes: dict[str, int]) -> dict[str, Any]:
        """Return the document of `preview --json`."""
        told = {"steps": self._steps} if self._steps else {}
        told |= {"diagnostics": self.diagnostics} if self.diagnostics else {}
        return told | {"duration": int(seconds * 1e9), "changeSummary": dict(sorted(changes.items()))}

    def text(self, old_outputs: Properties, outputs: Properties) -> list[str]:
        """Return the text of `preview --diff`, without the summary."""
        changed = list(_entries(old_outputs or outputs, outputs, 1, None if old_outputs else "  "))
        return self._text + (["    --outputs:--", *changed] if changed else [])


def outputs_lines(old: Properties, new: Properties) -> Iterator[str]:
    """Yield the stack's outputs with what changed marked; the first ones are unmarked."""
    return _entries(old or new, new, 1, "  ")


def summary(changes: dict[str, int], planned: bool) -> Iterator[str]:
    """Yield the lines that count what happened, or in a plan would."""
    found = {op: changes[op] for op in ("create", "update", "delete", "replace", "import") if changes.get(op)}
    for op, count in found.items():
        yield f"    {PREFIXES[op]}{count} {f'to {op}' if planned else said(op, 'ed')}"
    parts = [f"{sum(found.values())} changes"] if len(found) > 1 else []
    parts += [f"{changes['same']} unchanged"] if changes.get("same") else []
    if parts:
        yield "    " + ". ".join(parts)


def _details(step: Step, indent: int) -> Iterator[str]:
    old, new, diff = step.old, step.new, step.diff
    if new and not old:
        yield from _entries(new.outputs or new.inputs, new.outputs or new.inputs, indent, "  ")
    elif new and old and diff:
        before: Value = old.inputs if diff.detailed is None else new.inputs
        after: Value = new.inputs
        for path, about in (diff.detailed or {}).items():
            steps = steps_of(path)
            before = graft(before, steps, at(old.inputs if about["inputDiff"] else old.outputs, steps))
            after = graft(after, steps, at(new.inputs, steps))
        yield from _entries(before, after, indent)


def _entries(old: Value, new: Value, indent: int, mark: str | None = None) -> Iterator[str]:
    """Yield what differs in two mappings or lists, and with `mark` what does not too, marked so."""
    before, after = fields(old) or {}, fields(new) or {}
    shown = sorted(key for key in before | after if not str(key).startswith("__"))
    shown = [key for key in shown if mark or before.get(key) != after.get(key)]
    width = max((len(key) for key in shown if isinstance(key, str)), default=0)
    for key in shown:
        title = f"[{key}]" if isinstance(key, int) else key.ljust(width)
        yield from _entry(title, before.get(key), after.get(key), indent, mark or "  ")


def _entry(title: str, old: Value, new: Value, indent: int, mark: str) -> Iterator[str]:
    if old != new and (old is None or new is None):
        mark = "+ " if old is None else "- "
        old = new = old if new is None else new
    sign, start = mark if old == new else "~ ", "    " * indent
    line = f"{start[2:]}{sign}{title}: "
    if type(old) is type(new) and isinstance(new, dict | list) and (old or new):
        first, last = "{}" if isinstance(new, dict) else "[]"
        yield line + first
        yield from _entries(old, new, indent + 1, mark if old == new else None)
        yield start + last
    elif old != new and type(old) is type(new) is str and "\n" in old + new and UNKNOWN not in (old, new):
        yield line.rstrip()
        lines = difflib.unified_diff(old.splitlines(), new.splitlines(), n=1, lineterm="")
        for one in list(lines)[2:]:  # after the names of two files
            yield f"{start}  ..." if one.startswith("@@") else f"{start}{one[0]} {one[1:]}"
    else:
        yield line + _word(new) if old == new else f"{line}{_word(old)} => {_word(new)}"


def _word(value: Value) -> str:
    if isinstance(value, Secret) or value == UNKNOWN:
        return "[secret]" if isinstance(value, Secret) else "[unknown]"
    return "<null>" if value is None else json.dumps(mask(value), ensure_ascii=False)
