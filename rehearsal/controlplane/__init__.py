"""A real Kubernetes control plane on loopback, with nodes that only pretend.

`build` makes the binaries once, outside the checkout; `running` starts etcd, the API server, the controller
manager, the scheduler and KWOK, which plays the kubelets. Everything is of this process: its own ports, its
own folder, and it ends with it. There is no container runtime and no network of pods.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import ipaddress
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kubernetes import config
from kubernetes.client import ApiException
from kubernetes.dynamic import DynamicClient
from urllib3.exceptions import HTTPError

START_S = 120
"""The API server is up in 5 s, on a machine that has nothing else to do."""
STOP_S = 20
ANSWER_S = 30
LOG_LINES = 15
SIMULATED = "kwok.x-k8s.io/node"
SERVICE_ADDRESSES = "10.96.0.0/16"


class ControlPlaneError(Exception):
    """The control plane could not be built or started; the message says why."""


def build() -> Path:
    """Return the folder with the binaries; building them takes some minutes, once for each version."""
    script = Path(__file__).with_name("build.sh")
    done = subprocess.run([script], stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 - our own
    if done.returncode:
        raise ControlPlaneError(f"{script} failed; what it said stands above")
    return Path(done.stdout.strip())


@dataclass
class ControlPlane:
    """A control plane that runs; `kubeconfig` is that of its administrator."""

    folder: Path
    binaries: Path
    _processes: list[tuple[str, subprocess.Popen[bytes]]] = field(default_factory=list)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig: every certificate in it, no file beside it."""
        return self.folder / "kubeconfig"

    def request(self, method: str, path: str, body: object = None, content_type: str = "") -> Any:
        """Ask the API server, with the administrator's rights; return what it answers, decoded."""
        with config.new_client_from_config(str(self.kubeconfig)) as api:
            plain = DynamicClient(api, discoverer=lambda *_: None)
            kind = content_type or "application/json"
            about = {"content_type": kind, "serialize": False, "_request_timeout": ANSWER_S}
            answer = plain.request(method, path, body=body, **about)
            return json.loads(answer.data) if answer.data.startswith(b"{") else answer.data.decode()

    def start(self) -> None:
        """Start everything and wait until the API server is ready."""
        etcd, peers, server, kwok = _free_ports(4)
        store, address = f"http://127.0.0.1:{etcd}", f"https://127.0.0.1:{server}"
        _write_certificates(self.folder, address)
        self._run("etcd", {
            "data-dir": self.folder / "etcd", "listen-client-urls": store, "advertise-client-urls": store,
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
            # Debian's etcd is older than what streamed lists need.
            "feature-gates": "WatchList=false",
        })  # fmt: skip
        self._wait_until_ready()
        self._run("kube-controller-manager", {
            **kubeconfig, "secure-port": 0, "leader-elect": "false", "root-ca-file": authority,
            "service-account-private-key-file": self.folder / "server.key",
        })  # fmt: skip
        self._run("kube-scheduler", {**kubeconfig, "secure-port": 0, "leader-elect": "false"})
        self._run("kwok", {
            **kubeconfig, "server-address": f"127.0.0.1:{kwok}",
            "manage-nodes-with-annotation-selector": f"{SIMULATED}=fake",
            "node-lease-duration-seconds": 40,  # shorter, and a busy machine takes nodes for dead
        })  # fmt: skip

    def add_node(self, name: str, **capacity: str) -> None:
        """Add a simulated node: every pod on it runs at once, every pod of a Job completes."""
        resources = {"cpu": "16", "memory": "64Gi", "pods": "110", **capacity}
        meta = {"name": name, "labels": {"kubernetes.io/hostname": name}, "annotations": {SIMULATED: "fake"}}
        status = {"allocatable": resources, "capacity": resources}
        self.request("post", "/api/v1/nodes", {"metadata": meta, "status": status})

    def stop(self) -> None:
        """End what was started, last one first, by its process."""
        for _, process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _run(self, name: str, flags: dict[str, object]) -> None:
        command = [str(self.binaries / name), *(f"--{flag}={value}" for flag, value in flags.items())]
        if guard := shutil.which("setpriv"):  # nothing outlives a test run that is killed
            command = [guard, "--pdeathsig", "KILL", *command]
        with self._log(name).open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - what was built above
                command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        self._processes.append((name, process))

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self._is_ready():
                return
            for name, process in self._processes:
                if process.poll() is not None:
                    last = self._log(name).read_text(errors="replace").splitlines()[-LOG_LINES:]
                    raise ControlPlaneError("\n".join([f"{name} ended with {process.returncode}:", *last]))
            time.sleep(0.1)
        raise ControlPlaneError(f"the API server was not ready within {START_S} s: see {self.folder}")

    def _is_ready(self) -> bool:
        with contextlib.suppress(ApiException, HTTPError):
            return bool(self.request("get", "/readyz") == "ok")
        return False


