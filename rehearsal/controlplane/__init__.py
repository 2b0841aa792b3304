"""A real Kubernetes control plane on loopback, with nodes that only pretend.

`build` makes the binaries once, outside the checkout; `running` starts etcd, the API server, the controller
manager, the scheduler and KWOK, which plays the kubelets. Everything is of this process: its own ports, its
own folder, and it ends with it. There is no container runtime and no network of pods.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from kubernetes import config
from kubernetes.client import ApiClient, ApiException
from kubernetes.dynamic import DynamicClient
from urllib3.exceptions import HTTPError

from rehearsal.certificates import Certificate, issue
from rehearsal.processes import Processes, RehearsalError

START_S = 120
"""The API server is up in 5 s, on a machine that has nothing else to do."""
ANSWER_S = 30
SIMULATED = "kwok.x-k8s.io/node"
SERVICE_ADDRESSES = "10.96.0.0/16"
FRONT_PROXY = "front-proxy-client"
"""Who the API server is to the servers that it passes requests on to."""
Flags = Mapping[str, object]


def build() -> Path:
    """Return the folder with the binaries; building them takes some minutes, once for each version."""
    script = Path(__file__).with_name("build.sh")
    done = subprocess.run([script], stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 - our own
    if done.returncode:
        raise RehearsalError(f"{script} failed; what it said stands above")
    return Path(done.stdout.strip())


@dataclass
class ControlPlane:
    """A control plane that runs; `kubeconfig` is that of its administrator."""

    folder: Path
    binaries: Path
    processes: Processes = field(init=False)
    authority: Certificate = field(init=False)
    """Who has signed the API server's certificate, and may sign those of servers that it asks."""
    _client: DynamicClient | None = None
    _making: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.processes, self.authority = Processes(self.folder), issue("ollamamax-rehearsal")

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig: every certificate in it, no file beside it."""
        return self.folder / "kubeconfig"

    def request(self, method: str, path: str, body: object = None, content_type: str = "") -> Any:
        """Ask the API server, with the administrator's rights; return what it answers, decoded.

        Raises:
            ApiException: if it refuses.
            RehearsalError: if it does not answer.
        """
        with self._making:
            if self._client is None:
                api: ApiClient = config.new_client_from_config(str(self.kubeconfig))
                self._client = DynamicClient(api, discoverer=lambda *_: None)
        kind = content_type or "application/json"
        about = {"content_type": kind, "serialize": False, "_request_timeout": ANSWER_S}
        try:
            answer = self._client.request(method, path, body=body, **about)
        except HTTPError as error:
            raise RehearsalError(f"the API server does not answer {method} {path}: {error}") from error
        return json.loads(answer.data) if answer.data.startswith(b"{") else answer.data.decode()

    def start(self, flags: Mapping[str, Flags] | None = None) -> None:
        """Start everything but the nodes, with more flags for programs, and wait for the API server."""
        more, (etcd, peers, server) = flags or {}, (self.processes.port() for _ in range(3))
        store, address = f"http://127.0.0.1:{etcd}", f"https://127.0.0.1:{server}"
        self._write_certificates(address)
        self._run("etcd", {
            # Nothing of it outlives the run, and a busy disk would stall it.
            "data-dir": self.folder / "etcd", "unsafe-no-fsync": "true",
            "listen-client-urls": store, "advertise-client-urls": store,
            "listen-peer-urls": f"http://127.0.0.1:{peers}", "log-level": "error",
        })  # fmt: skip
        authority, kubeconfig = self.folder / "ca.crt", {"kubeconfig": self.kubeconfig}
        self._run("kube-apiserver", {
            "etcd-servers": store, "bind-address": "127.0.0.1", "advertise-address": "127.0.0.1",
            "secure-port": server, "service-cluster-ip-range": SERVICE_ADDRESSES,
            "authorization-mode": "RBAC", "client-ca-file": authority,
            "tls-cert-file": self.folder / "server.crt", "tls-private-key-file": self.folder / "server.key",
            "service-account-issuer": address, "service-account-key-file": self.folder / "server.key",
            "service-account-signing-key-file": self.folder / "server.key",
            # How it vouches for those whose requests it passes on to servers of other APIs.
            "requestheader-client-ca-file": authority, "requestheader-allowed-names": FRONT_PROXY,
            "requestheader-username-headers": "X-Remote-User",
            "requestheader-group-headers": "X-Remote-Group",
            "requestheader-extra-headers-prefix": "X-Remote-Extra-",
            "proxy-client-cert-file": self.folder / "proxy.crt",
            "proxy-client-key-file": self.folder / "proxy.key",
            # Debian's etcd is older than what streamed lists need.
            "feature-gates": "WatchList=false", **more.get("kube-apiserver", {}),
        })  # fmt: skip
        self.processes.wait("the API server was not ready", self._is_ready, START_S)
        self._run("kube-controller-manager", {
            **kubeconfig, "secure-port": 0, "leader-elect": "false", "root-ca-file": authority,
            "service-account-private-key-file": self.folder / "server.key",
            **more.get("kube-controller-manager", {}),
        })  # fmt: skip
        self._run("kube-scheduler", {**kubeconfig, "secure-port": 0, "leader-elect": "false"})

    def start_nodes(self, flags: Flags | None = None) -> None:
        """Start what plays the nodes, with more flags for it."""
        port = self.processes.port()
        self._run("kwok", {
            "kubeconfig": self.kubeconfig,
            # Where the API server, and whoever measures, finds the kubelets.
            "server-address": f"127.0.0.1:{port}", "node-ip": "127.0.0.1", "node-port": port,
            "manage-nodes-with-annotation-selector": f"{SIMULATED}=fake",
            "node-lease-duration-seconds": 40,  # shorter, and a busy machine takes nodes for dead
            **(flags or {}),
        })  # fmt: skip

    def add_node(self, name: str, **capacity: str) -> None:
        """Add a simulated node: every pod on it runs at once, every pod of a Job completes."""
        resources = {"cpu": "16", "memory": "64Gi", "pods": "110", **capacity}
        meta = {"name": name, "labels": {"kubernetes.io/hostname": name}, "annotations": {SIMULATED: "fake"}}
        status = {"allocatable": resources, "capacity": resources}
        self.request("post", "/api/v1/nodes", {"metadata": meta, "status": status})

    def stop(self) -> None:
        """End what was started."""
        if self._client:
            self._client.client.close()
        self.processes.stop()

    def _run(self, name: str, flags: Flags) -> None:
        self.processes.start(name, [self.binaries / name, *words(flags)])

    def _is_ready(self) -> bool:
        with contextlib.suppress(ApiException, RehearsalError):
            return bool(self.request("get", "/readyz") == "ok")
        return False

    def _write_certificates(self, address: str) -> None:
        """Write the authority, the API server's certificates, and the administrator's kubeconfig."""
        names = [
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("kubernetes.default.svc")
        ]  # fmt: skip
        admin = issue("admin", "system:masters", signed_by=self.authority)
        (self.folder / "ca.crt").write_bytes(self.authority.pem)
        for file, made in (
            ("server", issue("kube-apiserver", signed_by=self.authority, names=names)),
            ("proxy", issue(FRONT_PROXY, signed_by=self.authority)),
        ):
            (self.folder / f"{file}.crt").write_bytes(made.pem)
            (self.folder / f"{file}.key").write_bytes(made.key_pem)
        cluster = {"server": address, "certificate-authority-data": self.authority.base64}
        user = {"client-certificate-data": admin.base64, "client-key-data": admin.key_base64}
        kubeconfig = {
            "apiVersion": "v1", "kind": "Config", "current-context": "rehearsal",
            "clusters": [{"name": "rehearsal", "cluster": cluster}],
            "contexts": [{"name": "rehearsal", "context": {"cluster": "rehearsal", "user": "admin"}}],
            "users": [{"name": "admin", "user": user}],
        }  # fmt: skip
        self.kubeconfig.write_text(json.dumps(kubeconfig))
        self.kubeconfig.chmod(0o600)


def words(flags: Flags) -> list[str]:
    """Return flags as words of a command."""
    return [f"--{flag}={value}" for flag, value in flags.items()]


@contextlib.contextmanager
def running(folder: Path) -> Iterator[ControlPlane]:
    """A control plane that keeps its files in `folder`, stopped at the end."""
    plane = ControlPlane(folder, build())
    try:
        plane.start()
        plane.start_nodes()
        yield plane
    finally:
        plane.stop()
