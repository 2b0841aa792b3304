"""Who may talk to whom."""

from dataclasses import replace
from typing import Any

from hypothesis import given

from components import network_policies, pods
from components.service import INTERNET, Exposure, Peer, Port, Service
from tests.components.conftest import strings
from tests.components.placing import SERVICES, SOME

Flow = tuple[str, int, str]
"""A service, a port and a protocol."""


def pods_of(selector: dict[str, Any]) -> str:
    labels = selector["podSelector"]["matchLabels"]
    name = labels["app.kubernetes.io/name"]
    assert labels == pods.selector(name, "test"), "no pods but those of the service"
    return str(name)


def flows(rules: list[dict[str, Any]], side: str) -> set[Flow]:
    return {
        (pods_of(end), port["port"], port["protocol"])
        for rule in rules
        for end in rule.get(side, [])
        if "podSelector" in end
        for port in rule["ports"]
    }


def blocks(rules: list[dict[str, Any]]) -> set[Flow]:
    return {
        (end["ipBlock"]["cidr"], port["port"], port["protocol"])
        for rule in rules
        for end in rule["to"]
        if "ipBlock" in end
        for port in rule["ports"]
    }


@given(SERVICES)
def test_any_service_reaches_exactly_what_it_declares(service: Service) -> None:
    own = network_policies.own(service, "test")
    assert pods_of(own) == service.name
    assert own["policyTypes"] == ["Ingress", "Egress"]
    egress = own.get("egress", [])
    assert all(rule["to"] and rule["ports"] for rule in egress), "an empty list would allow everything"
    assert flows(egress, "to") == {(peer.service, peer.port, "TCP") for peer in service.talks_to}
    assert blocks(egress) == {
        (cidr, one.port, one.protocol.upper()) for one in service.reaches for cidr in one.networks
    }


@given(SERVICES)
def test_any_service_is_let_in_by_exactly_its_peers(service: Service) -> None:
    let_in: set[Flow] = set()
    for peer, ports in network_policies.peers(service.talks_to).items():
        policy = network_policies.to_peer(service, peer, ports, "test")
        assert pods_of(policy) == peer
        assert policy["policyTypes"] == ["Ingress"], "it must not close the peer's own way out"
        (rule,) = policy["ingress"]
        assert [pods_of(end) for end in rule["from"]] == [service.name]
        let_in |= {(peer, port["port"], port["protocol"]) for port in rule["ports"]}
    assert let_in == {(peer.service, peer.port, "TCP") for peer in service.talks_to}


@given(SERVICES)
def test_any_service_is_open_to_everyone_on_its_public_ports_alone(service: Service) -> None:
    ingress = network_policies.own(service, "test").get("ingress", [])
    open_ports = {(port["port"], port["protocol"]) for rule in ingress for port in rule["ports"]}
    assert open_ports == {
        (port.number, port.protocol.upper())
        for port in service.ports
        if port.published is not None and port.exposure is Exposure.PUBLIC
    }
    assert all(rule["ports"] for rule in ingress), "an empty list would allow every port"


def test_who_does_not_say_that_it_asks_a_service_is_let_out_and_in_by_that_alone() -> None:
    service = replace(SOME, asked_by=(Peer("caller", 2), Peer("caller", 1)))
    own = network_policies.own(service, "test")
    assert flows(own["ingress"], "from") == {("caller", 1, "TCP"), ("caller", 2, "TCP")}
    assert "egress" not in own
    policy = network_policies.from_peer(service, "caller", [1, 2], "test")
    assert pods_of(policy) == "caller"
    assert policy["policyTypes"] == ["Egress"], "it must not close the caller's own way in"
    assert flows(policy["egress"], "to") == {("some", 1, "TCP"), ("some", 2, "TCP")}


def test_what_nobody_declares_is_denied_both_ways() -> None:
    assert network_policies.DENY_ALL == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_every_pod_may_look_names_up_and_only_there() -> None:
    policy = network_policies.dns(["10.100.0.10/32"])
    assert policy["podSelector"] == {}
    (rule,) = policy["egress"]
    assert {(port["port"], port["protocol"]) for port in rule["ports"]} == {(53, "UDP"), (53, "TCP")}
    cluster, address = rule["to"]
    assert cluster["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "kube-system"}
    assert address == {"ipBlock": {"cidr": "10.100.0.10/32"}}


def test_a_service_that_talks_to_no_one_has_no_way_out() -> None:
    assert "egress" not in network_policies.own(SOME, "test")


def test_policies_are_the_same_in_whatever_order_peers_are_declared() -> None:
    peers = (Peer("b", 2), Peer("a", 1), Peer("b", 1), Peer("b", 2))
    one, other = (
        replace(SOME, talks_to=order, ports=(Port(1),), reaches=(INTERNET,)) for order in (peers, peers[::-1])
    )
    assert network_policies.own(one, "test") == network_policies.own(other, "test")
    assert network_policies.peers(one.talks_to) == {"a": [1], "b": [1, 2]}
    assert "0.0.0.0/0" in list(strings(network_policies.own(one, "test")))
