"""Cost: the stack's budget covers what it is expected to cost."""

from collections.abc import Iterator

from stacks import cost, models
from stacks.settings import Settings


def spending(s: Settings, catalogue: models.Catalogue) -> Iterator[str]:
    """The budget covers the expected cost of a month."""
    if s.aws is None or s.cost is None:
        return
    estimate = cost.estimate(s, catalogue)
    if estimate.total.expected > s.cost.monthly_usd:
        largest = sorted(estimate.items, key=lambda item: -item.month.expected)[:3]
        parts = ", ".join(f"{item.name} {item.month.expected:,.0f}" for item in largest)
        yield (
            f"cost.monthlyUsd ({s.cost.monthly_usd:,}) is less than the {estimate.total.expected:,.0f} US "
            f"dollars that a month is expected to cost, most of it: {parts}; raise it, or lower what costs"
        )
