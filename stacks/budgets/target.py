"""Targets: what a target needs is given, and what it cannot do is not asked of it."""

from collections.abc import Iterator

from stacks.settings import Settings


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
    if s.target == "aws" and s.kubernetes.context is not None:
        yield f"kubernetes.context ({s.kubernetes.context}): target aws makes its own cluster: leave it out"
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
