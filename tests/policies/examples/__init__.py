"""Examples: for every rule, resources that break it and resources that keep it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policies.rule import Resource


@dataclass(frozen=True)
class Example:
    """What a rule makes of some resources; it says nothing where they keep it."""

    rule: str
    resources: tuple[Resource, ...]
    says: str = ""
    config: Mapping[str, Any] | None = None


def fails(rule: str, *resources: Resource, says: str, config: Mapping[str, Any] | None = None) -> Example:
    """Resources that break a rule."""
    return Example(rule, resources, says, config)


def passes(rule: str, *resources: Resource, config: Mapping[str, Any] | None = None) -> Example:
    """Resources that keep a rule."""
    return Example(rule, resources, config=config)


def thing(type_: str, name: str = "it", about: Mapping[str, Any] | None = None, /, **props: Any) -> Resource:
    """Return a resource; ``about`` sets what is not an input."""
    urn = f"urn:pulumi:dev::demo::{type_}::{name}"
    return Resource(type_, name, urn, props, **(about or {}))


def after(one: Resource, **keys: Resource) -> Resource:
    """Return ``one`` as its properties come from other resources."""
    refers: dict[str, Sequence[str]] = {key: (other.urn,) for key, other in keys.items()}
    return Resource(one.type, one.name, one.urn, one.props, refers=refers)


def kube(kind: str, name: str = "it", **props: Any) -> Resource:
    """Return a Kubernetes object of a kind like ``apps/v1:Deployment``, in the namespace ``llm``."""
    metadata = {"name": name, "namespace": "llm", **props.pop("metadata", {})}
    return thing(f"kubernetes:{kind}", name, metadata=metadata, **props)
