"""The kubernetes target in a real API server: its objects validated, admitted, scheduled and kept."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiException

from rehearsal.controlplane import ControlPlane
from tests.kubernetes.stack import Stack, get, patch

ROOT = Path(__file__).parents[2]
NAMESPACE = "target"
STORAGE = "by-hand"
APPS = f"/apis/apps/v1/namespaces/{NAMESPACE}"
CORE = f"/api/v1/namespaces/{NAMESPACE}"
PROGRAM = """
import sys

sys.path.insert(0, ROOT)

from components import database, edge, gateway, models, pool, worker
from components.certificates import ServerCertificate
from components.kubernetes_target import KubernetesTarget, KubernetesTargetArgs, SharedVolume
from components.service import Peer
from stacks.kubernetes import AutoscalingSettings, GpuPoolSettings, KubernetesSettings
from stacks.settings import Settings


class Pushed:
    def reference(self, image):
        return f"registry.example.org/ollamamax-{image.replace(':', '-')}@sha256:" + "0" * 64


settings = Settings(target="kubernetes")
gpus = GpuPoolSettings(
    name="chat", models=("tiny",), instance_types=("g6.xlarge",), autoscaling={"min_replicas": 2}
)
pair = ServerCertificate(pulumi.Output.from_input("certificate"), pulumi.Output.secret("key"))
password = pulumi.Output.secret("PASSWORD")
target = KubernetesTarget("kubernetes", KubernetesTargetArgs(
    settings=KubernetesSettings(namespace=NAMESPACE, storage_class=STORAGE, edge_service="NodePort"),
    stack="dev", version="0.0.0", images=Pushed(), provider=k8s.Provider("cluster", context="rehearsal"),
    shared_volumes={"models": SharedVolume("s3.csi.aws.com", "models", {"bucketName": "models"})},
))
stored = target.place(
    models.describe(models.StoreArgs(("tiny",), "models", 5, worker.IMAGE, worker.HOME_DIR)), target
)
workers = target.place(worker.describe(worker.WorkerPoolArgs(gpus, 512, 900, 600)), target, stored.replicas)
postgres = target.place(database.describe(
    database.DatabaseArgs(settings.database, pair, "ca", password, password)), target)
pooled = pool.PoolArgs(settings.pool, Peer(database.NAME, database.PORT), pair, "ca", password)
pgbouncer = target.place(pool.describe(pooled), target, postgres.replicas)
args = gateway.GatewayArgs(
    settings=settings.gateway.model_copy(update={"autoscaling": AutoscalingSettings()}),
    workers=["worker-chat:11434"], worker_services=[Peer("worker-chat", 11434)], longest_silence_s=600,
    database=Peer(database.NAME, database.PORT), pool=Peer(pool.NAME, pool.PORT), cache=Peer("redis", 6379),
    ca_certificate="ca", database_password=password, cache_password=password, api_key=password,
)
migrated = target.place(gateway.describe_migrations(args), target, postgres.replicas)
gateways = target.place(
    gateway.describe(args), target, [*migrated.replicas, *pgbouncer.replicas, *workers.replicas]
)
target.place(edge.describe(edge.EdgeArgs(
    settings.edge, 8443, gateways.addresses, gateway.PORT, 8192, 2**25, 600, pair, leave_s=15,
)), target, gateways.replicas)
"""


def program(secret: str) -> str:
    names = f"ROOT, NAMESPACE, STORAGE = {str(ROOT)!r}, {NAMESPACE!r}, {STORAGE!r}\n"
    return names + PROGRAM.replace("PASSWORD", secret)


@pytest.fixture(scope="module")
def _cluster(plane: ControlPlane) -> None:
    """Give the cluster nodes in three zones, each with GPUs, and disks."""
    for zone in "abc":
        name = f"gpu-{zone}"
        plane.add_node(name, **{"nvidia.com/gpu": "4", "ephemeral-storage": "100Gi"})
        labels = {"topology.kubernetes.io/zone": zone, "ollamamax.io/pool": "chat"}
        plane.request(
            "patch", f"/api/v1/nodes/{name}", {"metadata": {"labels": labels}}, "application/merge-patch+json"
        )
    plane.request(
        "post",
        "/apis/storage.k8s.io/v1/storageclasses",
        {
            "metadata": {"name": STORAGE},
            "provisioner": "kubernetes.io/no-provisioner",
            "volumeBindingMode": "WaitForFirstConsumer",
        },
    )
    for name in ("disk-1", "disk-2"):  # of PostgreSQL, and of the job that fetches the models
        spec = {
            "storageClassName": STORAGE,
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "10Gi"},
            "hostPath": {"path": f"/{name}"},
        }
        plane.request("post", "/api/v1/persistentvolumes", {"metadata": {"name": name}, "spec": spec})


@pytest.fixture(scope="module")
def applied(plane: ControlPlane, _cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return a stack with the program applied, which all tests share: bringing it up takes a while."""
    stack = Stack(tmp_path_factory.mktemp("target"), plane)
    stack.program(program("first"))
    stack.up()
    yield stack
    stack.clean()


