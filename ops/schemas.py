"""The JSON schemas of Kubernetes objects, from what a real API server publishes about itself."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ops.stack import StackError
from rehearsal.controlplane import ControlPlane

PUBLISHED_S = 60
COMPONENTS = "#/components/schemas/"


def ask(server: ControlPlane, definitions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the documents of ``/openapi/v3``, once the server has taken these definitions of kinds in.

    Raises:
        StackError: if it has not within `PUBLISHED_S`.
    """
    for definition in definitions:
        server.request("post", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
    wanted = {
        f"apis/{one['spec']['group']}/{version['name']}"
        for one in definitions
        for version in one["spec"]["versions"]
        if version["served"]
    }
    deadline = time.monotonic() + PUBLISHED_S
    while missing := wanted - set(paths := server.request("get", "/openapi/v3")["paths"]):
        if time.monotonic() > deadline:
            raise StackError(f"the API server does not publish {', '.join(sorted(missing))}")
        time.sleep(0.1)
    return [server.request("get", f"/openapi/v3/{path}") for path in paths]


def write(folder: Path, documents: list[dict[str, Any]]) -> None:
    """Write a file for each kind in documents of ``/openapi/v3``, named as kubeconform looks it up.

    Each stands alone, and refuses what the API server would drop: fields that it does not know.
    """
    for document in documents:
        known = document.get("components", {}).get("schemas", {})
        for name, schema in known.items():
            kinds = schema.get("x-kubernetes-group-version-kind", [])
            if len(kinds) != 1:  # what every group has, such as DeleteOptions, is sent, not kept
                continue
            needed = {one: _strict(known[one]) for one in sorted(_needs(name, known))}
            text = json.dumps({"$ref": COMPONENTS + name, "components": {"schemas": needed}})
            (folder / file_name(**kinds[0])).write_text(text)


def file_name(group: str, version: str, kind: str) -> str:
    """Return the name of a kind's file; of the group, kubeconform wants the first part."""
    parts = [kind, group.partition(".")[0], version]
    return "-".join(part.lower() for part in parts if part) + ".json"


def _needs(name: str, known: dict[str, Any]) -> set[str]:
    """Return the names of a schema and of all that it refers to, however indirectly."""
    found, left = set(), [name]
    while left:
        one = left.pop()
        if one not in found:
            found.add(one)
            left += _references(known[one])
    return found


def _references(schema: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"].removeprefix(COMPONENTS)
        for inner in schema.values():
            yield from _references(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _references(inner)


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that admits no other properties than it names, where it names some."""
    strict = dict(schema)
    if "properties" in schema:
        strict["properties"] = {name: _strict(inner) for name, inner in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields") and "additionalProperties" not in schema:
            strict["additionalProperties"] = False
    for part in ("items", "additionalProperties"):
        if isinstance(schema.get(part), dict):
            strict[part] = _strict(schema[part])
    return strict
