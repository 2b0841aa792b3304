"""The edge in the graph."""

from dataclasses import replace

from components import edge
from components.edge import READ_MARGIN_S
from stacks.settings import EdgeSettings
from tests.components.conftest import Graph, Plan
from tests.templates.rendered import NO_CERTIFICATE

CONF = "/etc/ollamamax/nginx.conf"


def conf(graph: Graph) -> str:
    return graph.files("edge")[CONF]


def test_the_edge_listens_on_tcp_and_udp(local: Graph) -> None:
    ports = {(port["protocol"], port["internal"]) for port in local.container("edge-1").inputs["ports"]}
    assert ports == {("tcp", 8443), ("udp", 8443)}
    assert "listen 8443 ssl" in conf(local)
    assert "listen 8443 quic reuseport" in conf(local)
    assert "http2 on" in conf(local)


def test_the_edge_passes_requests_to_the_fixed_addresses_of_all_gateways(plan: Plan) -> None:
    graph = plan(gateway={"replicas": 3})
    addresses = [
        network["ipv4Address"]
        for one in graph.containers
        if one.name.startswith("gateway")
        for network in one.inputs["networksAdvanced"]
    ]
    assert len(set(addresses)) == 3
    for address in addresses:
        assert f"server {address}:8080" in conf(graph)


def test_the_edge_is_there_only_once_a_gateway_answers(local: Graph) -> None:
    assert "docker:index/container:Container::gateway-2" in local.container("edge-1").depends_on


def test_every_hop_allows_the_longest_generation(plan: Plan) -> None:
    graph = plan(longestGenerationS=1234)  # after up to 30 s in the gateway's queue
    assert f"proxy_read_timeout {1234 + 30 + READ_MARGIN_S}s" in conf(graph), "the gateway gives up first"
    assert "responseTimeout: 1234s" in graph.files("gateway")["/etc/ollamamax/gateway.yaml"]


def test_a_stopping_edge_is_killed_only_after_its_drain(plan: Plan) -> None:
    graph = plan(edge={"drainTimeoutS": 50})
    inputs = graph.container("edge-1").inputs
    assert "worker_shutdown_timeout 50s" in conf(graph)
    assert inputs["stopSignal"] == "SIGQUIT", "TERM would cut answers off"
    assert inputs["stopTimeout"] == inputs["destroyGraceSeconds"] == 55


def test_a_stopping_edge_on_a_cluster_serves_until_no_more_connections_come(plan: Plan) -> None:
    settings = EdgeSettings(drain_timeout_s=50)
    args = edge.EdgeArgs(settings, 8443, ["gateway"], 8080, 1, 1, 1, NO_CERTIFICATE, leave_s=15)
    stop = edge.describe(args).stop
    assert stop.before == ("sleep", "15")
    assert stop.grace_s == 15 + 50 + edge.STOP_MARGIN_S
    assert edge.describe(replace(args, leave_s=0)).stop.before is None


def test_a_body_is_limited_at_the_edge_as_at_the_gateway(plan: Plan) -> None:
    graph = plan(gateway={"maxBodyMib": 7})
    assert f"client_max_body_size {7 * 1024 * 1024}" in conf(graph)
    assert f"maxBodyBytes: {7 * 1024 * 1024}" in graph.files("gateway")["/etc/ollamamax/gateway.yaml"]


def test_the_parts_of_the_requests_add_up_to_the_shares_of_a_release(plan: Plan) -> None:
    text = conf(plan(release={"stepsPercent": [1, 10, 100]}))
    parts = text.partition("split_clients $canary_key $canary_part {")[2].partition("}")[0].split("\n")
    assert [one.strip() for one in parts if one.strip()] == ["1% 1;", "9% 10;", "* 100;"]
