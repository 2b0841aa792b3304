"""What every pod has to declare."""

from typing import Any

from policies.pods import CRON_JOB, DEPLOYMENT, POD, REPLICATED, SERVING, STATEFUL_SET, WORKLOADS
from policies.rule import Resource
from policies.values import UNKNOWN
from policies.workloads import API_USER, ENFORCE, ZONE
from tests.policies.examples import Example, after, fails, kube, passes, thing

CONTAINER = {
    "name": "main",
    "image": "registry.example.org/main@sha256:0123",
    "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
    "readinessProbe": {"httpGet": {"path": "/readyz", "port": 80}},
    "livenessProbe": {"httpGet": {"path": "/livez", "port": 80}},
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    },
}
SPEC = {
    "automountServiceAccountToken": False,
    "priorityClassName": "serving",
    "securityContext": {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    },
    "topologySpreadConstraints": [{"topologyKey": ZONE, "maxSkew": 1}],
}
LABELS = {"app": "main"}
PROBES = {"readinessProbe": None, "livenessProbe": None}


def workload(
    kind: str = DEPLOYMENT,
    pod: dict[str, Any] | None = None,
    container: dict[str, Any] | None = None,
    annotations: dict[str, str] | None = None,
    **spec: Any,
) -> Resource:
    """Return a workload that keeps every rule but for what is given: ``None`` takes a field away."""
    containers = [_without_none(CONTAINER | (container or {}))]
    template = {
        "metadata": {"labels": LABELS, "annotations": annotations or {}},
        "spec": _without_none({**SPEC, "containers": containers} | (pod or {})),
    }
    kind = kind.removeprefix("kubernetes:")
    if kind == POD.removeprefix("kubernetes:"):
        return kube(kind, metadata=template["metadata"], spec=template["spec"])
    inner = {"template": template, **spec}
    return kube(kind, spec={"jobTemplate": {"spec": inner}} if kind.endswith("CronJob") else inner)


def _without_none(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if value is not None}


def security(**context: Any) -> dict[str, Any]:
    """Return a container's security context that differs in some fields."""
    return {"securityContext": CONTAINER["securityContext"] | context}  # type: ignore[operator]


def everywhere(rule: str, says: str, kinds: tuple[str, ...] = WORKLOADS, **broken: Any) -> list[Example]:
    """Return an example that fails for every kind, and the same workload whole, which passes."""
    return [
        example
        for kind in kinds
        for example in (fails(rule, workload(kind, **broken), says=says), passes(rule, workload(kind)))
    ]


def init_container(**fields: Any) -> dict[str, Any]:
    """Return a pod with a container that runs first, which differs in some fields."""
    return {"initContainers": [_without_none(CONTAINER | {"name": "first"} | fields)]}


NAMESPACE = thing(
    "kubernetes:core/v1:Namespace", "llm", metadata={"name": "llm", "labels": {ENFORCE: "restricted"}}
)
DENY = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
BUDGET = {"selector": {"matchLabels": LABELS}, "maxUnavailable": 1}


def policy(**spec: Any) -> Resource:
    """Return a NetworkPolicy in the namespace."""
    return kube("networking.k8s.io/v1:NetworkPolicy", spec=DENY | spec)


def budget(namespace: Any = "llm", **spec: Any) -> Resource:
    """Return a disruption budget."""
    return kube("policy/v1:PodDisruptionBudget", metadata={"namespace": namespace}, spec=BUDGET | spec)


