"""What KWOK, which plays the kubelets, is told: how pods start, and what they use."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rehearsal.controlplane import ControlPlane
from rehearsal.programs import KWOK
from rehearsal.stage.substitutions import NEVER_READY, STARTS_AFTER

USAGE = "services"
USAGES = "/apis/kwok.x-k8s.io/v1alpha1/clusterresourceusages"
SERVICE = '"app.kubernetes.io/name"'


@dataclass(frozen=True)
class Usage:
    """What each pod of a service uses."""

    cpus: float
    memory_mib: float


def write_config(file: Path, end_s: float) -> Path:
    """Write KWOK's configuration: its own, with pods that take their time to start, or never do, and end."""
    file.write_text(yaml.safe_dump_all(_documents(KWOK.folder() / "kustomize", end_s)))
    return file


def _documents(folder: Path, end_s: float) -> Iterator[dict[str, Any]]:
    yield _read(folder / "metrics" / "resource" / "metrics-resource.yaml")
    for name in ("pod-complete", "pod-delete", "pod-ready"):
        stage = _read(folder / "stage" / "pod" / "fast" / f"{name}.yaml")
        if name == "pod-ready":
            broken = {"key": f'.metadata.annotations["{NEVER_READY}"]', "operator": "DoesNotExist"}
            stage["spec"]["selector"]["matchExpressions"].append(broken)
            after = {"expressionFrom": f'.metadata.annotations["{STARTS_AFTER}"]'}
            stage["spec"]["delay"] = {"durationMilliseconds": 0, "durationFrom": after}
        if name == "pod-delete":
            stage["spec"]["delay"] = {"durationMilliseconds": round(1000 * end_s)}
        yield stage


def _read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(file.read_text())
    return found


def idle(plane: ControlPlane) -> None:
    """Let every pod use next to nothing."""
    plane.request("post", USAGES, _usage({}))


def use(plane: ControlPlane, usage: Mapping[str, Usage]) -> None:
    """Let the pods of services, by name, use so much from now on; all others next to nothing."""
    plane.request("patch", f"{USAGES}/{USAGE}", _usage(usage), "application/merge-patch+json")


def _usage(usage: Mapping[str, Usage]) -> dict[str, Any]:
    cpus = {name: f"{one.cpus * 1000:.0f}m" for name, one in usage.items()}
    memory = {name: f"{one.memory_mib:.0f}Mi" for name, one in usage.items()}
    used = {"cpu": _expression(cpus, "1m"), "memory": _expression(memory, "1Mi")}
    expressions = {resource: {"expression": text} for resource, text in used.items()}
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "ClusterResourceUsage",
        "metadata": {"name": USAGE}, "spec": {"usages": [{"usage": expressions}]},
    }  # fmt: skip


def _expression(quantities: Mapping[str, str], other: str) -> str:
    """Return, as CEL, the quantity of a pod's service."""
    text = f"Quantity({json.dumps(other)})"
    for name, quantity in sorted(quantities.items()):
        own = f"pod.metadata.labels[{SERVICE}] == {json.dumps(name)}"
        text = f"{own} ? Quantity({json.dumps(quantity)}) : {text}"
    return f"{SERVICE} in pod.metadata.labels ? ({text}) : Quantity({json.dumps(other)})"
