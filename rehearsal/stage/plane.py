"""The control plane that a stack is deployed onto: it knows all kinds, and stands in for a cloud."""

from __future__ import annotations

from rehearsal.controlplane import ControlPlane
from rehearsal.programs import CUSTOM_KINDS, KWOK
from rehearsal.stage import nodes, scaling, substitutions
from rehearsal.stage.overlay import Overlay
from stacks.settings import Settings

READY_S = 60
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
NODE_POOLS = "/apis/karpenter.sh/v1/nodepools"
NODE_CLASSES = "/apis/karpenter.kwok.sh/v1alpha1/kwoknodeclasses"


def start(plane: ControlPlane, overlay: Overlay, settings: Settings) -> None:
    """Start it, and wait until it takes objects as a rehearsal needs them."""
    plane.start({"kube-apiserver": substitutions.FLAGS, "kube-controller-manager": overlay.controllers})
    for module in (*CUSTOM_KINDS, KWOK):
        for definition in module.definitions():
            plane.request("post", DEFINITIONS, definition)
    for definition in substitutions.eks_kinds():
        plane.request("post", DEFINITIONS, definition)
    plane.processes.wait("not all kinds were known", lambda: _all_known(plane), READY_S)
    nodes.idle(plane)
    config = nodes.write_config(plane.folder / "kwok.yaml", overlay.pod_end_s)
    plane.start_nodes({"config": config, "enable-crds": "ClusterResourceUsage"})
    for change in substitutions.changes(overlay.pod_start_s):
        change.put(plane)
    plane.request("post", NODE_CLASSES, scaling.node_class(overlay.node_start_s))
    plane.processes.wait(
        "the substitutions were not heeded", lambda: substitutions.are_heeded(plane), READY_S
    )
    plane.request("post", NODE_POOLS, scaling.general_pool(settings.aws.zones if settings.aws else ()))


def _all_known(plane: ControlPlane) -> bool:
    states = [one["status"].get("conditions") or () for one in plane.request("get", DEFINITIONS)["items"]]
    return all(("Established", "True") in [(one["type"], one["status"]) for one in state] for state in states)