EXAMPLES = [
    *everywhere(
        "container-resources",
        "container main: resources.limits.memory is not set",
        container={"resources": {"requests": {"cpu": "1", "memory": "1Gi"}}},
    ),
    fails(
        "container-resources",
        workload(pod=init_container(resources=None)),
        says="container first: resources.req",
    ),
    *everywhere("container-probes", "container main: livenessProbe is not set", SERVING, container=PROBES),
    passes("container-probes", workload(pod=init_container(**PROBES))),
    *everywhere("run-as-non-root", "runAsNonRoot is not true", pod={"securityContext": None}),
    fails(
        "run-as-non-root", workload(container=security(runAsUser=0)), says="container main: runAsUser is 0"
    ),
    fails(
        "run-as-non-root", workload(container=security(runAsNonRoot=False)), says="runAsNonRoot is not true"
    ),
    *everywhere("read-only-root", "readOnlyRootFilesystem is not true", container={"securityContext": {}}),
    *everywhere(
        "no-privilege-escalation", "allowPrivilegeEscalation is not", container={"securityContext": {}}
    ),
    fails(
        "no-privilege-escalation", workload(container=security(privileged=True)), says="privileged is true"
    ),
    *everywhere("drop-capabilities", "capabilities.drop is not [ALL]", container={"securityContext": {}}),
    fails(
        "drop-capabilities",
        workload(container=security(capabilities={"drop": ["ALL"], "add": ["NET_ADMIN"]})),
        says="capabilities.add is ['NET_ADMIN']",
    ),
    *everywhere(
        "seccomp-profile", "seccompProfile is not set", pod={"securityContext": {"runAsNonRoot": True}}
    ),
    fails(
        "seccomp-profile",
        workload(container=security(seccompProfile={"type": "Unconfined"})),
        says="seccompProfile is Unconfined",
    ),
    *everywhere("no-api-token", "is not false", pod={"automountServiceAccountToken": None}),
    passes(
        "no-api-token",
        workload(
            pod={"automountServiceAccountToken": True}, annotations={API_USER: "finds the pods to scrape"}
        ),
    ),
    *everywhere(
        "zone-spread", "spreads it over the zones", REPLICATED, pod={"topologySpreadConstraints": None}
    ),
    fails(
        "zone-spread",
        workload(pod={"topologySpreadConstraints": [{"topologyKey": "kubernetes.io/hostname"}]}),
        says="spreads it over the zones",
    ),
    passes("zone-spread", workload(STATEFUL_SET, pod={"topologySpreadConstraints": None}, replicas=1)),
    *everywhere("priority-class", "priorityClassName is not set", pod={"priorityClassName": None}),
    fails("job-retries", workload("batch/v1:Job"), says="spec.backoffLimit is not set"),
    fails("job-retries", workload(CRON_JOB), says="spec.backoffLimit is not set"),
    passes("job-retries", workload("batch/v1:Job", backoffLimit=0)),
    passes("job-retries", workload(CRON_JOB, backoffLimit=0)),
    fails("restricted-namespace", thing("kubernetes:core/v1:Namespace", metadata={}), says="is not set"),
    fails(
        "restricted-namespace",
        thing("kubernetes:core/v1:Namespace", metadata={"labels": {ENFORCE: "baseline"}}),
        says="is baseline",
    ),
    passes("restricted-namespace", NAMESPACE),
    fails("default-deny", NAMESPACE, says="no NetworkPolicy in it denies everything by default"),
    fails("default-deny", NAMESPACE, policy(policyTypes=["Ingress"]), says="denies everything by default"),
    fails("default-deny", NAMESPACE, policy(egress=[{}]), says="denies everything by default"),
    fails("default-deny", NAMESPACE, policy(podSelector={"matchLabels": LABELS}), says="denies everything"),
    fails(
        "default-deny",
        NAMESPACE,
        kube("networking.k8s.io/v1:NetworkPolicy", metadata={"namespace": "other"}, spec=DENY),
        says="denies everything by default",
    ),
    passes("default-deny", NAMESPACE, policy()),
    passes(
        "default-deny",
        NAMESPACE,
        after(
            kube("networking.k8s.io/v1:NetworkPolicy", metadata={"namespace": UNKNOWN}, spec=DENY),
            metadata=NAMESPACE,
        ),
    ),
    fails("disruption-budget", workload(), says="no PodDisruptionBudget selects its pods"),
    fails("disruption-budget", workload(STATEFUL_SET), budget("other"), says="selects its pods"),
    fails(
        "disruption-budget", workload(), budget(selector={"matchLabels": {"app": "other"}}), says="selects"
    ),
    fails("disruption-budget", workload(), budget(maxUnavailable=0), says="it allows no eviction"),
    fails(
        "disruption-budget",
        workload(),
        budget(selector={"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["main"]}]}),
        says="selects its pods",
    ),
    passes("disruption-budget", workload(), budget()),
    passes("disruption-budget", workload(STATEFUL_SET), budget(UNKNOWN)),
    passes(
        "disruption-budget",
        workload(),
        budget(selector={"matchExpressions": [{"key": "app", "operator": "In", "values": ["main"]}]}),
    ),
    passes("disruption-budget", workload("batch/v1:Job")),
]
