"""The providers of pulumi-aws and pulumi-cloudflare for the simulated cloud."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from engine.provider import NEEDS_CLI, Provider, ProviderError, Resource
from engine.simulated import api, sdk
from engine.simulated.checks import Check
from engine.simulated.cloud import Cloud
from engine.simulated.facts import Facts
from engine.simulated.functions import FUNCTIONS
from engine.simulated.resource import CloudResource
from engine.values import UNKNOWN, Properties

ACCOUNT = "123456789012"
"""The account, where the settings of the provider do not say which one it must be."""


class CloudProvider(Provider):
    """A simulated package; every resource type of its SDK is known."""

    region = account = ""
    tags: Mapping[str, str] = {}

    def __init__(self, name: str, cloud: Cloud) -> None:
        super().__init__({})
        self._made: dict[str, Resource] = {}
        self.name, self.version, self.cloud = name, version(f"pulumi-{name}"), cloud
        self._arguments: type = sdk.part(name, "provider").ProviderArgs
        self.config_keys = frozenset(sdk.inputs(self._arguments))

    def resource(self, token: str) -> Resource:
        """Return the resource type of a token, made when it is first asked for."""
        if token not in self._made:
            self._made[token] = CloudResource(token, self)
        return self._made[token]

    def configure(self, args: Properties) -> None:
        """Take the settings, which come as JSON where they are no texts."""
        known = sdk.inputs(self._arguments)
        given = {
            key: self._read(key, value) if known[key].kind is not str else value
            for key, value in args.items()
            if value != ""
        }
        problems = list(Check(f"{self.name}:Provider", "").object(self._arguments, None, given))
        if problems := problems or list(self.take(given)):
            raise ProviderError(f"provider {self.name}: {'; '.join(problems)}")

    def take(self, given: Properties) -> list[str]:
        """Take checked settings; return what is wrong with them."""
        return []

    def place(self, region: str) -> dict[str, str]:
        """Return where a resource stands."""
        return {"region": region}

    def _read(self, key: str, value: Any) -> Any:
        try:
            return json.loads(value) if isinstance(value, str) and value != UNKNOWN else value
        except ValueError:
            return value  # told by the check of its type


class AwsProvider(CloudProvider):
    """The package aws."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__("aws", cloud)

    def take(self, given: Properties) -> list[str]:
        """Find region, account and default tags."""
        named = (given.get("region"), os.environ.get("AWS_REGION"), os.environ.get("AWS_DEFAULT_REGION"))
        self.region = next((one for one in named if one), "")
        if self.region == UNKNOWN:
            self.region = "us-east-1"
        if self.region not in api.partitions():
            return [f"region {json.dumps(self.region)} is no region; set aws:region in the stack's config"]
        roles = [one.get("roleArn", "") for one in given.get("assumeRoles") or []]
        assumed = [
            found[1] for role in reversed(roles) if (found := re.match(r"arn:[\w-]+:iam::(\d{12}):", role))
        ]
        allowed, forbidden = given.get("allowedAccountIds") or [], given.get("forbiddenAccountIds") or []
        self.account = next(iter([*assumed, *allowed]), ACCOUNT)
        self.tags = (given.get("defaultTags") or {}).get("tags") or {}
        if (allowed and self.account not in allowed) or self.account in forbidden:
            return [f"the account is {self.account}, which allowedAccountIds or forbiddenAccountIds rule out"]
        return []

    def place(self, region: str) -> dict[str, str]:
        """Return region, account, partition and the domain of endpoints."""
        region = region if region in api.partitions() else self.region
        partition = api.partitions()[region]
        known = {"partition": partition["id"], "suffix": partition["outputs"]["dnsSuffix"]}
        return {"region": region, "account": self.account, **known}

    def invoke(self, token: str, args: Properties) -> Properties:
        """Answer a function."""
        if token not in FUNCTIONS:
            raise ProviderError(NEEDS_CLI.format(token))
        given = {key: value for key, value in args.items() if value is not None}
        return FUNCTIONS[token](Facts({**self.place(given.get("region", "")), **given}, token, self.cloud))


class CloudflareProvider(CloudProvider):
    """The package cloudflare."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__("cloudflare", cloud)
