"""Gateways of a release on a cluster."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from engine.providers.kubernetes_api import APPLY, ApiError
from engine.providers.kubernetes_api import Cluster as Api
from ops.cluster import MERGE, Cluster
from ops.delivery.beside import FIRST, PARTS, Beside
from ops.stack import StackError
from stacks import capacity
from stacks.delivery import CANARY, SHARES, TRIAL

LEADS = f"urn:pulumi:*::*::**::{TRIAL}"
"""The name that the edges ask, which leads to a release while one is tried."""
APPS, KEDA = "apis/apps/v1", "apis/keda.sh/v1alpha1"
NAME, INSTANCE = "app.kubernetes.io/name", "app.kubernetes.io/instance"
WRITER = "ollamamax-release"
TOLD = "ollamamax.io/release"
"""Annotation of an edge's pod: as it changes, the kubelet brings the pod what its ConfigMaps hold now.
kubernetes.io/docs/tasks/configure-pod-container/configure-pod-configmap/#mounted-configmaps-are-updated-automatically"""
PAUSED = "autoscaling.keda.sh/paused-scale-in"
"""Annotation by which a ScaledObject adds replicas and takes none away; older KEDA does not heed it."""
HEARD_S = 90.0
"""How long it takes where a kubelet has the annotation before the ConfigMap: it looks at each pod every 60 to
90 s (``syncFrequency``, a minute, and up to half of that by chance on top)."""


@dataclass(frozen=True)
class Gateways(Beside):
    """The gateways of a release in a Deployment of their own."""

    heard_s: ClassVar[float] = HEARD_S

    @property
    def is_up(self) -> bool:
        """Whether there are gateways that a release can be compared with."""
        if self.stack.in_cloud and not self._cluster.outputs:
            return False  # its cluster is made with it
        deployment = self._deployment("gateway")
        return bool(deployment and deployment["status"].get("readyReplicas"))

    @property
    def is_tried(self) -> bool:
        """Whether there is something of a release beside them: gateways, or a share for such."""
        if self.stack.in_cloud and "kubeconfig" not in self._cluster.outputs:
            return False  # it is not up, or of a version that tried none on clusters
        with self._cluster.api() as api, _gone_is_fine():
            return bool(api.request("GET", self._cluster.path("configmaps", SHARES)))
        return self._deployment(CANARY) is not None

    @property
    def images(self) -> Mapping[str, str]:
        """The images of the stack's workloads: service → name, by its digest where it was pushed."""
        with self._cluster.api() as api:
            found = [
                one
                for kind in ("deployments", "statefulsets")
                for one in api.listed(self._cluster.path(kind, api=APPS), labelSelector=self._of())
            ]
        return {
            one["metadata"]["labels"][NAME]: one["spec"]["template"]["spec"]["containers"][0]["image"]
            for one in found
            if one["metadata"]["labels"][NAME] != CANARY
        }

    @property
    def count(self) -> int:
        """How many a release needs: as many as the load has called for."""
        deployment = self._deployment("gateway")
        there = deployment["spec"]["replicas"] if deployment else 0
        return max(1, min(there, capacity.most_canaries(self.stack.settings())))

    def check(self) -> None:
        """Raise what speaks against a release: no room, edges that cannot be told, nothing to measure by."""
        with self._cluster.api() as api:
            for pod in self._edges(api):
                maps = [one.get("configMap", {}).get("name") for one in pod["spec"].get("volumes", ())]
                if SHARES not in maps:
                    raise StackError(
                        f"{pod['metadata']['name']} cannot be told of a release: one of a release without "
                        f"{SHARES} is made anew by make up STACK={self.stack.name}"
                    )
        super().check()

    def place(self) -> None:
        """Bring them up beside what is there; that stays as large as it is, to get all requests back."""
        with self._cluster.api() as api:
            self._keep_all(api, keep=True)
        self._with_canaries.prepare()
        self._with_canaries.up(*FIRST, LEADS)

    def tell(self, switches: Sequence[str]) -> None:
        """Have the edges find these switches on, and all others off: entries of a ConfigMap."""
        path = self._cluster.path("configmaps", SHARES)
        with self._cluster.api() as api:
            if switches:
                metadata = {"name": SHARES, "labels": {NAME: "edge", INSTANCE: self.stack.name}}
                data = dict.fromkeys(switches, "")
                body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
                api.request("PATCH", path, body, APPLY, fieldManager=WRITER, force="true")
            else:
                with _gone_is_fine():
                    api.request("DELETE", path)
            told = {"metadata": {"annotations": {TOLD: " ".join(switches) or None}}}
            for edge in self._edges(api):
                with _gone_is_fine():
                    api.request("PATCH", self._cluster.path("pods", edge["metadata"]["name"]), told, MERGE)

    def take_back(self) -> None:
        """Give the others all requests, and remove these once what is under way has ended."""
        super().take_back()
        with self._cluster.api() as api:
            self._keep_all(api, keep=False)

    def _remove(self) -> None:
        # An engine deletes last. First the name leads elsewhere: an edge that has not heard asks those there.
        self.stack.up(LEADS, PARTS)

    def _edges(self, api: Api) -> list[dict[str, Any]]:
        """Return the pods of the edges."""
        return api.listed(self._cluster.path("pods"), labelSelector=f"{self._of()},{NAME}=edge")

    def _keep_all(self, api: Api, *, keep: bool) -> None:
        """Let the autoscaler, if there is one, take no gateways away, or again do so."""
        paused = {"metadata": {"annotations": {PAUSED: "true" if keep else None}}}
        with _gone_is_fine():
            api.request("PATCH", self._cluster.path("scaledobjects", "gateway", KEDA), paused, MERGE)

    def _deployment(self, name: str) -> dict[str, Any] | None:
        with self._cluster.api() as api, _gone_is_fine():
            return api.request("GET", self._cluster.path("deployments", name, APPS))
        return None

    def _of(self) -> str:
        return f"{INSTANCE}={self.stack.name}"

    @cached_property
    def _cluster(self) -> Cluster:
        return Cluster(self.stack)


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except ApiError as error:
        if error.status != 404:
            raise
