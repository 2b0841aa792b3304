"""The cluster that a stack runs on: its API, and its services forwarded to this machine."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from engine.provider import ProviderError
from engine.providers.kubernetes_api import Cluster as Api
from ops.stack import Stack, StackError

MERGE = "application/merge-patch+json"
POD_WAIT_S = 10
"""How long kubectl waits for a pod behind a service."""
NO_KUBECTL = (
    "kubectl is missing, through which this machine reaches {} on the cluster: install it "
    "(https://kubernetes.io/docs/tasks/tools/)"
)


@dataclass(frozen=True)
class Cluster:
    """A stack's cluster: that of a context of the kubeconfig, or the stack's own on AWS."""

    stack: Stack

    @cached_property
    def outputs(self) -> Mapping[str, Any]:
        """The stack's outputs."""
        return self.stack.outputs(show_secrets=True)

    @cached_property
    def namespace(self) -> str:
        """The platform's namespace."""
        return self.stack.settings().kubernetes.namespace

    @contextmanager
    def api(self) -> Iterator[Api]:
        """Yield a client of its API server.

        Raises:
            StackError: if the server does not answer, or refuses what it is asked.
        """
        api = Api()
        api.settings = self._access
        try:
            yield api
        except ProviderError as error:
            raise StackError(str(error)) from error
        finally:
            api.close()

    def path(self, kind: str, name: str = "", api: str = "api/v1") -> str:
        """Return the API's path of an object in the platform's namespace, or of all of a kind."""
        return f"/{api}/namespaces/{self.namespace}/{kind}" + (f"/{name}" if name else "")

    @contextmanager
    def forwarded(self, service: str, port: int) -> Iterator[int]:
        """Yield a port of this machine that leads to one of a service of the platform.

        Raises:
            StackError: if there is no kubectl, or it cannot do that.
        """
        kubectl = self.kubectl(service)
        words = ["port-forward", f"service/{service}", f":{port}", f"--pod-running-timeout={POD_WAIT_S}s"]
        with self._words() as access, tempfile.TemporaryFile("w+") as said:
            # In a session of its own: Ctrl-C is for who asks, and who still has to take a release back.
            child = subprocess.Popen(  # noqa: S603 - our own words
                [kubectl, *access, *words],
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                start_new_session=True,
            )
            with child:
                try:
                    # Forwarding from 127.0.0.1:40123 -> 9090
                    first = child.stdout.readline() if child.stdout else ""
                    here = first.partition(" -> ")[0].rpartition(":")[2]
                    if not here.isdecimal():
                        child.wait()
                        said.seek(0)
                        why = " ".join(said.read().split()) or f"it ended with status {child.returncode}"
                        raise StackError(f"kubectl cannot forward {service} to this machine: {why}")
                    yield int(here)
                finally:
                    child.terminate()

    def said(self, service: str) -> str:
        """Return what the pod of a job of the platform has said.

        Raises:
            StackError: if there is no kubectl, or it cannot tell.
        """
        pods = f"app.kubernetes.io/name={service},app.kubernetes.io/instance={self.stack.name}"
        with self._words() as access:
            done = subprocess.run(  # noqa: S603 - our own words
                [self.kubectl(service), *access, "logs", f"--selector={pods}", "--tail=-1"],
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode:
            raise StackError(f"kubectl does not show what {service} said: {' '.join(done.stderr.split())}")
        return done.stdout

    def kubectl(self, service: str) -> str:
        """Return kubectl, by which this machine reaches a service.

        Raises:
            StackError: if there is none.
        """
        if found := shutil.which("kubectl"):
            return found
        raise StackError(NO_KUBECTL.format(service))

    @cached_property
    def _access(self) -> dict[str, str]:
        """Which cluster it is, and how it is opened, as the provider is told."""
        if not self.stack.in_cloud:
            return {"context": str(self.stack.settings().kubernetes.context)}
        if "kubeconfig" not in self.outputs:
            raise StackError(
                f"the stack has no output kubeconfig: make up STACK={self.stack.name} brings it up"
            )
        return {"kubeconfig": str(self.outputs["kubeconfig"])}

    @contextmanager
    def _words(self) -> Iterator[list[str]]:
        """Yield the words that tell kubectl the same."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "kubeconfig"
            named = {"context": self._access.get("context", ""), "kubeconfig": ""}
            if document := self._access.get("kubeconfig"):
                file.write_text(document)
                named["kubeconfig"] = str(file)
            named["namespace"] = self.namespace
            yield [f"--{name}={value}" for name, value in named.items() if value]
