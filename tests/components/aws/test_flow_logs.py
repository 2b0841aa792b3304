"""The record of connections in the graph."""

import pytest

from components.aws.account import Account
from components.aws.flow_logs import FlowLogs, FlowLogsArgs
from tests.components.aws.conftest import of, statements
from tests.components.conftest import Graph, record_of


@pytest.fixture
def graph(account: Account) -> Graph:
    return record_of(lambda: FlowLogs("flow-logs", FlowLogsArgs(account, "vpc-1", 30)))


def test_every_connection_is_recorded(graph: Graph) -> None:
    (log,) = of(graph, "ec2/flowLog:FlowLog").values()
    assert log.inputs["vpcId"] == "vpc-1"
    assert log.inputs["trafficType"] == "ALL"
    assert log.inputs["maxAggregationInterval"] == 60


def test_the_record_is_encrypted_and_kept_as_long_as_the_stack_says(graph: Graph) -> None:
    (group,) = of(graph, "cloudwatch/logGroup:LogGroup").values()
    (key,) = of(graph, "kms/key:Key").values()
    assert group.inputs["retentionInDays"] == 30
    assert key.key in group.depends_on
    assert f"log-group:{group.inputs['name']}" in key.inputs["policy"]


def test_only_this_accounts_flow_logs_write_and_only_there(graph: Graph) -> None:
    (trust,) = statements(of(graph, "iam/role:Role")["flow-logs"].inputs["assumeRolePolicy"])
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": "111122223333"}
    (policy,) = of(graph, "iam/rolePolicy:RolePolicy").values()
    write, _ = statements(policy.inputs["policy"])
    assert write["Resource"] == [
        "arn:aws:logs:eu-central-1:111122223333:log-group:/ollamamax-prod/flow-logs:*"
    ]


def test_the_log_starts_once_it_may_write(graph: Graph) -> None:
    (log,) = of(graph, "ec2/flowLog:FlowLog").values()
    (policy,) = of(graph, "iam/rolePolicy:RolePolicy").values()
    assert policy.key in log.depends_on
