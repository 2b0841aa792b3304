"""What surrounds the pods of a service on a cluster, as plain data: pure functions.

As in ``pods.py``, keys are the API's own.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import ceil

from components.pods import (
    Manifest,
    claim_spec,
    grace_s,
    own_volumes,
    port_name,
    selector,
    startup_s,
)
from components.service import ApiUse, Exposure, Port, Service
from stacks.kubernetes import KubernetesSettings

NODE_START_S = 600
"""Time in which a cluster finds capacity, starts a node and pulls an image onto it."""
REVISIONS = 2
MOST_STEPS = 10
"""A tenth of the replicas goes at a time."""
SURGE = "25%"
EXPOSED = {"annotations": {"ollamamax.io/exposure": "edge"}}
"""Metadata of a Service that is meant to be reached from outside the cluster: policies look for the mark."""
TENTH, HALF = 10, 50
"""Percent."""
FEW = 3
"""Replicas of which a half is one."""
AT_A_TIME = f"{TENTH}%"
"""Replicas that go at a time where one has to go before another can come; at least one."""


def standstill_s(service: Service, settings: KubernetesSettings, spot: bool) -> int:
    """Return how long a rollout may stand still, seconds.

    A new replica may have to wait for a node, or for what the old one holds until its last answer has ended.
    """
    return NODE_START_S + startup_s(service, settings) + grace_s(service, spot)


def rollout_s(service: Service, standstill_s: int) -> int:
    """Return how long a whole rollout may take, seconds: as if every step stood still as long as it may."""
    return standstill_s * min(most(service), MOST_STEPS)


def deployment(service: Service, stack: str, template: Manifest, standstill_s: int) -> Manifest:
    """Return the specification of the service's Deployment.

    Where an autoscaler moves the replica count, the one here is what a new Deployment starts with: with one
    at least, which shows that it works.
    """
    return {
        "replicas": max(1, fewest(service)),
        "selector": {"matchLabels": selector(service.name, stack)},
        "revisionHistoryLimit": REVISIONS,
        "progressDeadlineSeconds": standstill_s,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling_update(service)},
        "template": template,
    }


def fewest(service: Service) -> int:
    """Return how many replicas there are at the least."""
    return service.scaling.min_replicas if service.scaling else service.replicas


def most(service: Service) -> int:
    """Return how many replicas there are at the most."""
    return service.scaling.max_replicas if service.scaling else service.replicas


def rolling_update(service: Service) -> Manifest:
    """Return how replicas are replaced: the new one first, but for GPUs.

    A surge of GPUs would start a node for some minutes, or wait for ever at the pool's limit. So there a
    replica goes first. A service that may have but one keeps that one until its successor is ready; when it
    has more, one of them may go too, as their nodes may be all that the pool can have.
    """
    if not service.limits.gpus:
        return {"maxSurge": SURGE, "maxUnavailable": 0}
    if fewest(service) > 1:
        return {"maxSurge": 0, "maxUnavailable": AT_A_TIME}
    return {"maxSurge": 1, "maxUnavailable": f"{percent_of_a_few(most(service))}%"}


def percent_of_a_few(replicas: int) -> int:
    """Return how many of ``replicas`` or fewer may go at a time, percent, which Kubernetes rounds down.

    None of one, one of two or three. Of more a half would be too many: there a tenth, or what lets one go of
    all of them; while there are fewer, the pool may have a node for the new one.
    """
    return HALF if replicas <= FEW else max(TENTH, ceil(100 / replicas))


def stateful_set(service: Service, stack: str, template: Manifest, settings: KubernetesSettings) -> Manifest:
    """Return the specification of the StatefulSet of a service whose replicas have volumes of their own."""
    return {
        "replicas": service.replicas,
        "serviceName": service.name,
        "selector": {"matchLabels": selector(service.name, stack)},
        "revisionHistoryLimit": REVISIONS,
        "updateStrategy": {"type": "RollingUpdate"},
        "template": template,
        "volumeClaimTemplates": [
            {
                "metadata": {"name": volume.name},
                "spec": claim_spec(volume.size_gib, settings.storage_class),
            }
            for volume in own_volumes(service)
        ],
    }


def job(service: Service, template: Manifest) -> Manifest:
    """Return the specification of a Job. It stays when it has ended, so that it does not run again."""
    return {"backoffLimit": service.retries, "template": template}


def service_ports(service: Service) -> list[Manifest]:
    """Return the ports of the service's Service: a public one has the number that it is published as."""
    return [
        {
            "name": port_name(port),
            "port": port.published or port.number if is_public(port) else port.number,
            "targetPort": port_name(port),
            "protocol": port.protocol.upper(),
        }
        for port in service.ports
    ]


def is_public(port: Port) -> bool:
    """Tell whether clients outside the cluster reach the port."""
    return port.published is not None and port.exposure is Exposure.PUBLIC


def has_stable_address(service: Service) -> bool:
    """Tell whether the service's name stands for one address, however many replicas there are."""
    return service.fixed_address or any(is_public(port) for port in service.ports)


def each(service: Service, stack: str) -> Manifest:
    """Return the specification of a Service whose name resolves to the addresses of all replicas."""
    return {
        "selector": selector(service.name, stack),
        "ports": service_ports(service),
        "type": "ClusterIP",
        "clusterIP": "None",
    }


def cluster_service(service: Service, stack: str, settings: KubernetesSettings) -> Manifest:
    """Return the specification of the service's Service."""
    if service.headless and not has_stable_address(service):
        return each(service, stack)
    public = [port for port in service.ports if is_public(port)]
    # A Service that is reached from outside has no port for the platform's own parts.
    ports = service_ports(replace(service, ports=tuple(public) or service.ports))
    spec: Manifest = {"selector": selector(service.name, stack), "ports": ports}
    if public:
        # Without the hop over another node the client's address is kept.
        local = {"externalTrafficPolicy": "Local"} if settings.edge_service == "LoadBalancer" else {}
        return spec | {"type": settings.edge_service} | local
    return spec | {"type": "ClusterIP"}


API_RULES: Mapping[ApiUse, list[Manifest]] = {
    ApiUse.FOLLOW_PEERS: [
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]}
    ],
    ApiUse.TIME_PODS: [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}],
}
"""What a service needs of the API for what it asks."""


def disruption_budget(service: Service, stack: str) -> Manifest:
    """Return the specification of a PodDisruptionBudget: a tenth of the replicas at a time, at least one.

    A service with a single replica has one too. It lets that replica go, as its node could never be emptied
    otherwise, and stands for more once there are more.
    """
    return {"maxUnavailable": AT_A_TIME, "selector": {"matchLabels": selector(service.name, stack)}}
