"""Configuration and secrets of a service on a cluster: what holds them, and the volume that shows them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.core import v1 as core

from components import naming
from components.cluster import Cluster
from components.pods import Manifest
from components.service import CONFIG_DIR, SECRETS_DIR, Service

CONFIG_MODE = 0o444
SECRET_MODE = 0o440
SECRETS = SECRETS_DIR.removeprefix(f"{CONFIG_DIR}/") + "/"
CERTIFICATE_FILES = ("tls.crt", "tls.key")


@dataclass(frozen=True)
class Files:
    """A service's files."""

    volume: Manifest | None
    """Source of the volume that shows them at ``CONFIG_DIR``; None where there are none."""
    made: list[pulumi.Resource]
    """What holds them."""


def place(service: Service, cluster: Cluster, parent: pulumi.Resource) -> Files:
    """Create what holds the service's files.

    ConfigMap and Secret have a hash of their content in their names: changed files replace the pods, and the
    pods before a rollout keep the files that they started with.
    """
    name, opts = service.name, cluster.opts(parent)
    sources: list[Manifest] = []
    made: list[pulumi.Resource] = []
    if service.config:
        config = core.ConfigMap(
            name,
            metadata=cluster.metadata(name, _hashed_name(name, service.config)),
            data=dict(sorted(service.config.items())),
            immutable=True,
            opts=opts,
        )
        made.append(config)
        sources.append({"configMap": _items(config.metadata.name, service.config, "", CONFIG_MODE)})
    if service.secrets:
        secret = core.Secret(
            name,
            metadata=cluster.metadata(name, _hashed_name(name, service.secrets)),
            string_data=dict(sorted(service.secrets.items())),
            immutable=True,
            opts=opts,
        )
        made.append(secret)
        sources.append({"secret": _items(secret.metadata.name, service.secrets, SECRETS, SECRET_MODE)})
    if service.issued_certificate:
        issued = _items(service.issued_certificate, CERTIFICATE_FILES, SECRETS, SECRET_MODE)
        sources.append({"secret": issued})
    if service.vault:
        made.append(_vault(service, cluster, opts))
    return Files({"projected": {"sources": sources}} if sources else None, made)


def _hashed_name(name: str, files: Mapping[str, pulumi.Input[str]]) -> pulumi.Output[str]:
    digest = pulumi.Output.all(**files).apply(naming.digest)
    # A digest tells nothing about generated secrets, and a name has to be readable.
    return pulumi.Output.unsecret(pulumi.Output.concat(name, "-", digest))


def _items(name: pulumi.Input[str], files: Iterable[str], folder: str, mode: int) -> Manifest:
    items = [{"key": file, "path": f"{folder}{file}", "mode": mode} for file in sorted(files)]
    return {"name": name, "items": items}


def _vault(service: Service, cluster: Cluster, opts: pulumi.ResourceOptions) -> CustomResource:
    """Create what tells the secrets store driver which secrets to mount, read with the pod's own identity."""
    objects = [
        {
            "objectName": secret.arn,
            "objectAlias": f"{file}.json",
            "jmesPath": [{"path": secret.key, "objectAlias": file}],
        }
        for file, secret in sorted(service.vault.items())
    ]
    return CustomResource(
        service.name,
        api_version="secrets-store.csi.x-k8s.io/v1",
        kind="SecretProviderClass",
        metadata=cluster.metadata(service.name),
        spec={
            "provider": "aws",
            "parameters": {"usePodIdentity": "true", "objects": pulumi.Output.json_dumps(objects)},
        },
        opts=opts,
    )
