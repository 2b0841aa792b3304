"""What a cluster in Auto Mode lacks: metrics, drivers for secrets and models, network policies, disks.

Costs nothing beyond the few hundred MiB that the add-ons take of each node; a volume $0.08 a GiB and month.
Deleted: without metrics nothing scales on CPU; without the drivers no pod starts that reads a secret or a
model from AWS; without the ConfigMap every network policy is accepted and ignored; without the storage class
no volume is made.
"""

import json
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes
from pulumi_aws import eks
from pulumi_kubernetes import core, meta, storage

from components.aws.account import Account
from stacks.aws import AddonSettings


@dataclass(frozen=True)
class AddonsArgs:
    """What the add-ons need.

    Attributes:
        account: where they are; its tags are put on volumes.
        settings: their versions.
        cluster_name: the cluster.
        provider: what makes objects in it.
    """

    account: Account
    settings: AddonSettings
    cluster_name: pulumi.Input[str]
    provider: pulumi_kubernetes.Provider


class Addons(pulumi.ComponentResource):
    """Managed add-ons, the default storage class, and the switch for network policies."""

    def __init__(self, name: str, args: AddonsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ollamamax:aws:Addons", name, None, opts)
        versions = args.settings
        configurations = {
            "metrics-server": (versions.metrics_server, {}),
            # RDS changes its password every week: what is mounted has to follow.
            "aws-secrets-store-csi-driver-provider": (
                versions.secrets_store,
                {"secrets-store-csi-driver": {"enableSecretRotation": True}},
            ),
            # GPU nodes are tainted, and it is they that read the models.
            "aws-mountpoint-s3-csi-driver": (versions.mountpoint_s3, {"node": {"tolerateAllTaints": True}}),
        }
        for addon, (version, configuration) in configurations.items():
            eks.Addon(
                addon,
                addon_name=addon,
                addon_version=version,
                cluster_name=args.cluster_name,
                configuration_values=json.dumps(configuration) if configuration else None,
                resolve_conflicts_on_create="OVERWRITE",
                resolve_conflicts_on_update="OVERWRITE",
                opts=pulumi.ResourceOptions(parent=self),
            )
        inside = pulumi.ResourceOptions(parent=self, provider=args.provider)
        # https://docs.aws.amazon.com/eks/latest/userguide/auto-net-pol.html; node classes say how strict.
        core.v1.ConfigMap(
            "amazon-vpc-cni",
            metadata=meta.v1.ObjectMetaArgs(name="amazon-vpc-cni", namespace="kube-system"),
            data={"enable-network-policy-controller": "true"},
            opts=inside,
        )
        tags = {f"tagSpecification_{i}": f"{k}={v}" for i, (k, v) in enumerate(args.account.tags.items(), 1)}
        storage.v1.StorageClass(
            "gp3",
            metadata=meta.v1.ObjectMetaArgs(
                name="gp3", annotations={"storageclass.kubernetes.io/is-default-class": "true"}
            ),
            provisioner="ebs.csi.eks.amazonaws.com",
            parameters={"type": "gp3", "encrypted": "true", **tags},
            volume_binding_mode="WaitForFirstConsumer",  # a volume lives in one zone: its pod's
            allow_volume_expansion=True,
            opts=inside,
        )
        self.register_outputs({})
