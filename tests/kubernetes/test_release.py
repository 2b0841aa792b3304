"""Releases of a stack on a real API server, from their command to their end.

Engine, API server, kubectl and commands are real; no container runs. What Prometheus measures is simulated:
`measured.py`.
"""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml

from ops.delivery import cluster
from ops.delivery.commands import Delivery
from ops.delivery.releases import CACHES, PROGRAM
from ops.stack import ROOT, Stack, StackError
from rehearsal.controlplane import ControlPlane
from tests.docs.test_commands import commands
from tests.docs.test_pages import PAGES
from tests.kubernetes.measured import Measured, served
from tests.kubernetes.stack import example, get, give_disks, reach

pytestmark = pytest.mark.long

NAME = "released"
APPS = f"/apis/apps/v1/namespaces/{NAME}"
CORE = f"/api/v1/namespaces/{NAME}"
SCALER = f"/apis/keda.sh/v1alpha1/namespaces/{NAME}/scaledobjects/gateway"
NEED_MORE = (" exec ", " port-forward ", "--namespace keda", "describe certificate")
"""Commands that need a container, do not end (test_kubectl.py runs one), or need KEDA or cert-manager."""
NO_BUILDS = """
from components.images import BuiltImages
BuiltImages.reference = lambda self, image: f"example.org/{image.replace(':', '-')}@sha256:" + "0" * 64
"""
"""No container runs, and so none is built."""


@dataclass
class Stage:
    """A checkout whose stack is released."""

    plane: ControlPlane
    stack: Stack
    measured: Measured
    said: list[str] = field(default_factory=list)

    @property
    def delivery(self) -> Delivery:
        return Delivery(self.stack, self.said.append)

    def write(self, log_level: str) -> None:
        """Write the stack file: versions of the gateways differ in what they log."""
        settings = example(
            NAME,
            NAME,
            gateway={"autoscaling": {"maxReplicas": 6}, "logLevel": log_level},
            monitoring={"scrapeIntervalS": 2, "scrapeTimeoutS": 1},
            release={"stepsPercent": [25, 100], "watchS": 6, "settleS": 0},
        )
        config = {f"ollamamax:{name}": value for name, value in settings.items()}
        self.stack.settings_file.write_text(yaml.safe_dump({"config": config}))

    def get(self, path: str) -> Any:
        return get(self.plane, path)

    def pods(self, service: str) -> set[str]:
        found = self.get(f"{CORE}/pods?labelSelector=app.kubernetes.io/name={service}")["items"]
        return {one["metadata"]["uid"] for one in found}

    def assert_nothing_is_left(self) -> None:
        assert self.get(f"{CORE}/configmaps/edge-shares") is None
        assert self.get(f"{APPS}/deployments/gateway-canary") is None
        assert self.pods("gateway-canary") == set()
        leads = self.get(f"{CORE}/services/gateway-trial")["spec"]["selector"]
        assert leads["app.kubernetes.io/name"] == "gateway"
        assert cluster.PAUSED not in self.get(SCALER)["metadata"].get("annotations", {})
        for edge in self.get(f"{CORE}/pods?labelSelector=app.kubernetes.io/name=edge")["items"]:
            assert cluster.TOLD not in edge["metadata"].get("annotations", {})


@pytest.fixture(scope="module")
def stage(plane: ControlPlane, nodes: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    give_disks(plane, NAME)
    root = tmp_path_factory.mktemp("checkout")
    for name in PROGRAM:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns(CACHES, "node_modules"))
        else:
            shutil.copy(ROOT / name, root / name)
    program = root / "__main__.py"
    program.write_text(program.read_text().replace("\nproject =", f"{NO_BUILDS}\nproject =", 1))
    (root / ".venv").symlink_to(ROOT / ".venv")
    made = Stage(plane, Stack(NAME, root), Measured(plane, NAME))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("KUBECONFIG", str(plane.kubeconfig))
        patched.setenv("PATH", str(plane.binaries), prepend=":")
        patched.setattr(cluster.Gateways, "heard_s", 0)  # no kubelet has anything to bring
        made.write("info")
        made.delivery.release(100)
        with served(made.measured, tmp_path_factory.mktemp("prometheus")) as port:
            reach(plane, NAME, 9090, port)
            yield made
        made.stack.destroy(data=True)


