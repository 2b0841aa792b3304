"""Files of a service on a cluster."""

import json
from dataclasses import replace
from typing import Any

import pulumi

from components.service import CONFIG_DIR, SECRETS_DIR, VAULT_DIR, Service, VaultSecret
from tests.components.placing import SOME, one, placed

FILES = replace(SOME, config={"app.yaml": "a: 1", "b.conf": "b"}, secrets={"password": "hunter2"})


def pod(service: Service) -> dict[str, Any]:
    spec: dict[str, Any] = one(placed(service), "Deployment", "some")["spec"]["template"]["spec"]
    return spec


def shown(service: Service) -> dict[str, int]:
    """Return path → mode of the files that the pod's containers see."""
    (volume,) = [volume for volume in pod(service)["volumes"] if volume["name"] == "files"]
    return {
        f"{CONFIG_DIR}/{item['path']}": item["mode"]
        for source in volume["projected"]["sources"]
        for held in source.values()
        for item in held["items"]
    }


def test_configuration_and_secrets_stand_where_services_look_for_them() -> None:
    assert shown(FILES) == {
        f"{CONFIG_DIR}/app.yaml": 0o444,
        f"{CONFIG_DIR}/b.conf": 0o444,
        f"{SECRETS_DIR}/password": 0o440,
    }


def test_changed_files_have_another_name_and_unchanged_ones_the_same() -> None:
    def names(service: Service) -> tuple[str, str]:
        graph = placed(service)
        config, secret = one(graph, "ConfigMap", "some"), one(graph, "Secret", "some")
        assert config["immutable"] is secret["immutable"] is True
        return config["metadata"]["name"], secret["metadata"]["name"]

    config, secret = names(FILES)
    assert (config, secret) == names(FILES)
    assert names(replace(FILES, config={"app.yaml": "a: 2"}))[0] != config
    assert names(replace(FILES, config={"app.yaml": "a: 2"}))[1] == secret
    assert names(replace(FILES, secrets={"password": "other"}))[1] != secret


def test_pods_read_the_files_that_were_made_for_them() -> None:
    graph = placed(FILES)
    sources = one(graph, "Deployment", "some")["spec"]["template"]["spec"]["volumes"][0]["projected"][
        "sources"
    ]
    assert [held["name"] for source in sources for held in source.values()] == [
        one(graph, "ConfigMap", "some")["metadata"]["name"],
        one(graph, "Secret", "some")["metadata"]["name"],
    ]


def test_the_name_of_a_secret_can_be_read_though_its_content_is_secret() -> None:
    graph = placed(replace(FILES, secrets={"password": pulumi.Output.secret("hunter2")}))
    assert one(graph, "Secret", "some")["metadata"]["name"].startswith("some-")


def test_a_certificate_that_the_cluster_issues_stands_among_the_secrets() -> None:
    files = shown(replace(FILES, issued_certificate="edge-tls"))
    assert files[f"{SECRETS_DIR}/tls.crt"] == files[f"{SECRETS_DIR}/tls.key"] == 0o440
    assert f"{SECRETS_DIR}/password" in files


def test_a_secret_of_the_cloud_is_read_by_the_driver_and_never_passes_through_the_stack() -> None:
    service = replace(SOME, vault={"admin": VaultSecret("arn:aws:secretsmanager:::secret:db", "password")})
    spec = one(placed(service), "SecretProviderClass", "some")["spec"]
    assert spec["provider"] == "aws"
    assert spec["parameters"]["usePodIdentity"] == "true"
    (secret,) = json.loads(spec["parameters"]["objects"])
    assert secret["objectName"] == "arn:aws:secretsmanager:::secret:db"
    assert secret["jmesPath"] == [{"path": "password", "objectAlias": "admin"}]
    spec = pod(service)
    (volume,) = [volume for volume in spec["volumes"] if volume["name"] == "vault"]
    assert volume["csi"]["volumeAttributes"] == {"secretProviderClass": "some"}
    (container,) = spec["containers"]
    assert {"name": "vault", "mountPath": VAULT_DIR, "readOnly": True} in container["volumeMounts"]


def test_nothing_is_mounted_into_a_folder_that_is_mounted_itself() -> None:
    assert not VAULT_DIR.startswith(f"{CONFIG_DIR}/")


def test_a_service_without_files_has_no_volume_of_them() -> None:
    assert [volume["name"] for volume in pod(SOME)["volumes"]] == ["scratch-0"]
