"""The kubeconfig of an EKS cluster."""

import json

from components.aws.kubeconfig import kubeconfig


def test_a_kubeconfig_names_its_cluster_and_holds_no_secret() -> None:
    config = kubeconfig("ollamamax-prod", "eu-central-1", "https://one", "Q0E=")
    (cluster,), (user,) = config["clusters"], config["users"]
    assert cluster["cluster"] == {"server": "https://one", "certificate-authority-data": "Q0E="}
    login = user["user"]["exec"]
    assert [login["command"], *login["args"][:2]] == ["aws", "eks", "get-token"]
    assert "ollamamax-prod" in login["args"]
    assert "eu-central-1" in login["args"]
    assert "token" not in user["user"]
    assert json.loads(json.dumps(config))["current-context"] == "ollamamax-prod"
