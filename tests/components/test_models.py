"""The job that loads the models."""

from tests.components.conftest import Graph, Plan


def test_the_job_asks_every_worker_for_every_model(plan: Plan) -> None:
    job = plan(models=["qwen2.5:0.5b", "llama3.2:1b"], worker={"replicas": 3}).container("models-1")
    assert job.inputs["command"] == ["qwen2.5:0.5b", "llama3.2:1b"]
    assert job.env["OLLAMA_HOSTS"] == "worker-1:11434 worker-2:11434 worker-3:11434"


def test_the_job_is_a_client_of_the_workers_release(local: Graph) -> None:
    job, worker = local.container("models-1").inputs, local.container("worker-1").inputs
    assert job["image"] == worker["image"]
    assert job["entrypoints"] == ["/usr/local/bin/load-models"]


def test_no_request_is_answered_before_the_models_are_there(local: Graph) -> None:
    assert "docker:index/container:Container::models-1" in local.container("gateway-1").depends_on
