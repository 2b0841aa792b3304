"""What a rehearsal recorded: plain values, kept as JSON beside the report, on which all assertions rest."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from rehearsal.verdict import Row

GENERAL = "general"
"""Stands for the pool of all nodes that have no GPU."""


class Part(BaseModel):
    """A part of the record."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Bounds(Part):
    """What the stack says of a scaled workload: read before anything is played."""

    least: int
    most: int
    slots: int
    """Requests that a replica serves at once; 0 where that does not bound it."""
    down_window_s: float
    pool: str
    """The node pool that its pods belong on."""
    at_a_time: str
    """What its PodDisruptionBudget lets be missing, as the object says it: ``10%``."""


class Expected(Part):
    """What assertions compare with."""

    workloads: Mapping[str, Bounds] = {}
    consolidate_after_s: Mapping[str, float] = {}
    """Node pool → how long its nodes stay after they have become idle, seconds."""
    cost_most_hour: float = 0.0
    """US dollars an hour of all nodes, as ``make cost`` reckons them at the most."""
    sync_s: float = 0.0
    """How often Kubernetes' autoscaler looks; it holds nothing that was asked for in between."""


class Count(Part):
    """A workload at a moment."""

    wanted: int
    """Replicas that its Deployment asks for."""
    ready: int
    waiting: int
    """Pods that no node has taken yet."""
    asked: int
    """Replicas that the reactive triggers ask for."""
    astray: int = 0
    """Ready pods on nodes of another pool."""


class Nodes(Part):
    """Equal nodes at a moment."""

    pool: str
    zone: str
    capacity: str
    """``spot`` or ``on-demand``."""
    kind: str
    """Instance type."""
    count: int


class Sample(Part):
    """A moment."""

    at: float
    """Seconds since the start."""
    load: Mapping[str, float]
    """Workload → slots that the load would keep busy."""
    workloads: Mapping[str, Count]
    nodes: tuple[Nodes, ...]
    cost_hour: float
    """US dollars that the nodes cost an hour."""
    slot_wait_ms: Mapping[str, float] = {}
    """Workload → 95th percentile of the wait for a slot."""
    failed_percent: float = 0.0
    """Requests that failed since the sample before, percent."""

    def gpu_nodes(self, capacity: str | None = None) -> int:
        """Return how many GPU nodes there are, of one capacity type or of all."""
        return sum(
            one.count for one in self.nodes if one.pool != GENERAL and capacity in (None, one.capacity)
        )


EventKind = Literal["step", "node-joined", "node-left", "rollout", "note"]


class Event(Part):
    """Something that happened."""

    at: float
    kind: EventKind
    text: str
    about: Mapping[str, str] = {}


class Finding(Part):
    """What came of an assertion."""

    name: str
    letter: str
    at: float
    since: float
    passed: bool
    text: str
    """What was found, with its numbers."""


class Record(BaseModel):
    """A rehearsal."""

    model_config = ConfigDict(extra="forbid")

    stack: str
    title: str
    description: str
    started: str
    """ISO 8601, UTC."""
    versions: Mapping[str, str]
    substitutions: Sequence[Row]
    """What of the program was replaced."""
    overlay: Sequence[Row]
    """Shortened durations."""
    simulated: Sequence[str]
    expected: Expected = Expected()
    """Known once the stack stands."""
    samples: list[Sample] = []
    events: list[Event] = []
    findings: list[Finding] = []

    @property
    def passed(self) -> bool:
        """Whether everything that was asserted was found so."""
        return bool(self.findings) and all(finding.passed for finding in self.findings)

    def window(self, since: float) -> list[Sample]:
        """Return the last sample before ``since``, and all from there on."""
        before = [sample for sample in self.samples if sample.at < since]
        return [*before[-1:], *(sample for sample in self.samples if sample.at >= since)]

    def series(self, workload: str, since: float) -> list[tuple[float, Count]]:
        """Return a workload's counts from just before ``since`` on, each with its moment."""
        return [
            (sample.at, sample.workloads[workload])
            for sample in self.window(since)
            if workload in sample.workloads
        ]

    def happened(self, kind: EventKind, since: float) -> Iterator[Event]:
        """Yield the events of a kind from ``since`` on."""
        return (event for event in self.events if event.kind == kind and event.at >= since)

    def save(self, file: Path) -> None:
        """Write the record as JSON."""
        file.write_text(self.model_dump_json())


def load(file: Path) -> Record:
    """Return a record that was saved."""
    return Record.model_validate_json(file.read_text())


def allowed(at_a_time: str, wanted: int) -> int:
    """Return how many pods of ``wanted`` may be missing, rounded as Kubernetes does: up."""
    if not at_a_time.endswith("%"):
        return int(at_a_time)
    return -(-wanted * int(at_a_time.removesuffix("%")) // 100)
