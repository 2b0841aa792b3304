"""Workloads: what every pod in the cluster has to declare."""

from collections.abc import Iterator
from typing import Any

from policies.pods import (
    CRON_JOB,
    DEPLOYMENT,
    JOB,
    REPLICATED,
    SERVING,
    STATEFUL_SET,
    WORKLOADS,
    containers,
    object_name,
    pod_spec,
    pod_template,
    same_namespace,
    selects,
)
from policies.rule import Finding, Resource, Stack, rule, stack_rule
from policies.values import Properties, dig, items, may_be, uncertain

ZONE = "topology.kubernetes.io/zone"
API_USER = "ollamamax.io/kubernetes-api"
"""The explicit mark: the pod annotation that says why a pod needs the Kubernetes API."""
ENFORCE = "pod-security.kubernetes.io/enforce"
DISRUPTION_BUDGET = "kubernetes:policy/v1:PodDisruptionBudget"
NAMESPACE = "kubernetes:core/v1:Namespace"
NETWORK_POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"


def _secured(found: Resource, *path: str) -> Iterator[tuple[Properties, Any]]:
    """Yield each container with a field of its security context, or else of its pod's."""
    for container in containers(found):
        own = dig(container, "securityContext", *path)
        yield container, dig(pod_spec(found), "securityContext", *path) if own is None else own


@rule(
    "container-resources",
    why="Without requests the scheduler guesses; without a memory limit one leak brings down the "
    "node's other pods.",
    remedy="Set resources.requests.cpu, resources.requests.memory and resources.limits.memory.",
    on=WORKLOADS,
)
def container_resources(found: Resource) -> Iterator[str]:
    """Every container requests CPU and memory, and has a memory limit."""
    for container in containers(found):
        for path in (("requests", "cpu"), ("requests", "memory"), ("limits", "memory")):
            if not dig(container, "resources", *path):
                yield f"container {container.get('name')}: resources.{'.'.join(path)} is not set"


@rule(
    "container-probes",
    why="Without probes, requests go to pods that can't answer, and hung ones stay.",
    remedy="Set readinessProbe and livenessProbe, and a startupProbe where starting takes long.",
    on=SERVING,
)
def container_probes(found: Resource) -> Iterator[str]:
    """Every container that serves says when it is ready and whether it lives."""
    for container in containers(found, init=False):
        for probe in ("readinessProbe", "livenessProbe"):
            if not container.get(probe):
                yield f"container {container.get('name')}: {probe} is not set"


@rule(
    "run-as-non-root",
    why="After one kernel vulnerability, root in a container is root on the node.",
    remedy="Set securityContext.runAsNonRoot to true and runAsUser to an id above 0.",
    on=WORKLOADS,
)
def run_as_non_root(found: Resource) -> Iterator[str]:
    """No container runs as root."""
    for container, non_root in _secured(found, "runAsNonRoot"):
        if not non_root:
            yield f"container {container.get('name')}: runAsNonRoot is not true"
    for container, user in _secured(found, "runAsUser"):
        if user == 0:
            yield f"container {container.get('name')}: runAsUser is 0"


@rule(
    "read-only-root",
    why="What can't be written can't be replaced by an intruder, and nothing is lost with the container.",
    remedy="Set securityContext.readOnlyRootFilesystem to true and mount an emptyDir where it writes.",
    on=WORKLOADS,
)
def read_only_root(found: Resource) -> Iterator[str]:
    """Every container's own file system is read-only."""
    for container in containers(found):
        if not dig(container, "securityContext", "readOnlyRootFilesystem"):
            yield f"container {container.get('name')}: readOnlyRootFilesystem is not true"


@rule(
    "no-privilege-escalation",
    why="A set-uid program in the image is enough to become root otherwise.",
    remedy="Set securityContext.allowPrivilegeEscalation to false and leave out privileged.",
    on=WORKLOADS,
)
def no_privilege_escalation(found: Resource) -> Iterator[str]:
    """No container is privileged, or may become so."""
    for container in containers(found):
        if not may_be(dig(container, "securityContext", "allowPrivilegeEscalation"), False):
            yield f"container {container.get('name')}: allowPrivilegeEscalation is not false"
        if dig(container, "securityContext", "privileged") is True:
            yield f"container {container.get('name')}: privileged is true"


@rule(
    "drop-capabilities",
    why="The default set lets a container forge packets and change owners of files.",
    remedy="Set securityContext.capabilities.drop to [ALL] and leave out add.",
    on=WORKLOADS,
)
def drop_capabilities(found: Resource) -> Iterator[str]:
    """Every container gives up all capabilities."""
    for container in containers(found):
        capabilities = dig(container, "securityContext", "capabilities")
        dropped = dig(capabilities, "drop")
        if not uncertain(dropped) and "ALL" not in items(dropped):
            yield f"container {container.get('name')}: capabilities.drop is not [ALL]"
        if added := items(dig(capabilities, "add")):
            yield f"container {container.get('name')}: capabilities.add is {added}"


