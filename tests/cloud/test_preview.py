"""What previews of the cloud stacks say, against a simulated cloud in which they are up."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.cloud.conftest import Simulated

Change = Callable[[dict[str, Any]], None]
PRECIOUS = (
    "aws:eks/cluster:Cluster",
    "aws:rds/instance:Instance",
    "aws:lb/loadBalancer:LoadBalancer",
    "aws:elasticache/replicationGroup:ReplicationGroup",
    "aws:ec2/vpc:Vpc",
    "aws:s3/bucket:Bucket",
    "kubernetes:karpenter.sh/v1:NodePool",
)
"""What no edit of a setting may replace."""


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_a_second_preview_is_empty(request: pytest.FixtureRequest, stack: str) -> None:
    deployed: Simulated = request.getfixturevalue(stack)
    assert deployed.changes() == set()


def test_every_summary_says_that_it_is_simulated(prod: Simulated) -> None:
    prod.write(lambda settings: None)
    said = prod.engine("preview").stdout
    assert said.startswith("Previewing update (prod, simulated):")
    assert "unchanged (simulated)" in said


def set_(*path: str | int, to: Any) -> Change:
    """Return a change of one setting."""

    def change(settings: dict[str, Any]) -> None:
        block: Any = settings
        for name in path[:-1]:
            block = block[name] if isinstance(name, int) else block.setdefault(name, {})
        block[path[-1]] = to

    return change


INSIDE = {"alertmanager": "StatefulSet", "pgbouncer": "Deployment", "prometheus": "StatefulSet"}
"""Servers with a certificate of the stack's own authority, and what runs them."""
MADE_ANEW = ("PrivateKey", "CertRequest", "LocallySignedCert")
CHANGES: dict[str, tuple[Change, set[tuple[str, str]]]] = {
    "more gateways at most": (
        set_("gateway", "autoscaling", "maxReplicas", to=40),
        {("ScaledObject", "gateway"), ("Platform", "platform")},
    ),
    "the Go runtime collects less often": (
        set_("gateway", "goGc", to=100),
        {("Deployment", "gateway")},
    ),
    "a larger request body": (
        set_("gateway", "maxBodyMib", to=64),
        {
            ("ConfigMap", "gateway"),
            ("Deployment", "gateway"),
            ("ConfigMap", "migrations"),
            ("Job", "migrations"),
            ("ConfigMap", "edge"),
            ("Deployment", "edge"),
        },
    ),
    "better compression": (
        set_("edge", "compression", to={"brotliLevel": 6}),
        {("ConfigMap", "edge"), ("Deployment", "edge")},
    ),
    "more connections of the pool": (
        set_("pool", "reservePoolSize", to=8),
        {("ConfigMap", "pgbouncer"), ("Deployment", "pgbouncer"), ("Platform", "platform")},
    ),
    "more memory for sorting": (
        set_("database", "workMemMib", to=6),
        {("ParameterGroup", "database")},
    ),
    "backups kept longer": (
        set_("aws", "database", "backupDays", to=21),
        {("Instance", "database")},
    ),
    "more nodes of a pool": (
        set_("gpuPools", 0, "maxNodes", to=60),
        {("NodePool", "pool-{pool}")},
    ),
    "a longer context": (
        set_("gpuPools", 0, "contextLength", to=2048),
        {("Deployment", "worker-{pool}")},
    ),
    "metrics kept longer": (
        set_("monitoring", "retentionHours", to=800),
        {("StatefulSet", "prometheus")},
    ),
    "the API server reached from elsewhere": (
        set_("aws", "cluster", "publicAccess", to=["198.51.100.0/24"]),
        {("Cluster", "cluster")},
    ),
    "another generation of the cache's password": (
        set_("rotation", "cache", to="2026-11"),
        {
            ("RandomPassword", "cache-password"),
            ("ReplicationGroup", "cache"),
            ("SecretVersion", "cache"),
            *((kind, "exporter-redis") for kind in ("Secret", "Deployment")),
            *((kind, "gateway") for kind in ("Secret", "Deployment")),
            *((kind, "migrations") for kind in ("Secret", "Job")),
        },
    ),
    "another generation of certificates": (
        set_("rotation", "certificates", to="2026-11"),
        {
            *((kind, name) for kind in (*MADE_ANEW, "Secret") for name in INSIDE),
            *(("PrivateKey", f"{name}-2026-11") for name in INSIDE),
            *((kind, name) for name, kind in INSIDE.items()),
        },
    ),
    "a higher budget": (
        set_("cost", "monthlyUsd", to=40_000),
        {("Budget", "budget"), ("Platform", "platform")},
    ),
}


LONG = {
    "more gateways at most",
    "more connections of the pool",
    "better compression",
    "more memory for sorting",
    "a longer context",
    "metrics kept longer",
    "another generation of the cache's password",
    "another generation of certificates",
    "a higher budget",
}
"""Those that take the same way as another."""


@pytest.mark.parametrize(
    "what", [pytest.param(what, marks=pytest.mark.long if what in LONG else ()) for what in CHANGES]
)
def test_a_changed_setting_changes_what_it_is_about_and_replaces_nothing_precious(
    prod: Simulated, what: str
) -> None:
    change, expected = CHANGES[what]
    found = prod.changes(change)
    pool = prod.setting("gpuPools")[0]["name"]
    changed = {(step.type.rpartition(":")[2], step.name) for step in found}
    assert changed == {(kind, name.format(pool=pool)) for kind, name in expected}
    assert [step for step in found if step.type in PRECIOUS and "replace" in step.op] == []


def test_a_replacement_of_what_is_precious_is_refused(prod: Simulated) -> None:
    prod.write(set_("aws", "network", "cidr", to="10.99.0.0/16"))
    done = prod.engine("preview")
    assert done.returncode != 0
    assert "protect" in done.stderr + done.stdout
