"""The record of every connection in the VPC, accepted or rejected.

Costs $0.50 a GB taken in and $0.03 a GB and month kept; its key $1 a month.
Deleted, the past records go with it, and nobody can say later who talked to whom.
"""

from collections.abc import Collection
from dataclasses import dataclass

import pulumi
from pulumi_aws import cloudwatch, ec2

from components.aws.account import Account
from components.aws.documents import allow, assumed_by, document
from components.aws.key import Key, KeyArgs
from components.aws.role import Role, RoleArgs

AGGREGATION_S = 60
"""The finest that AWS offers."""


@dataclass(frozen=True)
class FlowLogsArgs:
    """What the record needs.

    Attributes:
        account: where it is.
        vpc_id: the VPC.
        days: how long it is kept.
        allow_replace: the names that the stack gives free.
    """

    account: Account
    vpc_id: pulumi.Input[str]
    days: int
    allow_replace: Collection[str] = ()


class FlowLogs(pulumi.ComponentResource):
    """A flow log of the VPC into an encrypted CloudWatch log group."""

    def __init__(self, name: str, args: FlowLogsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ollamamax:aws:FlowLogs", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        account = args.account
        group_name = f"/{account.prefix}/{name}"
        key = Key(
            name,
            KeyArgs(account, "Flow logs of the VPC", [group_name], args.allow_replace),
            child,
        )
        group = cloudwatch.LogGroup(
            name, name=group_name, retention_in_days=args.days, kms_key_id=key.arn, opts=child
        )
        arn = account.arn("logs", f"log-group:{group_name}")
        role = Role(
            name,
            RoleArgs(
                account,
                "Lets the VPC write its flow log",
                trust=assumed_by(
                    "vpc-flow-logs.amazonaws.com",
                    condition={
                        "StringEquals": {"aws:SourceAccount": account.id},
                        "ArnLike": {"aws:SourceArn": account.arn("ec2", "vpc-flow-log/*")},
                    },
                ),
                policy=document(
                    allow(
                        ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"], [f"{arn}:*"]
                    ),
                    allow(["logs:DescribeLogGroups"], [account.arn("logs", "log-group:*")]),
                ),
            ),
            child,
        )
        ec2.FlowLog(
            name,
            vpc_id=args.vpc_id,
            traffic_type="ALL",
            log_destination=group.arn,
            iam_role_arn=role.arn,
            max_aggregation_interval=AGGREGATION_S,
            # What it may write is not among its inputs.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[role]),
        )
        self.register_outputs({})