def test_the_first_release_is_brought_up_as_it_is(stage: Stage) -> None:
    assert "nothing runs that it could be compared with" in stage.said[0]
    running = stage.delivery.releases.running
    assert running
    assert running.images["gateway"].startswith("example.org/gateway@sha256:")
    assert {"edge", "postgres", "prometheus", "worker-chat"} <= running.images.keys()
    stage.assert_nothing_is_left()


def test_commands_of_the_pages_work_on_its_cluster(stage: Stage) -> None:
    found = [line for page in PAGES for line in commands(page) if line.startswith("kubectl ")]
    run = [line for line in found if not any(word in line for word in NEED_MORE)]
    assert len(run) > 5
    pod = get(stage.plane, f"{CORE}/pods")["items"][0]["metadata"]["name"]
    here = {
        "namespace ollamamax": f"namespace {NAME}",
        "worker-POOL": "worker-chat",
        "NODE": "node-1",
        "NAME": pod,
    }
    for line in run:
        for theirs, ours in here.items():
            line = line.replace(theirs, ours)
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}: {done.stderr}"
        assert done.stdout or "providerID" in line, f"{line} shows nothing: {done.stderr}"


def test_a_bad_release_is_taken_back_and_leaves_what_runs_untouched(stage: Stage) -> None:
    before = {service: stage.pods(service) for service in ("gateway", "edge", "prometheus")}
    stage.write("debug")
    stage.measured.fails = 0.02
    with pytest.raises(
        StackError, match=r"release 2 was taken back at 25 %: [12]\.\d\d % of \d+ requests failed"
    ):
        stage.delivery.release(100)
    assert stage.measured.shares == [0, 25, 0]
    assert {service: stage.pods(service) for service in before} == before
    stage.assert_nothing_is_left()
    assert [one.number for one in stage.delivery.releases.kept] == [1]


def test_one_that_is_held_keeps_its_share_and_its_room(stage: Stage) -> None:
    stage.measured.fails = 0.0
    stage.measured.shares.clear()
    stage.delivery.release(25)
    assert "is held at 25 %" in stage.said[-1]
    assert stage.get(f"{CORE}/configmaps/edge-shares")["data"] == {"asked": "", "25": ""}
    edges = stage.get(f"{CORE}/pods?labelSelector=app.kubernetes.io/name=edge")["items"]
    assert {one["metadata"]["annotations"][cluster.TOLD] for one in edges} == {"asked 25"}
    assert stage.get(SCALER)["metadata"]["annotations"][cluster.PAUSED] == "true"
    there, tried = (stage.get(f"{APPS}/deployments/{name}") for name in ("gateway", "gateway-canary"))
    assert tried["status"]["readyReplicas"] == there["spec"]["replicas"]


def test_a_good_one_goes_on_and_takes_over(stage: Stage) -> None:
    before = stage.pods("gateway")
    stage.delivery.promote()
    assert stage.said[-1] == "release 2 runs"
    assert stage.measured.shares == [0, 25, 100, 0]
    assert not stage.pods("gateway") & before
    stage.assert_nothing_is_left()
    plan, possible = stage.stack.plan()
    assert possible
    assert {one["op"] for one in plan["steps"]} <= {"same"}, "nothing is left to be done"


def test_the_release_before_comes_back_with_its_settings(stage: Stage) -> None:
    def level() -> Any:
        found = stage.get(f"{CORE}/configmaps")["items"]
        (text,) = [
            one["data"]["gateway.yaml"] for one in found if one["metadata"]["name"].startswith("gateway-")
        ]
        return yaml.safe_load(text)["log"]["level"]

    assert level() == "debug"
    stage.delivery.rollback(None)
    assert level() == "info"
    assert stage.said[-1] == "release 1 runs"
