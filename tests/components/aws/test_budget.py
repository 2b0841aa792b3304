"""The cost alarm in the graph."""

import pytest

from components.aws.account import Account
from components.aws.budget import Budget, BudgetArgs
from stacks.settings import CostSettings
from tests.components.aws.conftest import of
from tests.components.conftest import Registered, record_of

PEOPLE = ("one@example.org", "two@example.org")


@pytest.fixture
def budget(account: Account) -> Registered:
    settings = CostSettings(monthly_usd=3000, alarm_emails=PEOPLE)
    graph = record_of(lambda: Budget("budget", BudgetArgs(account, settings)))
    return of(graph, "budgets/budget:Budget")["budget"]


def test_the_budget_is_the_stacks_number(budget: Registered) -> None:
    assert budget.inputs["limitAmount"] == "3000"
    assert budget.inputs["limitUnit"] == "USD"
    assert budget.inputs["timeUnit"] == "MONTHLY"


def test_people_are_told_before_during_and_ahead(budget: Registered) -> None:
    notifications = budget.inputs["notifications"]
    assert [(one["notificationType"], one["threshold"]) for one in notifications] == [
        ("ACTUAL", 80),
        ("ACTUAL", 100),
        ("FORECASTED", 100),
    ]
    for one in notifications:
        assert one["subscriberEmailAddresses"] == list(PEOPLE)
        assert one["thresholdType"] == "PERCENTAGE"


def test_only_this_stacks_costs_count_its_nodes_included(budget: Registered) -> None:
    tags = [one["tags"] for one in budget.inputs["filterExpression"]["ors"]]
    assert {one["key"]: one["values"] for one in tags} == {
        "stack": ["prod"],
        "aws:eks:cluster-name": ["ollamamax-prod"],
    }
