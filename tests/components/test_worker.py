"""The workers."""

import pytest

from components import worker
from components.service import Peer, Service, Serving, Workers
from stacks.kubernetes import GpuPoolSettings, WorkerAutoscalingSettings
from stacks.settings import Settings, WorkerSettings
from tests.components.conftest import VOLUME, Graph, Plan
from tests.components.placing import one, placed

POOL = GpuPoolSettings(
    name="chat",
    models=("llama2:7b", "mistral:7b"),
    instance_types=("g6e.xlarge",),
    gpus_per_replica=2,
    parallel=3,
    context_length=2048,
)


def in_pool(longest_stream_s: int = 600) -> Service:
    return worker.describe(worker.WorkerPoolArgs(POOL, 9, 900, longest_stream_s))


def on_cluster(longest_stream_s: int = 600) -> Service:
    args = worker.ClusterWorkerArgs(WorkerSettings(keep_alive_s=60), ("tiny",), longest_stream_s)
    return worker.describe(args)


def test_the_settings_reach_ollama(plan: Plan) -> None:
    graph = plan(worker={"parallel": 3, "maxQueue": 9, "keepAliveS": 60, "contextLength": 2048})
    env = graph.container("worker-1").env
    assert {name: env[name] for name in env if name != "HOME"} == {
        "OLLAMA_CONTEXT_LENGTH": "2048",
        "OLLAMA_KEEP_ALIVE": "60s",
        "OLLAMA_MAX_LOADED_MODELS": "3",
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


def test_the_settings_of_a_pool_reach_its_workers() -> None:
    service = in_pool()
    assert service.name == worker.pool_name("chat") == "worker-chat"
    assert service.node_pool == "chat"
    assert service.limits.gpus == 2
    assert service.scaling == POOL.autoscaling
    assert service.env == {
        "OLLAMA_CONTEXT_LENGTH": "2048",
        "OLLAMA_KEEP_ALIVE": "-1",
        "OLLAMA_LOAD_TIMEOUT": "900s",
        "OLLAMA_MAX_LOADED_MODELS": "2",
        "OLLAMA_MAX_QUEUE": "9",
        "OLLAMA_NOPRUNE": "1",
        "OLLAMA_NUM_PARALLEL": "3",
    }


def test_a_pools_worker_is_ready_once_its_models_are_in_its_gpus() -> None:
    ready = in_pool().ready
    assert ready is not None
    assert ready.command == ("/usr/local/bin/models-ready", "--loaded", "GPU", "llama2:7b", "mistral:7b")


def test_a_worker_without_a_gpu_is_ready_once_it_has_its_models() -> None:
    ready = on_cluster().ready
    assert ready is not None
    assert ready.command == ("/usr/local/bin/models-ready", "tiny")
    assert on_cluster().env["OLLAMA_KEEP_ALIVE"] == "60s"


@pytest.mark.parametrize("service", [in_pool(), on_cluster()], ids=lambda service: service.name)
def test_workers_of_a_cluster_read_one_store_and_pull_nothing(service: Service) -> None:
    (store,) = service.volumes
    assert store.shared
    assert store.read_only
    assert service.env["OLLAMA_NOPRUNE"] == "1"
    assert service.reaches == ()


@pytest.mark.parametrize("service", [in_pool(700), on_cluster(700)], ids=lambda service: service.name)
def test_a_worker_that_leaves_ends_its_longest_answer_first(service: Service) -> None:
    assert service.stop.before is not None
    program, seconds = service.stop.before
    assert program == "/usr/local/bin/drain"
    assert 700 < int(seconds) < service.stop.grace_s


def test_gateways_find_every_worker_of_a_cluster() -> None:
    graph = placed(in_pool())
    assert one(graph, "Service", "worker-chat")["spec"]["clusterIP"] == "None"
    (port,) = one(graph, "Service", "worker-chat")["spec"]["ports"]
    assert port["port"] == worker.PORT == Peer("worker-chat", worker.PORT).port


def test_gateways_know_what_a_pools_workers_do_and_whether_they_may_be_away() -> None:
    def reached(least: int) -> Workers:
        pool = POOL.model_copy(update={"autoscaling": WorkerAutoscalingSettings(min_replicas=least)})
        settings = Settings(target="kubernetes", gpu_pools=(pool,))
        return worker.reached("worker-chat:11434", settings, pool)

    awake = reached(1)
    assert (awake.pool, awake.slots, awake.loaded_models) == ("chat", 3, 2)
    assert awake.preload == ("llama2:7b", "mistral:7b")
    assert awake.memory_mib > 40 * 1024, "of its two GPUs"
    assert (awake.cold_start_s, reached(0).cold_start_s) == (0, 600)


def test_what_scales_a_pools_workers_is_told_how_gateways_call_them() -> None:
    assert in_pool().serving == Serving("chat", 3, ("llama2:7b", "mistral:7b"))
    assert on_cluster().serving is None, "their number is fixed"
