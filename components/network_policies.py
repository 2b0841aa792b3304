"""Who may talk to whom in the platform's namespace, as plain data: pure functions.

The namespace denies everything both ways. Beside it every service that is placed brings what it declares: one
policy for its own pods, and one for those of each peer; for those of ``asked_by`` both ways.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby

import pulumi

from components.manifests import is_public
from components.pods import Manifest, selector
from components.service import Outside, Peer, Service

DENY_ALL: Manifest = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
DNS_PORTS = [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]
DNS_PODS = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
    "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
}


def dns(resolvers: Sequence[pulumi.Input[str]]) -> Manifest:
    """Return the policy that lets pods look names up: at the cluster's DNS pods, and at ``resolvers``."""
    addresses = [{"ipBlock": {"cidr": cidr}} for cidr in resolvers]
    return {
        "podSelector": {},
        "policyTypes": ["Egress"],
        "egress": [{"to": [DNS_PODS, *addresses], "ports": DNS_PORTS}],
    }


def own(service: Service, stack: str, api_server: Outside | None = None) -> Manifest:
    """Return the policy of the service's own pods: who is let out to, and what is let in from anywhere."""
    beyond = [*service.reaches, *([api_server] if service.asks_api and api_server else [])]
    public = [_port(port.number, port.protocol) for port in service.ports if is_public(port)]
    egress = [
        {"to": [_pods(peer, stack)], "ports": [_port(port) for port in ports]}
        for peer, ports in peers(service.talks_to).items()
    ] + [_outside(one) for one in beyond]
    ingress = [{"ports": public}] if public else []
    ingress += [
        {"from": [_pods(peer, stack)], "ports": [_port(port) for port in ports]}
        for peer, ports in peers(service.asked_by).items()
    ]
    policy: Manifest = {
        "podSelector": {"matchLabels": selector(service.name, stack)},
        "policyTypes": ["Ingress", "Egress"],
    }
    # An empty list reads back as none, which would be a difference in every plan.
    policy |= {"ingress": ingress} if ingress else {}
    return policy | ({"egress": egress} if egress else {})


def to_peer(service: Service, peer: str, ports: Sequence[int], stack: str) -> Manifest:
    """Return the policy of ``peer``'s pods that lets ``service`` in on ``ports``."""
    return {
        "podSelector": {"matchLabels": selector(peer, stack)},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [_pods(service.name, stack)], "ports": [_port(port) for port in ports]}],
    }


def from_peer(service: Service, peer: str, ports: Sequence[int], stack: str) -> Manifest:
    """Return the policy of ``peer``'s pods that lets them out to ``ports`` of ``service``."""
    return {
        "podSelector": {"matchLabels": selector(peer, stack)},
        "policyTypes": ["Egress"],
        "egress": [{"to": [_pods(service.name, stack)], "ports": [_port(port) for port in ports]}],
    }


def from_elsewhere(
    service: str, port: int, namespace: str, labels: Mapping[str, str], stack: str
) -> Manifest:
    """Return the policy that lets pods of another namespace, those with ``labels``, in to ``service``."""
    elsewhere = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "podSelector": {"matchLabels": dict(labels)},
    }
    return {
        "podSelector": {"matchLabels": selector(service, stack)},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [elsewhere], "ports": [_port(port)]}],
    }


def peers(declared: Sequence[Peer]) -> Mapping[str, list[int]]:
    """Return the ports that are declared, by the peer's name."""
    pairs_of_all = sorted({(peer.service, peer.port) for peer in declared})
    return {name: [port for _, port in pairs] for name, pairs in groupby(pairs_of_all, lambda pair: pair[0])}


def _pods(name: str, stack: str) -> Manifest:
    return {"podSelector": {"matchLabels": selector(name, stack)}}


def _outside(outside: Outside) -> Manifest:
    return {
        "to": [{"ipBlock": {"cidr": cidr}} for cidr in outside.networks],
        "ports": [_port(outside.port, outside.protocol)],
    }


def _port(number: int, protocol: str = "tcp") -> Manifest:
    return {"port": number, "protocol": protocol.upper()}
