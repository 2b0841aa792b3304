"""The load balancer in the graph: what is open, to whom, and for how long."""

from typing import Any

from pulumi_kubernetes import Provider

from components.aws.account import Account
from components.aws.load_balancer import Addresses, LoadBalancer, LoadBalancerArgs
from policies.exposure import EDGE
from tests.components.conftest import Graph, Registered, record_of

BALANCER = "aws:lb/loadBalancer:LoadBalancer::edge"
BINDING = "kubernetes:eks.amazonaws.com/v1:TargetGroupBinding"
EVERYONE = Addresses(("0.0.0.0/0",))


def balancer(**changed: Any) -> Graph:
    """Return the graph of a load balancer that the edge's pods have joined."""

    def build() -> None:
        args = {
            "account": Account("prod", "444455556666", "eu-central-1"),
            "cluster_name": "ollamamax-prod",
            "vpc_id": "vpc-1",
            "subnet_ids": ["subnet-1", "subnet-2", "subnet-3"],
            "target_group_id": "sg-cluster",
            "target_port": 8443,
            "cdn_target_port": 8444,
            "clients": EVERYONE,
            "cdn": None,
            "drain_s": 780,
            **changed,
        }
        made = LoadBalancer("edge", LoadBalancerArgs(**args))
        made.bind("edge", "ollamamax", Provider("cluster", kubeconfig="{}"))

    return record_of(build, "prod")


def rules(graph: Graph, direction: str = "Ingress") -> list[Registered]:
    return graph.of_type(f"aws:vpc/securityGroup{direction}Rule:SecurityGroup{direction}Rule")


def opened(graph: Graph) -> set[tuple[str, str, int, str]]:
    """Return group, protocol, port and source of every ingress rule."""
    return {
        (
            rule.inputs["securityGroupId"],
            rule.inputs["ipProtocol"],
            rule.inputs["fromPort"],
            rule.inputs.get("cidrIpv4")
            or rule.inputs.get("prefixListId")
            or rule.inputs["referencedSecurityGroupId"],
        )
        for rule in rules(graph)
        if rule.inputs["fromPort"] == rule.inputs["toPort"]
    }


def test_http3_is_let_through_at_every_layer() -> None:
    graph = balancer()
    assert opened(graph) == {
        ("edge-id", "tcp", 443, "0.0.0.0/0"),
        ("edge-id", "udp", 443, "0.0.0.0/0"),
        ("sg-cluster", "tcp", 8443, "edge-id"),
        ("sg-cluster", "udp", 8443, "edge-id"),
    }
    assert {
        (rule.inputs["ipProtocol"], rule.inputs["fromPort"], rule.inputs["referencedSecurityGroupId"])
        for rule in rules(graph, "Egress")
    } == {("tcp", 8443, "sg-cluster"), ("udp", 8443, "sg-cluster")}
    (listener,) = graph.of_type("aws:lb/listener:Listener")
    (target,) = graph.of_type("aws:lb/targetGroup:TargetGroup")
    assert (listener.inputs["protocol"], listener.inputs["port"]) == ("TCP_UDP", 443)
    assert (target.inputs["protocol"], target.inputs["port"]) == ("TCP_UDP", 8443)


def test_only_the_addresses_of_the_settings_are_let_in() -> None:
    graph = balancer(clients=Addresses(("192.0.2.0/24", "198.51.100.0/24")))
    assert {source for group, _, _, source in opened(graph) if group == "edge-id"} == {
        "192.0.2.0/24",
        "198.51.100.0/24",
    }


def test_the_cdn_has_a_tcp_port_that_nobody_else_reaches() -> None:
    graph = balancer(cdn=Addresses(prefix_lists=("pl-a3a144ca",)))
    assert {one for one in opened(graph) if "edge-cdn-id" in one} == {
        ("edge-cdn-id", "tcp", 8443, "pl-a3a144ca"),
        ("sg-cluster", "tcp", 8444, "edge-cdn-id"),
    }
    listener = graph["aws:lb/listener:Listener::edge-cdn"].inputs
    assert (listener["protocol"], listener["port"]) == ("TCP", 8443)
    assert graph[BALANCER].inputs["securityGroups"] == ["edge-id", "edge-cdn-id"]


