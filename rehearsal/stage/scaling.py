"""What scales a stack, as processes beside its control plane: Karpenter, KEDA and metrics-server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from kubernetes.client import ApiException

from rehearsal import losses
from rehearsal.certificates import issue
from rehearsal.controlplane import ControlPlane, words
from rehearsal.programs import KARPENTER, KEDA, METRICS_SERVER
from rehearsal.stage.substitutions import NODE_CLASS

KEDA_NAMESPACE = "keda"
READY_S = 120
GENERAL_POOL = "general-purpose"


@dataclass(frozen=True)
class Api:
    """An API that another server than the API server answers."""

    group: str
    version: str
    namespace: str
    service: str


METRICS = Api("metrics.k8s.io", "v1beta1", "kube-system", "metrics-server")
EXTERNAL = Api("external.metrics.k8s.io", "v1beta1", KEDA_NAMESPACE, "keda-operator-metrics-apiserver")


@dataclass
class Scaling:
    """The programs, which may be killed and started again."""

    plane: ControlPlane
    hosts: Path
    """The ``/etc/hosts`` by which KEDA knows the stack's Services."""
    karpenter: Mapping[str, str]
    """Flags of Karpenter, beside those that it runs here with."""
    _ports: dict[str, int] = field(default_factory=dict)

    def start(self, instances: list[dict[str, Any]]) -> None:
        """Start all of them, and wait until their APIs answer."""
        self.plane.request("post", "/api/v1/namespaces", {"metadata": {"name": KEDA_NAMESPACE}})
        names = ("karpenter", "probe", "metrics", "operator", "operator-probe", "adapter", "adapter-metrics")
        self._ports = {name: self.plane.processes.port() for name in names}
        for api, port in ((METRICS, "metrics"), (EXTERNAL, "adapter")):
            self._register(api, self._ports[port])
        self.offer(instances)
        self._start_metrics_server()
        self.start_keda()
        for api in (METRICS, EXTERNAL):
            about = f"the API {api.group} was not there"
            self.plane.processes.wait(about, lambda api=api: self._answers(api), READY_S)  # type: ignore[misc]

    def offer(self, instances: list[dict[str, Any]]) -> None:
        """Let these instance types be had from now on: Karpenter reads them when it starts."""
        if self.plane.processes.runs("karpenter"):
            self.plane.processes.kill("karpenter")
            losses.forget(self.plane)
        file = self.plane.folder / "instance-types.json"
        file.write_text(json.dumps(instances))
        flags = {
            "instance-types-file-path": file, "metrics-port": self._ports["karpenter"],
            "health-probe-port": self._ports["probe"], "disable-leader-election": "true", **self.karpenter,
        }  # fmt: skip
        env = {"KUBECONFIG": str(self.plane.kubeconfig), "SYSTEM_NAMESPACE": "kube-system"}
        self.plane.processes.start("karpenter", [KARPENTER.built() / "karpenter", *words(flags)], env=env)

    def start_keda(self) -> None:
        """Start KEDA: what makes autoscalers, and what answers them."""
        certificates = self.plane.folder / "keda"
        env = {
            "KEDA_CLUSTER_OBJECT_NAMESPACE": KEDA_NAMESPACE, "POD_NAMESPACE": KEDA_NAMESPACE,
            "WATCH_NAMESPACE": "", "KEDA_RESTRICT_SECRET_ACCESS": "true",  # as the chart is told
        }  # fmt: skip
        local, kubeconfig = "127.0.0.1", self.plane.kubeconfig
        operator = {
            "kubeconfig": kubeconfig, "cert-dir": certificates, "leader-elect": "false",
            "metrics-bind-address": "0",
            "health-probe-bind-address": f"{local}:{self._ports['operator-probe']}",
            "metrics-service-bind-address": f"{local}:{self._ports['operator']}",
        }  # fmt: skip
        adapter = {
            "lister-kubeconfig": kubeconfig, "kubeconfig": kubeconfig,
            "authentication-kubeconfig": kubeconfig, "authorization-kubeconfig": kubeconfig,
            "metrics-service-address": f"{local}:{self._ports['operator']}",
            "metrics-service-grpc-authority": f"{EXTERNAL.service}.{EXTERNAL.namespace}.svc",
            "bind-address": local, "secure-port": self._ports["adapter"],
            "port": self._ports["adapter-metrics"],
            "cert-dir": certificates, "client-ca-file": self.plane.folder / "ca.crt",
            "tls-cert-file": certificates / "tls.crt", "tls-private-key-file": certificates / "tls.key",
        }  # fmt: skip
        folder = KEDA.built()
        start = self.plane.processes.start
        start("keda", [folder / "keda", *words(operator)], env=env, hosts=self.hosts)
        start("keda-adapter", [folder / "keda-adapter", *words(adapter)], env=env)

    def kill_keda(self) -> None:
        """End both parts of KEDA at once."""
        for name in ("keda-adapter", "keda"):
            self.plane.processes.kill(name)

    def _start_metrics_server(self) -> None:
        certificates = self.plane.folder / METRICS.service
        kubeconfig = self.plane.kubeconfig
        flags = {
            "kubeconfig": kubeconfig, "authentication-kubeconfig": kubeconfig,
            "authorization-kubeconfig": kubeconfig, "bind-address": "127.0.0.1",
            "secure-port": self._ports["metrics"], "kubelet-insecure-tls": "true",
            "kubelet-use-node-status-port": "true",
            "kubelet-request-timeout": "5s", "metric-resolution": "10s",  # the shortest that it takes
            "tls-cert-file": certificates / "tls.crt", "tls-private-key-file": certificates / "tls.key",
        }  # fmt: skip
        program = METRICS_SERVER.built() / "metrics-server"
        self.plane.processes.start("metrics-server", [program, *words(flags)])

    def _register(self, api: Api, port: int) -> None:
        """Write a server's certificate, and have the API server pass its API's requests on to it."""
        name = f"{api.service}.{api.namespace}.svc"
        made = issue(name, signed_by=self.plane.authority, names=[x509.DNSName(name)])
        folder = self.plane.folder / (KEDA_NAMESPACE if api is EXTERNAL else api.service)
        folder.mkdir()
        for file, content in (
            ("ca.crt", self.plane.authority.pem),
            ("tls.crt", made.pem),
            ("tls.key", made.key_pem),
        ):
            (folder / file).write_bytes(content)
        service = {
            "metadata": {"name": api.service},
            "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]},
        }  # fmt: skip
        self.plane.request("post", f"/api/v1/namespaces/{api.namespace}/services", service)
        spec = {
            "group": api.group, "version": api.version, "groupPriorityMinimum": 100, "versionPriority": 100,
            "caBundle": self.plane.authority.base64,
            "service": {"name": api.service, "namespace": api.namespace, "port": port},
        }  # fmt: skip
        body = {"metadata": {"name": f"{api.version}.{api.group}"}, "spec": spec}
        self.plane.request("post", "/apis/apiregistration.k8s.io/v1/apiservices", body)

    def _answers(self, api: Api) -> bool:
        try:
            self.plane.request("get", f"/apis/{api.group}/{api.version}")
        except ApiException:
            return False
        return True


