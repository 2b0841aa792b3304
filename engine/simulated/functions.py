"""The functions of pulumi-aws that the simulated cloud answers."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from engine.simulated import api
from engine.simulated.facts import Facts
from engine.values import Properties, Secret


def _authorization(facts: Facts) -> Properties:
    password = facts.text("{lower:64}")
    return {
        "authorizationToken": Secret(base64.b64encode(f"AWS:{password}".encode()).decode()),
        "expiresAt": "2026-01-01T12:00:00Z", "id": facts["region"], "password": Secret(password),
        "proxyEndpoint": facts.text("https://{account}.dkr.ecr.{region}.{suffix}"), "region": facts["region"],
        "userName": "AWS",
    }  # fmt: skip


def _caller(facts: Facts) -> Properties:
    arn = facts.text("arn:{partition}:sts::{account}:assumed-role/simulated/engine")
    return {
        "accountId": facts["account"],
        "arn": arn,
        "id": facts["account"],
        "userId": "AROASIMULATED:engine",
    }


def _region(facts: Facts) -> Properties:
    name = str(facts["region"])
    described = api.partitions()[name]["regions"][name]["description"]
    endpoint = facts.text("ec2.{region}.{suffix}")
    return {"description": described, "endpoint": endpoint, "id": name, "name": name, "region": name}


def _partition(facts: Facts) -> Properties:
    reverse = ".".join(reversed(str(facts["suffix"]).split(".")))
    known = {"dnsSuffix": facts["suffix"], "partition": facts["partition"], "reverseDnsPrefix": reverse}
    return {**known, "id": facts["partition"]}


def _zones(facts: Facts) -> Properties:
    region = facts["region"]
    return {
        "groupNames": [region], "id": region, "names": [f"{region}{letter}" for letter in "abc"],
        "region": region, "zoneIds": [f"{region}-az{number}" for number in (1, 2, 3)],
    }  # fmt: skip


def _policy(facts: Facts) -> Properties:
    found: list[dict[str, Any]] = []
    for text in facts.get("sourcePolicyDocuments") or []:
        found += json.loads(text).get("Statement", [])
    found += [_statement(one) for one in facts.get("statements") or []]
    for text in facts.get("overridePolicyDocuments") or []:
        for one in json.loads(text).get("Statement", []):
            found = [other for other in found if other.get("Sid", "") != one.get("Sid")] + [one]
    document = {"Version": facts.get("version") or "2012-10-17", "Statement": found}
    if facts.get("policyId"):
        document["Id"] = facts["policyId"]
    small = json.dumps(document, separators=(",", ":"))
    return {"id": facts.text("{digits:10}"), "json": json.dumps(document, indent=2), "minifiedJson": small}


def _statement(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a statement in the words of a policy; one item stands without its list."""
    found: dict[str, Any] = {"Sid": given["sid"]} if given.get("sid") else {}
    found["Effect"] = given.get("effect") or "Allow"
    for theirs, ours in (
        ("Action", "actions"), ("NotAction", "notActions"), ("Resource", "resources"),
        ("NotResource", "notResources"),
    ):  # fmt: skip
        if given.get(ours):
            found[theirs] = _one(sorted(given[ours], reverse=True))
    for theirs, ours in (("Principal", "principals"), ("NotPrincipal", "notPrincipals")):
        by_type: dict[str, list[str]] = {}
        for one in given.get(ours) or []:
            by_type.setdefault(one["type"], []).extend(one["identifiers"])
        if by_type:
            found[theirs] = "*" if by_type == {"*": ["*"]} else {k: _one(v) for k, v in by_type.items()}
    conditions: dict[str, dict[str, Any]] = {}
    for one in given.get("conditions") or []:
        conditions.setdefault(one["test"], {})[one["variable"]] = _one(one["values"])
    return found | ({"Condition": conditions} if conditions else {})


def _one(items: list[str]) -> Any:
    return items[0] if len(items) == 1 else items


FUNCTIONS: dict[str, Callable[[Facts], Properties]] = {
    "aws:ecr/getAuthorizationToken:getAuthorizationToken": _authorization,
    "aws:iam/getPolicyDocument:getPolicyDocument": _policy,
    "aws:index/getAvailabilityZones:getAvailabilityZones": _zones,
    "aws:index/getCallerIdentity:getCallerIdentity": _caller,
    "aws:index/getPartition:getPartition": _partition,
    "aws:index/getRegion:getRegion": _region,
}
