"""Kubernetes objects and images of the simulated cloud."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.backend import write_file
from engine.simulated.cloud import Cloud
from engine.simulated.docker import SimulatedDocker
from engine.simulated.kubernetes import RELEASE, SimulatedKubernetes
from engine.values import UNKNOWN, Secret
from tests.engine.providers.harness import IMAGE, Failed, Plugin

CONFIG, POOL = "kubernetes:core/v1:ConfigMap", "kubernetes:karpenter.sh/v1:NodePool"
ISSUER = "kubernetes:cert-manager.io/v1:ClusterIssuer"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Plugin]:
    """The provider of kubernetes, without a cluster."""
    settings = {"kubeconfig": UNKNOWN, "namespace": "ollama"}
    plugin = Plugin(SimulatedKubernetes(Cloud(tmp_path / "cloud", write_file), None), settings)
    yield plugin
    plugin.close()


def test_any_object_is_taken(cluster: Plugin, tmp_path: Path) -> None:
    inputs = cluster.check(CONFIG, {"data": {"a": "b"}})
    assert inputs["kind"] == "ConfigMap"
    assert inputs["metadata"]["namespace"] == "ollama"
    assert re.fullmatch("x-[0-9a-f]{8}", inputs["metadata"]["name"])
    assert cluster.check(CONFIG, {"data": {"a": "b"}}) == inputs, "the name is the same one each time"
    id_, outputs = cluster.create(CONFIG, inputs)
    assert id_ == f"ollama/{inputs['metadata']['name']}"
    assert outputs["metadata"].items() > inputs["metadata"].items()
    pool = cluster.check(POOL, {"metadata": {"name": "gpu"}, "spec": {"limits": {"nvidia.com/gpu": 8}}})
    assert cluster.create(POOL, pool)[0] == "gpu"
    issuer = cluster.check(ISSUER, {"metadata": {"name": "letsencrypt"}})
    assert cluster.create(ISSUER, issuer)[0] == "letsencrypt", "a chart's kind may be in no namespace, too"
    assert cluster.changes(CONFIG, outputs, inputs, {**inputs, "data": {"a": "c"}}) == {
        "data.a": "update-replace"
    }
    with pytest.raises(Failed, match=rf'^{POOL} "y": gpu is there already: {cluster.urn(POOL)}$'):
        cluster.create(POOL, pool, "y")


def test_what_was_changed_by_hand_is_read(cluster: Plugin, tmp_path: Path) -> None:
    inputs = cluster.check(POOL, {"metadata": {"name": "gpu"}, "spec": {"weight": 1}})
    id_, outputs = cluster.create(POOL, inputs)
    (file,) = (tmp_path / "cloud").iterdir()
    document = json.loads(file.read_text())
    document["outputs"]["spec"] = {"weight": 9, "more": True}
    file.write_text(json.dumps(document))
    again = Plugin(SimulatedKubernetes(Cloud(tmp_path / "cloud", write_file), None))
    now, live = again.found(POOL, id_, inputs, outputs)
    assert live == {**outputs, "spec": {"weight": 9, "more": True}}
    assert again.changes(POOL, outputs, now, inputs) == {"spec.weight": "update"}
    again.delete(POOL, id_, outputs)
    assert again.read(POOL, id_, inputs, outputs) is None
    again.close()


def test_secrets_are_not_in_the_folder(cluster: Plugin, tmp_path: Path) -> None:
    secret = "kubernetes:core/v1:Secret"
    inputs = cluster.check(secret, {"metadata": {"name": "s"}, "stringData": {"key": "hunter2hunter2"}})
    id_, outputs = cluster.create(secret, inputs)
    assert isinstance(outputs["data"], Secret)
    assert all("aHVudGVy" not in file.read_text() for file in (tmp_path / "cloud").iterdir())
    assert cluster.read(secret, id_, inputs, outputs) == outputs


def test_a_release_is_one_object(cluster: Plugin) -> None:
    given = {"chart": "keda", "version": "2.19.0", "namespace": "keda", "values": {"a": 1}}
    inputs = cluster.check(RELEASE, given)
    id_, outputs = cluster.create(RELEASE, inputs)
    assert id_ == f"keda/{inputs['name']}"
    assert outputs["status"]["status"] == "deployed"
    changed = {**inputs, "values": {"a": 2}}
    assert cluster.changes(RELEASE, outputs, inputs, changed) == {"values.a": "update"}
    assert cluster.check(RELEASE, {**given, "values": {}}, inputs)["name"] == inputs["name"]
    with pytest.raises(Failed, match=r"chart is missing; name one$"):
        cluster.check(RELEASE, {})


@pytest.mark.parametrize("token", ["kubernetes:helm.sh/v3:Chart", "kubernetes:yaml:ConfigGroup"])
def test_what_the_plugin_would_have_to_render_is_refused(cluster: Plugin, token: str) -> None:
    with pytest.raises(Failed, match=rf"^{token} is not supported .*: needs the Pulumi CLI$"):
        cluster.check(token, {})


def test_a_kubeconfig_goes_before_that_of_the_program(tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text("contexts: []")
    given = {"kubeconfig": UNKNOWN, "context": "prod", "namespace": "ollama"}
    plugin = Plugin(SimulatedKubernetes(Cloud(None, write_file), file), given)
    with pytest.raises(Failed, match=rf"^kubeconfig {file}: there is no context '': it has none$"):
        plugin.check(CONFIG, {})
    assert plugin.create(RELEASE, plugin.check(RELEASE, {"chart": "keda", "name": "k"}))[0] == "default/k"
    plugin.close()


def test_an_image_has_the_digest_of_what_goes_into_it(tmp_path: Path) -> None:
    plugin = Plugin(SimulatedDocker(images_alone=True))
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    registry = {"server": "r.example.org", "username": "AWS", "password": Secret("hunter2hunter2")}
    given = {
        "imageName": "r.example.org:5000/gateway:v1", "build": {"context": str(tmp_path)},
        "registry": registry, "skipPush": False,
    }  # fmt: skip
    inputs = plugin.check(IMAGE, given)
    id_, outputs = plugin.create(IMAGE, inputs)
    assert id_ == "r.example.org:5000/gateway:v1"
    assert re.fullmatch(r"r\.example\.org:5000/gateway@sha256:[0-9a-f]{64}", outputs["repoDigest"])
    assert (outputs["baseImageName"], outputs["registryServer"]) == (id_, "r.example.org")
    assert outputs["registry"]["password"] == Secret("hunter2hunter2")
    assert plugin.create(IMAGE, inputs)[1]["repoDigest"] == outputs["repoDigest"]
    (tmp_path / "Dockerfile").write_text("FROM debian\n")
    assert plugin.create(IMAGE, plugin.check(IMAGE, given))[1]["repoDigest"] != outputs["repoDigest"]
    with pytest.raises(Failed, match=r"is not simulated: run the stack without --simulate$"):
        plugin.check("docker:index/container:Container", {})
    plugin.close()
