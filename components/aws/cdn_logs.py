"""What the CDN and its firewall write down, in a bucket of its own.

Costs 0.024 USD a GiB and month, for the days that the logs are kept, and 1 USD for its key. Deleted, nobody
can say later who was let in or blocked.
"""

from collections.abc import Collection
from dataclasses import dataclass

import pulumi
from pulumi_aws import cloudwatch

from components.aws.account import Account
from components.aws.bucket import Bucket, BucketArgs
from components.aws.documents import let
from components.aws.key import Key, KeyArgs

REGION = "us-east-1"
"""From where CloudFront delivers its logs."""
WRITER = {"Service": "delivery.logs.amazonaws.com"}
DAYS = 90


@dataclass(frozen=True)
class CdnLogsArgs:
    """What the logs need.

    Attributes:
        account: where they are.
        allow_replace: the names that the stack gives free.
    """

    account: Account
    allow_replace: Collection[str] = ()


class CdnLogs(pulumi.ComponentResource):
    """A private bucket that AWS delivers logs to."""

    def __init__(self, name: str, args: CdnLogsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ollamamax:aws:CdnLogs", name, None, opts)
        self._name = name
        self._child = child = pulumi.ResourceOptions(parent=self)
        account = args.account
        self._prefix = account.prefix
        own = {"StringEquals": {"aws:SourceAccount": account.id}}
        key = Key(
            name,
            KeyArgs(
                account,
                "Logs of the CDN",
                allow_replace=args.allow_replace,
                statements=[let(WRITER, ["kms:GenerateDataKey*", "kms:Decrypt"], ["*"], own)],
            ),
            child,
        )
        # The firewall writes only to a bucket whose name begins so.
        bucket_name = f"aws-waf-logs-{account.prefix}-{account.id}"
        arn = f"arn:{account.partition}:s3:::{bucket_name}"
        self._bucket = Bucket(
            name,
            BucketArgs(
                account,
                key=key,
                versions_days=1,
                expire_days=DAYS,
                statements=[
                    let(WRITER, ["s3:GetBucketAcl"], [arn], own),
                    let(WRITER, ["s3:PutObject"], [f"{arn}/*"], own),
                ],
                allow_replace=args.allow_replace,
                name=bucket_name,
            ),
            child,
        )
        self._destination = cloudwatch.LogDeliveryDestination(
            name,
            name=f"{account.prefix}-cdn",
            output_format="json",
            delivery_destination_configuration={"destination_resource_arn": self._bucket.arn},
            region=REGION,
            # No data flows from the bucket's policy; without it AWS would write one, and ours overwrite that.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self._bucket]),
        )
        self.register_outputs({})

    @property
    def bucket_arn(self) -> pulumi.Output[str]:
        """The bucket, for what writes to it by itself."""
        return self._bucket.arn

    def follow(self, host: str, distribution_arn: pulumi.Input[str]) -> None:
        """Write down every request that a distribution of CloudFront answers for ``host``."""
        source = cloudwatch.LogDeliverySource(
            host,
            name=f"{self._prefix}-{host.partition('.')[0]}",
            log_type="ACCESS_LOGS",
            resource_arn=distribution_arn,
            region=REGION,
            opts=self._child,
        )
        cloudwatch.LogDelivery(
            host,
            delivery_source_name=source.name,
            delivery_destination_arn=self._destination.arn,
            region=REGION,
            opts=self._child,
        )
