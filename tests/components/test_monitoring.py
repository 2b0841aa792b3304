"""Prometheus in the graph."""

import pytest
import yaml

from components import monitoring
from components.service import Peer
from stacks.stores import MonitoringSettings
from tests.components.conftest import SECRET, Graph, Plan
from tests.templates.rendered import NO_CERTIFICATE

FILE = "/etc/ollamamax/prometheus.yml"


def test_every_gateway_is_scraped_by_its_own_name(plan: Plan) -> None:
    graph = plan(gateway={"replicas": 3})
    text = graph.files("prometheus")[FILE]
    targets = [
        target
        for job in yaml.safe_load(text)["scrape_configs"]
        for group in job["static_configs"]
        for target in group["targets"]
        if not group.get("labels")
    ]
    assert [target for target in targets if target.startswith("gateway")] == [
        "gateway-1:9090",
        "gateway-2:9090",
        "gateway-3:9090",
    ]


def test_the_pages_are_on_loopback_and_behind_a_password(local: Graph) -> None:
    (port,) = local.container("prometheus-1").inputs["ports"]
    assert (port["ip"], port["external"]) == ("127.0.0.1", 9091)
    assert local.files("prometheus")["/etc/ollamamax/secrets/web.yml"] == SECRET


def test_the_numbers_reach_prometheus(plan: Plan) -> None:
    graph = plan(monitoring={"scrapeIntervalS": 7, "retentionHours": 100, "retentionMib": 300})
    command = graph.container("prometheus-1").inputs["command"]
    assert "--storage.tsdb.retention.time=100h" in command
    assert "--storage.tsdb.retention.size=300MiB" in command
    assert yaml.safe_load(graph.files("prometheus")[FILE])["global"]["scrape_interval"] == "7s"


def test_samples_outlive_the_container(local: Graph) -> None:
    volumes = {v["containerPath"]: v["volumeName"] for v in local.container("prometheus-1").inputs["volumes"]}
    assert volumes["/var/lib/prometheus"] == "ollamamax-local-prometheus-1-data"


@pytest.mark.parametrize(("mebibytes", "gibibytes"), [(2048, 4), (40_960, 51)])
def test_the_volume_on_a_cluster_has_room_for_all_samples_and_more(mebibytes: int, gibibytes: int) -> None:
    settings = MonitoringSettings(retention_mib=mebibytes)
    args = monitoring.MonitoringArgs(
        settings=settings,
        stack="s",
        gateways=["g"],
        canaries=[],
        gateway_port=9090,
        edges=["e"],
        edge_port=8082,
        edge_url="https://edge",
        resolve=False,
        autoscaler=None,
        exporters=[],
        scraped=[],
        alertmanager=Peer("alertmanager", 9093),
        rules={},
        certificate=NO_CERTIFICATE,
        ca_certificate="",
        password="",
        password_hash="",
    )
    (volume,) = monitoring.describe(args).volumes
    assert volume.size_gib == gibibytes > mebibytes / 1024
