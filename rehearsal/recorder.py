"""The recorder: once a second it looks at the cluster, lets the traffic go on, and notes both."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rehearsal.asking import Truth, asked
from rehearsal.processes import RehearsalError
from rehearsal.record import GENERAL, Bounds, Count, Event, EventKind, Nodes, Record, Sample
from rehearsal.stage import Part, Stage, Usage
from rehearsal.stage.inventory import POOL
from rehearsal.traffic import Model, Release
from stacks import Settings, node_hour
from stacks.delivery import ALL, CANARY, SHARES, TRIAL

EVERY_S = 1.0
CAPACITY = "karpenter.sh/capacity-type"
ZONE, KIND = "topology.kubernetes.io/zone", "node.kubernetes.io/instance-type"
ON_DEMAND = "on-demand"
NAME, HASH = "app.kubernetes.io/name", "pod-template-hash"
GATEWAY = "gateway"
LEAST_CHANGE = 0.02
"""A change of what a pod uses, in cores, that is worth a message to the cluster."""
Object = Mapping[str, Any]


@dataclass(frozen=True)
class Seen:
    """The cluster at a moment."""

    pods: Sequence[Object]
    nodes: Mapping[str, Object]
    wanted: Mapping[str, int]
    """Deployment → replicas that are asked for."""
    share: float
    """Part of the requests that the edges are told to give to a release of the gateways."""


class Recorder:
    """Looks, lets the traffic go on, and notes, until it is stopped."""

    def __init__(self, stage: Stage, settings: Settings, model: Model, record: Record) -> None:
        self.record = record
        self.dead: set[Part] = set()
        """Parts that were killed."""
        self.failing = 0.0
        """Part of its answers that a release of the gateways fails, if one is tried."""
        self._stage, self._settings, self._model = stage, settings, model
        self._began = time.monotonic()
        self._known: dict[str, Nodes] = {}
        self._blind: dict[str, int] = {}
        self._used: dict[str, Usage] = {}
        self._requests = (0.0, 0.0)
        self._failure: BaseException | None = None
        self._triggers = {
            one["metadata"]["name"]: one["spec"]["triggers"]
            for one in self._items("keda.sh/v1alpha1", "scaledobjects")
        }
        if still := sorted(record.expected.workloads.keys() - self._triggers.keys()):
            raise RehearsalError(f"{', '.join(still)}: the settings scale it, and it has no ScaledObject")

    def now(self) -> float:
        """Return how far the rehearsal is, seconds."""
        return time.monotonic() - self._began

    def note(self, kind: EventKind, text: str, about: Mapping[str, str] | None = None) -> None:
        """Record that something happened."""
        self.record.events.append(Event(at=self.now(), kind=kind, text=text, about=about or {}))

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Look every second, until the end of the block; what fails in it is raised there at the latest."""
        end = threading.Event()
        self.look()

        def go_on() -> None:
            try:
                while not end.wait(EVERY_S):
                    self.look()
            except BaseException as error:
                self._failure = error

        thread = threading.Thread(target=go_on, name="recorder")
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()
        self.check()

    def check(self) -> None:
        """Raise what has ended the looking."""
        if self._failure:
            raise self._failure

    def look(self) -> None:
        """Look once."""
        seen, at = self.see(), self.now()
        ready = {name: len(self._ready(seen, name)) for name in (*self.record.expected.workloads, CANARY)}
        self._model.release = Release(seen.share, self.failing) if ready[CANARY] else None
        self._model.step(at, ready)
        self._use(ready)
        self._note_nodes(seen)
        workloads = {name: self._count(seen, name, bounds) for name, bounds in self._scaled()}
        self.record.samples.append(
            Sample(
                at=at,
                load={name: self._model.load(name) for name in self._model.pools},
                workloads=workloads,
                nodes=tuple(
                    Nodes(pool=pool, zone=zone, capacity=capacity, kind=kind, count=count)
                    for (pool, zone, capacity, kind), count in sorted(_grouped(self._known).items())
                ),
                cost_hour=sum(self._cost(node) for node in self._known.values()),
                slot_wait_ms={name: self._model.wait_ms(name) for name in self._model.pools},
                failed_percent=self._failed(),
            )
        )

    def see(self) -> Seen:
        """Return the cluster as it is."""
        pods = self._items("v1", "pods")
        nodes = {
            node["metadata"]["name"]: node
            for node in self._stage.plane.request("get", "/api/v1/nodes")["items"]
        }
        deployments = self._items("apps/v1", "deployments")
        wanted = {one["metadata"]["name"]: one["spec"].get("replicas", 1) for one in deployments}
        return Seen(pods, nodes, wanted, self._share())

    def _share(self) -> float:
        """Return what the edges are told; nothing, unless the name that they ask leads to the release."""
        told, leads = self._items("v1", "configmaps", SHARES), self._items("v1", "services", TRIAL)
        if not told or not leads or leads[0]["spec"]["selector"][NAME] != CANARY:
            return 0.0
        return max((int(one) for one in told[0].get("data") or () if one.isdecimal()), default=0) / ALL

    def _items(self, version: str, kind: str, name: str = "") -> list[dict[str, Any]]:
        root = "/api" if version == "v1" else "/apis"
        path = f"{root}/{version}/namespaces/{self._stage.namespace}/{kind}"
        if name:
            path += f"?fieldSelector=metadata.name={name}"
        found: list[dict[str, Any]] = self._stage.plane.request("get", path)["items"]
        return found

    def _scaled(self) -> Iterator[tuple[str, Bounds]]:
        return iter(self.record.expected.workloads.items())

    def _ready(self, seen: Seen, name: str) -> list[Object]:
        return [pod for pod in seen.pods if _is_of(pod, name) and is_ready(pod)]

    def _count(self, seen: Seen, name: str, bounds: Bounds) -> Count:
        ready, wanted = self._ready(seen, name), seen.wanted.get(name, 0)
        waiting = [pod for pod in seen.pods if _is_of(pod, name) and not _node(pod) and not _is_leaving(pod)]
        # A node that has just gone, or come, is not among those seen.
        on = [seen.nodes[_node(pod)] for pod in ready if _node(pod) in seen.nodes]
        return Count(
            wanted=wanted,
            ready=len(ready),
            waiting=len(waiting),
            asked=self._asked(name, wanted, len(ready)),
            astray=sum(_pool(node) != bounds.pool for node in on),
        )

    def _asked(self, name: str, wanted: int, ready: int) -> int:
        """Return what the reactive triggers ask for; without Prometheus or KEDA no more than before."""
        workers = name in self._model.pools
        truth = Truth(
            current=wanted,
            ready=ready,
            cpu_percent=self._cpu_percent(name, ready),
            wait_ms=self._model.wait_ms(name) if workers else 0.0,
            in_flight=self._model.in_flight(name) if workers else 0.0,
        )
        found = asked(self._triggers[name], truth)
        by_metrics = found.by_metrics
        if self.dead & {"prometheus", "keda"}:
            by_metrics = min(by_metrics, self._blind.setdefault(name, by_metrics))
        else:
            self._blind.pop(name, None)
        bounds = self.record.expected.workloads[name]
        return min(bounds.most, max(bounds.least, found.by_use, by_metrics))

    def _cpu_percent(self, name: str, ready: int) -> float:
        """Return the CPU that each replica uses, of what it may use, percent."""
        traffic = self._model.traffic
        if name in self._model.pools:
            return traffic.worker_cpu_percent * self._model.busy_percent(name, ready) / 100
        all_ = self._model.gateways_percent() / 100 * traffic.gateway_cpu_percent
        share = self._model.release.share if self._model.release else 0.0
        its = all_ * (share if name == CANARY else 1 - share)
        return min(100.0, its * self.record.expected.workloads[GATEWAY].most / max(ready, 1))

    def _use(self, ready: Mapping[str, int]) -> None:
        """Have the cluster's pods use what the traffic has them use."""
        limits = {worker(pool.name): pool.resources for pool in self._settings.gpu_pools}
        limits[GATEWAY] = limits[CANARY] = self._settings.gateway.resources
        memory = self._model.traffic.memory_percent / 100
        usage = {
            name: Usage(
                cpus=limits[name].cpus * self._cpu_percent(name, count) / 100,
                memory_mib=limits[name].memory_mib * memory,
            )
            for name, count in ready.items()
        }
        if any(
            name not in self._used or abs(now.cpus - self._used[name].cpus) >= LEAST_CHANGE
            for name, now in usage.items()
        ):
            self._stage.use(usage)
            self._used = usage

    def _failed(self) -> float:
        before, self._requests = self._requests, self._model.requests()
        good, failed = (now - then for now, then in zip(self._requests, before, strict=True))
        return 100 * failed / (good + failed) if good + failed else 0.0

    def _note_nodes(self, seen: Seen) -> None:
        now = {name: _described(node) for name, node in seen.nodes.items()}
        changes: tuple[tuple[EventKind, Mapping[str, Nodes], Mapping[str, Nodes]], ...] = (
            ("node-joined", now, self._known),
            ("node-left", self._known, now),
        )
        for kind, these, those in changes:
            for name in sorted(these.keys() - those.keys()):
                node = these[name]
                if self.record.samples:  # what stands at the beginning has not come
                    about = {
                        "pool": node.pool,
                        "zone": node.zone,
                        "capacity": node.capacity,
                        "kind": node.kind,
                    }
                    self.note(kind, name, about)
        self._known = now

    def _cost(self, node: Nodes) -> float:
        aws = self._settings.aws
        if aws is None:
            return 0.0
        pool = next((one for one in self._settings.gpu_pools if one.name == node.pool), None)
        if pool is None:
            return node_hour.general(aws)
        return node_hour.gpu(aws, pool, node.kind, 1.0 if node.capacity == "spot" else 0.0)


def worker(pool: str) -> str:
    """Return what the workers of a pool are called."""
    return f"worker-{pool}"


def is_ready(pod: Object) -> bool:
    """Tell whether a pod takes requests."""
    conditions = pod.get("status", {}).get("conditions", ())
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return ready and not _is_leaving(pod)


def _is_leaving(pod: Object) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def _is_of(pod: Object, name: str) -> bool:
    return bool(pod["metadata"].get("labels", {}).get(NAME) == name)


def _node(pod: Object) -> str:
    return str(pod["spec"].get("nodeName", ""))


def _pool(node: Object) -> str:
    return str(node["metadata"]["labels"].get(POOL, GENERAL))


def _described(node: Object) -> Nodes:
    labels = node["metadata"]["labels"]
    return Nodes(
        pool=_pool(node),
        zone=labels.get(ZONE, ""),
        capacity=labels.get(CAPACITY, ON_DEMAND),
        kind=labels.get(KIND, ""),
        count=1,
    )


def _grouped(nodes: Mapping[str, Nodes]) -> Counter[tuple[str, str, str, str]]:
    return Counter((node.pool, node.zone, node.capacity, node.kind) for node in nodes.values())
