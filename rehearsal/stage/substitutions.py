"""What stands in for the cloud's: one table, which is printed, and what applies it as objects arrive.

The engine sends every object as the program has it. The API server then changes what only the cloud could
serve, by admission policies: nothing of the program or the engine knows of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rehearsal.controlplane import ControlPlane
from rehearsal.stage.inventory import POOL
from rehearsal.verdict import Row

ADMISSION = "/apis/admissionregistration.k8s.io/v1beta1"
FLAGS = {
    "feature-gates": "WatchList=false,MutatingAdmissionPolicy=true",
    "runtime-config": "admissionregistration.k8s.io/v1beta1=true",
}
"""Flags of the API server with which it heeds the policies."""
NODE_CLASS = "rehearsal"
STARTS_AFTER = "rehearsal.ollamamax.io/starts-after"
"""Annotation of a pod: how long it takes to be ready, once it is on a node."""
NEVER_READY = "rehearsal.ollamamax.io/never-ready"
"""Annotation of a pod that does not become ready."""
METRICS_PATH = "metrics.k8s.io/resource-metrics-path"
"""Annotation of a node: where metrics-server finds what its pods use."""

ROWS: tuple[Row, ...] = (
    Row(
        "control plane",
        "EKS's, of the version that the stack names",
        "Kubernetes' own programs, always of one version, with the admission policies that substitute",
        "EKS's is to be had on AWS alone",
    ),
    Row(
        "Karpenter",
        "EKS Auto Mode's own",
        "the published one with its KWOK provider, as a process",
        "EKS's is to be had on AWS alone",
    ),
    Row(
        "nodes of GPU pools",
        "NodeClass of eks.amazonaws.com, which a NodePool names",
        "KWOKNodeClass of karpenter.kwok.sh",
        "only EKS makes nodes of the former",
    ),
    Row(
        "instance types",
        "EC2's",
        "those that the stack names, with CPUs, memory, GPUs and prices of stacks/",
        "Karpenter's KWOK provider reads them from a file",
    ),
    Row(
        "nodes without a GPU",
        "EKS Auto Mode's own pool general-purpose",
        "a NodePool of that name: m7i, on demand",
        "EKS makes it, not the program",
    ),
    Row(
        "kinds of EKS",
        "NodeClass, TargetGroupBinding",
        "the same names, any fields",
        "their definitions are not published; the simulated cloud checks what in them is its own",
    ),
    Row(
        "chart keda",
        "a release in the cluster",
        "KEDA's operator and metrics server as processes, its kinds",
        "no container runs",
    ),
    Row(
        "chart cert-manager",
        "a release in the cluster",
        "its kinds alone",
        "nobody issues a certificate: pods start without the edge's",
    ),
    Row(
        "add-on metrics-server",
        "EKS's",
        "the real program as a process, which looks every 10 s",
        "no container runs",
    ),
    Row(
        "add-on secrets store",
        "EKS's",
        "its kinds alone",
        "no container runs: nothing is mounted",
    ),
    Row(
        "disks",
        "the EBS driver",
        "a volume object for each claim, in the zone of its node",
        "no container runs",
    ),
    Row(
        "GPUs",
        "NVIDIA's device plugin",
        "the instance type's number of them, as a resource of the node",
        "there are none",
    ),
    Row(
        "containers",
        "images of docker/",
        "pods that KWOK calls ready, workers after a while and all others at once, and that use what the "
        "traffic says",
        "no container runs",
    ),
    Row(
        "Prometheus",
        "the stack's image",
        "Debian's program with the files of its pod, on a loopback address",
        "no container runs; addresses and paths in its configuration are changed to match",
    ),
    Row(
        "whom else Prometheus asks and tells",
        "the edge, exporters and Alertmanager",
        "nobody",
        "no container runs; what it is told by them moves no replica",
    ),
    Row(
        "the gateways' metrics",
        "each gateway",
        "the traffic model, one target for all",
        "no request is made",
    ),
    Row(
        "how edges hear of a release's share",
        "their kubelet brings them the ConfigMap, within 90 s",
        "the traffic model reads it",
        "no container runs",
    ),
    Row(
        "the forecaster",
        "the stack's image",
        "the same source as a process, with the files of its pod",
        "no container runs",
    ),
)


@dataclass(frozen=True)
class Change:
    """A change of objects as they are admitted."""

    name: str
    group: str
    version: str
    resource: str
    when: str
    """CEL: which objects."""
    mutation: Mapping[str, Any]

    def put(self, plane: ControlPlane) -> None:
        """Have the API server make it from now on, or soon after."""
        rule = {
            "apiGroups": [self.group], "apiVersions": [self.version], "resources": [self.resource],
            "operations": ["CREATE", "UPDATE"],
        }  # fmt: skip
        policy = {
            "metadata": {"name": self.name},
            "spec": {
                "failurePolicy": "Fail", "reinvocationPolicy": "Never",
                "matchConstraints": {"resourceRules": [rule]},
                "matchConditions": [{"name": "of-the-cloud", "expression": self.when}],
                "mutations": [self.mutation],
            },
        }  # fmt: skip
        binding = {"metadata": {"name": self.name}, "spec": {"policyName": self.name}}
        plane.request("post", f"{ADMISSION}/mutatingadmissionpolicies", policy)
        plane.request("post", f"{ADMISSION}/mutatingadmissionpolicybindings", binding)

    def remove(self, plane: ControlPlane) -> None:
        """Have the API server leave objects as they are again."""
        for kind in ("bindings", "policies"):
            plural = "mutatingadmissionpolicybindings" if kind == "bindings" else "mutatingadmissionpolicies"
            plane.request("delete", f"{ADMISSION}/{plural}/{self.name}")


def changes(pod_start_s: float) -> Iterator[Change]:
    """Yield what the table says of objects that the program or a controller sends."""
    reference = "/spec/template/spec/nodeClassRef"
    values = {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": NODE_CLASS}
    patches = [
        f'JSONPatch{{op: "replace", path: "{reference}/{key}", value: "{value}"}}'
        for key, value in values.items()
    ]
    yield Change(
        "node-class", "karpenter.sh", "v1", "nodepools",
        'object.spec.template.spec.nodeClassRef.group == "eks.amazonaws.com"',
        {"patchType": "JSONPatch", "jsonPatch": {"expression": f"[{', '.join(patches)}]"}},
    )  # fmt: skip
    yield Change(
        "pod-start", "", "v1", "pods",
        f'request.operation == "CREATE" && "{POOL}" in object.?spec.nodeSelector.orValue({{}})',
        annotated(STARTS_AFTER, f'"{pod_start_s:g}s"'),
    )  # fmt: skip
    yield Change(
        "node-metrics", "", "v1", "nodes", "true",
        annotated(METRICS_PATH, '"/metrics/nodes/" + object.metadata.name + "/metrics/resource"'),
    )  # fmt: skip


def never_ready(service: str) -> Change:
    """Return the change by which no new pod of a service becomes ready."""
    label = '"app.kubernetes.io/name"'
    return Change(
        f"never-ready-{service}", "", "v1", "pods",
        f'request.operation == "CREATE" && object.metadata.?labels[?{label}].orValue("") == "{service}"',
        annotated(NEVER_READY, '"true"'),
    )  # fmt: skip


def are_heeded(plane: ControlPlane) -> bool:
    """Tell whether the API server makes the changes yet, by a node that it only looks at."""
    shown = plane.request("post", "/api/v1/nodes?dryRun=All", {"metadata": {"name": "looked-at"}})
    return METRICS_PATH in shown["metadata"].get("annotations", {})


def is_broken(plane: ControlPlane, service: str) -> bool:
    """Tell whether new pods of a service are kept from becoming ready, by one that is only looked at."""
    meta = {"name": "looked-at", "labels": {"app.kubernetes.io/name": service}}
    pod = {"metadata": meta, "spec": {"containers": [{"name": "any", "image": "any"}]}}
    shown = plane.request("post", "/api/v1/namespaces/default/pods?dryRun=All", pod)
    return NEVER_READY in shown["metadata"].get("annotations", {})


def annotated(key: str, value: str) -> Mapping[str, Any]:
    """Return the mutation that gives an object an annotation; ``value`` is CEL."""
    text = f'Object{{metadata: Object.metadata{{annotations: {{"{key}": {value}}}}}}}'
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": text}}


def eks_kinds() -> Iterator[dict[str, Any]]:
    """Yield definitions of the kinds of EKS that programs use, which take any fields."""
    for kind, plural, scope in (
        ("NodeClass", "nodeclasses", "Cluster"), ("TargetGroupBinding", "targetgroupbindings", "Namespaced"),
    ):  # fmt: skip
        group = "eks.amazonaws.com"
        anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}}
        yield {
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.{group}"},
            "spec": {
                "group": group, "scope": scope, "versions": [version],
                "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            },
        }  # fmt: skip
