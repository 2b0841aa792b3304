"""Targets: what a target needs is given, and what it cannot do is not asked of it."""

import re
from collections.abc import Iterator

from pydantic.alias_generators import to_camel

from stacks.settings import Settings

LONGEST_STACK = 15
"""Letters of a stack's name: ``ollamamax-STACK/quay`` is a prefix of ECR's pull-through cache, of 30 at most:
docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreatePullThroughCacheRule.html. All other names that
are made of the stack's have room for more."""
STACK_NAME = r"[a-z0-9]+(-[a-z0-9]+)*"
"""What RDS, ElastiCache, S3 and ECR all take."""
LABEL_VALUE = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
"""What Kubernetes takes for a label's value."""
OF_A_POOL = {"replicas", "resources", "parallel", "context_length"}
"""Settings of workers that each GPU pool has of its own."""


def target(s: Settings) -> Iterator[str]:
    """What a target needs is given, and what it cannot do is not asked of it."""
    if s.target == "aws" and s.aws is None:
        yield f"aws: is missing: target {s.target} needs account, region, zones and names"
    if s.target == "aws" and s.cost is None:
        yield f"cost: is missing: target {s.target} needs a budget"
    if s.target != "aws" and s.aws is not None:
        yield f"aws: is given, while the target is {s.target}: only target aws has managed parts"
    if s.target != "aws" and s.cost is not None:
        yield f"cost: is given, while the target is {s.target}: only target aws has prices"
    if s.target == "kubernetes" and s.kubernetes.context is None:
        yield (
            f"kubernetes.context: is missing: target {s.target} needs the name of the cluster's context in "
            "the kubeconfig"
        )
    if s.target != "docker":
        return
    if s.edge.replicas > 1:
        yield f"edge.replicas ({s.edge.replicas}) must be 1 with target docker: one edge publishes the ports"
    if s.pool.replicas > 1:
        yield (
            f"pool.replicas ({s.pool.replicas}) must be 1 with target docker: no load balancer stands before "
            "PgBouncer there"
        )
    if s.gpu_pools:
        yield f"gpuPools ({len(s.gpu_pools)}) must be empty with target docker: worker describes its workers"
    if s.gateway.autoscaling:
        yield (
            f"gateway.autoscaling (up to {s.gateway.autoscaling.max_replicas}) must be left out with target "
            "docker: gateway.replicas says how many"
        )


def stack_name(s: Settings, stack: str) -> Iterator[str]:
    """The stack's name fits into all that is named after it."""
    if s.target == "kubernetes" and not re.fullmatch(LABEL_VALUE, stack):
        yield (
            f"the stack's name ({stack}) must be at most 63 letters, digits, dashes, dots and underscores, a "
            "letter or a digit first and last: it is a label of every object in the cluster"
        )
    if s.target != "aws":
        return
    if not re.fullmatch(STACK_NAME, stack):
        yield (
            f"the stack's name ({stack}) must be small letters and digits, with single dashes between them: "
            "it is part of names in RDS, ElastiCache, S3 and ECR, which take nothing else"
        )
    if len(stack) > LONGEST_STACK:
        yield (
            f"the stack's name ({stack}) has {len(stack)} letters: ollamamax-{stack}/quay is a prefix of "
            f"ECR's pull-through cache, which takes 30, so name the stack with at most {LONGEST_STACK}"
        )


def unused(s: Settings) -> Iterator[str]:
    """Nothing is given that the target does not look at."""
    of_aws = {
        "cache": ({"resources", "max_memory_mib", "max_clients"}, "aws.cache.nodeType decides"),
        "database": ({"resources", "volume_gib"}, "aws.database decides"),
        "kubernetes": ({"context", "registry", "edge_service"}, "the stack makes its own"),
    }
    for name in sorted({"docker", "kubernetes"} & s.model_fields_set):
        if (name == "docker") != (s.target == "docker"):
            yield f"{name}: is given, and not used with target {s.target}: leave it out"
    for name, (fields, instead) in of_aws.items() if s.target == "aws" else ():
        for field in sorted(fields & getattr(s, name).model_fields_set):
            yield f"{name}.{to_camel(field)}: is given, and not used with target aws: {instead}"
    for field in sorted(OF_A_POOL & s.worker.model_fields_set) if s.gpu_pools else ():
        yield f"worker.{to_camel(field)}: is given, and not used with gpuPools: each pool has its own"
