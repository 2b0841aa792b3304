"""The estimate of cost: a known stack costs what a calculator says, and more never costs less."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stacks
from stacks import cost, hardware, models, prices
from stacks.settings import Settings

ROOT = Path(__file__).parents[2]


def settings(*pools: dict[str, Any], region: str = "us-east-1", **blocks: Any) -> Settings:
    """Return a stack on AWS with these pools."""
    return Settings.model_validate(
        {
            "target": "aws",
            "gpu_pools": tuple({"name": f"p{number}", **pool} for number, pool in enumerate(pools)),
            "aws": {
                "account_id": "111122223333",
                "region": region,
                "zones": (f"{region}a", f"{region}b", f"{region}c"),
                "dns": {"zone": "llm.example.org", "certificate_email": "platform@example.org"},
                **blocks.pop("aws", {}),
            },
            "cost": {
                "monthly_usd": 1,
                "alarm_emails": ("platform@example.org",),
                **blocks.pop("cost", {}),
            },
            **blocks,
        }
    )


DISK = 100 * 0.08 + (500 - 125) * 0.04
"""A node's disk for a month: its size, and its speed beyond what is free."""


def pool(**changes: Any) -> dict[str, Any]:
    return {
        "models": ("mistral:7b",),
        "instance_types": ("g6.xlarge",),
        "capacity": "on-demand",
        "autoscaling": {"min_replicas": 1, "max_replicas": 1},
        **changes,
    }


def item(s: Settings, name: str) -> cost.Range:
    found = [entry.month for entry in cost.estimate(s).items if entry.name == name]
    assert len(found) == 1
    return found[0]


def test_a_worker_costs_its_node_its_disk_and_the_fee() -> None:
    month = item(settings(pool()), "GPU pool p0")
    expected = 730 * 0.8048 * 1.12 + DISK
    assert month.least == pytest.approx(expected)
    assert month == cost.always(month.least)


def test_a_pool_that_may_have_no_worker_costs_nothing_at_the_least() -> None:
    found = item(settings(pool(autoscaling={"min_replicas": 0, "max_replicas": 1})), "GPU pool p0")
    assert found.least == 0
    assert found.most == item(settings(pool()), "GPU pool p0").most


def test_a_node_group_pays_no_fee_and_always_has_its_nodes() -> None:
    month = item(settings(pool(management="node-group", max_nodes=2)), "GPU pool p0")
    assert month.least == pytest.approx(2 * (730 * 0.8048 + DISK))
    assert month == cost.always(month.least)


def test_spot_first_is_spot_at_the_least_and_on_demand_at_the_most() -> None:
    month = item(settings(pool(capacity="spot-first"), cost={"expected_spot_percent": 70}), "GPU pool p0")
    listed, fee = 730 * 0.8048, 730 * 0.8048 * 0.12 + DISK
    assert month.least == pytest.approx(0.45 * listed + fee)
    assert month.expected == pytest.approx((0.7 * 0.45 + 0.3) * listed + fee)
    assert month.most == pytest.approx(listed + fee)


def test_what_is_reserved_is_paid_for_whether_used_or_not() -> None:
    month = item(settings(pool(capacity="reserved", max_nodes=4)), "GPU pool p0")
    assert month.least == pytest.approx(4 * (730 * 0.8048 * 1.12 + DISK))
    assert month == cost.always(month.least)


def test_workers_that_share_a_node_share_its_cost() -> None:
    four = {"instance_types": ("g6.12xlarge",), "autoscaling": {"min_replicas": 4, "max_replicas": 5}}
    month = item(settings(pool(**four)), "GPU pool p0")
    assert month.most == pytest.approx(2 * month.least)


def test_two_zones_cost_twice_as_much() -> None:
    one = item(settings(aws={"database": {"multi_az": False}}), "Database")
    assert one.least == pytest.approx(730 * 0.168 + 100 * 0.115)
    assert item(settings(), "Database").least == pytest.approx(2 * one.least)


def test_the_network_is_nat_gateways_endpoints_and_addresses() -> None:
    assert item(settings(), "Network").least == pytest.approx(730 * (3 * 0.045 + 21 * 0.01 + 6 * 0.005))
    single = settings(aws={"network": {"nat": "single", "interface_endpoints": ()}})
    assert item(single, "Network").least == pytest.approx(730 * (0.045 + 4 * 0.005))


def test_frankfurt_costs_a_quarter_more_than_virginia() -> None:
    virginia, frankfurt = (
        item(settings(pool(), region=region), "GPU pool p0").least for region in ("us-east-1", "eu-central-1")
    )
    assert 1.2 < frankfurt / virginia < 1.3


def test_a_7b_model_on_an_l4_generates_about_fifty_tokens_a_second() -> None:
    llama2 = settings(pool(models=("llama2:7b",), parallel=1))
    assert cost.estimate(llama2).tokens[0].per_second == pytest.approx(47, abs=1)


def test_a_million_tokens_cost_the_month_over_its_tokens() -> None:
    s = settings(pool(parallel=1), cost={"expected_busy_percent": 50})
    estimate = cost.estimate(s)
    per_second = 0.6 * 300 / 4.4
    assert estimate.millions.expected == pytest.approx(per_second * 0.5 * 730 * 3600 / 1e6)
    assert estimate.per_million == pytest.approx(estimate.total.expected / estimate.millions.expected)


