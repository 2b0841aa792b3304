"""Kubernetes objects of the simulated cloud: any object is taken; a release of a chart is one object, too.

With a kubeconfig the objects are those of its cluster, whatever the program's own kubeconfig says.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import ClassVar

from engine.provider import Context, Resource
from engine.providers.kubernetes import KubernetesProvider
from engine.providers.kubernetes_api import Cluster
from engine.providers.kubernetes_object import KubernetesObject
from engine.simulated.cloud import Cloud
from engine.simulated.facts import Facts
from engine.simulated.made import BORN
from engine.simulated.stored import StoredResource
from engine.values import Properties

RELEASE = "kubernetes:helm.sh/v3:Release"
_WIDE = (
    ("cert-manager.io", "ClusterIssuer"), ("eks.amazonaws.com", "NodeClass"),
    ("karpenter.k8s.aws", "EC2NodeClass"), ("karpenter.sh", "NodeClaim"), ("karpenter.sh", "NodePool"),
    ("keda.sh", "ClusterTriggerAuthentication"),
)  # fmt: skip
"""Kinds outside of namespaces whose definitions come with the cluster or a chart, not with the program."""


class SimulatedKubernetes(KubernetesProvider):
    """The kubernetes package."""

    def __init__(self, cloud: Cloud, kubeconfig: Path | None) -> None:
        super().__init__()
        self._kubeconfig, self._release = kubeconfig, _Release(cloud)
        if not kubeconfig:
            self.cluster = _NoCluster()
            self.object = _StoredObject(self.cluster, cloud)

    def resource(self, token: str) -> Resource:
        """Return the resource type of an object or of a release."""
        return self._release if token == RELEASE else super().resource(token)

    def configure(self, args: Properties) -> None:
        """Take the settings; another kubeconfig goes before that of the program."""
        if self._kubeconfig:
            kept = args.keys() - {"cluster", "clusterIdentifier", "context", "kubeconfig"}
            args = {key: args[key] for key in kept} | {"kubeconfig": str(self._kubeconfig)}
        super().configure(args)


class _NoCluster(Cluster):
    """Stands in for a cluster where nothing but names is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.scopes |= dict.fromkeys(_WIDE, False)

    @property
    def known(self) -> bool:
        """Whether the settings are known: nothing has to be."""
        return True

    @property
    def namespace(self) -> str:
        """The namespace of what names none."""
        return str(self.settings.get("namespace") or "default")

    def _kind(self, api_version: str, kind: str) -> tuple[str, bool] | None:
        return None


class _StoredObject(StoredResource, KubernetesObject):
    """An object of any kind, compared as a real one is."""

    def __init__(self, cluster: Cluster, cloud: Cloud) -> None:
        KubernetesObject.__init__(self, cluster)
        StoredResource.__init__(self, cloud)

    def check(self, ctx: Context, olds: Properties, news: Properties, seed: bytes) -> Properties:
        """Write the manifest as the API server keeps it; an automatic name is the same one each time."""
        return super().check(ctx, olds, news, self.cloud.seed(ctx.urn).encode())

    def plan(self, ctx: Context, olds: Properties, news: Properties) -> Properties | None:
        """Know no more than what is given."""
        return None

    def made(self, inputs: Properties, seed: str) -> tuple[str, Properties]:
        """Return the object as it would be live, but for its status."""
        meta = inputs["metadata"]
        uid = Facts({}, seed, self.cloud).text("{uuid}")
        born = {"creationTimestamp": BORN, "generation": 1, "resourceVersion": "1", "uid": uid}
        id_ = "/".join(filter(None, (meta.get("namespace"), meta["name"])))
        return id_, {**inputs, "metadata": {**meta, **born}}


class _Release(StoredResource):
    """A release of a chart, which is recorded and not rendered."""

    inputs: ClassVar = {
        **dict.fromkeys(("chart", "description", "name", "namespace", "postrender", "version"), str),
        **dict.fromkeys(("allowNullValues", "atomic", "cleanupOnFail", "createNamespace", "devel"), bool),
        **dict.fromkeys(("dependencyUpdate", "disableOpenapiValidation", "disableWebhooks", "lint"), bool),
        **dict.fromkeys(("disableCRDHooks", "forceUpdate", "recreatePods", "renderSubchartNotes"), bool),
        **dict.fromkeys(("replace", "resetValues", "reuseValues", "skipAwait", "skipCrds", "verify"), bool),
        **dict.fromkeys(("repositoryOpts", "resourceNames", "values"), dict), "maxHistory": int,
        "timeout": int, "valueYamlFiles": list, "waitForJobs": bool, "keyring": str, "compat": str,
    }  # fmt: skip
    in_place = frozenset(inputs) - {"name", "namespace"}

    def check(self, ctx: Context, olds: Properties, news: Properties, seed: bytes) -> Properties:
        """Return valid inputs with a name and a namespace."""
        if news.get("chart") is None:
            raise ctx.error("chart is missing; name one")
        digest = hashlib.sha256(self.cloud.seed(ctx.urn).encode()).hexdigest()[:8]
        named = {"name": olds.get("name") or f"{ctx.name}-{digest}", "namespace": "default"}
        return named | super().check(ctx, olds, news, seed)

    def made(self, inputs: Properties, seed: str) -> tuple[str, Properties]:
        """Return the release as deployed."""
        told = {key: inputs.get(key, "") for key in ("chart", "name", "namespace", "version")}
        status = {**told, "appVersion": told["version"], "revision": 1, "status": "deployed"}
        return f"{told['namespace']}/{told['name']}", {**inputs, "status": status}
