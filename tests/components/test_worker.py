"""The workers in the graph."""

from tests.components.conftest import VOLUME, Graph, Plan


def test_the_settings_reach_ollama(plan: Plan) -> None:
    graph = plan(worker={"parallel": 3, "maxQueue": 9, "keepAliveS": 60, "contextLength": 2048})
    env = graph.container("worker-1").env
    assert {name: env[name] for name in env if name != "HOME"} == {
        "OLLAMA_CONTEXT_LENGTH": "2048",
        "OLLAMA_KEEP_ALIVE": "60s",
        "OLLAMA_MAX_QUEUE": "9",
        "OLLAMA_NUM_PARALLEL": "3",
    }


def test_every_worker_has_models_of_its_own(plan: Plan) -> None:
    graph = plan(worker={"replicas": 3})
    names = [
        volume["volumeName"]
        for index in (1, 2, 3)
        for volume in graph.container(f"worker-{index}").inputs["volumes"]
    ]
    assert names == [f"ollamamax-local-worker-{index}-models" for index in (1, 2, 3)]
    assert all(f"{VOLUME}::worker-{index}-models" in graph for index in (1, 2, 3))


def test_another_worker_leaves_the_ones_before_as_they_are(local: Graph, plan: Plan) -> None:
    graph = plan(worker={"replicas": 3})
    for name in ("worker-1", "worker-2"):
        assert graph.container(name) == local.container(name)
        assert graph[f"{VOLUME}::{name}-models"] == local[f"{VOLUME}::{name}-models"]


def test_a_stopping_worker_has_time_for_the_answers_under_way(plan: Plan) -> None:
    inputs = plan(gateway={"drainTimeoutS": 44}).container("worker-1").inputs
    assert inputs["destroyGraceSeconds"] == 44


def test_the_workers_are_published_nowhere_and_hold_no_secret(local: Graph) -> None:
    assert "ports" not in local.container("worker-1").inputs
    assert local.files("worker") == {}