def general_pool(zones: tuple[str, ...]) -> dict[str, Any]:
    """Return the NodePool of the nodes without a GPU, as EKS Auto Mode has one."""
    values = {
        "karpenter.sh/capacity-type": ["on-demand"], "kubernetes.io/arch": ["amd64"],
        "node.kubernetes.io/instance-type": ["m7i.2xlarge", "m7i.4xlarge", "m7i.xlarge"],
        "topology.kubernetes.io/zone": list(zones),
    }  # fmt: skip
    return {
        "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": GENERAL_POOL},
        "spec": {
            "disruption": {
                "consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "30s",
                "budgets": [{"nodes": "10%"}],
            },
            "template": {"spec": {
                "nodeClassRef": {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": NODE_CLASS},
                "requirements": [
                    {"key": key, "operator": "In", "values": found} for key, found in values.items()
                ],
                "expireAfter": "336h", "terminationGracePeriod": "24h",
            }},
        },
    }  # fmt: skip


def node_class(node_start_s: float) -> Mapping[str, Any]:
    """Return what makes all nodes, each after a while."""
    return {
        "apiVersion": "karpenter.kwok.sh/v1alpha1", "kind": "KWOKNodeClass", "metadata": {"name": NODE_CLASS},
        "spec": {"nodeRegistrationDelay": f"{node_start_s:.0f}s"},
    }  # fmt: skip
