"""The pods of a service on a cluster, as plain data: pure functions.

Keys are the API's own, so that a manifest reads here as it does in ``kubectl get -o yaml``. A value may be an
output where it is known only while the stack deploys.
"""

from dataclasses import dataclass
from math import ceil
from typing import Any

import pulumi

from components.service import CONFIG_DIR, USER, VAULT_DIR, Port, Probe, Service, Volume
from stacks.kubernetes import KubernetesSettings

Manifest = dict[str, Any]

POOL_LABEL = "ollamamax.io/pool"
"""Label, and taint, of the nodes of a pool."""
STORE_LABEL = "ollamamax.io/store"
"""Label of the pods that use a shared volume."""
API_USER = "ollamamax.io/kubernetes-api"
"""Annotation of pods that have a token for the API: policies look for what it says they need it for."""
GPU = "nvidia.com/gpu"
SPOT_NOTICE_S = 120
SPOT_MARGIN_S = 15
"""Part of the notice that passes before the pod is told."""
READINESS_PERIOD_S = 5
"""Least time between two checks: a command in a container costs more CPU than a request."""
LIVENESS_PERIOD_S = 15
LIVENESS_FAILURES = 4
"""A minute of silence, well after requests have stopped coming: a busy server must not be killed."""
SHARED = 3
"""By how many replicas nodes may differ: what the scheduler itself has for pods that say nothing."""
DISK = "1Gi"
"""A container's logs, which the kubelet rotates; all else that it writes is in volumes."""


@dataclass(frozen=True)
class Placement:
    """What a pod is made of beyond its service's description."""

    stack: str
    image: pulumi.Input[str]
    priority_class: str
    gpu_resource: str
    spot: bool
    """Whether its nodes may be interrupted."""
    files: Manifest | None
    """Source of the volume with its files."""
    settings: KubernetesSettings


def selector(name: str, stack: str) -> dict[str, str]:
    """Return the labels by which the pods of service ``name`` are found."""
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/instance": stack}


def cores(cpus: float) -> str:
    """Return ``cpus`` as Kubernetes reads them back: ``2``, ``500m``."""
    whole, millis = divmod(round(cpus * 1000), 1000)
    return f"{whole * 1000 + millis}m" if millis else str(whole)


def mebibytes(size: int) -> str:
    """Return ``size`` MiB as Kubernetes reads it back: ``512Mi``, ``2Gi``."""
    for unit in ("Mi", "Gi", "Ti"):
        if size % 1024:
            return f"{size}{unit}"
        size //= 1024
    return f"{size}Pi"


def grace_s(service: Service, spot: bool) -> int:
    """Return how long a pod may take to stop, seconds.

    Nodes on spot go with 120 s notice. What is still being answered then is cut, and the gateway ends the
    client's stream with an explicit error: it never looks like a complete answer.
    """
    return min(service.stop.grace_s, SPOT_NOTICE_S - SPOT_MARGIN_S) if spot else service.stop.grace_s


def startup_s(service: Service, settings: KubernetesSettings) -> int:
    """Return how long a container may take until it has started, seconds."""
    if service.ready:
        return settings.startup_timeout_s
    return service.probe.start_period_s if service.probe else 0


def own_volumes(service: Service) -> tuple[Volume, ...]:
    """Return the volumes of which each replica has its own."""
    return tuple(volume for volume in service.volumes if not volume.shared)


def shared_volumes(service: Service) -> tuple[Volume, ...]:
    """Return the volumes that the replicas share, with each other and with other services."""
    return tuple(volume for volume in service.volumes if volume.shared)


def pod_template(service: Service, placement: Placement) -> Manifest:
    """Return the template of the service's pods."""
    user, group = (int(one) for one in USER.split(":"))
    shared = shared_volumes(service)
    # In fixed order: neighbours would otherwise swap places in a diff.
    spec: Manifest = {
        "serviceAccountName": service.name,
        "automountServiceAccountToken": service.asks_api is not None,
        "enableServiceLinks": False,
        "priorityClassName": placement.priority_class,
        "terminationGracePeriodSeconds": grace_s(service, placement.spot),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": user,
            "runAsGroup": group,
            "fsGroup": group,
            # Once only: PostgreSQL refuses a data folder that its group may write.
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(service, placement)],
        "volumes": _volumes(service, placement),
    }
    if service.runs_to_completion:
        spec["restartPolicy"] = "Never"
    if service.node_pool:
        spec["nodeSelector"] = {POOL_LABEL: service.node_pool}
        spec["tolerations"] = [
            {"key": GPU, "operator": "Exists", "effect": "NoSchedule"},
            {"key": POOL_LABEL, "operator": "Equal", "value": service.node_pool, "effect": "NoSchedule"},
        ]
    store = {STORE_LABEL: shared[0].name} if shared else {}
    if store and placement.settings.model_store.access == "ReadWriteOnce":
        spec["affinity"] = {
            "podAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [
                    {"labelSelector": {"matchLabels": store}, "topologyKey": "kubernetes.io/hostname"}
                ]
            }
        }
    elif several(service):
        spec["topologySpreadConstraints"] = _spread(service, placement)
    # The platform's version is no label here: it would replace pods in which nothing else has changed.
    metadata: Manifest = {"labels": selector(service.name, placement.stack) | store}
    if service.asks_api:
        metadata["annotations"] = {API_USER: service.asks_api.value}
    return {"metadata": metadata, "spec": spec}


def several(service: Service) -> bool:
    """Tell whether the service has, or may have, more than one replica."""
    return service.replicas > 1 or service.scaling is not None


