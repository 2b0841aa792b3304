"""A resource type of a simulated package: checked against SDK and API, kept in the simulated cloud."""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from engine.provider import Context, Diff, ProviderError, changes
from engine.simulated import api, sdk
from engine.simulated.checks import Check
from engine.simulated.cloud import Cloud, Thing
from engine.simulated.outputs import form_of, outputs_of
from engine.simulated.references import dangling, hindrance
from engine.simulated.replacement import replaces
from engine.simulated.stored import StoredResource
from engine.values import UNKNOWN, Properties

UNMAPPED = frozenset(Path(__file__).with_name("unmapped.txt").read_text().split())
"""Resource types without an API model to check them against; a test sees to it that they only get fewer."""
_GLOBAL = ("budgets", "cloudfront", "iam", "route53", "s3")  # their names are taken in all regions at once
_NAMES = {
    "eks:NodeGroup": "nodeGroupName", "elasticache:ReplicationGroup": "replicationGroupId",
    "s3:Bucket": "bucket",
}  # fmt: skip
_LOWER = ("ecr", "elasticache", "rds", "s3")
_SUBNET = "ec2:Subnet"


class Package(Protocol):
    """What a resource type asks of its provider."""

    name: str
    cloud: Cloud
    account: str
    tags: Mapping[str, str]

    def place(self, region: str) -> dict[str, str]:
        """Return where a resource stands: region, account, partition, domain."""


class Described:
    """A resource type as SDK and API describe it: what checks and creations need to know."""

    def __init__(self, token: str, kind: str, aws: bool) -> None:
        self.cls = sdk.resource(token)
        self.arguments = sdk.arguments(self.cls)
        self.shape = api.shape(token) if aws else None
        if not self.shape and token not in UNMAPPED:
            why = "operations.py names no API operation for it and unmapped.txt does not list it"
            raise ProviderError(f"{token} is not simulated: in engine/simulated, {why}")
        known, name = sdk.inputs(self.arguments), _NAMES.get(kind, "name")
        self.name = name if aws and name in known and not known[name].required else ""
        self.tagged = "tags" in known and "tagsAll" in sdk.outputs(self.cls)


