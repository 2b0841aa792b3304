"""What of a stack an update may neither replace nor delete, unless the stack says so.

The components protect it; its names are here so that a budget can tell one that gives something free from one
that gives nothing.
"""

from collections.abc import Iterator

from stacks.settings import Settings

EVERYTHING = "*"
"""Gives all of it free: the word for a stack that is to go."""
KEYS = ("cache", "cluster", "database", "flow-logs", "models", "registry")
"""What is encrypted with a key of its own, whatever the settings are."""
OF_CLOUDFRONT = ("cdn-logs", "console")
"""Buckets that CloudFront takes, each with a key."""


def key(name: str) -> str:
    """Return the name of the key that encrypts ``name``: each is given free by its own name."""
    return f"{name}-key"


def names(s: Settings) -> Iterator[str]:
    """Yield the names of what is protected, what ``make bootstrap`` makes included."""
    aws = s.aws
    if aws is None:
        return
    yield from ("cache", "cluster", "database", "edge", "models", "vpc")
    yield from map(key, KEYS)
    yield from (f"{tier}-{zone}" for tier in ("data", "private", "public") for zone in aws.zones)
    yield from (f"pool-{pool.name}" for pool in s.gpu_pools)
    if aws.dns.create_zone:
        yield "dns"
    if aws.cdn and aws.cdn.provider == "cloudfront":
        yield from OF_CLOUDFRONT
        yield from map(key, OF_CLOUDFRONT)
    yield key("secrets")
    if aws.first_in_account:
        yield from ("state", key("state"))
