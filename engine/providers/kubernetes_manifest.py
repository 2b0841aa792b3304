"""Manifests as values: how the API server writes them, what changed in them, who owns what in them."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import zip_longest
from typing import Any

from engine.values import UNKNOWN, Properties, Value, at, steps_of, walk

Steps = tuple[str | int, ...]

BUILT_IN = frozenset(("", "apps", "autoscaling", "batch", "policy"))
QUANTITY_MAPS, QUANTITIES = ("capacity", "hard", "limits", "requests"), ("averageValue", "sizeLimit")
SUFFIXES = ("n", "u", "m", "", "k", "M", "G", "T", "P", "E")
OFF = frozenset((
    "hostIPC", "hostNetwork", "hostPID", "paused", "publishNotReadyAddresses", "readOnly", "stdin",
    "stdinOnce", "tty",
))  # fmt: skip
"""What is not kept where it is false."""
READ_ONLY = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid")
SELECTOR = "spec.selector"
IMMUTABLE: dict[str, tuple[str, ...]] = {
    "apps/DaemonSet": (SELECTOR,),
    "apps/Deployment": (SELECTOR,),
    "apps/StatefulSet": (
        SELECTOR, "spec.podManagementPolicy", "spec.revisionHistoryLimit", "spec.serviceName",
        "spec.volumeClaimTemplates",
    ),
    "batch/Job": (SELECTOR, "spec.completions", "spec.parallelism", "spec.template"),
    "core/ConfigMap": ("binaryData", "data"),
    "core/PersistentVolume": ("spec.csi", "spec.hostPath", "spec.local", "spec.nfs"),
    "core/PersistentVolumeClaim": (
        SELECTOR, "spec.accessModes", "spec.storageClassName", "spec.volumeName",
    ),
    "core/Pod": ("spec",),
    "core/ResourceQuota": ("spec.scopes",),
    "core/Secret": ("data", "type"),
    "core/Service": ("spec.clusterIP",),
    "rbac.authorization.k8s.io/ClusterRoleBinding": ("roleRef",),
    "rbac.authorization.k8s.io/RoleBinding": ("roleRef",),
    "storage.k8s.io/StorageClass": ("parameters", "provisioner"),
}  # fmt: skip
"""What changes only by a replacement, besides name and namespace: as the plugin has it."""
CLI = ("before-first-apply", "pulumi-kubernetes", "pulumi-resource-kubernetes")
"""Who owns the fields of an object that the plugin has created and not yet updated."""
_NOWHERE = object()


def normal(manifest: Properties) -> Properties:
    """Return a manifest as the API server keeps it, so that two spellings of one thing are no change."""
    found: Properties = walk(
        manifest,
        on_map=lambda found: {_dashed(key): value for key, value in found.items() if value is not None},
    )
    if isinstance(meta := found.get("metadata"), dict):
        found["metadata"] = {key: value for key, value in meta.items() if key not in READ_ONLY}
    group, kind = str(found.get("apiVersion", "")).rpartition("/")[0], found.get("kind")
    if kind == "CustomResourceDefinition":
        found.pop("status", None)
    if (group, kind) == ("", "Secret") and isinstance(found.get("stringData"), dict):
        opened = found.pop("stringData")
        found["data"] = {**found.get("data", {}), **{key: _encoded(text) for key, text in opened.items()}}
    if group in BUILT_IN and "spec" in found:
        found["spec"] = _canonical(found["spec"], ("spec",))
    return found


def _dashed(key: str) -> str:
    """A key of a schema: the SDKs have no dashes in names."""
    return key.replace("_", "-") if key.startswith("x_kubernetes_") else key


def underscored(value: Value) -> Value:
    """Return a live object with its keys as the SDKs read them."""

    def renamed(found: Properties) -> Properties:
        pairs = ((key, key.replace("-", "_")) for key in found)
        return {new if key.startswith("x-kubernetes-") else key: found[key] for key, new in pairs}

    return walk(value, on_map=renamed)


def _encoded(text: str) -> str:
    return text if text == UNKNOWN else base64.b64encode(text.encode()).decode()


def _canonical(value: Value, steps: tuple[str, ...]) -> Value:
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if not (item is False and _dropped(key, steps))}
        return {key: _canonical(item, (*steps, key)) for key, item in kept.items()}
    if isinstance(value, list):
        return [_canonical(item, steps) for item in value]
    is_quantity = steps[-1] in QUANTITIES or (len(steps) > 1 and steps[-2] in QUANTITY_MAPS)
    return quantity(value) if is_quantity and not isinstance(value, bool) else value


def _dropped(key: str, steps: tuple[str, ...]) -> bool:
    """Tell whether a false is not kept: a CSI volume of a pod keeps it, one of the cluster does not."""
    return key in OFF and steps[-2:] != ("volumes", "csi")


def quantity(value: Value) -> Value:
    """Return an amount as Kubernetes writes it: `1000m` is `1`, `0.5Gi` is `512Mi`."""
    found = re.fullmatch(r"([+-]?(?:\d+\.?\d*|\.\d+))([KMGTPE]i|[numkMGTPE]?)", str(value))
    if not found:
        return value
    number, suffix, binary = Decimal(found[1]), found[2].rstrip("i"), found[2].endswith("i")
    base, names = (1024, ("", "K", *SUFFIXES[5:])) if binary else (1000, SUFFIXES)
    amount = number * Decimal(base) ** (names.index(suffix) - names.index(""))
    for power in reversed(range(len(names))):
        scaled = amount / Decimal(base) ** (power - names.index(""))
        if scaled == scaled.to_integral_value() and (scaled or not names[power]):
            return f"{scaled:f}".partition(".")[0] + names[power] + ("i" if binary and names[power] else "")
    return value


def drifted(given: Value, live: Value, before: Value = _NOWHERE) -> Value:
    """Return what was given, with what is not as it was `before`; what others added beside it is left out.

    Without `before` it is what is live, of what was given.
    """
    if live == before:
        return given
    if isinstance(given, dict) and isinstance(live, dict):
        was = before if isinstance(before, dict) else dict.fromkeys(given, _NOWHERE)
        found = {key: drifted(item, live.get(key), was.get(key)) for key, item in given.items()}
        return {key: item for key, item in found.items() if item is not None}
    if isinstance(given, list) and isinstance(live, list) and any(isinstance(one, dict) for one in given):
        old = before if isinstance(before, list) else [_NOWHERE] * len(given)
        old = old + [None] * len(given)
        return [drifted(*part) for part in zip(given, live, old, strict=False)]
    return live


def changes(old: Value, new: Value, steps: Steps = ()) -> Iterator[tuple[Steps, str]]:
    """Yield where two manifests differ, and how: add, delete or update."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from changes(old.get(key), new.get(key), (*steps, key))
    elif isinstance(old, list) and isinstance(new, list):
        for index, (before, after) in enumerate(zip_longest(old, new)):
            yield from changes(before, after, (*steps, index))
    elif old != new:
        yield steps, "add" if old is None else "delete" if new is None else "update"


