"""Fixtures: a real API server for all tests, and what works on it for each."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.providers.kubernetes import KubernetesProvider
from rehearsal import programs
from rehearsal.controlplane import ControlPlane, build
from tests.engine.providers.harness import Plugin
from tests.kubernetes.stack import Stack, patch


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane with a simulated node, whose pods can be reached; built when it is not there yet."""
    started = ControlPlane(tmp_path_factory.mktemp("controlplane"), build())
    try:
        started.start()
        for kind in programs.KWOK.definitions():
            started.request("post", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", kind)
        started.start_nodes({"enable-crds": "ClusterPortForward,ClusterLogs"})
        started.add_node("node-1")
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="session")
def nodes(plane: ControlPlane) -> None:
    """Nodes in three zones, each with GPUs, and the kinds that KEDA knows, which does not run."""
    for zone in "abc":
        name = f"gpu-{zone}"
        plane.add_node(name, **{"nvidia.com/gpu": "8", "ephemeral-storage": "200Gi"})
        labels = {"topology.kubernetes.io/zone": zone, "ollamamax.io/pool": "chat"}
        patch(plane, f"/api/v1/nodes/{name}", {"metadata": {"labels": labels}})
    plane.request("post", "/api/v1/namespaces", {"metadata": {"name": "keda"}})
    for kind in programs.KEDA.definitions():
        plane.request("post", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", kind)


@pytest.fixture
def stack(plane: ControlPlane, tmp_path: Path) -> Iterator[Stack]:
    """A stack of its own, taken down at the end."""
    made = Stack(tmp_path, plane)
    yield made
    made.clean()


@pytest.fixture
def plugin(plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugin]:
    """The provider, served."""
    monkeypatch.setenv("KUBECONFIG", str(plane.kubeconfig))
    served = Plugin(KubernetesProvider())
    yield served
    served.close()


@pytest.fixture
def namespace(plane: ControlPlane) -> Iterator[str]:
    """A namespace of its own; what is in it goes with it."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    plane.request("post", "/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    plane.request("delete", f"/api/v1/namespaces/{name}")
