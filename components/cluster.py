"""What all objects of the platform on a cluster have in common."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components.pods import Manifest, selector


@dataclass(frozen=True)
class Cluster:
    """The stack's place on a cluster."""

    namespace: pulumi.Input[str]
    stack: str
    version: str
    provider: kubernetes.Provider

    def labels(self, name: str) -> dict[str, str]:
        """Return the labels of what belongs to ``name``."""
        return {
            **selector(name, self.stack),
            "app.kubernetes.io/version": self.version,
            "app.kubernetes.io/part-of": "ollamamax",
            "app.kubernetes.io/managed-by": "pulumi",
        }

    def metadata(self, name: str, object_name: pulumi.Input[str] | None = None) -> Manifest:
        """Return the metadata of an object in the namespace; its name is ``object_name``, or ``name``."""
        return {
            "name": name if object_name is None else object_name,
            "namespace": self.namespace,
            "labels": self.labels(name),
        }

    def opts(
        self, parent: pulumi.Resource, after: Sequence[pulumi.Resource] = (), timeout: str | None = None
    ) -> pulumi.ResourceOptions:
        """Return the options of an object: made after ``after``, given ``timeout`` to become ready."""
        return pulumi.ResourceOptions(
            parent=parent,
            provider=self.provider,
            depends_on=list(after),
            custom_timeouts=pulumi.CustomTimeouts(create=timeout, update=timeout) if timeout else None,
        )
