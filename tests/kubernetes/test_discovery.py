"""The gateway's own watch of its workers, against a real API server and its controllers."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from components import manifests
from components.service import ApiUse
from rehearsal.controlplane import ControlPlane

GATEWAY = Path(__file__).parents[2] / "docker" / "gateway"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
GROUP = "rbac.authorization.k8s.io"


def test_the_gateway_follows_its_workers_with_no_more_rights_than_it_is_given(
    plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    home = f"{RBAC}/namespaces/{namespace}"
    follower = {"metadata": {"name": "gateway"}, "rules": manifests.API_RULES[ApiUse.FOLLOW_PEERS]}
    plane.request("post", f"{home}/roles", follower)
    bind(plane, f"{home}/rolebindings", namespace, "gateway", "Role", "gateway")
    bind(plane, f"{home}/rolebindings", namespace, "admin", "ClusterRole", "cluster-admin")
    # A node that nobody serves: its pods stay as the test leaves them until the test takes them away.
    node = f"unserved-{namespace}"
    plane.request("post", "/api/v1/nodes", {"metadata": {"name": node}, "spec": {"unschedulable": True}})
    server = json.loads(plane.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    done = subprocess.run(
        ["go", "test", "-tags", "kubernetes", "-count=1", "-run", "RealCluster", "./internal/discovery"],
        cwd=GATEWAY,
        env=os.environ
        | {
            "OLLAMAMAX_TEST_CLUSTER": server,
            "OLLAMAMAX_TEST_CLUSTER_CA": str(plane.folder / "ca.crt"),
            "OLLAMAMAX_TEST_NAMESPACE": namespace,
            "OLLAMAMAX_TEST_NODE": node,
            "OLLAMAMAX_TEST_TOKEN": str(token(plane, namespace, "gateway", tmp_path)),
            "OLLAMAMAX_TEST_ADMIN": str(token(plane, namespace, "admin", tmp_path)),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    plane.request("delete", f"/api/v1/nodes/{node}")
    assert done.returncode == 0, done.stdout
    assert "no tests to run" not in done.stdout


def bind(plane: ControlPlane, path: str, namespace: str, account: str, kind: str, role: str) -> None:
    """Make an account and give it a role."""
    plane.request("post", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": account}})
    subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    reference = {"apiGroup": GROUP, "kind": kind, "name": role}
    body = {"metadata": {"name": account}, "roleRef": reference, "subjects": [subject]}
    plane.request("post", path, body)


def token(plane: ControlPlane, namespace: str, account: str, folder: Path) -> Path:
    """Return a file with a token of an account, as the kubelet writes one."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    made: dict[str, Any] = plane.request("post", path, {"spec": {"expirationSeconds": 3600}})
    file = folder / account
    file.write_text(made["status"]["token"])
    return file
