"""The job that loads the models."""

from components import models, worker
from components.service import INTERNET
from tests.components.conftest import Graph, Plan
from tests.components.placing import one, placed

STORE = models.StoreArgs(("tiny", "llama2:7b"), worker.STORE.name, 30, worker.IMAGE, worker.HOME_DIR)


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


def test_a_clusters_models_are_pulled_once_into_the_store_that_its_workers_read() -> None:
    job = models.describe(STORE)
    assert job.command == ("tiny", "llama2:7b")
    assert job.reaches == (INTERNET,)
    store, work = job.volumes
    assert store.name == worker.STORE.name
    assert store.shared
    assert not store.read_only
    assert job.env == {"STORE": store.path, "OLLAMA_MODELS": work.path}
    assert not work.shared
    assert work.size_gib == 30


def test_the_job_that_fills_the_store_works_on_a_disk_of_its_own() -> None:
    pod = one(placed(models.describe(STORE)), "Job", "models")["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["models"]["persistentVolumeClaim"]["claimName"] == "models"
    claim = volumes["work"]["ephemeral"]["volumeClaimTemplate"]["spec"]
    assert claim["resources"]["requests"]["storage"] == "30Gi"
