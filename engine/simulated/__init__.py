"""The simulated cloud: packages without a real provider here, for previews, tests and rehearsals."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import EngineError
from engine.provider import Provider
from engine.state import Resource
from engine.values import reveal

if TYPE_CHECKING:
    from engine.simulated.cloud import Cloud

CLOUDS = ("aws", "cloudflare")
_REFUSAL = (
    "the stack uses {}, which the embedded engine only simulates, so nothing was begun: install the Pulumi "
    "CLI (https://www.pulumi.com/docs/install/) to do it for real, or pass --simulate to rehearse it"
)


class Simulation:
    """What a run simulates: with a folder for the cloud everything, without one the clouds of a preview.

    `state` is what the stack has; `existing` is a JSON list of ids, ARNs and names that it takes as given.
    """

    def __init__(
        self, folder: Path | None, preview: bool, write: Callable[[Path, bytes], None],
        state: Sequence[Resource], existing: str, kubeconfig: Path | None,
    ) -> None:  # fmt: skip
        self._folder, self._preview, self._write, self._kubeconfig = folder, preview, write, kubeconfig
        self._state, self._existing = state, existing
        self.used = folder is not None

    @property
    def packages(self) -> dict[str, Callable[[], Provider]]:
        """The packages that are not done for real, and what stands in for each."""
        around = self._folder or (self._preview and self._clouds)
        names = (*CLOUDS, "docker", "kubernetes") if around else CLOUDS
        return {package: partial(self._start, package) for package in names}

    def refusal(self) -> str:
        """Return why nothing may be done for real: the state or the program has a cloud in it."""
        found = "" if self._folder or self._preview else " and ".join(self._clouds)
        return found and _REFUSAL.format(found)

    @property
    def _clouds(self) -> list[str]:
        """The clouds that the state or the program has something of."""
        kinds = {one.type.partition(":")[0] for one in self._state if one.custom}
        return [one for one in CLOUDS if one in kinds or f"pulumi_{one}" in sys.modules]

    def _start(self, package: str) -> Provider:
        # Imported here: a stack without a cloud does not wait for the SDKs and the models of one.
        if not (self._folder or self._preview):
            raise EngineError(_REFUSAL.format(package))
        self.used = True
        if package == "docker":
            from engine.simulated.docker import SimulatedDocker

            return SimulatedDocker(images_alone=self._folder is not None)
        if package == "kubernetes":
            from engine.simulated.kubernetes import SimulatedKubernetes

            return SimulatedKubernetes(self._cloud, self._kubeconfig)
        from engine.simulated.provider import AwsProvider, CloudflareProvider

        return AwsProvider(self._cloud) if package == "aws" else CloudflareProvider(self._cloud)

    @cached_property
    def _cloud(self) -> Cloud:
        from engine.simulated.cloud import Cloud, Thing

        try:
            existing = json.loads(self._existing or "[]")
        except ValueError:
            existing = None
        if not isinstance(existing, list) or not all(isinstance(one, str) for one in existing):
            raise EngineError("simulated:existing must be a list of ids, ARNs and names")
        # A preview beside the real state knows what that has.
        things = [
            Thing(one.type, one.id, one.urn, f"{one.urn} 0", reveal(one.inputs), reveal(one.outputs))
            for one in self._state
            if not self._folder and one.type.partition(":")[0] in CLOUDS and one.custom and one.id
        ]
        return Cloud(self._folder, self._write, existing, things)
