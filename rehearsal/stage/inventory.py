"""Everything that an API server holds, by kind: what the assertions look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rehearsal.controlplane import ControlPlane

Object = dict[str, Any]
GPU = "nvidia.com/gpu"
POOL = "ollamamax.io/pool"
"""Label of the nodes of a pool, by which its workers choose them."""
COMPUTED = frozenset(("external.metrics.k8s.io", "metrics.k8s.io"))
"""Groups whose objects nobody keeps."""


@dataclass(frozen=True)
class Inventory:
    """Objects by group and kind, such as ``apps/Deployment`` and ``/Pod``."""

    objects: Mapping[str, tuple[Object, ...]]
    kinds: frozenset[str] = field(default_factory=frozenset)
    """All that the API server knows, of which there may be no object."""

    def of(self, kind: str, namespace: str | None = None) -> tuple[Object, ...]:
        """Return the objects of a kind, in one namespace or wherever they are."""
        found = self.objects.get(kind, ())
        return found if namespace is None else tuple(one for one in found if space(one) == namespace)

    def find(self, kind: str, namespace: str, name: str) -> Object | None:
        """Return an object, None where there is none."""
        return next((one for one in self.of(kind, namespace) if one["metadata"]["name"] == name), None)

    def names(self) -> set[tuple[str, str, str]]:
        """Return kind, namespace and name of everything."""
        return {
            (kind, space(one), one["metadata"]["name"])
            for kind, found in self.objects.items()
            for one in found
        }


def space(one: Object) -> str:
    """Return the namespace of an object, empty where it is in none."""
    return str(one["metadata"].get("namespace", ""))


def labels(one: Object) -> Mapping[str, str]:
    """Return the labels of an object."""
    found: Mapping[str, str] = one["metadata"].get("labels") or {}
    return found


def take(plane: ControlPlane) -> Inventory:
    """Ask for everything; what several groups show is taken once."""
    objects: dict[str, tuple[Object, ...]] = {}
    kinds = set()
    for prefix, group in _groups(plane):
        for resource in plane.request("get", prefix)["resources"]:
            kinds.add(kind := f"{group}/{resource['kind']}")
            if "/" not in resource["name"] and "list" in resource["verbs"]:
                objects[kind] = tuple(plane.request("get", f"{prefix}/{resource['name']}")["items"])
    objects.pop("/Event", None)  # events.k8s.io shows the same ones
    return Inventory(objects, frozenset(kinds))


def _groups(plane: ControlPlane) -> Iterator[tuple[str, str]]:
    """Yield the path of each group's preferred version, with its name."""
    yield "/api/v1", ""
    for group in plane.request("get", "/apis")["groups"]:
        if group["name"] not in COMPUTED:
            yield f"/apis/{group['preferredVersion']['groupVersion']}", group["name"]
