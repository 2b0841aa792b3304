"""The tables of hardware and prices: they speak of the same things, and hang together."""

import re

import pytest

from stacks import block, hardware, prices


def test_everything_known_has_a_price() -> None:
    assert hardware.INSTANCE_TYPES.keys() == prices.ON_DEMAND.keys()
    assert hardware.DATABASE_GIB.keys() == prices.DATABASE_HOUR.keys()
    assert hardware.CACHE_GIB.keys() == prices.CACHE_HOUR.keys()


def test_everything_known_may_stand_in_a_stack_file() -> None:
    assert all(re.match(block.INSTANCE_TYPE, name) for name in hardware.INSTANCE_TYPES)
    assert all(re.match(block.DATABASE_CLASS, name) for name in hardware.DATABASE_GIB)
    assert all(re.match(block.CACHE_TYPE, name) for name in hardware.CACHE_GIB)


@pytest.mark.parametrize("table", [hardware.DATABASE_GIB, hardware.CACHE_GIB], ids=["database", "cache"])
def test_more_memory_of_a_family_costs_more(table: dict[str, float]) -> None:
    price = {**prices.DATABASE_HOUR, **prices.CACHE_HOUR}
    for family in {name.rpartition(".")[0] for name in table}:
        names = sorted((name for name in table if name.rpartition(".")[0] == family), key=table.__getitem__)
        assert [price[name] for name in names] == sorted(price[name] for name in names)


def test_a_node_keeps_what_a_kubelet_keeps() -> None:
    xlarge = hardware.INSTANCE_TYPES["g6.xlarge"]
    assert xlarge.pod_cpus == pytest.approx(3.92)
    assert xlarge.pod_memory_mib == int(16_384 * 0.925) - (255 + 11 * 110) - 100


@pytest.mark.parametrize(("slices", "gib"), [(2, 40), (3, 20), (4, 20), (7, 10)])
def test_an_a100_is_cut_as_nvidia_says(slices: int, gib: int) -> None:
    assert hardware.A100_80.slice_mib(slices) == pytest.approx(gib * 1024, rel=0.05)


def test_spot_is_cheaper_and_europe_dearer() -> None:
    for name in prices.ON_DEMAND:
        assert 0 < prices.spot(name, "us-east-1") < prices.on_demand(name, "us-east-1")
        assert prices.on_demand(name, "eu-central-1") > prices.on_demand(name, "us-east-1")


def test_estimates_are_named_as_the_prices_are() -> None:
    families = {name.partition(".")[0] for name in prices.ON_DEMAND}
    for region in prices.REGIONS.values():
        assert region.estimates <= set(vars(region))
        assert region.gpu_families <= families


def test_a_region_that_is_not_listed_costs_what_the_dearest_does() -> None:
    assert prices.region("ap-southeast-4") == prices.REGIONS["eu-central-1"]
    factors = ("gpu", "general", "database", "cache", "nat", "endpoint", "balancer", "disk", "logs", "bucket")
    for factor in factors:
        assert getattr(prices.REGIONS[prices.DEAREST], factor) == max(
            getattr(region, factor) for region in prices.REGIONS.values()
        )
