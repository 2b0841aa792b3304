"""The CDN's logs in the graph."""

from components.aws.account import Account
from components.aws.cdn_logs import CdnLogs, CdnLogsArgs
from tests.components.aws.conftest import of, statements
from tests.components.conftest import Graph, record_of

POLICY = "aws:s3/bucketPolicy:BucketPolicy::cdn-logs"


def logs() -> Graph:
    def build() -> None:
        made = CdnLogs("cdn-logs", CdnLogsArgs(Account("prod", "111122223333", "eu-central-1")))
        made.follow("console.llm.example.org", "arn:aws:cloudfront:::distribution/E1")

    return record_of(build, "prod")


def test_aws_writes_there_for_this_account_alone() -> None:
    graph = logs()
    (policy,) = of(graph, "s3/bucketPolicy:BucketPolicy").values()
    _, listing, writing = statements(policy.inputs["policy"])
    for statement in (listing, writing):
        assert statement["Principal"] == {"Service": "delivery.logs.amazonaws.com"}
        assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": "111122223333"}}
    (bucket,) = of(graph, "s3/bucket:Bucket").values()
    assert bucket.inputs["bucket"] == "aws-waf-logs-ollamamax-prod-111122223333"
    assert writing["Resource"] == [f"arn:aws:s3:::{bucket.inputs['bucket']}/*"]
    (key,) = of(graph, "kms/key:Key").values()
    assert statements(key.inputs["policy"])[-1]["Principal"] == {"Service": "delivery.logs.amazonaws.com"}


def test_logs_go_with_their_age() -> None:
    (lifecycle,) = of(logs(), "s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration").values()
    assert [rule["expiration"] for rule in lifecycle.inputs["rules"] if "expiration" in rule] == [
        {"days": 90}
    ]


def test_a_distribution_s_requests_are_delivered_from_where_cloudfront_is() -> None:
    graph = logs()
    (source,) = of(graph, "cloudwatch/logDeliverySource:LogDeliverySource").values()
    (destination,) = of(graph, "cloudwatch/logDeliveryDestination:LogDeliveryDestination").values()
    (delivery,) = of(graph, "cloudwatch/logDelivery:LogDelivery").values()
    assert {one.inputs["region"] for one in (source, destination, delivery)} == {"us-east-1"}
    assert source.inputs["logType"] == "ACCESS_LOGS"
    assert POLICY in destination.depends_on, "or AWS would write one of its own"
    assert delivery.inputs["deliverySourceName"] == source.inputs["name"] == "ollamamax-prod-console"
