"""How nodes are lost: what a cloud does to them, done to the simulated ones."""

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kubernetes.client import ApiException

from rehearsal.controlplane import ControlPlane

NODE, CLAIM = "/api/v1/nodes", "/apis/karpenter.sh/v1/nodeclaims"
MERGE = "application/merge-patch+json"
UNREGISTERED = "karpenter.sh/unregistered"
"""Taint of a node that Karpenter has not taken over yet."""
GONE = 404
AT_ONCE = 8
"""Requests at a time: a zone has many nodes and goes in a moment."""


def interrupt(plane: ControlPlane, nodes: Collection[str]) -> None:
    """Give nodes notice: Karpenter deletes their claims when AWS tells it, and so drains them."""
    for claim in _claims(plane, nodes):
        _ask(plane, "delete", f"{CLAIM}/{claim}")


def end(plane: ControlPlane, nodes: Collection[str]) -> None:
    """End nodes at once, with all that runs on them: the machine is gone, and nobody drains it.

    The nodes go first, or the pods' successors would be placed on them.
    """
    claims = _claims(plane, nodes)
    pods = [
        pod for pod in plane.request("get", "/api/v1/pods")["items"] if pod["spec"].get("nodeName") in nodes
    ]
    with ThreadPoolExecutor(AT_ONCE) as each:
        list(each.map(lambda path: _force(plane, path), [f"{NODE}/{node}" for node in nodes]))
        list(each.map(lambda path: _force(plane, path), [f"{CLAIM}/{claim}" for claim in claims]))
        list(each.map(lambda pod: _kill(plane, pod["metadata"]), pods))


def forget(plane: ControlPlane) -> None:
    """Forget nodes that were on their way when Karpenter was ended: its KWOK provider makes them no more."""
    there = set()
    for node in plane.request("get", NODE)["items"]:
        if any(taint["key"] == UNREGISTERED for taint in node["spec"].get("taints", ())):
            _force(plane, f"{NODE}/{node['metadata']['name']}")
        else:
            there.add(node["metadata"]["name"])
    for claim in plane.request("get", CLAIM)["items"]:
        if claim.get("status", {}).get("nodeName") not in there:
            _force(plane, f"{CLAIM}/{claim['metadata']['name']}")


def _force(plane: ControlPlane, path: str) -> None:
    """Delete an object without what others want to do before it goes."""
    _ask(plane, "patch", path, {"metadata": {"finalizers": None}}, MERGE)
    _ask(plane, "delete", path)


def _kill(plane: ControlPlane, pod: Mapping[str, Any]) -> None:
    path = f"/api/v1/namespaces/{pod['namespace']}/pods/{pod['name']}"
    _ask(plane, "delete", path, {"gracePeriodSeconds": 0})


def _claims(plane: ControlPlane, nodes: Collection[str]) -> list[str]:
    """Return Karpenter's claims to nodes, by name; a node that it has not made has none."""
    found = plane.request("get", CLAIM)["items"]
    return [one["metadata"]["name"] for one in found if one.get("status", {}).get("nodeName") in nodes]


def _ask(
    plane: ControlPlane, method: str, path: str, body: Mapping[str, Any] | None = None, kind: str = ""
) -> None:
    """Ask the API server for something to go; what has gone by itself is well."""
    try:
        plane.request(method, path, body, kind)
    except ApiException as error:
        if error.status != GONE:
            raise
