"""Buckets: who reads them, and what is left after a mistake."""

from collections.abc import Iterator

from policies.iam import allows_everybody, denies_plain_text, statements
from policies.rule import ALLOW_REPLACE, Finding, Resource, Stack, rule, stack_rule
from policies.values import UNKNOWN, dig, document, items, may_be

BUCKET = "aws:s3/bucket:Bucket"
ACL = "aws:s3/bucketAcl:BucketAcl"
ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
POLICY = "aws:s3/bucketPolicy:BucketPolicy"
PUBLIC_ACCESS_BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


def _about(stack: Stack, companion: str) -> Iterator[tuple[Resource, list[Resource]]]:
    """Yield each bucket with the resources of type ``companion`` that are about it."""
    for bucket in stack.of(BUCKET):
        yield bucket, [one for one in stack.of(companion) if one.names(bucket, "bucket", "bucket")]


@stack_rule(
    "bucket-public-access",
    why="Without a complete block, one policy or access list publishes everything that the bucket holds.",
    remedy=f"Add a BucketPublicAccessBlock for the bucket, with {', '.join(BLOCKS)} true.",
)
def bucket_public_access(stack: Stack) -> Iterator[Finding]:
    """Every bucket has a public access block, with all four switches on."""
    for bucket, blocks in _about(stack, PUBLIC_ACCESS_BLOCK):
        if not blocks:
            yield bucket, "it has no public access block"
    for block in stack.of(PUBLIC_ACCESS_BLOCK):
        for switch in BLOCKS:
            if not may_be(block.props.get(switch), True):
                yield block, f"{switch} is not true"


@rule(
    "bucket-acl",
    why="A public access list hands the bucket's content to everybody, whatever its policy says.",
    remedy="Leave out the access list: the owner's account has access without one. Publish through the CDN.",
    on=(BUCKET, ACL),
)
def bucket_acl(found: Resource) -> Iterator[str]:
    """No bucket has a public access list."""
    acl = found.props.get("acl")
    if isinstance(acl, str) and acl.startswith(("public", "authenticated")):
        yield f"acl is {acl}"


@stack_rule(
    "bucket-encryption",
    why="What is encrypted, and with which key, should not depend on what a service does by default.",
    remedy="Add a BucketServerSideEncryptionConfiguration: sseAlgorithm aws:kms with kmsMasterKeyId, or "
    "AES256 where other services have to write to the bucket.",
)
def bucket_encryption(stack: Stack) -> Iterator[Finding]:
    """Every bucket says what encrypts it."""
    for bucket, configurations in _about(stack, ENCRYPTION):
        if not configurations:
            yield bucket, "it has no encryption configuration"
    for found in stack.of(ENCRYPTION):
        for one in items(found.props.get("rules")):
            default = dig(one, "applyServerSideEncryptionByDefault")
            algorithm = dig(default, "sseAlgorithm")
            if not may_be(algorithm, "AES256") and not dig(default, "kmsMasterKeyId"):
                yield found, f"its algorithm is {algorithm}, and it names no key"


@stack_rule(
    "bucket-tls-only",
    why="A request over plain HTTP shows object and credentials to everyone on the way.",
    remedy='Add a BucketPolicy that denies s3:* to everybody where aws:SecureTransport is "false".',
)
def bucket_tls_only(stack: Stack) -> Iterator[Finding]:
    """Every bucket refuses requests without TLS."""
    for bucket, policies in _about(stack, POLICY):
        texts = [document(one.props.get("policy")) for one in policies]
        if not any(text is UNKNOWN or any(map(denies_plain_text, statements(text))) for text in texts):
            yield bucket, "no policy of it denies requests without TLS"


@rule(
    "bucket-policy-public",
    why="A policy for everybody publishes what it allows, however the access lists stand.",
    remedy="Name the principals, or add a condition: the CDN's own is aws:SourceArn.",
    on=(POLICY,),
)
def bucket_policy_public(found: Resource) -> Iterator[str]:
    """No bucket's policy lets everybody in."""
    for one in statements(document(found.props.get("policy"))):
        if allows_everybody(one):
            yield f"statement {one.get('Sid', '')!r} allows {one.get('Action')} to everybody"


@stack_rule(
    "bucket-versioning",
    why="Without versions, an overwrite or a wrong delete is final.",
    remedy='Add a BucketVersioning with versioningConfiguration.status "Enabled".',
)
def bucket_versioning(stack: Stack) -> Iterator[Finding]:
    """Every bucket keeps versions."""
    for bucket, versioning in _about(stack, VERSIONING):
        states = [dig(one.props, "versioningConfiguration", "status") for one in versioning]
        if not any(state in ("Enabled", UNKNOWN) for state in states):
            yield bucket, "it keeps no versions"


@rule(
    "force-destroy",
    why="One destroy, or one rename, deletes everything in it.",
    remedy="Leave out forceDestroy, so that a bucket that is not empty can't be deleted, unless the stack's "
    "setting policy.allowReplace (this rule's allowReplace) names it.",
    on=(BUCKET,),
    settings=ALLOW_REPLACE,
)
def force_destroy(found: Resource) -> Iterator[str]:
    """No bucket is deleted with what is in it."""
    if found.props.get("forceDestroy") is True and not found.given_free:
        yield "forceDestroy is true"