@rule(
    "seccomp-profile",
    why="Most kernel vulnerabilities are in system calls that no service here makes.",
    remedy="Set securityContext.seccompProfile.type to RuntimeDefault on the pod.",
    on=WORKLOADS,
)
def seccomp_profile(found: Resource) -> Iterator[str]:
    """Every container runs under a seccomp profile."""
    for container, profile in _secured(found, "seccompProfile", "type"):
        if not may_be(profile, "RuntimeDefault", "Localhost"):
            yield f"container {container.get('name')}: seccompProfile is {profile or 'not set'}"


@rule(
    "no-api-token",
    why="A token that is mounted is a token that is stolen with the pod.",
    remedy=f"Set automountServiceAccountToken to false, or say in the pod's annotation {API_USER} what it "
    "needs the API for.",
    on=WORKLOADS,
)
def no_api_token(found: Resource) -> Iterator[str]:
    """Only pods that say why have a token for the Kubernetes API."""
    token = dig(pod_spec(found), "automountServiceAccountToken")
    if not may_be(token, False) and not dig(pod_template(found), "metadata", "annotations", API_USER):
        yield "automountServiceAccountToken is not false"


@rule(
    "zone-spread",
    why="Replicas that happen to share a zone are lost together.",
    remedy=f"Add a topologySpreadConstraint with topologyKey {ZONE}.",
    on=REPLICATED,
)
def zone_spread(found: Resource) -> Iterator[str]:
    """Replicas are spread over the zones."""
    constraints = dig(pod_spec(found), "topologySpreadConstraints")
    keys = [dig(one, "topologyKey") for one in items(constraints)]
    spread = uncertain(constraints) or any(may_be(key, ZONE) for key in keys)
    if not spread and not may_be(dig(found.props, "spec", "replicas"), 1):
        yield "no topologySpreadConstraint spreads it over the zones"


@rule(
    "priority-class",
    why="In a full cluster the scheduler has to know what may wait.",
    remedy="Set priorityClassName.",
    on=WORKLOADS,
)
def priority_class(found: Resource) -> Iterator[str]:
    """Every pod says how important it is."""
    if not dig(pod_spec(found), "priorityClassName"):
        yield "priorityClassName is not set"


@rule(
    "job-retries",
    why="By default a broken migration is tried six more times, over ten minutes.",
    remedy="Set spec.backoffLimit.",
    on=(JOB, CRON_JOB),
)
def job_retries(found: Resource) -> Iterator[str]:
    """A Job says how often it is tried again."""
    spec = (
        dig(found.props, "spec", "jobTemplate", "spec") if found.type == CRON_JOB else found.props.get("spec")
    )
    if dig(spec, "backoffLimit") is None:
        yield "spec.backoffLimit is not set"


@rule(
    "restricted-namespace",
    why="Pod Security is the cluster's own check: it holds for what is applied by hand, too.",
    remedy=f"Set the label {ENFORCE} to restricted.",
    on=(NAMESPACE,),
)
def restricted_namespace(found: Resource) -> Iterator[str]:
    """Every namespace enforces the restricted Pod Security standard."""
    level = dig(found.props, "metadata", "labels", ENFORCE)
    if not may_be(level, "restricted"):
        yield f"the label {ENFORCE} is {level or 'not set'}"


@stack_rule(
    "default-deny",
    why="Without it every pod reaches every other, the database and the cloud's metadata service.",
    remedy="Add a NetworkPolicy with an empty podSelector, policyTypes Ingress and Egress, and no rules.",
)
def default_deny(stack: Stack) -> Iterator[Finding]:
    """Every namespace denies by default what no NetworkPolicy allows."""
    denying = [one for one in stack.of(NETWORK_POLICY) if _denies(dig(one.props, "spec"))]
    for space in stack.of(NAMESPACE):
        name = object_name(space)
        if not any(
            space.urn in one.refers.get("metadata", ()) or dig(one.props, "metadata", "namespace") == name
            for one in denying
        ):
            yield space, "no NetworkPolicy in it denies everything by default"


def _denies(spec: Any) -> bool:  # noqa: ANN401
    selector, kinds = dig(spec, "podSelector"), items(dig(spec, "policyTypes"))
    everything = isinstance(selector, dict) and not any(selector.values())
    return (
        everything
        and {"Ingress", "Egress"} <= set(kinds)
        and not (dig(spec, "ingress") or dig(spec, "egress"))
    )


@stack_rule(
    "disruption-budget",
    why="Draining a node, for an update or to save money, otherwise takes all replicas of a service at "
    "once; and a budget that allows no eviction blocks every update.",
    remedy="Add a PodDisruptionBudget that selects its pods, with maxUnavailable 1.",
)
def disruption_budget(stack: Stack) -> Iterator[Finding]:
    """Every replicated workload has a disruption budget, and every budget lets pods go."""
    budgets = stack.of(DISRUPTION_BUDGET)
    for found in stack.of(DEPLOYMENT, STATEFUL_SET):
        if not any(
            same_namespace(one, found) and selects(dig(one.props, "spec", "selector"), found)
            for one in budgets
        ):
            yield found, "no PodDisruptionBudget selects its pods"
    for one in budgets:
        spec = one.props.get("spec")
        if dig(spec, "maxUnavailable") in (0, "0%") or dig(spec, "minAvailable") == "100%":
            yield one, "it allows no eviction"
