"""Gateways of a release on a cluster: what its API, the engine and kubectl are told, and in which order."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

import ops.cluster
from engine.providers.kubernetes_api import APPLY, ApiError
from ops.cluster import Cluster
from ops.delivery import beside
from ops.delivery.beside import FIRST, PARTS
from ops.delivery.cluster import LEADS, PAUSED, TOLD, Gateways
from ops.delivery.measure import THERE, TRIED, Moment, Prometheus, Series
from ops.delivery.reach import Reach
from ops.stack import Stack, StackError
from stacks import SettingsError
from tests.ops.delivery.test_releases import stack as stack  # a fixture

HOME = "/api/v1/namespaces/ollamamax"
APPS = "/apis/apps/v1/namespaces/ollamamax"
SCALER = "/apis/keda.sh/v1alpha1/namespaces/ollamamax/scaledobjects/gateway"
SHARES = f"{HOME}/configmaps/edge-shares"
NAMED = "app.kubernetes.io/name"
SETTINGS = """
config:
  ollamamax:target: kubernetes
  ollamamax:kubernetes: {context: here}
  ollamamax:gateway: {autoscaling: {maxReplicas: 9}, drainTimeoutS: 20}
  ollamamax:edge: {drainTimeoutS: 20}
  ollamamax:pool: {replicas: 3}
  ollamamax:longestStreamS: 15
  ollamamax:longestGenerationS: 15
