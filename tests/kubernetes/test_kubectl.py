"""What is reached through kubectl: the real one, on a real API server; pods only pretend to run."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from ops.cluster import Cluster
from ops.stack import Stack, StackError
from rehearsal.controlplane import ControlPlane
from tests.kubernetes.stack import example, get, reach, says, wait_for

NAME = "asked"
CORE = f"/api/v1/namespaces/{NAME}"
LABELS = {"app.kubernetes.io/name": "prometheus", "app.kubernetes.io/instance": NAME}
PORT = 9090


@pytest.fixture(scope="module")
def namespace(plane: ControlPlane) -> Iterator[None]:
    plane.request("post", "/api/v1/namespaces", {"metadata": {"name": NAME}})
    for name, labels in (("prometheus", LABELS), ("nobody", {"app.kubernetes.io/name": "nobody"})):
        spec = {"selector": labels, "ports": [{"port": PORT, "targetPort": PORT}]}
        plane.request("post", f"{CORE}/services", {"metadata": {"name": name}, "spec": spec})
    container = {"name": "prometheus", "image": "any", "ports": [{"containerPort": PORT}]}
    pod = {"metadata": {"name": "prometheus-0", "labels": LABELS}, "spec": {"containers": [container]}}
    plane.request("post", f"{CORE}/pods", pod)
    wait_for(lambda: get(plane, f"{CORE}/pods/prometheus-0")["status"]["phase"] == "Running")
    yield
    plane.request("delete", f"/api/v1/namespaces/{NAME}")


@pytest.fixture
def cluster(plane: ControlPlane, namespace: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setenv("KUBECONFIG", str(plane.kubeconfig))
    monkeypatch.setenv("PATH", str(plane.binaries), prepend=":")
    stack = Stack(NAME, tmp_path)
    stack.settings_file.parent.mkdir()
    config = {f"ollamamax:{name}": value for name, value in example(NAME, NAME).items()}
    stack.settings_file.write_text(yaml.safe_dump({"config": config}))
    return Cluster(stack)


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


def test_a_service_is_forwarded_for_as_long_as_it_is_asked(cluster: Cluster, plane: ControlPlane) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        try:
            reach(plane, NAME, PORT, server.server_port)
            with cluster.forwarded("prometheus", PORT) as port:
                assert httpx.get(f"http://127.0.0.1:{port}/").status_code == 204
            with pytest.raises(httpx.ConnectError):
                httpx.get(f"http://127.0.0.1:{port}/")
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("service", "why"),
    [("nowhere", r'services? "nowhere" not found'), ("nobody", "no pods|timed out|cannot attach")],
)
def test_why_one_cannot_be_forwarded_is_said(
    service: str, why: str, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.cluster.POD_WAIT_S", 1)
    with (
        pytest.raises(StackError, match=f"kubectl cannot forward {service} to this machine: .*({why})"),
        cluster.forwarded(service, PORT),
    ):
        pytest.fail("nothing is forwarded")


def test_what_a_pod_has_said_is_told(cluster: Cluster, plane: ControlPlane, tmp_path: Path) -> None:
    says(plane, NAME, tmp_path / "said", "one line", "and another")
    assert cluster.said("prometheus") == "one line\nand another\n"


def test_who_is_not_there_has_said_nothing(cluster: Cluster) -> None:
    assert cluster.said("load") == ""
