"""Add-ons and what else a cluster needs, in the graph."""

import json
from typing import Any

import pulumi_kubernetes

from components.aws.account import Account
from components.aws.addons import Addons, AddonsArgs
from stacks.aws import AddonSettings
from tests.components.aws.conftest import of
from tests.components.conftest import Graph, record_of


def made(account: Account, **versions: Any) -> Graph:
    def build() -> None:
        provider = pulumi_kubernetes.Provider("cluster", kubeconfig="{}")
        Addons("addons", AddonsArgs(account, AddonSettings(**versions), "ollamamax-prod", provider))

    return record_of(build)


def test_network_policies_are_enforced(account: Account) -> None:
    switch = made(account)["kubernetes:core/v1:ConfigMap::amazon-vpc-cni"].inputs
    assert switch["metadata"] == {"name": "amazon-vpc-cni", "namespace": "kube-system"}
    assert switch["data"] == {"enable-network-policy-controller": "true"}


def test_volumes_are_encrypted_tagged_and_made_where_their_pod_is(account: Account) -> None:
    storage = made(account)["kubernetes:storage.k8s.io/v1:StorageClass::gp3"].inputs
    assert storage["provisioner"] == "ebs.csi.eks.amazonaws.com"
    assert storage["metadata"]["annotations"] == {"storageclass.kubernetes.io/is-default-class": "true"}
    assert storage["parameters"]["encrypted"] == "true"
    tags = {text for name, text in storage["parameters"].items() if name.startswith("tagSpecification")}
    assert "stack=prod" in tags
    assert storage["volumeBindingMode"] == "WaitForFirstConsumer"


def test_gpu_nodes_can_read_the_models(account: Account) -> None:
    driver = of(made(account), "eks/addon:Addon")["aws-mountpoint-s3-csi-driver"].inputs
    assert json.loads(driver["configurationValues"])["node"]["tolerateAllTaints"] is True


def test_mounted_secrets_follow_their_rotation(account: Account) -> None:
    driver = of(made(account), "eks/addon:Addon")["aws-secrets-store-csi-driver-provider"].inputs
    configuration = json.loads(driver["configurationValues"])
    assert configuration["secrets-store-csi-driver"]["enableSecretRotation"] is True


def test_a_version_is_pinned_where_the_stack_names_it(account: Account) -> None:
    addons = of(made(account, metrics_server="v0.8.0-eksbuild.2"), "eks/addon:Addon")
    assert addons["metrics-server"].inputs["addonVersion"] == "v0.8.0-eksbuild.2"
    assert "addonVersion" not in addons["aws-mountpoint-s3-csi-driver"].inputs