"""


def pod(config_map: str = "edge-shares") -> dict[str, Any]:
    volumes = [{"name": "files"}, {"name": "switches", "configMap": {"name": config_map}}]
    return {"metadata": {"name": "edge-a", "labels": {NAMED: "edge"}}, "spec": {"volumes": volumes}}


def deployment(name: str, replicas: int, ready: int) -> dict[str, Any]:
    template = {"spec": {"containers": [{"image": f"registry/{name}@sha256:0"}]}}
    return {
        "metadata": {"labels": {NAMED: name}},
        "spec": {"replicas": replicas, "template": template},
        "status": {"readyReplicas": ready} if ready else {},
    }


@dataclass
class Api:
    """An API server with a few objects, by their paths, that writes down what it is told."""

    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)

    def request(self, method: str, path: str, body: Any = None, kind: str = "", **query: str) -> Any:
        if path not in self.objects and kind != APPLY:
            raise ApiError(404, f"{path} is not there")
        if method == "DELETE":
            self.told.append(f"no {path.rpartition('/')[2]}")
            return self.objects.pop(path)
        if kind == APPLY:
            self.told.append(f"{body['metadata']['name']}: {' '.join(body['data'])}")
            self.objects[path] = body
        elif method == "PATCH":
            ((name, value),) = body["metadata"]["annotations"].items()
            self.told.append(f"{name}: {value}")
        return self.objects[path]

    def listed(self, path: str, labelSelector: str) -> list[dict[str, Any]]:  # noqa: N803 - as the API has it
        assert "app.kubernetes.io/instance=some" in labelSelector
        wanted = labelSelector.partition(f"{NAMED}=")[2]
        found = [one for name, one in self.objects.items() if name.startswith(f"{path}/")]
        return [one for one in found if wanted in ("", one["metadata"]["labels"][NAMED])]

    def close(self) -> None:
        """Do nothing."""


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    made = Api({
        f"{HOME}/pods/edge-a": pod(),
        SCALER: {},
        f"{APPS}/deployments/gateway": deployment("gateway", 5, 5),
        f"{APPS}/statefulsets/prometheus": deployment("prometheus", 1, 1),
    })  # fmt: skip
    monkeypatch.setattr(ops.cluster, "Api", lambda: made)
    return made


@pytest.fixture
def gateways(stack: Stack, api: Api, monkeypatch: pytest.MonkeyPatch) -> Gateways:
    stack.settings_file.write_text(SETTINGS)
    passes = SimpleNamespace(time=lambda: 0, monotonic=lambda: 0, sleep=lambda s: api.told.append(f"{s:g} s"))
    monkeypatch.setattr(beside, "time", passes)

    def up(self: Stack, *targets: str) -> None:
        api.told.append(f"up {' '.join(targets)} {dict(self.beside)}")

    def under_way(self: Prometheus, series: Series, side: str) -> int:
        api.told.append(f"under way: {side}")
        return 0

    @contextmanager
    def reached(self: Reach) -> Iterator[Prometheus]:
        yield Prometheus("", "", "", "")

    monkeypatch.setattr(Stack, "prepare", lambda self: None)
    monkeypatch.setattr(Stack, "up", up)
    monkeypatch.setattr(Stack, "remove", lambda self, *targets: api.told.append(f"remove {targets[0]}"))
    monkeypatch.setattr(Prometheus, "under_way", under_way)
    monkeypatch.setattr(Prometheus, "moment", lambda self, series, at: Moment(at))
    monkeypatch.setattr(Reach, "prometheus", reached)
    return Gateways(stack)


FIVE = "{'canary': {'replicas': 5}}"


def test_a_release_gets_as_many_gateways_as_are_there_which_stay(gateways: Gateways, api: Api) -> None:
    gateways.place()
    assert api.told == [f"{PAUSED}: true", f"up {' '.join(FIRST)} {LEADS} {FIVE}"]
    assert api.settings == {"context": "here"}


def test_edges_are_told_the_parts_that_make_a_share(gateways: Gateways, api: Api) -> None:
    gateways.weigh(50)
    assert api.told == ["edge-shares: asked 5 25 50", f"{TOLD}: asked 5 25 50"]
    assert set(api.objects[SHARES]["data"].values()) == {""}


def test_a_release_is_taken_back_by_removing_what_says_that_there_is_one(
    gateways: Gateways, api: Api
) -> None:
    gateways.weigh(5)
    api.told.clear()
    gateways.take_back()
    ended = ["95 s", f"under way: {TRIED}", f"up {LEADS} {PARTS} {{}}", f"{PAUSED}: None"]
    assert api.told == ["no edge-shares", f"{TOLD}: None", *ended]
    api.told.clear()
    gateways.take_back()
    assert api.told == [f"{TOLD}: None", *ended], "and once more does no harm"


def test_the_old_gateways_end_what_they_are_at_before_the_new_ones_come(gateways: Gateways, api: Api) -> None:
    gateways.take_over()
    assert api.told[:3] == ["95 s", f"under way: {THERE}", f"up  {FIVE}"]
    assert api.told[-2:] == [f"up {LEADS} {PARTS} {{}}", f"{PAUSED}: None"]


def test_where_nothing_scales_nothing_is_kept_from_it(gateways: Gateways, api: Api) -> None:
    del api.objects[SCALER]
    gateways.place()
    assert len(api.told) == 1


def test_an_edge_of_an_older_release_is_named_with_the_way_out(gateways: Gateways, api: Api) -> None:
    gateways.check()
    api.objects[f"{HOME}/pods/edge-a"] = pod("another")
    why = r"edge-a cannot be told .* without edge-shares .* make up STACK=some"
    with pytest.raises(StackError, match=why):
        gateways.check()


def test_a_release_for_which_a_stack_has_no_room_is_not_begun(gateways: Gateways, api: Api) -> None:
    file = gateways.stack.settings_file
    file.write_text(SETTINGS.replace("replicas: 3", "replicas: 2"))
    with pytest.raises(SettingsError, match=r"canary\.replicas \(14\) .* is more than pool.maxClientConn"):
        gateways.check()


def test_it_is_up_while_one_gateway_is_ready(gateways: Gateways, api: Api) -> None:
    assert gateways.is_up
    api.objects[f"{APPS}/deployments/gateway"] = deployment("gateway", 5, 0)
    assert not gateways.is_up
    del api.objects[f"{APPS}/deployments/gateway"]
    assert not gateways.is_up


def test_what_runs_is_told_apart_from_what_is_tried(gateways: Gateways, api: Api) -> None:
    assert not gateways.is_tried
    api.objects[f"{APPS}/deployments/gateway-canary"] = deployment("gateway-canary", 5, 5)
    assert gateways.is_tried
    del api.objects[f"{APPS}/deployments/gateway-canary"]
    api.objects[SHARES] = {"data": {"5": ""}}
    assert gateways.is_tried, "a share alone would be the next release's"


def test_the_images_of_what_is_tried_are_not_the_stacks(gateways: Gateways, api: Api) -> None:
    api.objects[f"{APPS}/deployments/gateway-canary"] = deployment("gateway-canary", 5, 5)
    assert gateways.images == {
        "gateway": "registry/gateway@sha256:0",
        "prometheus": "registry/prometheus@sha256:0",
    }


def test_what_the_api_refuses_is_said_in_its_words(
    gateways: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object, **__: object) -> None:
        raise ApiError(403, "configmaps is forbidden")

    monkeypatch.setattr(Api, "request", refuses)
    with pytest.raises(StackError, match="configmaps is forbidden"):
        gateways.weigh(5)


def test_a_cluster_on_aws_is_opened_as_the_stacks_outputs_say(
    gateways: Gateways, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs: dict[str, Any] = {}
    monkeypatch.setattr(Stack, "in_cloud", property(lambda self: True))
    monkeypatch.setattr(Stack, "outputs", lambda self, show_secrets: outputs)
    assert not Gateways(gateways.stack).is_up, "its cluster is made with it"
    outputs["url"] = "https://api.example.org"
    assert not Gateways(gateways.stack).is_tried, "so make up can bring the output"
    with pytest.raises(StackError, match="the stack has no output kubeconfig: make up STACK=some"):
        _ = Gateways(gateways.stack).is_up
    outputs["kubeconfig"] = "{}"
    assert Gateways(gateways.stack).is_up
    assert api.settings == {"kubeconfig": "{}"}


def test_a_machine_without_kubectl_is_told_where_it_is_to_be_had(
    gateways: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with (
        pytest.raises(StackError, match="kubectl is missing, through which this machine reaches prometheus"),
        Cluster(gateways.stack).forwarded("prometheus", 9090),
    ):
        pytest.fail("nothing is forwarded")
