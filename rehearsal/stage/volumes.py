"""Disks: a volume object for each claim that has a node, in the place of the cloud's driver."""

from __future__ import annotations

import contextlib
import threading
import uuid
from typing import Any

from kubernetes.client import ApiException

from rehearsal.controlplane import ControlPlane

SELECTED = "volume.kubernetes.io/selected-node"
MADE = {"rehearsal.ollamamax.io/made": "volume"}
ZONE = "topology.kubernetes.io/zone"
PAUSE_S = 0.5
VOLUMES = "/api/v1/persistentvolumes"


class Volumes:
    """Makes them in a thread, until it is stopped."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="volumes", daemon=True)
        self.failure: Exception | None = None
        """Why it ended by itself."""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, once what is under way is done."""
        self._stopped.set()
        self._thread.join()

    def _work(self) -> None:
        try:
            while not self._stopped.wait(PAUSE_S):
                self.look()
        except Exception as error:
            self.failure = error

    def look(self) -> None:
        """Make what is missing, and remove what nobody claims any more."""
        claims = self._plane.request("get", "/api/v1/persistentvolumeclaims")["items"]
        for claim in claims:
            node = claim["metadata"].get("annotations", {}).get(SELECTED)
            if node and not claim["spec"].get("volumeName") and "deletionTimestamp" not in claim["metadata"]:
                self._make(claim, node)
        for volume in self._plane.request("get", VOLUMES)["items"]:
            meta, ours = volume["metadata"], MADE.items() <= volume["metadata"].get("labels", {}).items()
            if ours and volume["status"].get("phase") == "Released" and "deletionTimestamp" not in meta:
                with _changed_meanwhile():
                    self._plane.request("delete", f"{VOLUMES}/{meta['name']}")

    def _make(self, claim: dict[str, Any], node: str) -> None:
        meta, spec = claim["metadata"], claim["spec"]
        with _changed_meanwhile():
            zone = self._plane.request("get", f"/api/v1/nodes/{node}")["metadata"]["labels"][ZONE]
            term = {"matchExpressions": [{"key": ZONE, "operator": "In", "values": [zone]}]}
            path = f"/apis/storage.k8s.io/v1/storageclasses/{spec['storageClassName']}"
            kind = self._plane.request("get", path)
            # Named by its claim, so that a second look makes no second one.
            name = f"pvc-{meta['uid']}"
            body = {
                "metadata": {"name": name, "labels": MADE},
                "spec": {
                    "storageClassName": spec["storageClassName"], "accessModes": spec["accessModes"],
                    "capacity": spec["resources"]["requests"],
                    "persistentVolumeReclaimPolicy": kind["reclaimPolicy"],
                    "claimRef": {key: meta[key] for key in ("name", "namespace", "uid")},
                    "csi": {"driver": kind["provisioner"], "volumeHandle": f"vol-{uuid.uuid4().hex[:17]}"},
                    "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
                },
            }  # fmt: skip
            self._plane.request("post", VOLUMES, body)


@contextlib.contextmanager
def _changed_meanwhile() -> Any:
    """Leave for the next look what is gone, or there already."""
    try:
        yield
    except ApiException as error:
        if error.status not in (404, 409):
            raise
