"""A pull request's comment: what the change does on each stack, and costs (``make comment``)."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from ops import impact
from ops.impact import Impact
from ops.stack import StackError
from policies.protection import PRECIOUS

MARK = "<!-- ollamamax: what this change does -->"
"""The comment's first line, by which it is found again."""
SHOWN = 40
"""How many resources are named of each kind; GitHub takes 65,536 characters."""
KINDS = {
    "replaced": ("replace", "create-replacement", "delete-replaced"),
    "deleted": ("delete",),
    "changed": ("update",),
    "made": ("create", "import"),
}
"""What happens to a resource → the operations of a plan, the gravest first."""
HOLDS = {*PRECIOUS, "docker:index/volume:Volume"}
"""Types that hold data, or take the platform down with them."""


@dataclass(frozen=True, order=True)
class Touched:
    """A resource that a change touches; they sort with the gravest first."""

    harmless: bool
    type: str
    name: str
    why: tuple[str, ...]
    """Properties that differ; of a replacement those that ask for it."""

    def line(self, *, goes: bool) -> str:
        """Return the resource as an item of a list; bold where it ``goes`` and takes something with it."""
        because = f": {', '.join(f'`{one}`' for one in self.why)}" if self.why else ""
        name = f"**`{self.name}`**" if goes and not self.harmless else f"`{self.name}`"
        return f"* {name} ({self.type}){because}"


def render(stacks: Sequence[Impact]) -> str:
    """Return the comment, in Markdown."""
    lines = [MARK, "## What this change does", ""]
    lines += ["| Stack | Made | Changed | Replaced | Deleted | Policies | USD a month, expected |"]
    lines += ["|---|---:|---:|---:|---:|---|---:|", *map(_row, stacks), ""]
    for stack in stacks:
        lines += _section(stack)
    commits = sorted({(one.head, one.base) for one in stacks})
    lines += [f"{head} beside {base}. docs/ci.md says how to read this." for head, base in commits]
    return "\n".join(lines) + "\n"


def refused(stacks: Sequence[Impact]) -> list[str]:
    """Return the stacks that ``up`` would refuse to bring to this change."""
    return [one.stack for one in stacks if not one.possible]


def touched(plan: dict[str, Any]) -> dict[str, list[Touched]]:
    """Return what a plan does to which resources; to components, which only group them, nothing is done."""
    steps: dict[str, list[dict[str, Any]]] = {}
    for step in plan.get("steps", []):
        if (step.get("newState") or step.get("oldState") or {}).get("custom"):
            steps.setdefault(step["urn"], []).append(step)
    found: dict[str, list[Touched]] = {kind: [] for kind in KINDS}
    for urn, all_of_it in steps.items():
        ops = {step["op"] for step in all_of_it}
        kind = next((kind for kind, those in KINDS.items() if ops.intersection(those)), None)
        if kind:
            *_, types, name = urn.split("::")
            type_ = types.rpartition("$")[2]
            found[kind].append(Touched(type_ not in HOLDS, type_, name, _why(kind, all_of_it)))
    return {kind: sorted(those) for kind, those in found.items()}


def _why(kind: str, steps: list[dict[str, Any]]) -> tuple[str, ...]:
    if kind == "replaced":
        return tuple(sorted({key for step in steps for key in step.get("replaceReasons") or ()}))
    if kind == "changed":
        paths = {path for step in steps for path in step.get("detailedDiff") or step.get("diffReasons") or ()}
        return tuple(sorted(paths))
    return ()


def _row(stack: Impact) -> str:
    name = f"{stack.stack}{' (simulated)' if stack.simulated else ''}"
    if stack.problem:
        return f"| {name} | – | – | – | – | **no plan** | {_total(stack)} |"
    counts = {kind: len(those) for kind, those in touched(stack.plan).items()}
    numbers = [str(counts["made"]), str(counts["changed"])]
    numbers += [f"**{counts[kind]}**" if counts[kind] else "0" for kind in ("replaced", "deleted")]
    mandatory, advisory = (len(_found(stack, level)) for level in ("mandatory", "advisory"))
    words = [f"**{mandatory} broken**"] * bool(mandatory) + [f"{advisory} advisory"] * bool(advisory)
    return f"| {name} | {' | '.join(numbers)} | {', '.join(words) or 'kept'} | {_total(stack)} |"


def _section(stack: Impact) -> Iterator[str]:
    """Yield the lines about one stack; none where nothing is to be said."""
    lines = [*_refusal(stack), *_radius(stack), *_policies(stack), *_costs(stack), *_rest(stack)]
    if lines:
        yield from [f"### {stack.stack}", "", *lines]


def _refusal(stack: Impact) -> Iterator[str]:
    if stack.problem:
        yield from ["**There is no plan:**", "", "```", stack.problem, "```", ""]
        return
    errors = [one for one in stack.plan.get("diagnostics", []) if one["severity"] == "error"]
    others = [one["message"].strip() for one in errors if not _is_finding(one)]
    if others:
        yield from ["**`up` would fail:**", "", "```", *others, "```", ""]


