"""A stage on which nothing runs: a cluster in memory that has at once what it is told to have."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from kubernetes.client import ApiException

import stacks
from rehearsal.controlplane import ControlPlane
from rehearsal.processes import RehearsalError
from rehearsal.stage import Change, Part, Sample, Stage, Usage
from rehearsal.stage.engine import given
from rehearsal.stage.prometheus import Prometheus
from rehearsal.verdict import Row, Verdict
from stacks import Settings
from stacks.delivery import CANARY
from stacks.loading import parse

ROOT = Path(__file__).parents[2]
NAMESPACE = "ollamamax"
TRIGGERS = [
    {"name": "cpu", "type": "cpu", "metadata": {"value": "60"}},
    {"name": "slot-wait", "type": "prometheus", "metadata": {"threshold": "100"}},
    {"name": "in-flight", "type": "prometheus", "metadata": {"threshold": "5.6"}},
]


class Plane(ControlPlane):
    """Answers as an API server would, from what it holds."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"), Path("/nowhere"))
        self.wanted = {"worker-chat": 3, "worker-code": 3, "gateway": 3}
        self.version = "1"
        self.nodes: dict[str, dict[str, Any]] = {}
        self.pods: dict[str, dict[str, Any]] = {}
        self.deleted: list[str] = []
        self.without: set[str] = set()
        """Kinds of which there is nothing."""
        self.share = 0
        """What the edges are told to give to a release, percent."""
        self.follow()

    def follow(self) -> None:
        """Have as many pods as are wanted, each on a node of its own."""
        for workload, count in self.wanted.items():
            for index in range(200):
                name = f"{workload}-{self.version}-{index}"
                node = f"node-{workload}-{index}"
                if index >= count:
                    self.pods.pop(name, None)
                    self.nodes.pop(node, None)
                    continue
                self.nodes.setdefault(node, made_node(node, workload, index))
                self.pods.setdefault(name, made_pod(name, workload, node, self.version))

    def try_beside(self, share: int) -> None:
        """Have gateways of a release beside the others, with a share of the requests."""
        self.share = share
        self.pods["canary"] = made_pod("canary", CANARY, "node-gateway-0", "tried")

    def roll(self, version: str) -> None:
        """Have all pods of another version."""
        self.pods.clear()
        self.version = version
        self.follow()

    def request(self, method: str, path: str, body: object = None, content_type: str = "") -> Any:
        """Answer what the recorder and the player ask."""
        if path == "/version":
            return {"gitVersion": "v0.0.0"}
        if method == "get":
            kind = path.rpartition("/")[2].partition("?")[0]
            return {"items": [] if kind in self.without else self._items(kind)}
        if method == "delete":
            name = path.rpartition("/")[2]
            self.deleted.append(name)
            found = self.nodes.pop(name, None) or self.pods.pop(name, None)
            if not found and not path.startswith("/apis/karpenter"):
                raise ApiException(status=404)
        return {}

    def _items(self, kind: str) -> list[dict[str, Any]]:
        named = [
            {
                "metadata": {"name": name},
                "spec": {"replicas": count, "triggers": TRIGGERS, "maxUnavailable": "10%"},
            }
            for name, count in self.wanted.items()
        ]
        about: dict[str, list[dict[str, Any]]] = {
            "configmaps": [{"data": {"asked": "", str(self.share): ""}}] if self.share else [],
            "services": [{"spec": {"selector": {"app.kubernetes.io/name": CANARY}}}],
            "pods": list(self.pods.values()),
            "nodes": list(self.nodes.values()),
            "nodeclaims": [
                {"metadata": {"name": f"claim-{node}"}, "status": {"nodeName": node}} for node in self.nodes
            ],
        }
        return about.get(kind, named)


def made_node(name: str, workload: str, index: int) -> dict[str, Any]:
    """Return a node: a GPU pool's on spot, in one of three zones."""
    zone = f"eu-central-1{'abc'[index % 3]}"
    labels = {"topology.kubernetes.io/zone": zone, "node.kubernetes.io/instance-type": "g6e.xlarge"}
    if workload.startswith("worker-"):
        labels |= {
            "ollamamax.io/pool": workload.removeprefix("worker-"),
            "karpenter.sh/capacity-type": "spot",
        }
    return {"metadata": {"name": name, "labels": labels}}


def made_pod(name: str, workload: str, node: str, version: str) -> dict[str, Any]:
    """Return a pod that is ready."""
    labels = {"app.kubernetes.io/name": workload, "pod-template-hash": version}
    return {
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {"nodeName": node},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }


class Answers(Prometheus):
    """A Prometheus that says one thing, or does not answer."""

    def __init__(self) -> None:
        self.is_away = False

    def query(self, promql: str, at: float | None = None) -> list[Sample]:
        """Return it."""
        if self.is_away:
            raise RehearsalError("Prometheus does not answer")
        return [Sample({"release": "canary"}, 7.0, at or 0.0)]


class FakeStage(Stage):
    """A stage; what is done to it is noted."""

    def __init__(self, port: int) -> None:
        self.cluster = Plane()
        self.plane = self.cluster
        self.settings = stacks.read(ROOT / "stacks" / "Pulumi.prod.yaml", "prod")
        self.namespace = NAMESPACE
        self.traffic_port = port
        self.substitutions = (Row("nodes", "EKS's", "none", "nothing runs"),)
        self.overlay = ()
        self.sync_s = 5.0
        self.prometheus = self.answers = Answers()
        self.done: list[str] = []
        self.ended = ""
        """What has ended by itself."""
        self.refuses = ""
        """The version that does not become ready."""

    def describe(self, change: Change) -> Settings:
        """Return the settings with the change, and with a trial of releases that takes a second."""
        found = given("prod") | {"release": {"watchS": 1, "settleS": 0, "stepsPercent": [100]}}
        found["monitoring"] |= {"scrapeIntervalS": 1, "scrapeTimeoutS": 1}
        change(found)
        return parse(found, "prod")

    def deploy(
        self,
        change: Change = lambda settings: None,
        within_s: float | None = None,
        targets: Sequence[str] = (),
    ) -> None:
        """Have the gateways of the version that the change makes, or note what else is brought up."""
        settings = self.describe(change)
        version = str(settings.gateway.key_refresh_interval_s)
        self.done.append(" ".join(["deploy", version, *targets]))
        if version == self.refuses:
            raise RehearsalError("2 of 3 replicas are ready")
        if not targets:
            self.cluster.roll(version)

    def deployed(self) -> Verdict:
        """Nothing is wrong with what is not there."""
        return Verdict("a", "Everything is there")

    def destroy(self) -> Verdict:
        """Nor is anything left of it."""
        return Verdict("f", "Nothing is left")

    def check(self) -> None:
        """Raise for what has ended."""
        if self.ended:
            raise RehearsalError(f"{self.ended} ended with 1")

    def use(self, usage: Mapping[str, Usage]) -> None:
        """Note who uses how much CPU."""
        self.usage = usage

    def offer(self, *, spot: bool = True, without_zones: Collection[str] = ()) -> None:
        """Note it."""
        self.done.append(f"spot {spot}, without {', '.join(without_zones) or 'none'}")

    def kill(self, part: Part) -> None:
        """Note it."""
        self.done.append(f"kill {part}")

    def start(self, part: Part) -> None:
        """Note it."""
        self.done.append(f"start {part}")

    def break_new_pods(self, service: str) -> None:
        """Note it."""
        self.done.append(f"break {service}")

    def mend_new_pods(self, service: str) -> None:
        """Note it."""
        self.done.append(f"mend {service}")
