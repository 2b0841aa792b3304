"""The bucket from which every worker loads its models, so that none is fetched from the internet twice.

Costs 0.024 USD a GiB and month, with the versions that are kept; workers read it for nothing through the
VPC's own endpoint. Deleted, running workers go on with what is in their GPUs, and no new one starts until the
models are downloaded again.
"""

from collections.abc import Collection
from dataclasses import dataclass

import pulumi

from components.aws.account import Account
from components.aws.bucket import Bucket, BucketArgs
from components.aws.documents import Statement, allow, document
from components.aws.key import Key, KeyArgs
from components.cluster_volumes import SharedVolume
from components.service import USER

CACHE_SIZE = "40Gi"
"""Disk of a node for what was read last: a worker that starts again, or a second one, waits less."""


@dataclass(frozen=True)
class ModelStoreArgs:
    """What the model store needs."""

    account: Account
    versions_days: int
    """How long a model that was replaced or deleted is kept, days."""
    allow_replace: Collection[str] = ()
    """The names of protected resources that the stack gives free."""


class ModelStore(pulumi.ComponentResource):
    """A private, versioned bucket with a key of its own."""

    def __init__(self, name: str, args: ModelStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ollamamax:aws:ModelStore", name, None, opts)
        self._args = args
        child = pulumi.ResourceOptions(parent=self)
        self._key = Key(
            name,
            KeyArgs(args.account, "The models", allow_replace=args.allow_replace),
            child,
        )
        self._bucket = Bucket(
            name,
            BucketArgs(
                args.account,
                key=self._key,
                versions_days=args.versions_days,
                allow_replace=args.allow_replace,
            ),
            child,
        )
        self.register_outputs({"bucket": self.bucket})

    @property
    def bucket(self) -> pulumi.Output[str]:
        """The bucket's name."""
        return self._bucket.bucket

    @property
    def volume(self) -> SharedVolume:
        """The store as a volume of pods, each with its own identity: ``read_policy`` or ``write_policy``.

        Files are written from their beginning to their end, and never renamed or changed: S3 knows objects.
        """
        region = self._args.account.region
        user, group = USER.split(":")
        return SharedVolume(
            driver="s3.csi.aws.com",
            handle=self.bucket,
            attributes={
                "bucketName": self.bucket,
                "authenticationSource": "pod",
                "stsRegion": region,
                "cache": "emptyDir",
                "cacheEmptyDirSizeLimit": CACHE_SIZE,
            },
            mount_options=(
                f"region {region}",
                f"uid={user}",
                f"gid={group}",
                "allow-other",
                "allow-delete",
                "allow-overwrite",
            ),
        )

    @property
    def read_policy(self) -> pulumi.Output[str]:
        """IAM policy, JSON, of the workers."""
        return document(*self._read())

    @property
    def write_policy(self) -> pulumi.Output[str]:
        """IAM policy, JSON, of the job that fills the store: no one else changes a model."""
        objects = pulumi.Output.concat(self._bucket.arn, "/*")
        return document(
            *self._read(),
            allow(["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:PutObject"], [objects]),
            allow(["kms:GenerateDataKey"], [self._key.arn]),
        )

    def _read(self) -> list[Statement]:
        return [
            allow(["s3:ListBucket"], [self._bucket.arn]),
            allow(["s3:GetObject"], [pulumi.Output.concat(self._bucket.arn, "/*")]),
            allow(["kms:Decrypt"], [self._key.arn]),
        ]
