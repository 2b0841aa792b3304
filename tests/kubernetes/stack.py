"""A project whose program makes Kubernetes objects, and a look at what is in the cluster."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from kubernetes.client import ApiException

from rehearsal.controlplane import ControlPlane
from tests.engine.bench import Bench
from tests.engine.cloud import Cloud

HEAD = "import pulumi\nimport pulumi_kubernetes as k8s\nfrom pulumi import ResourceOptions as Opts\n"
PLATFORM = """
    namespace = k8s.core.v1.Namespace("platform")
    meta = {"namespace": namespace.metadata.name}
    config = k8s.core.v1.ConfigMap("settings", metadata=meta, data={"mode": "MODE"})
    labels = {"app": "gateway"}
    limits = {"limits": {"cpu": "0.5", "memory": "1024Mi"}, "requests": {"cpu": "250m"}}
    files = [{"configMapRef": {"name": config.metadata.name}}]
    container = {"name": "gateway", "image": "reference:1", "envFrom": files, "resources": limits}
    gateway = k8s.apps.v1.Deployment("gateway", metadata=meta, spec={
        "replicas": 2, "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    })
    ports = [{"port": 80, "targetPort": 8080}]
    k8s.core.v1.Service("front", metadata=meta, spec={"selector": labels, "ports": ports})
"""
"""A small platform: a namespace, a ConfigMap, a Deployment of two pods, a Service."""


EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "Pulumi.existing-cluster.yaml"
KWOK = "kwok.x-k8s.io/v1alpha1"
DISKS = ("ReadWriteOnce", "ReadWriteOnce", "ReadWriteOnce", "ReadWriteOnce", "ReadWriteMany")
"""Of PostgreSQL, Prometheus, Alertmanager, the job that fetches the models, and the models."""


def example(namespace: str, storage: str, **changes: Any) -> dict[str, Any]:
    """The settings of the example, in a namespace of the control plane, with these changes."""
    config = yaml.safe_load(EXAMPLE.read_text())["config"]
    settings: dict[str, Any] = {name.removeprefix("ollamamax:"): value for name, value in config.items()}
    del settings["kubernetes"]["registry"]
    here = {"context": "rehearsal", "keda": {}, "namespace": namespace, "edgeService": "NodePort"}
    stores = {"storageClass": storage, "modelStore": {"storageClass": storage, "sizeGib": 100}}
    settings["kubernetes"] |= here | stores
    for block, values in changes.items():
        settings[block] = settings.get(block, {}) | values
    return settings


def give_disks(plane: ControlPlane, storage: str) -> None:
    """Make a class of storage with the disks of one platform."""
    by_hand = {
        "metadata": {"name": storage},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    plane.request("post", "/apis/storage.k8s.io/v1/storageclasses", by_hand)
    for number, access in enumerate(DISKS):
        name = f"{storage}-{number}"
        spec = {
            "storageClassName": storage,
            "accessModes": [access],
            "capacity": {"storage": "100Gi"},
            "hostPath": {"path": f"/{name}"},
        }
        plane.request("post", "/api/v1/persistentvolumes", {"metadata": {"name": name}, "spec": spec})


class Stack(Bench):
    """A bench with a cluster."""

    def __init__(self, folder: Path, plane: ControlPlane) -> None:
        super().__init__(folder, Cloud(folder), "0")
        self.plane = plane
        self.env["KUBECONFIG"] = str(plane.kubeconfig)
        self.env.pop("PULUMI_DEBUG_PROVIDERS")

    def program(self, text: str) -> None:
        """Write the program."""
        (self.folder / "program" / "__main__.py").write_text(HEAD + textwrap.dedent(text))

    def path(self, name: str) -> str:
        """The path of a resource's object."""
        return self.path_of(self.resources[name])

    @staticmethod
    def path_of(one: dict[str, Any]) -> str:
        """The path of the object of a recorded resource."""
        namespace, _, own = one["id"].rpartition("/")
        plural = one["type"].rpartition(":")[2].lower() + "s"
        version = one["outputs"]["apiVersion"]
        within = f"/namespaces/{namespace}" if namespace else ""
        return f"/{'apis' if '/' in version else 'api'}/{version}{within}/{plural}/{own}"

    def live(self, name: str) -> Any:
        """The object of a resource as it is now, None when there is none."""
        return get(self.plane, self.path(name))

    def clean(self) -> None:
        """Let what the test left go: namespaces, with what is in them, and what is in none."""
        for name, one in self.resources.items() if self.state_file.exists() else ():
            if "/" not in one["id"] and self.live(name):
                self.plane.request("delete", self.path(name))


def get(plane: ControlPlane, path: str) -> Any:
    """An object or list of the API server, None when there is none."""
    try:
        return plane.request("get", path)
    except ApiException as error:
        if error.status == 404:
            return None
        raise


def reach(plane: ControlPlane, namespace: str, port: int, here: int) -> None:
    """Have whoever connects to a port of any pod of a namespace reach one of this machine."""
    selector, to = {"matchNamespaces": [namespace]}, {"address": "127.0.0.1", "port": here}
    spec = {"selector": selector, "forwards": [{"ports": [port], "target": to}]}
    about = {"apiVersion": KWOK, "kind": "ClusterPortForward", "metadata": {"name": f"{namespace}-{port}"}}
    plane.request("post", f"/apis/{KWOK}/clusterportforwards", about | {"spec": spec})


def says(plane: ControlPlane, namespace: str, file: Path, *lines: str) -> None:
    """Have the containers of a namespace's pods say these lines, from a file as runtimes write it."""
    file.write_text("".join(f"2026-01-01T00:00:00Z stdout F {line}\n" for line in lines))
    spec = {"selector": {"matchNamespaces": [namespace]}, "logs": [{"logsFile": str(file)}]}
    about = {"apiVersion": KWOK, "kind": "ClusterLogs", "metadata": {"name": namespace}}
    plane.request("post", f"/apis/{KWOK}/clusterlogs", about | {"spec": spec})


def patch(plane: ControlPlane, path: str, body: Any) -> None:
    """Change an object by hand."""
    plane.request("patch", path, body, "application/merge-patch+json")


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """What a condition gives, once it gives something."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited for in vain"
        time.sleep(0.1)
    return found