def test_a_stack_that_generates_nothing_has_no_price_of_a_million() -> None:
    assert cost.estimate(settings()).per_million is None


def test_a_region_that_is_not_listed_says_so() -> None:
    assert not cost.estimate(settings(region="eu-north-1")).listed
    assert cost.estimate(settings(region="eu-west-1")).listed


def test_a_price_that_was_read_is_no_estimate() -> None:
    by_hand = pool(management="node-group", max_nodes=1)

    def estimated(*pools: dict[str, Any], region: str) -> set[str]:
        items = cost.estimate(settings(*pools, region=region)).items
        return {entry.name for entry in items if entry.estimated}

    assert estimated(by_hand, region="us-east-1") == {"Other nodes"}
    assert estimated(by_hand, region="eu-central-1") == {
        "Other nodes",
        "Network",
        "Database",
        "Cache",
        "Storage",
    }
    assert estimated(by_hand, region="eu-north-1") >= {
        "GPU pool p0",
        "Network",
        "Load balancer",
        "Data out",
        "Logs",
    }


@pytest.mark.parametrize(
    "changes", [{}, {"capacity": "spot"}, {"management": "node-group", "instance_types": ("p5.4xlarge",)}]
)
def test_a_pool_says_when_its_price_is_an_estimate(changes: dict[str, Any]) -> None:
    estimate = cost.estimate(settings(pool(**changes), region="eu-central-1"))
    assert estimate.items[0].estimated


def test_only_aws_has_prices() -> None:
    with pytest.raises(ValueError, match=r"^target docker has no prices"):
        cost.estimate(Settings(target="docker"))


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_as_many_keys_and_secrets_are_counted_as_the_stack_has(stack: str) -> None:
    recorded = json.loads((ROOT / f"tests/cloud/golden/{stack}.json").read_text())
    of_bootstrap = 2  # of the state, and of the secrets in it
    keys = sum(name.startswith("aws:kms/key:Key::") for name in recorded) + of_bootstrap
    managed = recorded["aws:rds/instance:Instance::database"]["inputs"]["manageMasterUserPassword"]
    secrets = sum(name.startswith("aws:secretsmanager/secret:Secret::") for name in recorded) + managed
    items = cost.estimate(stacks.read(ROOT / f"stacks/Pulumi.{stack}.yaml", stack)).items
    detail = next(item.detail for item in items if item.name == "Names, keys, secrets")
    assert detail == f"a zone, {keys} keys, {secrets} secrets"


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_a_stack_stays_within_its_budget(stack: str) -> None:
    s = stacks.read(ROOT / f"stacks/Pulumi.{stack}.yaml", stack)
    assert s.cost
    estimate = cost.estimate(s)
    assert estimate.total.expected <= s.cost.monthly_usd < estimate.total.most, "a budget that binds nothing"


replicas = st.integers(1, 60)
pools = st.fixed_dictionaries(
    {
        "models": st.lists(st.sampled_from(sorted(models.PUBLISHED)), min_size=1, max_size=3).map(tuple),
        "instance_types": st.lists(
            st.sampled_from(sorted(hardware.INSTANCE_TYPES)), min_size=1, max_size=4
        ).map(tuple),
        "capacity": st.sampled_from(["spot", "on-demand", "spot-first", "reserved"]),
        "management": st.sampled_from(["karpenter", "node-group"]),
        "max_nodes": st.integers(1, 100),
        "gpus_per_replica": st.integers(1, 8),
        "parallel": st.integers(1, 64),
        "autoscaling": st.fixed_dictionaries({"min_replicas": replicas, "max_replicas": replicas}),
    }
)
stacks_of_pools = st.builds(
    lambda some, region, share, gateways, nat: settings(
        *some,
        region=region,
        cost={"expected_scale_percent": share, "expected_spot_percent": 100 - share},
        gateway={"autoscaling": {"min_replicas": min(gateways), "max_replicas": max(gateways)}},
        aws={"network": {"nat": nat}},
    ),
    st.lists(pools, max_size=3),
    st.sampled_from([*prices.REGIONS, "eu-north-1"]),
    st.integers(0, 100),
    st.tuples(replicas, replicas),
    st.sampled_from(["single", "per-zone"]),
)


@given(s=stacks_of_pools)
def test_the_least_is_at_most_the_expected_is_at_most_the_most(s: Settings) -> None:
    estimate = cost.estimate(s)
    for month in [*(entry.month for entry in estimate.items), estimate.total, estimate.millions]:
        assert 0 <= month.least <= month.expected + 1e-9 <= month.most + 2e-9


@given(s=stacks_of_pools, low=st.integers(0, 20), high=st.integers(0, 20))
def test_more_replicas_never_cost_less(s: Settings, low: int, high: int) -> None:
    def more(entry: Any) -> Any:
        scaling = entry.autoscaling
        changed = {
            "min_replicas": scaling.min_replicas + low,
            "max_replicas": scaling.max_replicas + low + high,
        }
        return entry.model_copy(update={"autoscaling": scaling.model_copy(update=changed)})

    grown = s.model_copy(update={"gpu_pools": tuple(map(more, s.gpu_pools)), "gateway": more(s.gateway)})
    before, after = cost.estimate(s).total, cost.estimate(grown).total
    assert before.least <= after.least + 1e-6
    assert before.expected <= after.expected + 1e-6
    assert before.most <= after.most + 1e-6
