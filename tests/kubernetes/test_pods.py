"""The forecaster's own code on a real API server, with the rights that the kubernetes target gives it."""

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from components import manifests
from components.service import ApiUse
from ollamamax_autoscaler import cluster, web
from rehearsal.controlplane import ControlPlane
from tests.kubernetes.stack import wait_for
from tests.kubernetes.test_discovery import RBAC, bind, token

SERVICE = "worker-chat"


@pytest.fixture
def asking(plane: ControlPlane, namespace: str, tmp_path: Path) -> cluster.Cluster:
    """Return the forecaster's own view of the cluster, with its own account."""
    home = f"{RBAC}/namespaces/{namespace}"
    role = {"metadata": {"name": "autoscaler"}, "rules": manifests.API_RULES[ApiUse.TIME_PODS]}
    plane.request("post", f"{home}/roles", role)
    bind(plane, f"{home}/rolebindings", namespace, "autoscaler", "Role", "autoscaler")
    token(plane, namespace, "autoscaler", tmp_path).rename(tmp_path / "token")
    (tmp_path / "namespace").write_text(namespace)
    (tmp_path / "ca.crt").write_bytes((plane.folder / "ca.crt").read_bytes())
    known = json.loads(plane.kubeconfig.read_text())["clusters"][0]["cluster"]
    server = urlsplit(known["server"])
    environment = {
        "KUBERNETES_SERVICE_HOST": str(server.hostname),
        "KUBERNETES_SERVICE_PORT": str(server.port),
    }
    return cluster.Cluster(tmp_path, [SERVICE], environment)


def test_pods_are_timed_from_their_creation_until_they_are_ready(
    plane: ControlPlane, namespace: str, asking: cluster.Cluster
) -> None:
    for name, service in (("one", SERVICE), ("two", SERVICE), ("other", "gateway")):
        pod = {
            "metadata": {"name": name, "labels": {cluster.LABEL: service}},
            # The namespace's own account may not be there yet.
            "spec": {"serviceAccountName": "autoscaler", "containers": [{"name": "c", "image": "i"}]},
        }
        plane.request("post", f"/api/v1/namespaces/{namespace}/pods", pod)
    wait_for(lambda: len(asking.pods()[SERVICE].starts) == 2)
    found = asking.pods()[SERVICE]
    assert found.current == 2
    assert all(0 <= took < 120 for took in found.starts.values())


def test_it_may_read_nothing_but_pods_and_write_nothing(asking: cluster.Cluster) -> None:
    secrets = asking._url.replace("/pods?", "/secrets?")
    headers = {"Authorization": f"Bearer {asking._token.read_text()}"}
    with pytest.raises(web.UnavailableError, match="HTTP 403"):
        web.get(secrets, headers, asking._context)
    verbs = {verb for rule in manifests.API_RULES[ApiUse.TIME_PODS] for verb in rule["verbs"]}
    assert verbs == {"list"}
