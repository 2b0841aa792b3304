"""Workloads that count what happens rather than what it costs, one a file."""

from collections.abc import Callable, Mapping

from bench.report import Counted
from bench.scenarios import (
    conversations,
    edges,
    faults,
    flights,
    leaving,
    loads,
    ollama,
    packed,
    sockets,
)
from bench.stage import Stage

SCENARIOS: Mapping[str, Callable[[Stage, int], Counted]] = {
    "w5": flights.count,
    "w6": loads.count,
    "w7": conversations.count,
    "w8": sockets.count,
    "w9": faults.count,
    "w10": leaving.count,
    "ollama": ollama.count,
    "edge": edges.count,
    "packed": packed.count,
}
"""By the name of their workload: each takes the number of rounds."""