@contextlib.contextmanager
def running(folder: Path) -> Iterator[ControlPlane]:
    """A control plane that keeps its files in `folder`, stopped at the end."""
    plane = ControlPlane(folder, build())
    try:
        plane.start()
        yield plane
    finally:
        plane.stop()


def _free_ports(count: int) -> list[int]:
    """Ports that are free on loopback; all are held until the last one is found."""
    with contextlib.ExitStack() as held:
        found = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(one.getsockname()[1]) for one in found]


def _write_certificates(folder: Path, address: str) -> None:
    """Write an authority, the API server's certificate and key, and the administrator's kubeconfig."""
    authority, signer = _certificate("ollamamax-rehearsal")
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("kubernetes.default.svc")]
    server, server_key = _certificate("kube-apiserver", signed_by=(authority, signer), names=names)
    admin, admin_key = _certificate("admin", "system:masters", signed_by=(authority, signer))
    (folder / "ca.crt").write_bytes(_pem(authority))
    (folder / "server.crt").write_bytes(_pem(server))
    (folder / "server.key").write_bytes(_pem(server_key))
    cluster = {"server": address, "certificate-authority-data": _base64(authority)}
    user = {"client-certificate-data": _base64(admin), "client-key-data": _base64(admin_key)}
    kubeconfig = {
        "apiVersion": "v1", "kind": "Config", "current-context": "rehearsal",
        "clusters": [{"name": "rehearsal", "cluster": cluster}],
        "contexts": [{"name": "rehearsal", "context": {"cluster": "rehearsal", "user": "admin"}}],
        "users": [{"name": "admin", "user": user}],
    }  # fmt: skip
    (folder / "kubeconfig").write_text(json.dumps(kubeconfig))
    (folder / "kubeconfig").chmod(0o600)


def _certificate(
    name: str, group: str = "", *, names: Sequence[x509.GeneralName] = (),
    signed_by: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None,
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:  # fmt: skip
    """A certificate of a day and its key; without `signed_by` an authority."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    parts = [(NameOID.ORGANIZATION_NAME, group)] if group else []
    subject = x509.Name(
        [x509.NameAttribute(oid, text) for oid, text in [*parts, (NameOID.COMMON_NAME, name)]]
    )
    issuer = signed_by[0].subject if signed_by else subject
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number())
    made = made.not_valid_before(now - datetime.timedelta(hours=1))
    made = made.not_valid_after(now + datetime.timedelta(days=1))
    made = made.add_extension(x509.BasicConstraints(ca=signed_by is None, path_length=None), critical=True)
    if names:
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return made.sign(signed_by[1] if signed_by else key, hashes.SHA256()), key


def _pem(part: x509.Certificate | ec.EllipticCurvePrivateKey) -> bytes:
    if isinstance(part, x509.Certificate):
        return part.public_bytes(serialization.Encoding.PEM)
    plain = serialization.NoEncryption()
    return part.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain
    )


def _base64(part: x509.Certificate | ec.EllipticCurvePrivateKey) -> str:
    return base64.b64encode(_pem(part)).decode()
