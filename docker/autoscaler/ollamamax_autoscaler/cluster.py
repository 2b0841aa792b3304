"""How many pods the workers have, and how long these took to start: read from the cluster, never written."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from ollamamax_autoscaler import web

LABEL = "app.kubernetes.io/name"
LONGEST_START_S = 1800
"""What took longer waited for capacity that was not to be had, or has been unready since."""
REMEMBERED = 50
ENDED = ("Succeeded", "Failed")


@dataclass
class Pods:
    """The pods of one service."""

    current: int = 0
    starts: dict[str, float] = field(default_factory=dict)
    """By pod, how long each took from its creation until it was ready, seconds; the oldest first."""


class Cluster:
    """The API server of the cluster that this process is a pod of."""

    def __init__(
        self, account: Path, services: Sequence[str], environment: Mapping[str, str] = os.environ
    ) -> None:
        """Read where the API server is.

        Raises:
            OSError: if the account's files cannot be read, or the environment does not name the API server.
        """
        host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT")
        if not (host and port):
            raise OSError(
                "cluster: needs KUBERNETES_SERVICE_HOST and _PORT, which every pod has: leave it out"
            )
        namespace = (account / "namespace").read_text().strip()
        # From the API server's memory: what is a second old is new enough.
        question = {"labelSelector": f"{LABEL} in ({','.join(sorted(services))})", "resourceVersion": "0"}
        self._url = f"https://{host}:{port}/api/v1/namespaces/{namespace}/pods?{urlencode(question)}"
        self._context = web.trusting(account / "ca.crt")
        self._token = account / "token"
        self._pods = {service: Pods() for service in services}

    def pods(self) -> Mapping[str, Pods]:
        """Return the pods by service, as they are now.

        Raises:
            UnavailableError: if the API server does not answer.
        """
        try:
            token = self._token.read_text().strip()  # the kubelet changes it
        except OSError as error:
            raise web.UnavailableError(f"{self._token}: {error.strerror}") from error
        answer = web.get(self._url, {"Authorization": f"Bearer {token}"}, self._context)
        try:
            self._take(answer["items"])
        except (KeyError, TypeError, ValueError) as error:
            raise web.UnavailableError(f"the answer is no list of pods: {error!r}") from error
        return self._pods

    def _take(self, items: Sequence[Any]) -> None:
        for pods in self._pods.values():
            pods.current = 0
        for item in sorted(items, key=lambda item: str(item["metadata"]["creationTimestamp"])):
            pods, status = self._pods[item["metadata"]["labels"][LABEL]], item.get("status", {})
            if status.get("phase") in ENDED:
                continue
            pods.current += 1
            uid, took = item["metadata"]["uid"], _start_s(item["metadata"], status)
            # Kept as first seen: a pod that is ready again did not start again.
            if took is not None and uid not in pods.starts:
                pods.starts[uid] = took
                if len(pods.starts) > REMEMBERED:
                    del pods.starts[next(iter(pods.starts))]


def _start_s(metadata: Mapping[str, Any], status: Mapping[str, Any]) -> float | None:
    """Return how long a pod took to become ready; None if it is not, or took longer than a start."""
    for condition in status.get("conditions") or ():
        if condition["type"] == "Ready" and condition["status"] == "True":
            ready, made = condition["lastTransitionTime"], metadata["creationTimestamp"]
            took = (datetime.fromisoformat(ready) - datetime.fromisoformat(made)).total_seconds()
            return took if 0 <= took <= LONGEST_START_S else None
    return None
