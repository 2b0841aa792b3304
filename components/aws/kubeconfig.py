"""How a client reaches an EKS cluster: a pure function."""

from typing import Any

import pulumi


def kubeconfig(
    name: str, region: str, endpoint: pulumi.Input[str], ca_certificate: pulumi.Input[str]
) -> dict[str, Any]:
    """Return a kubeconfig without secrets: the AWS CLI gets a token for whoever uses it.

    Args:
        name: the cluster's name.
        region: where it is.
        endpoint: URL of its API.
        ca_certificate: certificate of its authority, PEM in base64.
    """
    token = ["eks", "get-token", "--cluster-name", name, "--region", region, "--output", "json"]
    login = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "aws",
        "args": token,
        "interactiveMode": "Never",
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "clusters": [
            {"name": name, "cluster": {"server": endpoint, "certificate-authority-data": ca_certificate}}
        ],
        "users": [{"name": name, "user": {"exec": login}}],
    }
