"""A project whose program makes Kubernetes objects, and a look at what is in the cluster."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kubernetes.client import ApiException

from rehearsal.controlplane import ControlPlane
from tests.engine.bench import Bench
from tests.engine.cloud import Cloud

HEAD = "import pulumi\nimport pulumi_kubernetes as k8s\nfrom pulumi import ResourceOptions as Opts\n"


class Stack(Bench):
    """A bench with a cluster."""

    def __init__(self, folder: Path, plane: ControlPlane) -> None:
        super().__init__(folder, Cloud(folder), "0")
        self.plane = plane
        self.env["KUBECONFIG"] = str(plane.kubeconfig)
        self.env.pop("PULUMI_DEBUG_PROVIDERS")

    def program(self, text: str) -> None:
        """Write the program."""
        (self.folder / "program" / "__main__.py").write_text(HEAD + textwrap.dedent(text))

    def get(self, path: str) -> Any:
        """An object or list of the API server, None when there is none."""
        try:
            return self.plane.request("get", path)
        except ApiException as error:
            if error.status == 404:
                return None
            raise

    def patch(self, path: str, body: Any) -> None:
        """Change an object by hand."""
        self.plane.request("patch", path, body, "application/merge-patch+json")

    def outputs(self, name: str) -> Any:
        """The recorded outputs of a resource."""
        return self.resources[name]["outputs"]

    def clean(self) -> None:
        """Take the stack down, if the test did not."""
        if self.state_file.exists() and self.resources:
            self.run("destroy", "--yes")


def wait_for(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """What a condition gives, once it gives something."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited for in vain"
        time.sleep(0.1)
    return found
