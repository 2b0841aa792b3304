"""Connections and money."""

from policies.rule import Resource
from tests.policies.examples import fails, passes, thing

VPC = thing("aws:ec2/vpc:Vpc")
ALARM = "aws:budgets/budget:Budget"


def platform(wanted: float = 150, expected: float = 2000) -> Resource:
    """Return a platform with its numbers."""
    connections = {"wanted": wanted, "limit": 190}
    cost = {"expected": expected, "max": 9000, "budget": 3000}
    return thing(
        "ollamamax:index:Platform", budget={"databaseConnections": connections, "monthlyCostUsd": cost}
    )


EXAMPLES = [
    fails(
        "database-connections",
        platform(wanted=200),
        says="the connection pools open up to 200 connections, the database takes 190",
    ),
    fails("database-connections", thing("ollamamax:index:Platform"), says="does not say wanted and limit"),
    passes("database-connections", platform()),
    fails(
        "monthly-cost",
        platform(expected=4000),
        says="it is expected to cost 4000 USD a month, at most 9000; its budget is 3000",
    ),
    passes("monthly-cost", platform()),
    passes("monthly-cost", thing("ollamamax:index:Platform", budget={})),
    fails("cost-alarm", VPC, thing("ollamamax:index:Platform"), says="does not say expected and budget"),
    fails("cost-alarm", VPC, says="no Budget watches its cost"),
    fails("cost-alarm", VPC, thing(ALARM), says="it notifies nobody"),
    passes("cost-alarm", VPC, thing(ALARM, notifications=[{"subscriberEmailAddresses": ["a@example.org"]}])),
    passes("cost-alarm", thing("docker:index/container:Container")),
]
