"""A stage, with staging's program on it: it holds together, scales, and goes without a trace.

The steps build on each other: the stage takes a while to stand, and the stack another to be there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from rehearsal.processes import RehearsalError
from rehearsal.promises import promised
from rehearsal.scenario import Traffic
from rehearsal.stage import QUICK, Stage, Usage, running
from rehearsal.traffic import Model, served
from tests.kubernetes.stack import get, wait_for

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]  # the first run builds what it stands on

POOL, WORKER, MOST = "small", "worker-small", 3
SPACE = "namespaces/ollamamax"
PRIORITIES = "/apis/scheduling.k8s.io/v1/priorityclasses"
WATCH_S = 45
"""Longer than autoscalers of the overlay take to let replicas go."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Return a stage with staging deployed."""
    with running(tmp_path_factory.mktemp("stage"), "staging", QUICK, print) as stands:
        stands.deploy()
        nobody_asks = Model(promised(stands).pools, Traffic())
        nobody_asks.step(1, {WORKER: 1})
        with served(stands.traffic_port, nobody_asks):
            yield stands


def wanted(stage: Stage) -> int:
    found = stage.plane.request("get", f"/apis/apps/v1/{SPACE}/deployments/{WORKER}")
    return int(found["spec"]["replicas"])


def gpu_nodes(stage: Stage) -> int:
    path = f"/api/v1/nodes?labelSelector=ollamamax.io/pool={POOL}"
    return len(stage.plane.request("get", path)["items"])


def busy(stage: Stage) -> None:
    """Let the workers use all of their CPU."""
    stage.use({WORKER: Usage(cpus=stage.settings.gpu_pools[0].resources.cpus, memory_mib=1024)})


def test_everything_runs_and_fits_together(stage: Stage) -> None:
    assert stage.deployed().problems == ()


def test_every_scaled_object_has_an_autoscaler_and_no_error(stage: Stage) -> None:
    scaled = get(stage.plane, f"/apis/keda.sh/v1alpha1/{SPACE}/scaledobjects")["items"]
    assert {one["metadata"]["name"] for one in scaled} == {"gateway", WORKER}
    for one in scaled:
        states = {state["type"]: state["status"] for state in one["status"]["conditions"]}
        assert states["Ready"] == "True", one["status"]["conditions"]
        assert states["Fallback"] == "False", one["status"]["conditions"]
        made = get(
            stage.plane, f"/apis/autoscaling/v2/{SPACE}/horizontalpodautoscalers/{one['status']['hpaName']}"
        )
        assert made["spec"]["maxReplicas"] == one["spec"]["maxReplicaCount"]


def test_use_of_cpu_brings_workers_and_nodes_for_them(stage: Stage) -> None:
    assert wanted(stage) == gpu_nodes(stage) == 1
    busy(stage)
    wait_for(lambda: wanted(stage) == MOST, 120)
    wait_for(lambda: gpu_nodes(stage) == MOST, 60)


def test_without_metrics_a_count_that_cpu_asks_for_is_kept(stage: Stage) -> None:
    stage.kill("prometheus")
    with pytest.raises(RehearsalError, match="Prometheus does not answer"):
        stage.prometheus.query("up")
    until, seen = time.monotonic() + WATCH_S, set()
    while time.monotonic() < until:
        seen.add(wanted(stage))
        time.sleep(1)
    assert seen == {MOST}
    stage.start("prometheus")
    assert stage.prometheus.query("vector(1)")[0].value == 1


def test_what_nobody_needs_goes_again(stage: Stage) -> None:
    stage.use({})
    wait_for(lambda: wanted(stage) == 1, 180)
    wait_for(lambda: gpu_nodes(stage) == 1, 120)


def test_new_pods_can_be_kept_from_becoming_ready(stage: Stage) -> None:
    stage.break_new_pods("gateway")
    with pytest.raises(RehearsalError, match="gateway"):
        stage.deploy(lambda settings: settings["gateway"].update(logLevel="debug"), within_s=120)
    stage.mend_new_pods("gateway")
    stage.deploy()


def test_what_is_left_of_a_stack_is_found(stage: Stage) -> None:
    by_hand = {"metadata": {"name": "by-hand"}, "value": 1}
    stage.plane.request("post", PRIORITIES, by_hand)
    file = stage.cloud / "by-hand.json"
    file.write_text(json.dumps({"urn": "urn:pulumi:staging::ollamamax::a::by-hand"}))
    assert stage.destroy().problems == (
        "PriorityClass by-hand is left",
        "urn:pulumi:staging::ollamamax::a::by-hand is left in the simulated cloud",
    )
    stage.plane.request("delete", f"{PRIORITIES}/by-hand")
    file.unlink()
    assert stage.left().holds
