"""Services placed on a cluster, as a settled graph; and any service that can be described."""

from collections.abc import Callable, Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
from hypothesis import strategies as st

from components.cluster_scaling import ScalingArgs
from components.kubernetes_target import KubernetesTarget, KubernetesTargetArgs
from components.scaling import Prometheus
from components.service import (
    Exposure,
    Limits,
    Outside,
    Peer,
    Placed,
    Port,
    Priority,
    Probe,
    Service,
    Stop,
    Volume,
)
from stacks.kubernetes import AutoscalingSettings, KubernetesSettings
from tests.components.conftest import Graph, record_of

DIGEST = "sha256:" + "0" * 64
SOME = Service(name="some", image="edge", limits=Limits(memory_mib=64, cpus=0.5))


class Pushed:
    """Images in a registry."""

    def reference(self, image: str) -> str:
        return f"registry.example.org/ollamamax-{image}@{DIGEST}"


def placed(
    *services: Service,
    settings: Mapping[str, Any] | None = None,
    provided: Mapping[str, dict[str, Any]] | None = None,
    then: Callable[[Placed], None] = lambda _: None,
    **args: Any,
) -> Graph:
    """Return the graph of a stack in which only these services are placed, each after the one before it.

    ``then`` is told what became of each.
    """

    def build() -> None:
        prometheus = Prometheus("prometheus", 9090, "reader", pulumi.Output.secret("hunter3"), "CA")
        defaults: dict[str, Any] = {
            "stack": "test",
            "version": "0.0.0",
            "images": Pushed(),
            "scaling": ScalingArgs(prometheus, "keda", window_s=60)
            if any(one.scaling for one in services)
            else None,
        }
        target = KubernetesTarget(
            "kubernetes",
            KubernetesTargetArgs(
                settings=KubernetesSettings(**settings or {}),
                provider=kubernetes.Provider("cluster", context="nowhere"),
                **defaults | args,
            ),
        )
        after: list[pulumi.Resource] = []
        for service in services:
            made = target.place(service, target, after)
            after = list(made.replicas)
            then(made)

    return record_of(build, "test", provided)


def one(graph: Graph, kind: str, name: str) -> dict[str, Any]:
    """Return the inputs of the only object of this kind and name."""
    (found,) = [
        each.inputs for key, each in graph.items() if key.rpartition(":")[2] == name and f":{kind}::" in key
    ]
    return found


def kinds(graph: Graph, name: str) -> set[str]:
    """Return the kinds of the objects of this name."""
    return {each.type.rpartition(":")[2] for each in graph.values() if each.name == name}


NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
FILES = st.dictionaries(st.from_regex(r"[a-z][a-z0-9.-]{0,20}", fullmatch=True), st.text(), max_size=3)
PROTOCOLS = st.sampled_from(["tcp", "udp"])
NUMBERS = st.integers(1, 65_535)
PATHS = st.from_regex(r"(/[a-z]{1,8}){1,3}", fullmatch=True)
PORTS = st.builds(
    Port, NUMBERS, PROTOCOLS, published=st.none() | NUMBERS, exposure=st.sampled_from(list(Exposure))
)
PROBES = st.builds(
    Probe,
    command=st.just(("check",)),
    interval_s=st.integers(1, 60),
    timeout_s=st.integers(1, 60),
    retries=st.integers(1, 20),
    start_period_s=st.integers(1, 3600),
)
NETWORKS = st.sampled_from(["0.0.0.0/0", "10.0.0.0/8", "192.0.2.1/32"])
SCALING = st.builds(AutoscalingSettings, min_replicas=st.integers(1, 10), max_replicas=st.integers(10, 100))
SERVICES = st.builds(
    Service,
    name=NAMES,
    image=st.just("edge"),
    limits=st.builds(
        Limits,
        memory_mib=st.integers(16, 1_048_576),
        cpus=st.floats(0.1, 256),
        gpus=st.integers(0, 16),
    ),
    replicas=st.integers(1, 50),
    scaling=st.none() | SCALING,
    command=st.none() | st.just(("serve",)),
    env=st.dictionaries(st.from_regex(r"[A-Z_]{1,10}", fullmatch=True), st.text(), max_size=3),
    config=FILES,
    secrets=FILES,
    ports=st.lists(PORTS, max_size=4, unique_by=lambda port: (port.number, port.protocol)).map(tuple),
    volumes=st.lists(
        st.builds(Volume, NAMES, PATHS, shared=st.booleans(), read_only=st.booleans()),
        max_size=2,
        unique_by=(lambda volume: volume.name, lambda volume: volume.path),
    ).map(tuple),
    probe=st.none() | PROBES,
    ready=st.none() | PROBES,
    stop=st.builds(Stop, grace_s=st.integers(1, 3600), before=st.none() | st.just(("drain",))),
    talks_to=st.lists(st.builds(Peer, NAMES, NUMBERS), max_size=4).map(tuple),
    reaches=st.lists(
        st.builds(Outside, st.lists(NETWORKS, min_size=1, max_size=2).map(tuple), NUMBERS, PROTOCOLS),
        max_size=2,
    ).map(tuple),
    headless=st.booleans(),
    node_pool=st.none() | NAMES,
    priority=st.sampled_from(list(Priority)),
    runs_to_completion=st.booleans(),
)
"""Any service, as far as a description goes."""