def test_behind_a_cdn_alone_there_is_no_way_around_it() -> None:
    graph = balancer(clients=None, cdn=Addresses(("173.245.48.0/20", "103.21.244.0/22")))
    assert {one[:2] for one in opened(graph) if one[0] != "sg-cluster"} == {("edge-cdn-id", "tcp")}
    (listener,) = graph.of_type("aws:lb/listener:Listener")
    assert listener.inputs["protocol"] == "TCP"


def test_the_edge_sees_who_its_clients_are_and_keeps_a_clients_packets_together() -> None:
    (target,) = balancer().of_type("aws:lb/targetGroup:TargetGroup")
    assert target.inputs["targetType"] == "ip"
    assert target.inputs["preserveClientIp"] == "true"
    assert target.inputs["stickiness"] == {"type": "source_ip", "enabled": True}
    cdn = balancer(cdn=EVERYONE)["aws:lb/targetGroup:TargetGroup::edge-cdn"]
    assert cdn.inputs["stickiness"]["enabled"] is False, "few addresses would make few edges do all the work"


def test_a_stream_outlives_the_edge_s_departure() -> None:
    (target,) = balancer(drain_s=900).of_type("aws:lb/targetGroup:TargetGroup")
    assert target.inputs["deregistrationDelay"] == 900
    assert target.inputs["connectionTermination"] is True


def test_a_lost_gateway_takes_no_edge_along() -> None:
    (target,) = balancer().of_type("aws:lb/targetGroup:TargetGroup")
    assert target.inputs["healthCheck"]["protocol"] == "TCP"
    assert "path" not in target.inputs["healthCheck"]


def test_the_cluster_may_register_pods_and_makes_nothing_itself() -> None:
    graph = balancer(cdn=Addresses(("173.245.48.0/20",)))
    targets = graph.of_type("aws:lb/targetGroup:TargetGroup")
    assert {target.inputs["tags"]["eks:eks-cluster-name"] for target in targets} == {"ollamamax-prod"}
    bindings = graph.of_type(BINDING)
    assert [one.name for one in bindings] == [target.name for target in targets] == ["edge", "edge-cdn"]
    for binding, target in zip(bindings, targets, strict=True):
        assert binding.inputs["metadata"] == {"name": binding.name, "namespace": "ollamamax"}
        assert binding.inputs["spec"] == {
            "serviceRef": {"name": "edge", "port": target.inputs["port"]},
            "targetGroupARN": f"arn:aws:mock:::{target.name}",
            "targetType": "ip",
        }
        assert f"aws:lb/listener:Listener::{target.name}" in binding.depends_on


def test_it_survives_a_lost_zone_and_a_hasty_update() -> None:
    graph = balancer()
    inputs = graph[BALANCER].inputs
    assert inputs["loadBalancerType"] == "network"
    assert inputs["internal"] is False
    assert inputs["subnets"] == ["subnet-1", "subnet-2", "subnet-3"]
    assert inputs["enableCrossZoneLoadBalancing"] is True
    assert inputs["enableDeletionProtection"] is True
    assert graph[BALANCER].protect
    freed = balancer(allow_replace=["edge"])
    assert freed[BALANCER].inputs["enableDeletionProtection"] is False
    assert not freed[BALANCER].protect


def test_what_the_internet_reaches_carries_the_mark_that_the_policies_ask_for() -> None:
    graph = balancer()
    from_networks = [rule for rule in rules(graph) if "cidrIpv4" in rule.inputs]
    assert len(from_networks) == 2
    for one in (graph[BALANCER], *from_networks):
        assert one.inputs["tags"].items() >= EDGE.items()