def _spread(service: Service, placement: Placement) -> list[Manifest]:
    """Return the constraints that keep the loss of a zone, or of a node, from taking all replicas."""
    revision = "controller-revision-hash" if own_volumes(service) else "pod-template-hash"
    zones = "DoNotSchedule" if placement.settings.zone_spread == "required" else "ScheduleAnyway"
    # Karpenter takes a wish for an order: with one replica a node it would buy a node for each of fifty.
    spread = (("topology.kubernetes.io/zone", 1, zones), ("kubernetes.io/hostname", SHARED, "ScheduleAnyway"))
    return [
        {
            "maxSkew": skew,
            "topologyKey": key,
            "whenUnsatisfiable": otherwise,
            "labelSelector": {"matchLabels": selector(service.name, placement.stack)},
            # Each revision by itself: the pods that a rollout takes away must not count.
            "matchLabelKeys": [revision],
        }
        for key, skew, otherwise in spread
    ]


def _container(service: Service, placement: Placement) -> Manifest:
    limits = {
        "cpu": cores(service.limits.cpus),
        "memory": mebibytes(service.limits.memory_mib),
        "ephemeral-storage": DISK,
    }
    if service.limits.gpus:
        limits[placement.gpu_resource] = str(service.limits.gpus)
    container: Manifest = {
        "name": service.name,
        "image": placement.image,
        "imagePullPolicy": "IfNotPresent",
        # Requests are limits: nothing is promised twice, and the pod is among the last to be evicted.
        "resources": {"requests": dict(limits), "limits": limits},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": _mounts(service, placement),
    }
    optional = {
        "command": list(service.entrypoint or ()),
        "args": list(service.command or ()),
        "env": [{"name": key, "value": value} for key, value in sorted(service.env.items())],
        "ports": [
            {"name": port_name(port), "containerPort": port.number, "protocol": port.protocol.upper()}
            for port in service.ports
        ],
    }
    container |= {key: value for key, value in optional.items() if value}
    if service.stop.before:
        container["lifecycle"] = {"preStop": {"exec": {"command": list(service.stop.before)}}}
    return container | _probes(service, placement.settings)


def _probes(service: Service, settings: KubernetesSettings) -> Manifest:
    """Return the probes of the container. The others wait for the start, however long a model loads."""
    if not service.probe:
        return {}
    ready = service.ready or service.probe
    period = max(ready.interval_s, READINESS_PERIOD_S)
    return {
        "startupProbe": _probe(ready, period, ceil(startup_s(service, settings) / period)),
        "readinessProbe": _probe(ready, period, ready.retries),
        "livenessProbe": _probe(service.probe, LIVENESS_PERIOD_S, LIVENESS_FAILURES),
    }


def _probe(probe: Probe, period_s: int, failures: int) -> Manifest:
    return {
        "exec": {"command": list(probe.command)},
        "periodSeconds": period_s,
        "timeoutSeconds": probe.timeout_s,
        "failureThreshold": failures,
    }


def _volumes(service: Service, placement: Placement) -> list[Manifest]:
    volumes: list[Manifest] = []
    if placement.files:
        volumes.append({"name": "files", **placement.files})
    if service.vault:
        volumes.append({
            "name": "vault",
            "csi": {
                "driver": "secrets-store.csi.k8s.io",
                "readOnly": True,
                "volumeAttributes": {"secretProviderClass": service.name},
            },
        })  # fmt: skip
    for index, (_, mib) in enumerate(sorted(service.scratch.items())):
        volumes.append({
            "name": f"scratch-{index}",
            "emptyDir": {"medium": "Memory", "sizeLimit": mebibytes(mib)},
        })  # fmt: skip
    if service.switches:
        source = {"name": service.switches.config_map, "optional": True}
        volumes.append({"name": "switches", "configMap": source})
    for volume in shared_volumes(service):
        claim = {"claimName": volume.name} | _read_only(volume)
        volumes.append({"name": volume.name, "persistentVolumeClaim": claim})
    if service.runs_to_completion:
        # A job's own data goes with its pod.
        for volume in own_volumes(service):
            template = {"spec": claim_spec(volume.size_gib, placement.settings.storage_class)}
            volumes.append({"name": volume.name, "ephemeral": {"volumeClaimTemplate": template}})
    return volumes


def _mounts(service: Service, placement: Placement) -> list[Manifest]:
    mounts: list[Manifest] = []
    if placement.files:
        mounts.append({"name": "files", "mountPath": CONFIG_DIR, "readOnly": True})
    if service.vault:
        mounts.append({"name": "vault", "mountPath": VAULT_DIR, "readOnly": True})
    for index, path in enumerate(sorted(service.scratch)):
        mounts.append({"name": f"scratch-{index}", "mountPath": path})
    if service.switches:
        mounts.append({"name": "switches", "mountPath": service.switches.path, "readOnly": True})
    for volume in (*shared_volumes(service), *own_volumes(service)):
        mounts.append({"name": volume.name, "mountPath": volume.path} | _read_only(volume))
    return mounts


def _read_only(volume: Volume) -> Manifest:
    """Return nothing for what is written to: the API server keeps no ``false``, and would seem to differ."""
    return {"readOnly": True} if volume.read_only else {}


def claim_spec(size_gib: int, storage_class: str | None, access: str = "ReadWriteOnce") -> Manifest:
    """Return the specification of a claim to a new volume."""
    spec: Manifest = {
        "accessModes": [access],
        "resources": {"requests": {"storage": mebibytes(size_gib * 1024)}},
    }
    return spec | ({"storageClassName": storage_class} if storage_class else {})


def port_name(port: Port) -> str:
    """Return the name of a port, unique in its service."""
    return f"{port.protocol}-{port.number}"
