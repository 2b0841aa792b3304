"""What was changed on a stack beside its program, by whom, and what to do: ``make drift``.

A copy of the stack's state is brought to what is really there, and the two are compared: nothing changes.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ops.elsewhere import Elsewhere
from ops.stack import Stack, StackError
from stacks import SettingsError

Resource = dict[str, Any]
"""A resource as a state has it."""
Ask = Callable[[Resource, str], str]
"""A resource and the path that differs → who wrote it last, empty where that is not known."""

SIGNATURE = "4dabf18193072939515e22adb298388d"
"""Marks a secret in a state; encrypted anew each time, so its value cannot be compared."""
SCALERS = ("kubernetes:keda.sh/v1alpha1:ScaledObject", "kubernetes:autoscaling/v2:HorizontalPodAutoscaler")
SCALED = ("kubernetes:apps/v1:Deployment", "kubernetes:apps/v1:StatefulSet")
GROWING = {
    ("aws:eks/nodeGroup:NodeGroup", "scalingConfig.desiredSize"): "the node group's autoscaler",
    ("aws:rds/instance:Instance", "allocatedStorage"): "RDS, which adds storage where it gets short",
}
"""Type and property → the autoscaler that moves it."""
SETTINGS = {
    ("aws:budgets/budget:Budget", "limitAmount"): "cost.monthlyUsd",
    ("aws:eks/cluster:Cluster", "vpcConfig.publicAccessCidrs"): "aws.cluster.publicAccess",
    ("aws:elasticache/replicationGroup:ReplicationGroup", "nodeType"): "aws.cache.nodeType",
    ("aws:rds/instance:Instance", "backupRetentionPeriod"): "aws.database.backupDays",
    ("aws:rds/instance:Instance", "instanceClass"): "aws.database.instanceClass",
    ("aws:rds/instance:Instance", "maxAllocatedStorage"): "aws.database.maxStorageGib",
    ("aws:rds/instance:Instance", "multiAz"): "aws.database.multiAz",
}
"""Type and property → the setting that it comes from, where that is one."""


@dataclass(frozen=True)
class Difference:
    """One property that is not as the program has it; None where one side has none."""

    path: str
    program: Any
    real: Any
    by: str
    """Who wrote it last; empty where that is not known."""
    autoscaler: str
    """The autoscaler whose work it is; empty where it is nobody's."""


@dataclass(frozen=True)
class Drift:
    """A resource that is gone, or differs."""

    type: str
    name: str
    differences: tuple[Difference, ...]
    """Empty where it is gone."""
    by: str = ""
    """Who deleted it; empty where that is not known."""

    @property
    def expected(self) -> bool:
        """Whether all of it is an autoscaler's work."""
        return bool(self.differences) and all(one.autoscaler for one in self.differences)


def drifts(before: list[Resource], after: list[Resource], ask: Ask) -> list[Drift]:
    """Compare the resources of a state with the same as they really are."""
    real = {one["urn"]: one for one in after}
    scaled = {
        _at(one, "inputs", "spec", "scaleTargetRef", "name") for one in before if one["type"] in SCALERS
    }
    found = []
    for one in before:
        if not one.get("custom") or one["type"].startswith("pulumi:"):
            continue
        name, now = one["urn"].rpartition("::")[2], real.get(one["urn"])
        if now is None:
            found.append(Drift(one["type"], name, (), ask(one, "")))
            continue
        differences = [
            Difference(path, old, new, ask(now, path), _autoscaler(one, path, old, new, scaled))
            for path, old, new in _differing(one.get("inputs", {}), now.get("inputs", {}))
        ]
        if differences:
            found.append(Drift(one["type"], name, tuple(differences)))
    return sorted(found, key=lambda one: (one.expected, one.type, one.name))


def report(stack: str, simulated: bool, found: list[Drift]) -> str:
    """Return what was found as Markdown, and what to do about it."""
    lines = [f"## Drift of stack {stack}{' (simulated)' if simulated else ''}", ""]
    if not found:
        return "\n".join([*lines, "Everything is as the program has it.", ""])
    lines += ["| Resource | Property | Program | Really | By |", "|---|---|---|---|---|"]
    for one in found:
        lines += _rows(one)
    lines += ["", "What to do:", "", *(f"* {_advice(one, stack)}" for one in found), ""]
    return "\n".join(lines)


