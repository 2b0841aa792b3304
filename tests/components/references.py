"""Which references in a plan lead nowhere: names of objects in a cluster, and names in an account."""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.components.conftest import Graph, Registered, strings

BAD_TEXT = "Calling __str__ on an Output"
"""What the SDK puts into a text that an output was formatted into by mistake."""
BUILT_IN = {"ServiceAccount": {"default"}}
"""Objects that every namespace or cluster has."""


def dangling(graph: Graph) -> list[str]:
    """Return a sentence for each reference that leads nowhere."""
    objects = [one for one in graph.values() if one.type.startswith("kubernetes:") and "kind" in one.inputs]
    known: dict[str, set[str]] = {kind: set(names) for kind, names in BUILT_IN.items()}
    for one in objects:
        known.setdefault(one.inputs["kind"], set()).add(_name(one))
        if one.inputs["kind"] == "Certificate":  # an authority in the cluster makes it
            known.setdefault("Secret", set()).add(one.inputs["spec"]["secretName"])
    found = [
        f"{one.key} names {kind} {name}, which is not there"
        for one in objects
        for kind, name in _names(one.inputs)
        if name not in known.get(kind, set())
    ]
    found += [f"{one.key} selects no pod" for one in objects if not _selects(one, objects)]
    return found + [f"{one.key} holds an output as text" for one in graph.values() if _has_bad_text(one)]


def pods(one: Registered) -> Mapping[str, Any] | None:
    """Return the template of the pods that an object makes, if it makes some."""
    template: Mapping[str, Any] | None = one.inputs.get("spec", {}).get("template")
    return template if template and "spec" in template and "containers" in template["spec"] else None


def _names(inputs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield kind and name of each object that another one names."""
    spec = inputs.get("spec", {})
    match inputs["kind"]:
        case "ScaledObject":
            target = spec["scaleTargetRef"]
            yield target["kind"], target["name"]
            for trigger in spec["triggers"]:
                if opened := trigger.get("authenticationRef"):
                    yield opened["kind"], opened["name"]
        case "ClusterTriggerAuthentication":
            for reference in spec["secretTargetRef"]:
                yield "Secret", reference["name"]
        case "StatefulSet":
            yield "Service", spec["serviceName"]
        case "TargetGroupBinding":
            yield "Service", spec["serviceRef"]["name"]
        case "Certificate":
            yield spec["issuerRef"]["kind"], spec["issuerRef"]["name"]
    if "template" in spec and "containers" in spec["template"].get("spec", {}):
        yield from _pod_names(spec["template"]["spec"], inputs)


def _pod_names(pod: Mapping[str, Any], inputs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "ServiceAccount", pod.get("serviceAccountName", "default")
    if "priorityClassName" in pod:
        yield "PriorityClass", pod["priorityClassName"]
    for volume in pod.get("volumes", []):
        for source in (volume, *volume.get("projected", {}).get("sources", [])):
            if "configMap" in source and not source["configMap"].get("optional"):
                yield "ConfigMap", source["configMap"]["name"]
            if "secret" in source:
                yield "Secret", source["secret"].get("secretName") or source["secret"]["name"]
        if "persistentVolumeClaim" in volume:
            yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]
        if "csi" in volume and "secretProviderClass" in volume["csi"].get("volumeAttributes", {}):
            yield "SecretProviderClass", volume["csi"]["volumeAttributes"]["secretProviderClass"]
    volumes = {volume["name"] for volume in pod.get("volumes", [])}
    volumes |= {claim["metadata"]["name"] for claim in inputs["spec"].get("volumeClaimTemplates", [])}
    for container in (*pod.get("initContainers", []), *pod["containers"]):
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in volumes:
                yield "volume", mount["name"]


def _selects(one: Registered, objects: list[Registered]) -> bool:
    """Tell whether an object that is about pods by their labels is about any; others are content."""
    spec = one.inputs.get("spec", {})
    match one.inputs["kind"]:
        case "Service":
            wanted = spec["selector"]
        case "NetworkPolicy":
            wanted = spec["podSelector"].get("matchLabels", {})
        case "PodDisruptionBudget":
            wanted = spec["selector"]["matchLabels"]
        case _:
            return True
    templates = (template for other in objects if (template := pods(other)))
    return any(wanted.items() <= template["metadata"]["labels"].items() for template in templates)


def _has_bad_text(one: Registered) -> bool:
    return any(BAD_TEXT in text for text in strings(one.inputs))


def _name(one: Registered) -> str:
    return str(one.inputs["metadata"]["name"])
