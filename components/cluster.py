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

    def metadata(
        self, name: str, object_name: pulumi.Input[str] | None = None, ready_within_s: int | None = None
    ) -> Manifest:
        """Return the metadata of an object in the namespace; its name is ``object_name``, or ``name``.

        An update that waits longer than ``ready_within_s`` for the object fails.
        """
        timeout = (
            {"annotations": {"pulumi.com/timeoutSeconds": str(ready_within_s)}} if ready_within_s else {}
        )
        return {
            "name": name if object_name is None else object_name,
            "namespace": self.namespace,
            "labels": self.labels(name),
            **timeout,
        }

    def opts(self, parent: pulumi.Resource, after: Sequence[pulumi.Resource] = ()) -> pulumi.ResourceOptions:
        """Return the options of an object that is made after ``after``."""
        return pulumi.ResourceOptions(parent=parent, provider=self.provider, depends_on=list(after))