def _radius(stack: Impact) -> Iterator[str]:
    """Yield what is replaced and deleted; in bold what takes data or the platform with it."""
    found = touched(stack.plan)
    for kind in ("replaced", "deleted"):
        if those := found[kind]:
            grave = sum(not one.harmless for one in those)
            what = (
                f"{grave} of them with data or the platform behind it" if grave else "none of them with data"
            )
            yield from [f"**Blast radius: {len(those)} {kind}**, {what}:", "", *_list(those, goes=True)]


def _policies(stack: Impact) -> Iterator[str]:
    for level, title in (("mandatory", "Policies that are broken"), ("advisory", "Policies that advise")):
        if those := _found(stack, level):
            yield from [f"**{title}:**", "", *(f"* {one}" for one in those), ""]


def _costs(stack: Impact) -> Iterator[str]:
    """Yield a table of the items whose cost differs."""
    if not stack.cost:
        return
    items = [
        {one["name"]: one for one in (costs or {"items": []})["items"]}
        for costs in (stack.cost_before, stack.cost)
    ]
    before, after = items
    names = [name for name in {**before, **after} if _amounts(before.get(name)) != _amounts(after.get(name))]
    if names:
        yield from ["| USD a month | At least | Expected | At most |", "|---|---:|---:|---:|"]
        for name in [*names, "total"]:
            old, new = before.get(name), after.get(name)
            if name == "total":
                old, new = (stack.cost_before or {}).get("total"), stack.cost["total"]
            changes = map(_change, _amounts(old), _amounts(new))
            yield f"| {f'**{name}**' if name == 'total' else name} | {' | '.join(changes)} |"
        yield from [
            "",
            f"List prices as of {stack.cost['pricesAsOf']}; the budget is {stack.cost['budget']:,}.",
            "",
        ]


def _rest(stack: Impact) -> Iterator[str]:
    """Yield what is changed and made, folded away; where nothing is there yet, no more than that."""
    summary = stack.plan.get("changeSummary", {})
    if summary and summary.keys() <= {"create"}:
        yield from ["Nothing of it is there yet.", ""]
        return
    for kind in ("changed", "made"):
        if those := touched(stack.plan)[kind]:
            title = f"<details><summary>{len(those)} {kind}</summary>"
            yield from [title, "", *_list(those, goes=False), "</details>", ""]


def _list(those: list[Touched], *, goes: bool) -> Iterator[str]:
    yield from (one.line(goes=goes) for one in those[:SHOWN])
    if len(those) > SHOWN:
        yield f"* … and {len(those) - SHOWN} more"
    yield ""


def _found(stack: Impact, level: str) -> list[str]:
    """Return what the policies of a level say, each in one line."""
    those = [one["message"] for one in stack.plan.get("diagnostics", []) if _is_finding(one)]
    return [_sentences(one.split(f"[{level}]", 1)[1]) for one in those if f"[{level}]" in one]


def _sentences(text: str) -> str:
    """Return the lines of a finding as sentences: what it is about, what holds, what does not, the remedy."""
    return " ".join(f"{' '.join(line.split()).rstrip('.')}." for line in text.strip().splitlines())


def _is_finding(diagnostic: dict[str, Any]) -> bool:
    first = diagnostic["message"].partition("\n")[0]
    return "[mandatory]" in first or "[advisory]" in first


def _total(stack: Impact) -> str:
    if not stack.cost:
        return "–"
    old = (stack.cost_before or {}).get("total")
    return _change(_amounts(old)[1], _amounts(stack.cost["total"])[1])


def _amounts(cost: dict[str, Any] | None) -> tuple[float, float, float]:
    return (cost["min"], cost["expected"], cost["max"]) if cost else (0.0, 0.0, 0.0)


def _change(old: float, new: float) -> str:
    """Return an amount, and how it differs from the one before, in whole dollars."""
    difference = round(new) - round(old)
    return f"{new:,.0f}" + (f" ({difference:+,})" if difference else "")


def main(
    pull: Annotated[
        int | None,
        typer.Option(help="Number of the pull request on GitHub that gets it, as its one comment."),
    ] = None,
) -> None:
    """Print what make impact found as Markdown; fail where a stack could not be brought to it."""
    try:
        stacks = impact.read()
        comment = render(stacks)
        typer.echo(comment, nl=False)
        if pull is not None:
            from ops import github  # here: without a pull request nobody is asked

            typer.echo(github.put(pull, comment, MARK), err=True)
    except StackError as error:
        sys.exit(f"error: {error}")
    if those := refused(stacks):
        sys.exit(f"error: up would not succeed on {', '.join(those)}; the comment says why")


if __name__ == "__main__":
    typer.run(main)
