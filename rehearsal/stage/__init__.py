"""A stack's whole program on a real control plane of its own, with everything that scales it.

Nodes and pods are simulated; what decides about them is not: API server, controllers, scheduler, Karpenter,
KEDA, metrics-server, Prometheus and the forecaster are the real programs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from rehearsal.controlplane import ControlPlane
from rehearsal.verdict import Row, Verdict
from stacks.settings import Settings

Part = Literal["autoscaler", "keda", "prometheus"]
"""What a scenario may kill."""
Change = Callable[[dict[str, Any]], None]
"""Changes a stack file's settings, by the names that they have there: ``settings["gpuPools"][0]``…"""


@dataclass(frozen=True)
class Usage:
    """What each pod of a service uses."""

    cpus: float
    memory_mib: float


@dataclass(frozen=True)
class Sample:
    """One value of a query's answer."""

    labels: Mapping[str, str]
    value: float
    at: float
    """Unix seconds."""


class Prometheus(Protocol):
    """The stack's own Prometheus, as a process."""

    def query(self, promql: str) -> list[Sample]:
        """Return what an instant query answers."""


class Stage(Protocol):
    """A stack that stands.

    Attributes:
        plane: the API server, with the administrator's rights.
        settings: the stack's, as they were last deployed, with the overlay.
        namespace: the platform's.
        traffic_port: port of 127.0.0.1 on which Prometheus scrapes ``/metrics`` in the gateways' place.
        substitutions: what stands in for the cloud's.
        overlay: durations that are shortened; empty in a full run.
        prometheus: for queries.
        node_start_s, pod_start_s: how long a new node, and a worker's pod on it, take to be ready.
    """

    plane: ControlPlane
    settings: Settings
    namespace: str
    traffic_port: int
    substitutions: Sequence[Row]
    overlay: Sequence[Row]
    prometheus: Prometheus
    node_start_s: float
    pod_start_s: float

    def deploy(self, change: Change = lambda settings: None) -> None:
        """Bring the stack up with a change of its settings, and wait until it is ready.

        Raises:
            StageError: if the engine fails; the message holds what it said.
        """

    def deployed(self) -> Verdict:
        """Assert that everything is admitted, scheduled and ready, and consistent."""

    def destroy(self) -> Verdict:
        """Take the stack down, and assert that nothing is left of it."""

    def use(self, usage: Mapping[str, Usage]) -> None:
        """Let the pods of services, by name, use so much CPU and memory from now on."""

    def offer(self, *, spot: bool = True, without_zones: Collection[str] = ()) -> None:
        """Let there be spot capacity or none, and none at all in some zones, from now on.

        Karpenter reads what is to be had when it starts, so it is started again.
        """

    def kill(self, part: Part) -> None:
        """End a part, at once."""

    def start(self, part: Part) -> None:
        """Start a part that was killed."""

    def break_new_pods(self, service: str) -> None:
        """Let no pod of a service that is made from now on become ready."""

    def mend_new_pods(self, service: str) -> None:
        """Let new pods of a service become ready again."""
