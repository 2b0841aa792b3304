"""Targets: what a target needs is given, and what it cannot do is not asked of it."""

import re
from collections.abc import Iterator, Set

from pydantic.alias_generators import to_camel

from stacks import capacity
from stacks.block import Block
from stacks.settings import Settings

LONGEST_STACK = 15
"""Letters of a stack's name: ``ollamamax-STACK/quay`` is a prefix of ECR's pull-through cache, of 30 at most:
docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreatePullThroughCacheRule.html. All other names that
are made of the stack's have room for more."""
STACK_NAME = r"[a-z0-9]+(-[a-z0-9]+)*"
"""What RDS, ElastiCache, S3 and ECR all take."""
LABEL_VALUE = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
"""What Kubernetes takes for a label's value."""
OF_A_POOL = {"replicas", "resources", "parallel", "max_loaded_models", "preload", "context_length"}
"""Settings of workers that each GPU pool has of its own."""
OF_NODES = {"management", "capacity", "reservations", "zones", "disruption"}
"""Settings of a GPU pool about making its nodes."""
OF_REDIS = {"resources", "max_memory_mib", "max_clients"}
"""Settings of a cache that a node type decides."""


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
    if s.canary and s.canary.replicas > capacity.most_canaries(s):
        yield (
            f"canary.replicas ({s.canary.replicas}) must be at most {capacity.most_canaries(s)}: as many as "
            f"{capacity.most_gateways_path(s)}, and {capacity.MOST_CANARIES} with target docker"
        )
    if s.target == "docker" and s.load is not None:
        yield "load: is given, while the target is docker: there make load plays it from outside"
    if s.target == "kubernetes" and s.kubernetes.context is None:
        yield (
            f"kubernetes.context: is missing: target {s.target} needs the name of the cluster's context in "
            "the kubeconfig"
        )
    if (
        s.target == "kubernetes"
        and s.gateway.routing.discovery == "kubernetes"
        and not s.kubernetes.api_server
    ):
        yield (
            "kubernetes.apiServer: is missing: gateway.routing.discovery kubernetes needs to know where pods "
            "reach the API server"
        )
    if s.target != "docker":
        return
    if s.gateway.routing.discovery == "kubernetes":
        yield "gateway.routing.discovery (kubernetes) must be dns with target docker: no API server is there"
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
    """Nothing is given that has no effect in this stack."""
    for block, path, fields, why in _idle(s):
        for field in sorted(fields & block.model_fields_set):
            yield f"{path}{to_camel(field)}: is given, and not used {why}"


def _idle(s: Settings) -> Iterator[tuple[Block, str, Set[str], str]]:
    """Yield what has no effect in this stack: block, its path, fields of it, and what is used instead."""
    target = f"with target {s.target}"
    if s.target == "docker":
        yield s, "", {"kubernetes"}, f"{target}: leave it out"
        yield s, "", {"longest_stream_s"}, f"{target}: gateway.drainTimeoutS decides"
        yield s.edge, "edge.", {"drain_delay_s"}, f"{target}: no other edge takes its place"
        yield s.database, "database.", {"volume_gib"}, f"{target}: a volume takes what the disk has"
    else:
        yield s, "", {"docker"}, f"{target}: leave it out"
        yield s, "", {"port_offset"}, f"{target}: every stack has addresses of its own"
    if s.target == "aws" and s.aws:
        yield s.cache, "cache.", OF_REDIS, f"{target}: aws.cache.nodeType decides"
        yield s.database, "database.", {"resources", "volume_gib"}, f"{target}: aws.database decides"
        yield s.edge, "edge.", {"names"}, f"{target}: aws.dns.zone decides"
        cluster, its = s.kubernetes, f"{target}: the stack makes its own"
        yield cluster, "kubernetes.", {"context", "registry", "edge_service", "api_server", "keda"}, its
        yield cluster.model_store, "kubernetes.modelStore.", {"storage_class", "access"}, its
        if s.aws.cdn and s.aws.cdn.api:
            yield s.aws, "aws.", {"clients"}, "with aws.cdn.api: everyone comes through the CDN"
    if s.target == "kubernetes" and s.gateway.routing.discovery == "dns" and s.autoscaler is None:
        asks = "with gateway.routing.discovery dns and without autoscaler: nothing asks the API server"
        yield s.kubernetes, "kubernetes.", {"api_server"}, asks
    if s.target == "kubernetes" and not capacity.scales(s):
        why = "without gpuPools and gateway.autoscaling: nothing scales"
        yield s.kubernetes, "kubernetes.", {"keda"}, why
    if not capacity.cold_start_s(s):
        why = "while every pool of gpuPools has autoscaling.minReplicas of 1 or more"
        yield s.gateway, "gateway.", {"cold_start_timeout_s"}, why
    if s.gpu_pools:
        yield s, "", {"models"}, "with gpuPools: each pool has its own"
        yield s.worker, "worker.", OF_A_POOL, "with gpuPools: each pool has its own"
        yield s.worker, "worker.", {"keep_alive_s"}, "with gpuPools: a pool keeps its models loaded"
    for pool in s.gpu_pools:
        path = f"gpuPools[{pool.name}]."
        if not capacity.sleeping(pool):
            stays = "with minReplicas of 1 or more: the last ones stay"
            yield pool.autoscaling, f"{path}autoscaling.", {"idle_s"}, stays
        if s.target != "aws":
            yield pool, path, OF_NODES, f"{target}: its nodes are there"
        elif not capacity.consolidates(pool):
            fields, why = {"consolidate_after_s"}, "with node groups and reserved capacity: their nodes stay"
            yield pool.disruption, f"{path}disruption.", fields, why
