"""The outputs of a thing: what was given, what has a known form, and a value where the SDK wants one."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping
from typing import Any

from engine.simulated import sdk
from engine.simulated.cloud import Cloud
from engine.simulated.facts import Facts
from engine.simulated.forms import FORMS, Form
from engine.simulated.made import BORN
from engine.values import Properties

_PASSES = 3  # a form may use outputs that use outputs
_ACCOUNT = ("accountId", "instanceOwnerId", "owner", "ownerId", "registryId")


def form_of(kind: str, name: str) -> Form:
    """Return the form of a kind; one without a form of its own gets a plain one."""
    area, noun = kind.split(":")
    arn = f"arn:{{partition}}:{area}:{{region}}:{{account}}:{noun[0].lower()}{noun[1:]}/{{id}}"
    named = Form(f"{{{name}}}", arn, (name,)) if name else Form("{hex:17}", arn)
    return FORMS.get(kind) or (Form("{hex:32}") if area == "cloudflare" else named)


def outputs_of(
    kind: str, cls: type, name: str, inputs: Properties, place: Mapping[str, str], seed: str, cloud: Cloud
) -> tuple[str, Properties]:
    """Return a thing's id and outputs."""
    form, facts = form_of(kind, name), Facts({**place, **inputs}, seed, cloud)
    if name and name not in inputs:
        facts[name] = facts.text(inputs.get(f"{name}Prefix", "terraform-") + "20260101{digits:18}")
    for _ in range(_PASSES):
        made = {key: facts.fill(shape) for key, shape in form.outputs.items()}
        facts.update({key: value for key, value in made.items() if key not in inputs})
        facts["arn"] = inputs.get("arn") or facts.fill(form.arn)
        facts["id"] = facts.fill(form.id)
    made["tagsAll"] = inputs.get("tags")
    found: Properties = {}
    for key, about in sdk.outputs(cls).items():
        value = _merged(made.get(key), inputs.get(key))
        if value is None:
            value = facts[key] if key in ("arn", "region", name) else _usual(key, about, facts)
        found |= {} if value is None else {key: value}
    return str(facts["id"]), found


def _merged(made: Any, given: Any) -> Any:
    if isinstance(made, dict) and isinstance(given, dict):
        return {key: _merged(made.get(key), given.get(key)) for key in sorted(made.keys() | given.keys())}
    return made if given is None else given


def _usual(key: str, about: sdk.Property, facts: Facts) -> Any:
    """Return what an output holds of which only name and type are known; null where it may be."""
    if not about.required:
        return None
    if about.kind is str and key in _ACCOUNT:
        return facts["account"]
    if about.kind is str and re.search(r"(At|On|Date|Time)$", key):
        return BORN
    return _empty(about.kind)


def _empty(kind: Any) -> Any:
    origin = typing.get_origin(kind) or kind
    if sdk.is_object(kind):
        return {key: _empty(one.kind) for key, one in sdk.outputs(kind).items() if one.required}
    simple = {str: "", bool: False, int: 0, float: 0}
    if origin in simple:
        return simple[origin]
    return {} if isinstance(origin, type) and issubclass(origin, Mapping) else []
