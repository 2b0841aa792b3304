"""How nodes are lost: in which order, and what is left alone."""

from typing import Any

from rehearsal import losses
from rehearsal.controlplane import ControlPlane


class Noted(ControlPlane):
    """Holds nodes, claims and pods, and notes what it is asked for."""

    def __init__(self, nodes: dict[str, bool], claims: dict[str, str], pods: dict[str, str]) -> None:
        self.nodes, self.claims, self.pods = nodes, claims, pods
        self.asked: list[str] = []

    def request(self, method: str, path: str, body: object = None, content_type: str = "") -> Any:
        """Answer a list; note all else."""
        if method == "get":
            return {"items": list(self._items(path.rpartition("/")[2]))}
        self.asked.append(f"{method} {path.rpartition('/')[2]}")
        return {}

    def _items(self, kind: str) -> list[dict[str, Any]]:
        if kind == "nodes":
            taint = {"key": losses.UNREGISTERED}
            return [
                {"metadata": {"name": name}, "spec": {} if registered else {"taints": [taint]}}
                for name, registered in self.nodes.items()
            ]
        if kind == "nodeclaims":
            return [
                {"metadata": {"name": name}, "status": {"nodeName": node}}
                for name, node in self.claims.items()
            ]
        return [
            {"metadata": {"name": name, "namespace": "x"}, "spec": {"nodeName": node}}
            for name, node in self.pods.items()
        ]


def plane(**unregistered: str) -> Noted:
    """Two nodes that run a pod each, and whatever else is given."""
    nodes = {"node-1": True, "node-2": True, **dict.fromkeys(unregistered.values(), False)}
    claims = {"claim-1": "node-1", "claim-2": "node-2", **unregistered}
    return Noted(nodes, claims, {"pod-1": "node-1", "pod-2": "node-2"})


def test_a_node_that_gets_notice_is_left_to_karpenter() -> None:
    cluster = plane()
    losses.interrupt(cluster, ["node-2"])
    assert cluster.asked == ["delete claim-2"]


def test_a_node_that_ends_goes_before_its_pods() -> None:
    cluster = plane()
    losses.end(cluster, ["node-1"])
    assert cluster.asked == [
        "patch node-1", "delete node-1", "patch claim-1", "delete claim-1", "delete pod-1"
    ]  # fmt: skip


def test_nodes_on_their_way_are_forgotten_and_the_others_stay() -> None:
    cluster = plane(claim3="node-3")
    cluster.claims["claim-4"] = ""
    losses.forget(cluster)
    assert cluster.asked == [
        "patch node-3", "delete node-3", "patch claim3", "delete claim3", "patch claim-4", "delete claim-4"
    ]  # fmt: skip
