"""Where this machine reaches the parts of a stack: as its outputs say, or forwarded from its cluster."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ops.cluster import Cluster
from ops.delivery.measure import Prometheus, of_stack
from ops.stack import Stack

PROMETHEUS = ("prometheus", 9090)
EDGE = ("edge", 8443)


@dataclass(frozen=True)
class Reach:
    """A stack's parts. What is forwarded is so for as long as it is asked: a pod may go meanwhile."""

    stack: Stack

    @cached_property
    def outputs(self) -> Mapping[str, Any]:
        """The stack's outputs."""
        return self._cluster.outputs

    @contextmanager
    def prometheus(self) -> Iterator[Prometheus]:
        """Yield its Prometheus."""
        found = of_stack(self.outputs)
        if self.stack.on_machine:
            yield found
            return
        with self._cluster.forwarded(*PROMETHEUS) as port:
            yield replace(found, url=f"https://localhost:{port}")

    @contextmanager
    def edge(self) -> Iterator[str]:
        """Yield the address of its API: on AWS, where it has a name of its own, everybody reaches that."""
        if self.stack.on_machine or self.stack.in_cloud:
            yield str(self.outputs["url"])
            return
        with self._cluster.forwarded(*EDGE) as port:
            yield f"https://localhost:{port}"

    @cached_property
    def _cluster(self) -> Cluster:
        return Cluster(self.stack)
