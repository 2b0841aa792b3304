"""Instance types as Karpenter reads them: what the stack names, at its prices, in its zones."""

from __future__ import annotations

import pytest

import stacks
from rehearsal.stage import instances
from rehearsal.stage.engine import ROOT
from stacks import prices
from stacks.hardware import INSTANCE_TYPES
from stacks.settings import Settings

ZONE, CAPACITY = "topology.kubernetes.io/zone", "karpenter.sh/capacity-type"


@pytest.fixture
def prod() -> Settings:
    return stacks.read(ROOT / "stacks" / "Pulumi.prod.yaml", "prod")


def offers(found: list[dict[str, object]], name: str) -> dict[tuple[str, str], float]:
    """Return zone and capacity type → price."""
    (kind,) = (one for one in found if one["name"] == name)
    offerings = kind["offerings"]
    assert isinstance(offerings, list)
    by_key = [{one["key"]: one["values"][0] for one in each["Requirements"]} for each in offerings]
    return {
        (about[ZONE], about[CAPACITY]): each["Price"] for about, each in zip(by_key, offerings, strict=True)
    }


def test_all_types_of_all_pools_and_some_without_a_gpu_are_offered(prod: Settings) -> None:
    found = {one["name"]: one["resources"] for one in instances.offered(prod, spot=True)}
    named = {name for pool in prod.gpu_pools for name in pool.instance_types}
    assert found.keys() == named | instances.GENERAL.keys()
    for name in named:
        assert found[name]["nvidia.com/gpu"] == str(INSTANCE_TYPES[name].gpus)
        assert int(found[name]["memory"].removesuffix("Mi")) <= INSTANCE_TYPES[name].memory_gib * 1024
    assert not any("nvidia.com/gpu" in found[name] for name in instances.GENERAL)


def test_spot_and_on_demand_cost_what_the_estimate_says(prod: Settings) -> None:
    found = offers(instances.offered(prod, spot=True), "g6e.xlarge")
    assert len(found) == 6
    assert found["eu-central-1a", "spot"] == prices.spot("g6e.xlarge", "eu-central-1")
    assert found["eu-central-1c", "on-demand"] == prices.on_demand("g6e.xlarge", "eu-central-1")


def test_what_is_not_to_be_had_is_not_offered(prod: Settings) -> None:
    found = instances.offered(prod, spot=False, without_zones=["eu-central-1b"])
    assert set(offers(found, "g6e.xlarge")) == {
        ("eu-central-1a", "on-demand"),
        ("eu-central-1c", "on-demand"),
    }
    assert {zone for zone, _ in offers(found, "m7i.xlarge")} == {"eu-central-1a", "eu-central-1c"}
