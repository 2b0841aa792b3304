"""The account in which the tests' components stand, and what they have in common."""

import json
from typing import Any

import pytest

from components.aws.account import Account
from components.aws.data_tier import DataTier
from tests.components.conftest import Graph, Registered

REGION = "eu-central-1"
TIER = DataTier(
    "vpc-1", ["subnet-1", "subnet-2"], ["10.80.250.0/24", "10.80.251.0/24"], client_group_id="sg-cluster"
)
ZONES = [f"{REGION}{letter}" for letter in "abc"]


@pytest.fixture
def account() -> Account:
    return Account("prod", "111122223333", REGION)


def of(graph: Graph, kind: str) -> dict[str, Registered]:
    """Return the resources of a type of AWS, such as ``ec2/vpc:Vpc``, by name."""
    return {one.name: one for one in graph.of_type(f"aws:{kind}")}


def statements(policy: str) -> list[dict[str, Any]]:
    """Return the statements of a policy document."""
    found: list[dict[str, Any]] = json.loads(policy)["Statement"]
    return found
