"""What is read of pods: how many there are, and how long they took to start."""

import json
from pathlib import Path
from typing import Any

import pytest

from ollamamax_autoscaler import cluster, web
from ollamamax_autoscaler.cluster import Cluster
from tests.autoscaler.backend import Backend
from tests.identity import Identity


def pod(
    name: str,
    service: str = "worker-chat",
    ready: str | None = "12:02:30",
    phase: str = "Running",
    made: str = "12:00:00",
) -> dict[str, Any]:
    conditions = [{"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-05-10T12:00:01Z"}]
    status = {"type": "Ready", "status": "True" if ready else "False"}
    conditions.append({**status, "lastTransitionTime": f"2026-05-10T{ready or '12:00:00'}Z"})
    return {
        "metadata": {
            "name": name,
            "uid": name,
            "labels": {cluster.LABEL: service},
            "creationTimestamp": f"2026-05-10T{made}Z",
        },
        "status": {"phase": phase, "conditions": conditions},
    }


@pytest.fixture
def account(tmp_path: Path, identity: Identity) -> Path:
    """Return the folder that a pod has its account in."""
    for name, content in {"namespace": "place", "token": "secret\n", "ca.crt": identity.authority}.items():
        (tmp_path / name).write_text(content)
    return tmp_path


@pytest.fixture
def asking(account: Path, backend: Backend) -> Cluster:
    environment = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(backend.port)}
    return Cluster(account, ["worker-chat", "worker-code"], environment)


def test_pods_are_counted_and_timed_by_service(backend: Backend, asking: Cluster) -> None:
    pods = [
        pod("a"),
        pod("b", ready=None),
        pod("c", "worker-code", ready="12:10:00"),
        pod("d", phase="Failed"),
        pod("e", ready="13:00:00"),
    ]
    backend.answer = (200, json.dumps({"items": pods}))
    found = asking.pods()
    assert found["worker-chat"].current == 3, "one has failed"
    assert found["worker-chat"].starts == {"a": 150}, "one is not ready, and one has not been for an hour"
    assert (found["worker-code"].current, found["worker-code"].starts) == (1, {"c": 600})
    (asked,) = backend.asked
    assert asked.path == (
        "/api/v1/namespaces/place/pods"
        "?labelSelector=app.kubernetes.io%2Fname+in+%28worker-chat%2Cworker-code%29&resourceVersion=0"
    )
    assert asked.headers["Authorization"] == "Bearer secret"


def test_a_pod_that_is_ready_again_has_not_started_again(backend: Backend, asking: Cluster) -> None:
    for ready in ("12:01:00", "12:09:00"):
        backend.answer = (200, json.dumps({"items": [pod("a", ready=ready)]}))
        assert asking.pods()["worker-chat"].starts == {"a": 60}


def test_starts_are_remembered_after_their_pods_and_only_the_newest(
    backend: Backend, asking: Cluster
) -> None:
    for index in range(cluster.REMEMBERED + 5):
        backend.answer = (200, json.dumps({"items": [pod(f"pod-{index}")]}))
        found = asking.pods()["worker-chat"]
    assert found.current == 1
    assert len(found.starts) == cluster.REMEMBERED
    assert "pod-4" not in found.starts


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((403, '{"message": "pods is forbidden"}'), "HTTP 403: .*pods is forbidden"),
        ((200, "no JSON"), "JSONDecodeError"),
        ((200, "[]"), "no list of pods"),
        ((200, '{"items": [{}]}'), "no list of pods"),
        ((200, '{"items": [{"metadata": {"labels": {}}}]}'), "no list of pods"),
    ],
)
def test_what_is_no_list_of_pods_is_told_as_that(
    answer: tuple[int, str], message: str, backend: Backend, asking: Cluster
) -> None:
    backend.answer = answer
    with pytest.raises(web.UnavailableError, match=message):
        asking.pods()


def test_an_api_server_that_is_away_is_told_as_that(backend: Backend, asking: Cluster) -> None:
    backend.stop()
    with pytest.raises(web.UnavailableError, match="Connection refused"):
        asking.pods()


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file or directory"), ("", "no certificate"), ("x", "no certificate")],
)
def test_an_authority_without_a_certificate_is_named(
    content: str | None, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "authority.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(OSError, match=f"{file}: .*{message}"):
        web.trusting(file)


def test_outside_of_a_cluster_it_says_what_is_missing(account: Path) -> None:
    with pytest.raises(OSError, match="needs KUBERNETES_SERVICE_HOST and _PORT, which every pod has"):
        Cluster(account, ["worker"], {})
