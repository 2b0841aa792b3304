"""The files that a pod of the cluster would be shown, for a program that runs in its place."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kubernetes.client import ApiException

from rehearsal.controlplane import ControlPlane

MOUNTED = "/etc/ollamamax"
"""Where the platform's pods have their files."""
NONE = 404


def workload(plane: ControlPlane, namespace: str, plural: str, name: str) -> dict[str, Any] | None:
    """Return a Deployment or StatefulSet, None where there is none."""
    try:
        found: dict[str, Any] = plane.request("get", f"/apis/apps/v1/namespaces/{namespace}/{plural}/{name}")
    except ApiException as error:
        if error.status != NONE:
            raise
        return None
    return found


def container(found: dict[str, Any]) -> dict[str, Any]:
    """Return the container of a workload's pods."""
    (one,) = found["spec"]["template"]["spec"]["containers"]
    return dict(one)


def files(plane: ControlPlane, found: dict[str, Any]) -> dict[str, bytes]:
    """Return what a workload's pods are shown below ``MOUNTED``: path → content."""
    return dict(_files(plane, found))


def _files(plane: ControlPlane, found: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    core = f"/api/v1/namespaces/{found['metadata']['namespace']}"
    for volume in found["spec"]["template"]["spec"]["volumes"]:
        for source in volume.get("projected", {}).get("sources", []):
            if about := source.get("configMap"):
                data = plane.request("get", f"{core}/configmaps/{about['name']}")["data"]
                contents = {key: text.encode() for key, text in data.items()}
            elif about := source.get("secret"):
                data = plane.request("get", f"{core}/secrets/{about['name']}")["data"]
                contents = {key: base64.b64decode(text) for key, text in data.items()}
            else:
                continue
            for item in about["items"]:
                yield item["path"], contents[item["key"]]


def write(contents: dict[str, bytes], folder: Path) -> None:
    """Write files into a folder that only its owner can read."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for path, content in contents.items():
        file = folder / path
        file.parent.mkdir(mode=0o700, exist_ok=True)
        file.write_bytes(content)
        file.chmod(0o600)
