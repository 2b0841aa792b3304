"""Budgets: connections and money, from the numbers that the platform is described with."""

from collections.abc import Iterator
from typing import Any

from policies.rule import Finding, Resource, Stack, rule, stack_rule
from policies.values import dig

PLATFORM = "ollamamax:index:Platform"
ALARM = "aws:budgets/budget:Budget"


def _numbers(found: Resource, block: str, *keys: str) -> list[Any]:
    return [dig(found.props, "budget", block, key) for key in keys]


@rule(
    "database-connections",
    why="The server refuses every connection above its limit, whoever asks for it.",
    remedy="Raise database.maxConnections, or lower pool.replicas or pool.defaultPoolSize.",
    on=(PLATFORM,),
)
def database_connections(found: Resource) -> Iterator[str]:
    """All layers together ask the database for no more connections than it takes."""
    wanted, limit = _numbers(found, "databaseConnections", "wanted", "limit")
    if wanted is None or limit is None:
        yield "its input budget.databaseConnections does not say wanted and limit"
    elif wanted > limit:
        yield f"the connection pools open up to {wanted} connections, the database takes {limit}"


@rule(
    "monthly-cost",
    why="The bill comes a month later.",
    remedy="Make the stack smaller, or raise cost.monthlyUsd on purpose.",
    on=(PLATFORM,),
)
def monthly_cost(found: Resource) -> Iterator[str]:
    """A stack is expected to cost no more a month than its budget."""
    expected, most, limit = _numbers(found, "monthlyCostUsd", "expected", "max", "budget")
    if expected is not None and expected > limit:
        yield f"it is expected to cost {expected} USD a month, at most {most}; its budget is {limit}"


@stack_rule(
    "cost-alarm",
    why="An estimate knows nothing of a loop, a leak or an intruder that buys.",
    remedy="Add an aws.budgets.Budget with the stack's number and a notification.",
)
def cost_alarm(stack: Stack) -> Iterator[Finding]:
    """A stack in the cloud says what it is expected to cost, and has an alarm on what it really does."""
    if any(one.type.startswith("aws:") for one in stack.resources):
        for found in stack.of(PLATFORM):
            if None in _numbers(found, "monthlyCostUsd", "expected", "budget"):
                yield found, "its input budget.monthlyCostUsd does not say expected and budget"
        if not stack.of(ALARM):
            yield None, "no Budget watches its cost"
    for found in stack.of(ALARM):
        if not found.props.get("notifications"):
            yield found, "it notifies nobody"