def items(stack: Stack, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = get(stack.plane, path)["items"]
    return found


def names(stack: Stack, path: str, kind: str) -> set[str]:
    return {each["metadata"]["name"] for each in items(stack, f"{path}/{kind}")}


def test_everything_is_there_and_ready(applied: Stack) -> None:
    assert names(applied, APPS, "deployments") == {"edge", "gateway", "pgbouncer", "worker-chat"}
    assert names(applied, APPS, "statefulsets") == {"postgres"}
    for kind in ("deployments", "statefulsets"):
        for each in items(applied, f"{APPS}/{kind}"):
            assert each["status"]["readyReplicas"] >= 1, each["metadata"]["name"]


def test_applying_it_again_changes_nothing_before_and_after_a_refresh(applied: Stack) -> None:
    applied.up("--expect-no-changes")
    applied.run("refresh", "--yes")
    applied.up("--expect-no-changes")


def test_replicas_stand_in_every_zone_and_jobs_have_ended(applied: Stack) -> None:
    pods = items(applied, f"{CORE}/pods?labelSelector=app.kubernetes.io/name=worker-chat")
    assert len({each["spec"]["nodeName"] for each in pods}) == len(pods)
    for each in items(applied, f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"):
        assert each["status"]["succeeded"] == 1, each["metadata"]["name"]


def test_changes_by_hand_are_taken_back_but_for_the_autoscalers(applied: Stack) -> None:
    patch(applied.plane, f"{APPS}/deployments/gateway", {"spec": {"replicas": 7}})
    patch(applied.plane, f"{APPS}/deployments/pgbouncer", {"spec": {"replicas": 4}})
    applied.run("refresh", "--yes")
    said = applied.up().stdout
    assert "~ 1 updated" in said
    assert get(applied.plane, f"{APPS}/deployments/gateway")["spec"]["replicas"] == 7
    assert get(applied.plane, f"{APPS}/deployments/pgbouncer")["spec"]["replicas"] == 1


def test_a_changed_secret_replaces_the_pods_that_read_it_and_runs_their_job_again(applied: Stack) -> None:
    def revisions() -> dict[str, str]:
        return {
            each["metadata"]["name"]: each["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
            for each in items(applied, f"{APPS}/deployments")
        }

    jobs = names(applied, f"/apis/batch/v1/namespaces/{NAMESPACE}", "jobs")
    secrets = names(applied, CORE, "secrets")
    applied.program(program("second"))
    applied.up()
    assert revisions() == {"edge": "1", "gateway": "2", "pgbouncer": "2", "worker-chat": "1"}
    now = names(applied, f"/apis/batch/v1/namespaces/{NAMESPACE}", "jobs")
    assert len(now) == len(jobs) == 2
    assert {name.rpartition("-")[0] for name in now - jobs} == {"migrations"}
    assert len(names(applied, CORE, "secrets") & secrets) == 1, "that of the edge is as it was"


def test_the_namespace_takes_no_pod_that_asks_for_more(applied: Stack) -> None:
    pod = {"metadata": {"name": "any"}, "spec": {"containers": [{"name": "any", "image": "any"}]}}
    with pytest.raises(ApiException, match="violates PodSecurity"):
        applied.plane.request("post", f"{CORE}/pods", pod)


def test_nothing_is_left_of_it(applied: Stack) -> None:
    applied.run("destroy", "--yes")
    assert get(applied.plane, f"/api/v1/namespaces/{NAMESPACE}") is None
    for path, kind in (("/apis/scheduling.k8s.io/v1", "priorityclasses"), ("/api/v1", "persistentvolumes")):
        assert not [name for name in names(applied, path, kind) if name.startswith(NAMESPACE)]
