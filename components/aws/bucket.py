"""An S3 bucket that only its owner's own roles reach: private, encrypted, versioned, over TLS alone.

Costs what it holds, about 0.024 USD a GiB and month, deleted and replaced objects included for the days that
they are kept. AWS deletes no bucket that holds anything. One that the stack gives free goes with all of it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import s3

from components.aws.account import Account
from components.aws.documents import Statement, document
from components.aws.key import Key
from components.aws.protection import protects

UPLOAD_DAYS = 1
"""An upload that was not finished within this time is given up: its parts cost as objects do."""


@dataclass(frozen=True)
class BucketArgs:
    """What a bucket needs."""

    account: Account
    key: Key | None
    """What encrypts it; None is a key of S3's own, which any AWS service may write with."""
    versions_days: int
    """How long an object that was replaced or deleted is kept, days."""
    expire_days: int | None = None
    """Age at which objects are deleted, days; None keeps them."""
    statements: Sequence[Statement] = ()
    """What its policy allows beyond the account's own roles."""
    name: str | None = None
    """Its name among all buckets of AWS; None is one of the stack's."""
    allow_replace: Collection[str] = ()
    """The names of protected resources that the stack gives free."""
    empties: bool = True
    """Whether it is emptied to be deleted; otherwise somebody has to do that by hand."""


class Bucket(pulumi.ComponentResource):
    """A private bucket."""

    def __init__(self, name: str, args: BucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ollamamax:aws:Bucket", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        protected = protects(name, args.allow_replace)
        self._bucket = bucket = s3.Bucket(
            name,
            bucket=args.name or bucket_name(args.account, name),
            force_destroy=True if args.empties and not protected else None,
            opts=pulumi.ResourceOptions(parent=self, protect=protected),
        )
        s3.BucketVersioning(
            name,
            bucket=bucket.bucket,
            versioning_configuration=s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
            opts=child,
        )
        s3.BucketOwnershipControls(
            name,
            bucket=bucket.bucket,
            rule=s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
            opts=child,
        )
        private = s3.BucketPublicAccessBlock(
            name,
            bucket=bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=bucket.bucket,
            rules=[
                s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=(
                        s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
                            sse_algorithm="aws:kms" if args.key else "AES256",
                            kms_master_key_id=args.key.arn if args.key else None,
                        )
                    ),
                    bucket_key_enabled=True,
                )
            ],
            opts=child,
        )
        s3.BucketLifecycleConfiguration(
            name,
            bucket=bucket.bucket,
            rules=lifecycle_rules(args.versions_days, args.expire_days),
            opts=child,
        )
        s3.BucketPolicy(
            name,
            bucket=bucket.bucket,
            policy=document(_tls_only(bucket.arn), *args.statements),
            # No data flows: two changes of a bucket's access at the same time make AWS refuse one of them.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[private]),
        )
        self.register_outputs({})

    @property
    def bucket(self) -> pulumi.Output[str]:
        """Its name."""
        return self._bucket.bucket

    @property
    def arn(self) -> pulumi.Output[str]:
        """Its ARN."""
        return self._bucket.arn

    @property
    def domain_name(self) -> pulumi.Output[str]:
        """Host name of the bucket in its region."""
        return self._bucket.bucket_regional_domain_name


def bucket_name(account: Account, name: str) -> str:
    """Return the name of a bucket of the stack, unique among all buckets of AWS."""
    return f"{account.prefix}-{name}-{account.id}"


def lifecycle_rules(
    versions_days: int, expire_days: int | None
) -> list[s3.BucketLifecycleConfigurationRuleArgs]:
    """Return what S3 deletes by itself; ``expire_days`` None leaves current objects alone."""
    everything = s3.BucketLifecycleConfigurationRuleFilterArgs(prefix="")
    rules = [
        s3.BucketLifecycleConfigurationRuleArgs(
            id="old-versions-and-unfinished-uploads",
            status="Enabled",
            filter=everything,
            noncurrent_version_expiration=s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                noncurrent_days=versions_days
            ),
            abort_incomplete_multipart_upload=(
                s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                    days_after_initiation=UPLOAD_DAYS
                )
            ),
        )
    ]
    if expire_days is not None:
        rules.append(
            s3.BucketLifecycleConfigurationRuleArgs(
                id="age",
                status="Enabled",
                filter=everything,
                expiration=s3.BucketLifecycleConfigurationRuleExpirationArgs(days=expire_days),
            )
        )
    return rules


def _tls_only(arn: pulumi.Input[str]) -> Statement:
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, pulumi.Output.concat(arn, "/*")],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
