"""The alarm on what the stack costs.

Costs nothing. Deleted, nobody is told when spending runs away; nothing else changes.

AWS finds a stack's costs by its tags once these are activated as cost allocation tags, under Billing, by hand
and once for an account: ``stack`` and ``aws:eks:cluster-name``. Before, the alarm sees nothing.
"""

from dataclasses import dataclass

import pulumi
from pulumi_aws import budgets

from components.aws.account import Account
from stacks.settings import CostSettings

ALARMS = (("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100))
"""What is compared, and the share of the budget beyond which people are told, percent."""


@dataclass(frozen=True)
class BudgetArgs:
    """What the alarm needs."""

    account: Account
    settings: CostSettings


class Budget(pulumi.ComponentResource):
    """A monthly budget that writes e-mails."""

    def __init__(self, name: str, args: BudgetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ollamamax:aws:Budget", name, None, opts)
        prefix = args.account.prefix
        # Nodes of EKS's own pools cannot carry the stack's tags; EKS tags them with the cluster's name.
        tags = {"stack": args.account.stack, "aws:eks:cluster-name": prefix}
        budgets.Budget(
            name,
            name=prefix,
            budget_type="COST",
            limit_amount=str(args.settings.monthly_usd),
            limit_unit="USD",
            time_unit="MONTHLY",
            metrics="UnblendedCost",
            filter_expression=budgets.BudgetFilterExpressionArgs(
                ors=[
                    budgets.BudgetFilterExpressionOrArgs(
                        tags=budgets.BudgetFilterExpressionOrTagsArgs(
                            key=key, values=[value], match_options=["EQUALS"]
                        )
                    )
                    for key, value in tags.items()
                ]
            ),
            notifications=[
                budgets.BudgetNotificationArgs(
                    comparison_operator="GREATER_THAN",
                    notification_type=kind,
                    threshold=percent,
                    threshold_type="PERCENTAGE",
                    subscriber_email_addresses=sorted(args.settings.alarm_emails),
                )
                for kind, percent in ALARMS
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
