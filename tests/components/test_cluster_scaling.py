"""Autoscalers of a stack's services, in the graph."""

from dataclasses import replace
from typing import Any

import pytest

from components.cluster_scaling import ScalingArgs, scaling_args
from components.scaling import Prometheus
from components.service import Port, Serving
from stacks.kubernetes import AutoscalingSettings, WorkerAutoscalingSettings
from stacks.settings import Settings
from tests.components.conftest import SECRET, Graph
from tests.components.placing import SOME, one, placed
from tests.stacks.test_budgets_of_clusters import aws, pool

SCALED = replace(
    SOME,
    ports=(Port(80),),
    scaling=WorkerAutoscalingSettings(min_replicas=2, max_replicas=9),
    serving=Serving("chat", 4, ("tiny",)),
)
OPENED = "platform-prometheus"
AUTHENTICATION = f"kubernetes:keda.sh/v1alpha1:ClusterTriggerAuthentication::{OPENED}"
OBJECT = "kubernetes:keda.sh/v1alpha1:ScaledObject::some"
PROMETHEUS = Prometheus("prometheus", 9090, "reader", "", "")


def graph(**settings: Any) -> Graph:
    return placed(SCALED, settings={"namespace": "platform", **settings})


def test_keda_opens_prometheus_with_what_stands_in_a_secret_of_its_own_namespace() -> None:
    found = graph()
    secret = one(found, "Secret", OPENED)
    assert secret["metadata"]["namespace"] == "keda"
    assert secret["stringData"] == SECRET
    references = found[AUTHENTICATION].inputs["spec"]["secretTargetRef"]
    assert references == [
        {"parameter": name, "name": OPENED, "key": name} for name in ("ca", "password", "username")
    ]


def test_a_scaled_object_names_what_is_there() -> None:
    spec = one(graph(), "ScaledObject", "some")["spec"]
    prometheus = [trigger for trigger in spec["triggers"] if trigger["type"] == "prometheus"]
    assert prometheus
    for trigger in prometheus:
        assert trigger["authenticationRef"]["name"] == OPENED
        assert trigger["metadata"]["serverAddress"] == "https://prometheus.platform.svc:9090"


def test_it_comes_after_its_workload_and_after_what_opens_prometheus() -> None:
    depends = graph()[OBJECT].depends_on
    assert "kubernetes:apps/v1:Deployment::some" in depends
    assert AUTHENTICATION in depends


def test_keda_and_nobody_else_of_its_namespace_is_let_in_to_prometheus() -> None:
    policy = one(graph(), "NetworkPolicy", "prometheus-from-keda")
    assert policy["metadata"]["namespace"] == "platform"
    assert policy["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/name"] == "prometheus"
    (rule,) = policy["spec"]["ingress"]
    assert rule == {
        "from": [
            {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "keda"}},
                "podSelector": {"matchLabels": {"app": "keda-operator"}},
            }
        ],
        "ports": [{"port": 9090, "protocol": "TCP"}],
    }


def test_nothing_is_made_for_autoscalers_where_there_is_none() -> None:
    found = placed(replace(SCALED, scaling=None))
    assert not [key for key in found if "keda" in key]


def test_a_service_without_pods_is_not_waited_for() -> None:
    idle = replace(SCALED, scaling=WorkerAutoscalingSettings(min_replicas=0))
    annotations = one(placed(idle), "Service", "some")["metadata"]["annotations"]
    assert annotations == {"pulumi.com/skipAwait": "true"}
    assert "annotations" not in one(placed(SCALED), "Service", "some")["metadata"]


def test_a_service_that_scales_needs_what_autoscalers_need() -> None:
    with pytest.raises(
        ValueError, match="some has an autoscaler, and the target nothing that autoscalers need"
    ):
        placed(SCALED, scaling=None)


@pytest.mark.parametrize(("version", "exact"), [("1.34", False), ("1.35", True)])
def test_a_cluster_is_asked_only_for_what_it_can_do(version: str, exact: bool) -> None:
    cluster = {"admin_roles": ("arn:aws:iam::111122223333:role/admin",), "version": version}
    assert scaling_args(aws(aws={"cluster": cluster}), PROMETHEUS, []).exact == exact


def test_keda_is_where_the_stack_says_or_where_it_is_installed() -> None:
    def namespace(**kubernetes: Any) -> str:
        settings = Settings.model_validate({"target": "kubernetes", "kubernetes": kubernetes})
        found: ScalingArgs = scaling_args(settings, PROMETHEUS, [])
        return found.keda_namespace

    assert namespace() == "keda"
    assert namespace(keda={"namespace": "autoscaling"}) == "autoscaling"


def test_rates_are_taken_over_several_of_the_stacks_scrapes() -> None:
    found = scaling_args(aws(monitoring={"scrape_interval_s": 30}, gpu_pools=(pool(),)), PROMETHEUS, [])
    assert found.window_s == 120


@pytest.mark.parametrize(
    ("forecasts", "fresh"),
    [(None, None), ({"observe": True}, None), ({"observe": False, "freshness_s": 90}, 90)],
)
def test_only_a_forecaster_that_may_move_replicas_is_asked(
    forecasts: dict[str, Any] | None, fresh: int | None
) -> None:
    assert scaling_args(aws(autoscaler=forecasts), PROMETHEUS, []).forecast_fresh_s == fresh


def test_a_gateway_needs_no_more_than_the_others() -> None:
    found = placed(replace(SOME, name="gateway", ports=(Port(80),), scaling=AutoscalingSettings()))
    triggers = one(found, "ScaledObject", "gateway")["spec"]["triggers"]
    assert [trigger["type"] for trigger in triggers] == ["cpu", "memory"]