def look(stack: Stack) -> list[Drift]:
    """Compare a stack's state with what is really there.

    Raises:
        StackError: if the stack is not there, or cannot be looked at.
    """
    stack.check_possible(changing=False)
    stack.prepare()
    state = stack.exported()
    with tempfile.TemporaryDirectory() as name:
        copy = Elsewhere(stack.name, stack.root, stack.simulated, at=Path(name))
        _copy(stack, copy)
        copy.prepare()
        copy.load(state, stack.config_file.read_text())
        copy.refresh()
        really = copy.exported()
    return drifts(_resources(state), _resources(really), _asker(stack))


def _copy(stack: Stack, copy: Stack) -> None:
    """Copy what a state is opened with, and the simulated cloud where the stack is in one."""
    passphrase, cloud = stack.state / "passphrase", Path("simulated", ".pulumi", "cloud")
    if passphrase.exists():
        shutil.copy(passphrase, copy.state)
    if stack.simulated and (stack.state / cloud).exists():
        shutil.copytree(stack.state / cloud, copy.state / cloud)


def _resources(state: dict[str, Any]) -> list[Resource]:
    return list(state["deployment"].get("resources") or [])


def _asker(stack: Stack) -> Ask:
    from ops import culprit

    if stack.in_cloud and not stack.simulated:
        return culprit.Asked(stack.settings())
    return culprit.manager


def _differing(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:  # noqa: ANN401
    """Yield path and values of what differs between two properties."""
    if old == new or _is_secret(old) or _is_secret(new):
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            if not key.startswith("__"):  # a provider's own notes
                yield from _differing(old.get(key), new.get(key), f"{path}.{key}" if path else key)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _differing(one, other, f"{path}[{number}]")
    else:
        yield path, old, new


def _is_secret(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, dict) and SIGNATURE in value


def _at(value: Any, *path: str) -> Any:  # noqa: ANN401
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _autoscaler(resource: Resource, path: str, old: Any, new: Any, scaled: set[Any]) -> str:  # noqa: ANN401
    """Return the autoscaler that moves a property; empty where none does."""
    if resource["type"] in SCALED and path == "spec.replicas":
        name = _at(resource, "inputs", "metadata", "name")
        return "the pod autoscaler" if name in scaled else ""
    mover = GROWING.get((resource["type"], path), "")
    shrunk = isinstance(old, int | float) and isinstance(new, int | float) and new < old
    return "" if path == "allocatedStorage" and shrunk else mover


def _rows(drift: Drift) -> Iterator[str]:
    resource = f"`{drift.name}` ({drift.type})"
    if not drift.differences:
        yield f"| {resource} | **is gone** | | | {drift.by or 'not known'} |"
    for one in drift.differences:
        by = one.autoscaler or one.by or "not known"
        yield f"| {resource} | `{one.path}` | {_shown(one.program)} | {_shown(one.real)} | {by} |"


def _shown(value: Any) -> str:  # noqa: ANN401
    return "–" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`".replace("|", "\\|")


def _advice(drift: Drift, stack: str) -> str:
    """Return what to do about one resource."""
    again = f"`make up STACK={stack} REFRESH=1`"
    if not drift.differences:
        return f"`{drift.name}`: {again} makes it again; if it is to stay away, take it out of the program"
    if drift.expected:
        movers = ", ".join(sorted({one.autoscaler for one in drift.differences}))
        return f"`{drift.name}`: nothing; this is the work of {movers}"
    wanted = [f"`{setting}: {json.dumps(real)}`" for setting, real in _settings(drift)]
    where = f"set {', '.join(wanted)} in stacks/Pulumi.{stack}.yaml" if wanted else "change the program"
    return f"`{drift.name}`: {again} takes it back; if it is to stay, {where}"


def _settings(drift: Drift) -> Iterator[tuple[str, Any]]:
    """Yield the settings that would have a stack as it really is."""
    for one in drift.differences:
        setting = SETTINGS.get((drift.type, one.path))
        if setting and not one.autoscaler:
            yield setting, one.real


def main(
    stack: Annotated[str, typer.Argument(help="The stack: stacks/Pulumi.<stack>.yaml.")],
    simulate: Annotated[bool, typer.Option(help="Look at a simulated cloud, not the real one.")] = False,
) -> None:
    """Say what was changed beside the program; fail where it is more than an autoscaler's work."""
    platform = Stack(stack, simulate=simulate)
    try:
        found = look(platform)
    except (SettingsError, StackError) as error:
        sys.exit(f"error: {error}")
    typer.echo(report(stack, platform.simulated, found))
    if unexpected := [one.name for one in found if not one.expected]:
        sys.exit(f"error: stack {stack} has drifted: {', '.join(unexpected)}; the report says what to do")


if __name__ == "__main__":
    typer.run(main)