class CloudResource(StoredResource):
    """One resource type, by its token."""

    def __init__(self, token: str, package: Package) -> None:
        super().__init__(package.cloud)
        area, _, noun = token.partition(":")[2].partition("/")
        self._token, self._package = token, package
        self._area = area if package.name == "aws" else package.name
        self._kind = f"{self._area}:{noun.partition(':')[2]}"

    @cached_property
    def _type(self) -> Described:
        return Described(self._token, self._kind, self._package.name == "aws")

    def check(self, ctx: Context, olds: Properties, news: Properties, seed: bytes) -> Properties:
        """Return valid inputs with a name and the default tags; refuse all that is wrong at once."""
        inputs = {key: value for key, value in news.items() if value is not None}
        name = self._type.name
        if name and name not in inputs and f"{name}Prefix" not in inputs:
            kept = olds.get(name) if name in olds.get("__defaults", []) else None
            inputs |= {name: kept or self._named(ctx.urn, ctx.name, inputs), "__defaults": [name]}
        if self._type.tagged and self._package.tags and isinstance(inputs.get("tags", {}), dict):
            inputs["tags"] = {**self._package.tags, **inputs.get("tags", {})}
        place = self._package.place(inputs.get("region", ""))
        problems = [
            *Check(self._kind, place["region"]).object(self._type.arguments, self._type.shape, inputs)
        ]
        problems += dangling(self.cloud, self._kind, self._package.account, inputs)
        problems += [] if olds else self._refused(ctx.urn, inputs, claim=True)
        if problems:
            raise ctx.error("; ".join(problems))
        return inputs

    def diff(self, ctx: Context, olds: Properties, inputs: Properties, news: Properties) -> Diff:
        """Compare old inputs, as the last refresh found them, with new ones."""
        before = inputs or {key: olds.get(key) for key in news}  # what was imported has outputs alone
        found: dict[str, str] = {}
        for key in sorted((before.keys() | news.keys()) - {"__defaults"}):
            for path, change in changes(before.get(key), news.get(key), key):
                replaced = replaces(self._kind, path, change, news)
                found[path] = f"{change}-replace" if replaced else change
        # What the program named stands in the way of its successor of the same name.
        unique, default = form_of(self._kind, self._type.name).unique, news.get("__defaults", [])
        kept = [key for key in unique if before.get(key) == news.get(key) and key not in default]
        return Diff(found, bool(unique) and len(kept) == len(unique))

    def plan(self, ctx: Context, olds: Properties, news: Properties) -> Properties | None:
        """Return what is known before: parts of a nested output that the cloud fills in are not."""
        kinds = sdk.outputs(self._type.cls)
        given = {key: value for key, value in news.items() if key in kinds}
        return {
            **olds,
            **{key: _later(kinds[key].kind, value, olds.get(key)) for key, value in given.items()},
        }

    def made(self, inputs: Properties, seed: str) -> tuple[str, Properties]:
        """Return the id and the outputs that inputs get."""
        place = self._package.place(inputs.get("region", ""))
        return outputs_of(self._kind, self._type.cls, self._type.name, inputs, place, seed, self.cloud)

    def refuse(self, ctx: Context, inputs: Properties) -> None:
        """Raise when AWS would not make another thing."""
        if problems := list(self._refused("", inputs)):
            raise ctx.error("; ".join(problems))

    def hold(self, ctx: Context, thing: Thing) -> None:
        """Raise when AWS would not delete a thing, which is protected or in use."""
        if why := hindrance(self.cloud, thing):
            raise ctx.error(f"{thing.id} can't be deleted: {why}")

    def _named(self, urn: str, name: str, inputs: Properties) -> str:
        """Return a name that is its own in the cloud, and the same one each time."""
        digest = hashlib.sha256(self.cloud.seed(urn).encode()).hexdigest()[:7]
        name = f"{'alias/' if self._kind == 'kms:Alias' else ''}{name}-{digest}"
        name += ".fifo" if inputs.get("fifoQueue") or inputs.get("fifoTopic") else ""
        return name.lower() if self._area in _LOWER else name

    def _refused(self, urn: str, inputs: Properties, claim: bool = False) -> Iterator[str]:
        """Yield why AWS would not make another thing; what has the URN itself stands in nobody's way."""
        region = self._package.place(inputs.get("region", ""))["region"]
        unique = form_of(self._kind, self._type.name).unique
        values = tuple(inputs.get(key) for key in unique)
        others = [one for one in self.cloud.of(self._token) if one.urn != urn and self._beside(one, region)]
        if unique and values[0] is not None and UNKNOWN not in values:
            key = (self._token, "" if self._area in _GLOBAL else region, *map(str, values))
            owners = [one.urn for one in others if tuple(map(one.outputs.get, unique)) == values]
            owners += [self.cloud.claims.setdefault(key, urn)] if claim else []
            if taken := [owner for owner in owners if owner != urn]:
                told = ", ".join(
                    f"{name} {json.dumps(inputs.get(name))}" for name in unique if name in inputs
                )
                yield f"{told}: {taken[0]} has it already"
        if self._kind == _SUBNET:
            yield from self._misplaced(inputs, others)

    def _beside(self, other: Thing, region: str) -> bool:
        return self._area in _GLOBAL or other.outputs.get("region", region) == region

    def _misplaced(self, inputs: Properties, others: list[Thing]) -> Iterator[str]:
        """Yield why a subnet does not fit into its VPC."""
        beside, block = inputs.get("vpcId", UNKNOWN), inputs.get("cidrBlock", "")
        vpc = self.cloud.find("aws:ec2/vpc:Vpc", beside)
        try:
            mine = ipaddress.IPv4Network(block)
        except ValueError:
            return  # it is not known yet, AWS chooses it, or its form is wrong and told already
        if vpc and not mine.subnet_of(ipaddress.IPv4Network(vpc.outputs["cidrBlock"])):
            yield f"cidrBlock {json.dumps(block)} is not in that of {vpc.id}, {vpc.outputs['cidrBlock']}"
        for one in others:
            theirs = one.outputs.get("cidrBlock")
            if one.outputs.get("vpcId") == beside and theirs and mine.overlaps(ipaddress.IPv4Network(theirs)):
                yield f"cidrBlock {json.dumps(block)} overlaps {theirs} of {one.id}"


def _later(kind: Any, given: Any, before: Any) -> Any:
    """Return a nested output as it is known before the thing is made or changed."""
    if not sdk.is_object(kind) or not isinstance(given, dict):
        return given
    old = before if isinstance(before, dict) else {}
    return {
        key: _later(about.kind, given[key], old.get(key)) if key in given else old.get(key, UNKNOWN)
        for key, about in sdk.outputs(kind).items()
    }
