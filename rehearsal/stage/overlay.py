"""How long things take in a rehearsal: as in production, or shorter by one table, which is printed.

A quick rehearsal has settings of the stack changed, so that the program makes other objects of them, and
flags of Kubernetes. What only the simulation knows stands here too: how long nodes and workers take to start.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rehearsal.verdict import Row

SYNC = "horizontal-pod-autoscaler-sync-period"
Path = tuple[str, ...]
"""Where a setting stands in a stack file: in every block of a list."""


@dataclass(frozen=True)
class Overlay:
    """Durations, seconds."""

    node_start_s: float
    """From Karpenter's decision to a node that takes pods."""
    pod_start_s: float
    """From there to a worker that is ready: image and models."""
    pod_end_s: float
    """From a pod's deletion until it is gone. Karpenter counts a node's idle time from there on, and
    overlooks a pod that is gone at once."""
    settings: Mapping[Path, int] = field(default_factory=dict)
    """What is changed where a stack file may say it, whether it does or not."""
    controllers: Mapping[str, str] = field(default_factory=dict)
    """Flags of kube-controller-manager."""
    karpenter: Mapping[str, str] = field(default_factory=dict)
    """Flags of Karpenter."""

    @property
    def sync_s(self) -> float:
        """How often Kubernetes' autoscaler looks."""
        return float(self.controllers.get(SYNC, "15s").removesuffix("s"))

    def apply(self, settings: dict[str, Any]) -> None:
        """Change a stack file's settings."""
        for path, value in self.settings.items():
            for _, block in _blocks(settings, path[:-1]):
                block[path[-1]] = value

    def rows(self, settings: dict[str, Any]) -> Iterator[Row]:
        """Yield what it changes in a stack file's settings, and beside them."""
        for path, seconds in self.settings.items():
            for where, block in _blocks(settings, path[:-1]):
                given = block.get(path[-1], "its default")
                yield Row(".".join((*where, path[-1])), str(given), str(seconds), WHY)
        for program, flags in (
            ("kube-controller-manager", self.controllers), ("karpenter", self.karpenter)
        ):  # fmt: skip
            for flag, value in flags.items():
                yield Row(f"{program} --{flag}", "its default", value, WHY)
        if self is not FULL:
            yield Row("start of a node", f"{FULL.node_start_s:g} s", f"{self.node_start_s:g} s", WHY)
            yield Row("start of a worker", f"{FULL.pod_start_s:g} s", f"{self.pod_start_s:g} s", WHY)
            yield Row("end of a pod", f"{FULL.pod_end_s:g} s", f"{self.pod_end_s:g} s", WHY)


WHY = "a quick rehearsal takes minutes; FULL=1 is without it"
FULL = Overlay(node_start_s=60, pod_start_s=60, pod_end_s=2)
"""A minute for a GPU node of EKS and one for image and models are estimates: of a stack that runs, the
forecaster measures them."""
_SCALING: Mapping[str, int] = {"scaleUpPeriodS": 5, "scaleDownWindowS": 15}
QUICK = Overlay(
    node_start_s=2,
    pod_start_s=2,
    pod_end_s=0,
    settings={
        **{("gateway", "autoscaling", name): value for name, value in _SCALING.items()},
        **{("gpuPools", "autoscaling", name): value for name, value in _SCALING.items()},
        # By default one node in ten goes at a time, and the next one 15 s later.
        ("gpuPools", "disruption", "consolidateAfterS"): 15,
        ("gpuPools", "disruption", "budgetPercent"): 100,
        # A share is watched until a hundred requests of it have come, and for so long at the least.
        ("release", "watchS"): 4,
        ("release", "settleS"): 0,
        ("monitoring", "scrapeIntervalS"): 2,
        ("monitoring", "scrapeTimeoutS"): 1,
    },
    controllers={
        SYNC: "5s",
        # How long the CPU of a new pod counts for nothing: 5 min and 30 s else.
        "horizontal-pod-autoscaler-cpu-initialization-period": "10s",
        "horizontal-pod-autoscaler-initial-readiness-delay": "5s",
        # When claims are looked at again that another change kept from their volume: after 15 s else.
        "pvclaimbinder-sync-period": "2s",
    },
    # Pods that come one after the other get their nodes together, after 10 s at the latest else.
    karpenter={"batch-max-duration": "2s"},
)


def _blocks(block: dict[str, Any], path: Path, where: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the blocks at a path, made where they are missing, none where one is switched off.

    With each comes where it is; a block of a list goes by its name.
    """
    if not path:
        yield where, block
        return
    inner = block.setdefault(path[0], {})
    for one in inner if isinstance(inner, list) else [inner]:
        if one is not None:
            name = (one["name"],) if isinstance(inner, list) else ()
            yield from _blocks(one, path[1:], (*where, path[0], *name))
