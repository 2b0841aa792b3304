"""What would change, as Pulumi prints it: the document of `preview --json` and the text of `--diff`."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any

from engine.state import STACK_TYPE, Resource
from engine.values import UNKNOWN, Properties, Secret, Value, at, graft, mask, reveal, steps_of

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
    message: str = ""
    began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """Remember what it began as: a refresh ends as what it found."""
        self.doing = self.op

    @property
    def resource(self) -> Resource:
        """The resource as it will be, or was."""
        found = self.new or self.old
        assert found is not None, "a step has an old or a new state"  # noqa: S101
        return found


def is_default_provider(urn: str) -> bool:
    """Tell whether a resource is a default provider, which plans and counts leave out."""
    return re.search(r"::pulumi:providers:[^:]+::default(_|$)", urn) is not None


class Plan:
    """Collects the steps of a run, each as it was when it began."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Any]] = []
        self._text: list[str] = []
        self._parents: dict[str, tuple[str, bool]] = {}

    def add(self, step: Step) -> None:
        """Take a step, if a plan shows it."""
        found, diff = step.resource, step.diff
        shown = step.op != "same" or found.type == STACK_TYPE
        self._parents[found.urn] = (found.parent, shown)
        if not (shown and step.logical) or is_default_provider(found.urn):
            return
        document: dict[str, Any] = {"op": step.op, "urn": found.urn}
        if found.provider:
            document["provider"] = found.provider
        if step.old:
            document["oldState"] = step.old.encode(mask)
        if step.new:
            id_ = step.new.id if step.op == "import" else ""
            document["newState"] = replace(step.new, id=id_).encode(mask)
        if diff:
            reasons = {"diffReasons": diff.keys, "replaceReasons": diff.replaces}
            document |= {key: why for key, why in reasons.items() if why}
        self.steps.append(document | {"detailedDiff": diff.detailed if diff else None})
        depth, above = 0, found.parent
        while above in self._parents:
            above, counts = self._parents[above]
            depth += counts
        about = [f"id={step.old.id}"] if step.old and step.old.id else []
        about += [f"urn={found.urn}"] + ([f"provider={found.provider}"] if found.provider else [])
        self._text += ["    " * depth + PREFIXES[step.op] + f"{found.type}: ({step.op})"]
        self._text += ["    " * (depth + 1) + f"[{line}]" for line in about]
        self._text += _details(step, depth + 1)

    def document(
        self, diagnostics: list[dict[str, Any]], seconds: float, changes: dict[str, int]
    ) -> dict[str, Any]:
        """Return the document of `preview --json`."""
        document: dict[str, Any] = {"steps": self.steps} if self.steps else {}
        document |= {"diagnostics": diagnostics} if diagnostics else {}
        return document | {"duration": int(seconds * 1e9), "changeSummary": dict(sorted(changes.items()))}

    def text(self, old_outputs: Properties, outputs: Properties) -> list[str]:
        """Return the text of `preview --diff`, without the summary."""
        changed = list(outputs_lines(old_outputs, outputs, every=False))
        return self._text + (["    --outputs:--", *changed] if changed else [])


def outputs_lines(old: Properties, new: Properties, every: bool = True) -> Iterator[str]:
    """Yield the stack's outputs with what changed marked, or that alone; the first ones are unmarked."""
    return _entries(old or new, new, 1, "  " if every or not old else None)


def summary(changes: dict[str, int], planned: bool) -> Iterator[str]:
    """Yield the lines that count what happened, or in a plan would."""
    found = {op: changes[op] for op in ("create", "update", "delete", "replace", "import") if changes.get(op)}
    for op, count in found.items():
        done = f"to {op}" if planned else op + ("d" if op.endswith("e") else "ed")
        yield f"    {PREFIXES[op]}{count} {done}"
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
            source = old.inputs if about["inputDiff"] else old.outputs
            before, after = (
                graft(before, steps, at(source, steps)),
                graft(after, steps, at(new.inputs, steps)),
            )
        yield from _entries(before, after, indent)


def _entries(old: Properties, new: Properties, indent: int, mark: str | None = None) -> Iterator[str]:
    """Yield a mapping's keys that differ, and with `mark` the others too, marked so."""
    shown = sorted(key for key in {*old, *new} if not key.startswith("__"))
    if mark is None:
        shown = [key for key in shown if old.get(key) != new.get(key)]
    width = max(map(len, shown), default=0)
    for key in shown:
        yield from _entry(key.ljust(width), old.get(key), new.get(key), indent, indent, mark or "  ")


def _entry(title: str, old: Value, new: Value, indent: int, inner: int, mark: str) -> Iterator[str]:
    """Yield one value's change; what an array's element holds stands one step deeper (`inner`)."""
    start, end = ("    " * indent)[:-2], "    " * inner
    if old == new or old is None or new is None:
        mark = mark if old == new else "+ " if old is None else "- "
        first, *rest = _value(old if new is None else new, inner, mark)
        yield f"{start}{mark}{title}: {first}"
        yield from rest
    elif isinstance(old, dict) and isinstance(new, dict):
        yield f"{start}~ {title}: {{"
        yield from _entries(old, new, inner + 1)
        yield end + "}"
    elif isinstance(old, list) and isinstance(new, list):
        yield f"{start}~ {title}: ["
        for index, (was, will) in enumerate(zip_longest(old, new)):
            if was != will:
                yield from _entry(f"[{index}]", was, will, inner + 1, inner + 2, "  ")
        yield end + "]"
    else:
        left, right = "".join(_value(old, inner, "- ")), "".join(_value(new, inner, "+ "))
        yield f"{start}~ {title}: {left} => {right}"


def _value(value: Value, indent: int, mark: str) -> list[str]:
    start = "    " * indent
    if isinstance(value, dict) and value:
        return ["{", *_entries(value, value, indent + 1, mark), start + "}"]
    if isinstance(value, list) and value:
        lines = ["["]
        for index, item in enumerate(value):
            lines += _entry(f"    [{index}]", item, item, indent, indent + 1, mark)
        return [*lines, start + "]"]
    if isinstance(value, Secret) or value == UNKNOWN:
        return ["[secret]" if isinstance(value, Secret) else "[unknown]"]
    return ["<null>" if value is None else json.dumps(reveal(value), ensure_ascii=False)]
