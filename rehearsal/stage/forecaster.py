"""The stack's forecaster, as a process with the files, the account and the rights that its pod has."""

from __future__ import annotations

import sys
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

import yaml

from rehearsal.controlplane import ControlPlane
from rehearsal.stage import pods

NAME = "autoscaler"
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where pods have the token of their account."""
TOKEN_S = 24 * 3600


@dataclass
class Forecaster:
    """A forecaster; a stack may do without one.

    Attributes:
        plane: the cluster.
        namespace: the platform's.
        port: where Prometheus finds it.
        hosts: the ``/etc/hosts`` by which it knows Prometheus.
    """

    plane: ControlPlane
    namespace: str
    port: int
    hosts: Path
    _files: dict[str, bytes] | None = None

    @property
    def folder(self) -> Path:
        """Its files."""
        return self.plane.folder / NAME

    def follow(self) -> None:
        """Start it with what its pod has now; anew where that has changed."""
        found = pods.workload(self.plane, self.namespace, "deployments", NAME)
        files = pods.files(self.plane, found) if found else None
        if files == self._files:
            return
        if self.plane.processes.runs(NAME):
            self.plane.processes.kill(NAME)
        self._files = files
        if files is not None:
            pods.write({name: self._adapted(content) for name, content in files.items()}, self.folder)
            self._write_account()
            self.start()

    def start(self) -> None:
        """Start it, where the stack has one."""
        if self._files is None:
            return
        config = self.folder / "autoscaler.yaml"
        command = [sys.executable, "-m", "ollamamax_autoscaler", "serve"]
        server = yaml.safe_load(self.plane.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
        where = urllib.parse.urlsplit(server)
        env = {"KUBERNETES_SERVICE_HOST": str(where.hostname), "KUBERNETES_SERVICE_PORT": str(where.port)}
        words = [*command, "--config", config, "--port", self.port]
        self.plane.processes.start(NAME, words, env=env, hosts=self.hosts)

    def _adapted(self, content: bytes) -> bytes:
        for path, here in ((pods.MOUNTED, self.folder), (ACCOUNT, self.folder / "account")):
            content = content.replace(path.encode(), str(here).encode())
        return content

    def _write_account(self) -> None:
        """Write what the kubelet would: a token of its account, and by what it knows the API server."""
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{NAME}/token"
        answer = self.plane.request("post", path, {"spec": {"expirationSeconds": TOKEN_S}})
        contents = {
            "account/token": answer["status"]["token"].encode(),
            "account/ca.crt": self.plane.authority.pem,
            "account/namespace": self.namespace.encode(),
        }
        pods.write(contents, self.folder)