def replaces(rules: tuple[str, ...], steps: Steps, old: Properties, new: Properties) -> bool:
    """Tell whether a change touches a field that only a replacement changes."""
    for rule in ("metadata.name", "metadata.namespace", *rules):
        immutable = steps_of(rule)
        within = list(steps[: len(immutable)]) == immutable
        around = immutable[: len(steps)] == list(steps) and at(old, immutable) != at(new, immutable)
        if within or around:
            return True
    return False


def path_of(steps: Steps) -> str:
    """Return the steps as one property path."""
    words = [
        f"[{step}]"
        if isinstance(step, int)
        else f'["{step}"]'
        if re.search(r'[."\[\]]', step)
        else f".{step}"
        for step in steps
    ]
    return "".join(words).removeprefix(".")


# What is in it


def annotation(obj: Properties, name: str) -> str:
    """Return the value of an annotation, empty when there is none or it is not known yet."""
    found = at(obj, ["metadata", "annotations", name])
    return found if isinstance(found, str) and found != UNKNOWN else ""


def label(obj: Properties) -> str:
    """Return an object as people name it: Deployment web/gateway."""
    meta = obj["metadata"]
    return f"{obj['kind']} {'/'.join(filter(None, (meta.get('namespace'), meta['name'])))}"


def condition(live: Properties, type_: str) -> tuple[str, str]:
    """Return a condition's status, and its reason and message."""
    for one in at(live, ["status", "conditions"]) or []:
        if one.get("type") == type_:
            return one.get("status", ""), ": ".join(filter(None, (one.get("reason"), one.get("message"))))
    return "", ""


# Who owns what


def owns(live: Properties, manager: str, steps: Steps = ()) -> bool:
    """Tell whether an owner has applied an object, or a field of it."""
    applied = (one for one in _entries(live) if (one["manager"], one["operation"]) == (manager, "Apply"))
    return any(_holds(one["fieldsV1"], steps) for one in applied)


def others(live: Properties, manager: str) -> list[str]:
    """Return who else writes an object itself, not its status or scale."""
    return sorted({one["manager"] for one in _entries(live) if not one.get("subresource")} - {manager, *CLI})


def scaled(live: Properties) -> bool:
    """Tell whether something else than a person has set the scale of an object."""
    scale = (one["manager"] for one in _entries(live) if one.get("subresource") == "scale")
    return any(not manager.startswith("kubectl") for manager in scale)


def owned(live: Properties, manager: str) -> list[Properties] | None:
    """Return the owners of an object that `manager` has not applied yet, with it for the object's maker."""
    makers = (*CLI, "kubectl-client-side-apply")
    entries = _entries(live)
    made = [one for one in entries if one["manager"] in makers and not one.get("subresource")]
    if owns(live, manager) or not made:
        return None
    fields: Properties = {}
    for one in made:
        fields = _union(fields, one["fieldsV1"])
    rest = [one for one in entries if one not in made]
    return [{**made[0], "manager": manager, "operation": "Apply", "fieldsV1": fields}, *rest]


def _entries(live: Properties) -> list[Properties]:
    return list(live["metadata"].get("managedFields") or ())


def _holds(fields: Any, steps: Steps) -> bool:
    for step in steps:
        fields = fields.get(f"f:{step}")
        if fields is None:
            return False
    return True


def _union(one: Properties, other: Properties) -> Properties:
    return one | {key: _union(one.get(key, {}), fields) for key, fields in other.items()}
