"""A stack's whole program on a real control plane of its own, with everything that scales it.

Nodes and pods are simulated; what decides about them is not: API server, controllers, scheduler, Karpenter,
KEDA, metrics-server, Prometheus and the forecaster are the real programs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from rehearsal import programs
from rehearsal.controlplane import ControlPlane, build
from rehearsal.processes import RehearsalError
from rehearsal.stage import checks, instances, inventory, names, nodes, remains
from rehearsal.stage import plane as ground
from rehearsal.stage.engine import Change, Engine, given
from rehearsal.stage.forecaster import Forecaster
from rehearsal.stage.nodes import Usage
from rehearsal.stage.overlay import FULL, QUICK, Overlay
from rehearsal.stage.prometheus import Prometheus, Sample
from rehearsal.stage.scaling import Scaling
from rehearsal.stage.substitutions import ROWS, is_broken, never_ready
from rehearsal.stage.volumes import Volumes
from rehearsal.verdict import Row, Verdict
from stacks import Settings

__all__ = [
    "DEPLOYED", "FULL", "QUICK", "Change", "Overlay", "Part", "Sample", "Say", "Stage", "Usage",
    "refuse_unfit", "running",
]  # fmt: skip

DEPLOYED = "a", "Everything is admitted, scheduled and ready, and fits together"
GONE = "f", "Nothing is left, in the cluster or the simulated cloud"
"""Letters and claims of what is asserted of a stack as a whole."""
UNSEEN = "the cluster could not be looked at"
"""What is wrong until it is known better."""
Part = Literal["autoscaler", "keda", "prometheus"]
"""What a scenario may kill."""
Say = Callable[[str], None]
UP_S, FULL_UP_S = 240, 3600
"""Time for an `up`, quick and full: nodes start, and everything becomes ready. In full it is the stack's own
deadline, which is 35 minutes for gateways, that ends a rollout which stands still."""
DESTROY_S = 180
HEEDED_S = 30
SETTLE_S = 90
"""Time in which autoscalers see metrics for the first time."""


class Stage:
    """A stack that stands.

    Attributes:
        plane: the API server, with the administrator's rights.
        settings: the stack's, as they were last deployed, with the overlay.
        namespace: the platform's.
        traffic_port: port of 127.0.0.1 on which Prometheus scrapes ``/metrics`` in the gateways' place.
        substitutions: what stands in for the cloud's.
        overlay: durations that are shortened; empty in a full run.
        sync_s: how often Kubernetes' autoscaler looks.
        prometheus: for queries.
        cloud: folder of the simulated cloud.
    """

    def __init__(self, plane: ControlPlane, stack: str, overlay: Overlay, address: str) -> None:
        """Describe the stage; `stand` brings it up."""
        self._overlay, self._engine = overlay, Engine(stack, plane.folder, plane.kubeconfig)
        self.plane, self.settings = plane, self._engine.write(overlay.apply)
        refuse_unfit(stack, self.settings)
        self.namespace, self.substitutions = self.settings.kubernetes.namespace, ROWS
        self.overlay: tuple[Row, ...] = tuple(overlay.rows(given(stack)))
        self.sync_s = overlay.sync_s
        self.cloud = self._engine.cloud
        self.traffic_port, forecasts = plane.processes.port(), plane.processes.port()
        hosts = plane.folder / "hosts"
        names.write(hosts, address, "prometheus", self.namespace)
        targets = {
            "gateway-each": f"127.0.0.1:{self.traffic_port}", "autoscaler": f"127.0.0.1:{forecasts}"
        }  # fmt: skip
        self.prometheus = Prometheus(plane, self.namespace, address, hosts, targets)
        self._forecaster = Forecaster(plane, self.namespace, forecasts, hosts)
        self._scaling, self._volumes = Scaling(plane, hosts, overlay.karpenter), Volumes(plane)
        self._before = inventory.Inventory({})

    def stand(self, say: Say) -> None:
        """Bring up everything that the stack is deployed onto."""
        ground.start(self.plane, self._overlay, self.settings)
        say("the control plane is up")
        self._volumes.start()
        self._scaling.start(instances.offered(self.settings, spot=True))
        say("Karpenter, KEDA and metrics-server are up")
        self._before = inventory.take(self.plane)

    def stop(self) -> None:
        """End everything."""
        self._volumes.stop()
        self.plane.stop()

    def describe(self, change: Change) -> Settings:
        """Have the engine's next command find the stack's settings with a change, and return them.

        Raises:
            SettingsError: if they describe no platform.
        """

        def both(settings: dict[str, object]) -> None:
            self._overlay.apply(settings)
            change(settings)

        return self._engine.write(both)

    def deploy(
        self,
        change: Change = lambda settings: None,
        within_s: float | None = None,
        targets: Sequence[str] = (),
    ) -> None:
        """Bring the stack, or only `targets` of it, up with a change of its settings, until it is ready.

        Raises:
            RehearsalError: if the engine fails; the message holds what it said.
            SettingsError: if the settings describe no platform.
        """
        self.settings = self.describe(change)
        usual_s = FULL_UP_S if self._overlay is FULL else UP_S
        self._engine.run("up", "--yes", targets=targets, within_s=within_s or usual_s)
        self.prometheus.follow()
        self._forecaster.follow()

    def deployed(self) -> Verdict:
        """Assert that everything is admitted, scheduled and ready, and consistent."""
        problems, resources = [UNSEEN], self._engine.resources()

        def settled() -> bool:
            found = inventory.take(self.plane)
            problems[:] = [*remains.missing(resources, found), *checks.problems(found, self.namespace)]
            return not problems

        with contextlib.suppress(RehearsalError):
            self.plane.processes.wait("not settled", settled, SETTLE_S)
        self.check()
        return Verdict(*DEPLOYED, tuple(problems))

    def destroy(self) -> Verdict:
        """Take the stack down, and assert that nothing is left of it."""

        def free(settings: dict[str, object]) -> None:
            settings["policy"] = {"allowReplace": ["*"]}

        try:
            self.deploy(free)  # what is protected is given free first, as docs/aws.md says
            self._engine.run("destroy", "--yes", within_s=DESTROY_S)
        except RehearsalError as error:
            return Verdict(*GONE, (str(error),))
        for name in ("prometheus", "autoscaler"):
            if self.plane.processes.runs(name):
                self.plane.processes.kill(name)
        return self.left()

    def left(self) -> Verdict:
        """Assert that nothing is there that was not there before the stack."""
        problems = [UNSEEN]

        def gone() -> bool:
            found = inventory.take(self.plane)
            problems[:] = [*remains.in_cluster(self._before, found), *remains.in_cloud(self.cloud)]
            return not problems

        with contextlib.suppress(RehearsalError):
            self.plane.processes.wait("not gone", gone, SETTLE_S)
        self.check()
        return Verdict(*GONE, tuple(problems))

    def check(self) -> None:
        """Raise RehearsalError if something of the stage has ended by itself."""
        self.plane.processes.check()
        if self._volumes.failure:
            raise RehearsalError("disks are made no more") from self._volumes.failure

    def use(self, usage: Mapping[str, Usage]) -> None:
        """Let the pods of services, by name, use so much CPU and memory from now on."""
        nodes.use(self.plane, usage)

    def offer(self, *, spot: bool = True, without_zones: Collection[str] = ()) -> None:
        """Let new nodes be had on spot or not, and in all zones but these, from now on."""
        self._scaling.offer(instances.offered(self.settings, spot=spot, without_zones=without_zones))

    def kill(self, part: Part) -> None:
        """End a part, at once."""
        if part == "keda":
            self._scaling.kill_keda()
        elif self.plane.processes.runs(part):
            self.plane.processes.kill(part)

    def start(self, part: Part) -> None:
        """Start a part that was killed."""
        match part:
            case "autoscaler":
                self._forecaster.start()
            case "keda":
                self._scaling.start_keda()
            case "prometheus":
                self.prometheus.start()

    def break_new_pods(self, service: str) -> None:
        """Let no pod of a service that is made from now on become ready."""
        never_ready(service).put(self.plane)
        self._wait_until_broken(service, True)

    def mend_new_pods(self, service: str) -> None:
        """Let new pods of a service become ready again."""
        never_ready(service).remove(self.plane)
        self._wait_until_broken(service, False)

    def _wait_until_broken(self, service: str, broken: bool) -> None:
        about = f"new pods of {service} were not made otherwise"
        self.plane.processes.wait(about, lambda: is_broken(self.plane, service) is broken, HEEDED_S)


def refuse_unfit(stack: str, settings: Settings) -> None:
    """Raise RehearsalError where a stack has nothing that could be rehearsed."""
    if settings.target != "aws" or not settings.gpu_pools:
        raise RehearsalError(f"stack {stack} has no GPU pools on AWS: there is nothing to rehearse")
    if by_hand := [pool.name for pool in settings.gpu_pools if pool.management != "karpenter"]:
        raise RehearsalError(f"pools {', '.join(by_hand)} are node groups: only Karpenter's are rehearsed")


@contextlib.contextmanager
def running(folder: Path, stack: str, overlay: Overlay, say: Say) -> Iterator[Stage]:
    """A stage that keeps its files in `folder`, ended at the end; what it stands on is built first."""
    programs.prometheus()  # the control plane's build may ask for Debian's packages too: not both at once
    with ThreadPoolExecutor(1) as beside:  # while one build links, on one core, the other compiles
        control_plane = beside.submit(build)
        programs.build_all()
        binaries = control_plane.result()
    with names.address() as address:
        stage = Stage(ControlPlane(folder, binaries), stack, overlay, address)
        try:
            stage.stand(say)
            yield stage
        finally:
            stage.stop()
