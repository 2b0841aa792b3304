"""The volumes of a cluster that several services share."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.core import v1 as core

from components.cluster import Cluster
from components.pods import Manifest, claim_spec
from stacks.kubernetes import ModelStoreSettings

BUCKET_SIZE = "1Pi"
"""A bucket has no size; a volume must name one."""


@dataclass(frozen=True)
class SharedVolume:
    """A volume that exists already, such as a bucket, for every ``Volume(shared=True)`` of its name."""

    driver: str
    """CSI driver that mounts it."""
    handle: pulumi.Input[str]
    """What the driver knows it by."""
    attributes: Mapping[str, pulumi.Input[str]]
    mount_options: tuple[str, ...] = ()


class SharedVolumes:
    """Makes the claim to each shared volume when it is first asked for, as a child of ``parent``."""

    def __init__(
        self,
        parent: pulumi.Resource,
        cluster: Cluster,
        store: ModelStoreSettings,
        existing: Mapping[str, SharedVolume],
    ) -> None:
        self._parent = parent
        self._cluster = cluster
        self._store = store
        self._existing = existing
        self._claims: dict[str, core.PersistentVolumeClaim] = {}

    def claim(self, name: str) -> core.PersistentVolumeClaim:
        """Return the claim to the volume ``name``."""
        if name not in self._claims:
            spec = (
                self._bind(name, self._existing[name])
                if name in self._existing
                else claim_spec(self._store.size_gib, self._store.storage_class, self._store.access)
            )
            # Many classes make the volume only once a pod wants it: there is nothing to wait for.
            metadata = {**self._cluster.metadata(name), "annotations": {"pulumi.com/skipAwait": "true"}}
            self._claims[name] = core.PersistentVolumeClaim(
                name, metadata=metadata, spec=spec, opts=self._cluster.opts(self._parent)
            )
        return self._claims[name]

    def _bind(self, name: str, existing: SharedVolume) -> Manifest:
        """Create the volume that stands for one that exists, and return the specification of its claim."""
        common: Manifest = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
        volume = core.PersistentVolume(
            name,
            metadata={
                # Volumes belong to the whole cluster, so the name says whose it is.
                "name": pulumi.Output.concat(self._cluster.namespace, "-", name),
                "labels": self._cluster.labels(name),
            },
            spec=common
            | {
                "capacity": {"storage": BUCKET_SIZE},
                "persistentVolumeReclaimPolicy": "Retain",
                "mountOptions": list(existing.mount_options),
                "claimRef": {"namespace": self._cluster.namespace, "name": name},
                "csi": {
                    "driver": existing.driver,
                    "volumeHandle": existing.handle,
                    "volumeAttributes": dict(sorted(existing.attributes.items())),
                },
            },
            opts=self._cluster.opts(self._parent),
        )
        return common | {
            "resources": {"requests": {"storage": BUCKET_SIZE}},
            "volumeName": volume.metadata.name,
        }
