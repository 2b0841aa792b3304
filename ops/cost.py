"""What a stack costs a month, as a table and as a document: ``python -m ops cost``."""

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

import stacks
from ops.stack import StackError
from stacks import Settings, cost, prices
from stacks.settings import CostSettings

WIDTH = 130


def table(settings: Settings) -> str:
    """Return the estimate as text: a line an item, the total, the budget, and a million tokens.

    Raises:
        StackError: if the stack is not on AWS: only there are prices known.
    """
    estimate, assumed = _estimate(settings)
    rows = Table(box=box.SIMPLE, show_footer=True, pad_edge=False)
    total = estimate.total
    rows.add_column("USD a month", "total", no_wrap=True)
    for title, amount in zip(("at least", "expected", "at most"), _amounts(total), strict=True):
        rows.add_column(title, amount, justify="right", no_wrap=True)
    rows.add_column("", f"budget {assumed.monthly_usd:,}, {_share(total.expected, assumed)} % of it expected")
    for item in estimate.items:
        rows.add_row(item.name + " *" * item.estimated, *_amounts(item.month), item.detail)
    console = Console(width=WIDTH, color_system=None, highlight=False)
    with console.capture() as captured:
        console.print(rows)
        for line in _sentences(estimate, assumed):
            console.print(line)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()).strip("\n")


def document(settings: Settings) -> dict[str, Any]:
    """Return the estimate as what JSON can hold, US dollars rounded to cents.

    Raises:
        StackError: if the stack is not on AWS: only there are prices known.
    """
    estimate, assumed = _estimate(settings)
    return {
        "currency": "USD",
        "pricesAsOf": prices.AS_OF,
        "region": estimate.region,
        "regionListed": estimate.listed,
        "items": [
            {"name": item.name, "detail": item.detail, "estimated": item.estimated, **_range(item.month)}
            for item in estimate.items
        ],
        "total": _range(estimate.total),
        "budget": assumed.monthly_usd,
        "perMillionTokens": _cents(estimate.per_million),
        "pools": [
            {
                "name": pool.pool,
                "tokensPerSecondOfAWorker": round(pool.per_second, 1),
                "millionTokens": _range(pool.millions),
                "perMillionTokens": _cents(_price(pool)),
            }
            for pool in estimate.tokens
        ],
        "assumptions": {
            "expectedScalePercent": assumed.expected_scale_percent,
            "expectedSpotPercent": assumed.expected_spot_percent,
            "expectedBusyPercent": assumed.expected_busy_percent,
        },
    }


def _estimate(settings: Settings) -> tuple[cost.Estimate, CostSettings]:
    if settings.cost is None:
        raise StackError(f"target {settings.target} has no prices: cost is estimated for stacks on AWS")
    return cost.estimate(settings, stacks.catalogue(settings)), settings.cost


def _sentences(estimate: cost.Estimate, assumed: CostSettings) -> list[str]:
    """Return what the numbers rest on, and the price of tokens."""
    priced = (
        estimate.region
        if estimate.listed
        else f"{prices.DEAREST} (those of {estimate.region} are not known here)"
    )
    lines = [
        f"Prices of {priced}, EC2's as of {prices.AS_OF}. * rests on an estimate, which docs/cost.md names. "
        f"Expected: autoscalers at {assumed.expected_scale_percent} % of their range, "
        f"{assumed.expected_spot_percent} % of spot-first hours on spot."
    ]
    if estimate.per_million is not None:
        lines.append(
            f"A million tokens, an estimate: {estimate.per_million:.2f} USD, all included, with workers busy "
            f"{assumed.expected_busy_percent} % of the time; of nodes alone: "
            + ", ".join(
                f"{pool.pool} {price:.2f} ({pool.per_second:.0f} tokens a second a busy worker)"
                for pool in estimate.tokens
                if (price := _price(pool)) is not None
            )
            + "."
        )
    return lines


def _price(pool: cost.PoolTokens) -> float | None:
    """Return US dollars for a million tokens of a pool, its nodes alone."""
    return pool.month.expected / pool.millions.expected if pool.millions.expected else None


def _share(expected: float, assumed: CostSettings) -> str:
    return f"{100 * expected / assumed.monthly_usd:.0f}"


def _amounts(month: cost.Range) -> list[str]:
    return [f"{amount:,.0f}" for amount in (month.least, month.expected, month.most)]


def _range(month: cost.Range) -> dict[str, float | None]:
    return {
        "min": _cents(month.least),
        "expected": _cents(month.expected),
        "max": _cents(month.most),
    }


def _cents(amount: float | None) -> float | None:
    return None if amount is None else round(amount, 2)
