"""A small platform as an API server holds it: objects with just what the checks read."""

from __future__ import annotations

import copy
from typing import Any

from rehearsal.stage.inventory import Inventory

SPACE = "platform"
STANDS = {"conditions": [{"type": "Ready", "status": "True"}], "phase": "Running"}


def named(name: str, **more: Any) -> dict[str, Any]:
    """Return an object of the platform's namespace, with the label of its service."""
    meta = {"name": name, "namespace": SPACE, "labels": {"app.kubernetes.io/name": name}}
    return {"metadata": meta, **more}


def pod(name: str, service: str, port: int) -> dict[str, Any]:
    """Return a pod that runs, with files, a disk and a GPU."""
    made = named(
        name,
        status=copy.deepcopy(STANDS),
        spec={
            "serviceAccountName": service,
            "priorityClassName": "serving",
            "containers": [{"ports": [{"name": f"tcp-{port}", "containerPort": port, "protocol": "TCP"}]}],
            "volumes": [
                {"projected": {"sources": [{"configMap": {"name": service}}, {"secret": {"name": service}}]}},
                {"persistentVolumeClaim": {"claimName": "models"}},
            ],
        },
    )
    made["metadata"]["labels"] = {"app.kubernetes.io/name": service}
    return made


def selector(service: str) -> dict[str, Any]:
    """Return the selector of a service's pods."""
    return {"matchLabels": {"app.kubernetes.io/name": service}}


def wide(name: str, **more: Any) -> dict[str, Any]:
    """Return an object of no namespace."""
    return {"metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}}, **more}


def platform() -> dict[str, list[dict[str, Any]]]:
    """Return a gateway and two workers, with all that surrounds them; nothing is wrong with it."""
    limits = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
    worker = {"spec": {"nodeSelector": {"ollamamax.io/pool": "chat"}, "containers": [limits]}}
    able = [{"type": "AbleToScale", "status": "True"}, {"type": "ScalingActive", "status": "True"}]
    return {
        "/Pod": [
            pod("gateway-1", "gateway", 8080),
            pod("worker-1", "worker", 11434),
            pod("worker-2", "worker", 11434),
        ],
        "/Namespace": [wide(SPACE), wide("kube-system"), wide("keda")],
        "/ServiceAccount": [named("gateway"), named("worker")],
        "/ConfigMap": [named("gateway"), named("worker")],
        "/Secret": [named("gateway"), named("worker")],
        "/PersistentVolumeClaim": [named("models")],
        "scheduling.k8s.io/PriorityClass": [wide("serving")],
        "apps/Deployment": [
            named(
                "gateway",
                spec={"replicas": 1, "template": {"spec": {"containers": [{}]}}},
                status={"readyReplicas": 1},
            ),
            named("worker", spec={"replicas": 2, "template": worker}, status={"readyReplicas": 2}),
        ],
        "batch/Job": [named("models", spec={"template": pod("", "models", 8080)}, status={"succeeded": 1})],
        "policy/PodDisruptionBudget": [
            named(name, spec={"selector": selector(name)}, status={"disruptionsAllowed": 1})
            for name in ("gateway", "worker")
        ],
        "networking.k8s.io/NetworkPolicy": [
            named("deny-all", spec={"podSelector": {}}),
            named(
                "gateway",
                spec={
                    "podSelector": selector("gateway"),
                    "egress": [{"to": [{"podSelector": selector("worker")}], "ports": [{"port": 11434}]}],
                },
            ),
            named(
                "from-keda",
                spec={
                    "podSelector": selector("gateway"),
                    "ingress": [
                        {
                            "from": [
                                {
                                    "namespaceSelector": {
                                        "matchLabels": {"kubernetes.io/metadata.name": "keda"}
                                    }
                                }
                            ]
                        }
                    ],
                },
            ),
        ],
        "/Service": [
            named(
                "gateway",
                spec={
                    "selector": {"app.kubernetes.io/name": "gateway"},
                    "ports": [{"targetPort": "tcp-8080"}],
                },
            )
        ],
        "keda.sh/ScaledObject": [
            named(
                "worker",
                spec={"scaleTargetRef": {"name": "worker"}},
                status={"conditions": [{"type": "Ready", "status": "True"}]},
            )
        ],
        "autoscaling/HorizontalPodAutoscaler": [
            named(
                "keda-hpa-worker",
                spec={"scaleTargetRef": {"kind": "Deployment", "name": "worker"}, "maxReplicas": 50},
                status={"conditions": able},
            )
        ],
        "karpenter.sh/NodePool": [
            wide(
                "chat",
                spec={"limits": {"nvidia.com/gpu": "50"}},
                status={"conditions": [{"type": "Ready", "status": "True"}]},
            )
        ],
        "/ResourceQuota": [named("most", status={"hard": {"pods": "100"}, "used": {"pods": "3"}})],
    }


def inventory(objects: dict[str, list[dict[str, Any]]]) -> Inventory:
    """Return the objects as an inventory."""
    return Inventory({kind: tuple(found) for kind, found in objects.items()}, frozenset(objects))
