"""Buckets."""

import json
from typing import Any

from policies.rule import Resource
from policies.values import UNKNOWN
from tests.policies.examples import after, fails, passes, thing

BUCKET = thing("aws:s3/bucket:Bucket", "models", bucket="models-1")
DENY = {
    "Sid": "TlsOnly",
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": ["arn:aws:s3:::models-1", "arn:aws:s3:::models-1/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
BLOCKED = dict.fromkeys(
    ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"), True
)
KMS = {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": UNKNOWN}


def block(**props: Any) -> Resource:
    """Return a public access block of the bucket."""
    return thing(
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", **{"bucket": "models-1"} | BLOCKED | props
    )


def encryption(**default: Any) -> Resource:
    """Return an encryption configuration of the bucket."""
    return thing(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        bucket="models-1",
        rules=[{"applyServerSideEncryptionByDefault": default}],
    )


def policy(*statements: Any) -> Resource:
    """Return a policy of the bucket."""
    text = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    return thing("aws:s3/bucketPolicy:BucketPolicy", bucket="models-1", policy=text)


def versioning(status: Any) -> Resource:
    """Return the versioning of the bucket."""
    return thing(
        "aws:s3/bucketVersioning:BucketVersioning",
        bucket="models-1",
        versioningConfiguration={"status": status},
    )


def allow(**fields: Any) -> dict[str, Any]:
    """Return a statement for everybody that differs in some fields."""
    return {
        "Sid": "Read",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": "*",
    } | fields


EXAMPLES = [
    fails("bucket-public-access", BUCKET, says="it has no public access block"),
    fails(
        "bucket-public-access", BUCKET, block(blockPublicPolicy=False), says="blockPublicPolicy is not true"
    ),
    fails(
        "bucket-public-access",
        BUCKET,
        thing("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", bucket="other", **BLOCKED),
        says="it has no public access block",
    ),
    passes("bucket-public-access", BUCKET, block()),
    passes("bucket-public-access", BUCKET, after(block(bucket=UNKNOWN), bucket=BUCKET)),
    fails("bucket-acl", thing("aws:s3/bucketAcl:BucketAcl", acl="public-read"), says="acl is public-read"),
    fails(
        "bucket-acl",
        thing("aws:s3/bucket:Bucket", acl="authenticated-read"),
        says="acl is authenticated-read",
    ),
    passes("bucket-acl", thing("aws:s3/bucketAcl:BucketAcl", acl="private")),
    passes("bucket-acl", BUCKET),
    fails("bucket-encryption", BUCKET, says="it has no encryption configuration"),
    fails(
        "bucket-encryption", BUCKET, encryption(sseAlgorithm="aws:kms"), says="aws:kms, and it names no key"
    ),
    fails("bucket-encryption", BUCKET, encryption(), says="its algorithm is None, and it names no key"),
    passes("bucket-encryption", BUCKET, encryption(sseAlgorithm="AES256")),
    passes("bucket-encryption", BUCKET, encryption(**KMS)),
    fails("bucket-tls-only", BUCKET, says="no policy of it denies requests without TLS"),
    fails("bucket-tls-only", BUCKET, policy(allow()), says="no policy of it denies requests without TLS"),
    fails(
        "bucket-tls-only",
        BUCKET,
        policy(DENY | {"Principal": {"AWS": "arn:aws:iam::1:root"}}),
        says="no policy",
    ),
    passes("bucket-tls-only", BUCKET, policy(DENY)),
    passes(
        "bucket-tls-only",
        BUCKET,
        after(thing("aws:s3/bucketPolicy:BucketPolicy", bucket=UNKNOWN, policy=UNKNOWN), bucket=BUCKET),
    ),
    fails("bucket-policy-public", policy(allow()), says="statement 'Read' allows s3:GetObject to everybody"),
    fails("bucket-policy-public", policy(allow(Principal={"AWS": ["*"]})), says="to everybody"),
    passes("bucket-policy-public", policy(DENY, allow(Principal={"Service": "cloudfront.amazonaws.com"}))),
    passes("bucket-policy-public", policy(allow(Condition={"StringEquals": {"aws:SourceArn": "arn:aws:x"}}))),
    fails("bucket-versioning", BUCKET, says="it keeps no versions"),
    fails("bucket-versioning", BUCKET, versioning("Suspended"), says="it keeps no versions"),
    passes("bucket-versioning", BUCKET, versioning("Enabled")),
    fails("force-destroy", thing("aws:s3/bucket:Bucket", forceDestroy=True), says="forceDestroy is true"),
    fails(
        "force-destroy",
        thing("aws:s3/bucket:Bucket", forceDestroy=True),
        says="forceDestroy is true",
        config={"allowReplace": ["another"]},
    ),
    passes(
        "force-destroy", thing("aws:s3/bucket:Bucket", forceDestroy=True), config={"allowReplace": ["it"]}
    ),
    passes("force-destroy", BUCKET),
]
