"""Protection of what can't be made again: blast radius, deletion, backups, the loss of a zone."""

from collections.abc import Iterator

from policies.rule import ALLOW_REPLACE, Resource, rule
from policies.values import UNKNOWN

DATABASES = ("aws:rds/instance:Instance", "aws:rds/cluster:Cluster")
CACHE = "aws:elasticache/replicationGroup:ReplicationGroup"
LOAD_BALANCERS = ("aws:lb/loadBalancer:LoadBalancer", "aws:alb/loadBalancer:LoadBalancer")
PRECIOUS = (
    *DATABASES,
    *LOAD_BALANCERS,
    CACHE,
    "aws:dynamodb/table:Table",
    "aws:ebs/volume:Volume",
    "aws:efs/fileSystem:FileSystem",
    "aws:eks/cluster:Cluster",
    "aws:eks/nodeGroup:NodeGroup",
    "aws:elasticache/serverlessCache:ServerlessCache",
    "aws:kms/key:Key",
    "aws:route53/zone:Zone",
    "aws:s3/bucket:Bucket",
    "cloudflare:index/zone:Zone",
    "kubernetes:karpenter.sh/v1:NodePool",
)
"""What holds data, or takes the platform down when it is replaced."""


@rule(
    "blast-radius",
    why="A small edit can ask the cloud for a replacement, which deletes data or the whole platform first.",
    remedy="Set protect=True in its options. To replace or delete it on purpose, name it in "
    "the stack's setting policy.allowReplace (this rule's allowReplace), for that one change.",
    on=PRECIOUS,
    settings=ALLOW_REPLACE,
)
def blast_radius(found: Resource) -> Iterator[str]:
    """No data store, cluster, node pool, key, zone or load balancer is replaced or deleted unnoticed."""
    if not found.protect and not found.given_free:
        yield "it is not protected"


@rule(
    "deletion-protection",
    why="It holds against the console and scripts, too, which know nothing of the stack's own protection.",
    remedy="Set deletionProtection (enableDeletionProtection, deletionProtectionEnabled) to true, unless the "
    "stack's setting policy.allowReplace (this rule's allowReplace) names it.",
    on=(*DATABASES, *LOAD_BALANCERS, "aws:eks/cluster:Cluster", "aws:dynamodb/table:Table"),
    settings=ALLOW_REPLACE,
)
def deletion_protection(found: Resource) -> Iterator[str]:
    """The cloud itself refuses to delete databases, clusters and load balancers."""
    switch = "deletionProtection"
    if found.type in LOAD_BALANCERS:
        switch = "enableDeletionProtection"
    elif found.type == "aws:dynamodb/table:Table":
        switch = "deletionProtectionEnabled"
    if not found.props.get(switch) and not found.given_free:
        yield f"{switch} is not true"


@rule(
    "final-snapshot",
    why="Without one, deleting the database deletes the only copy of today's data.",
    remedy="Leave out skipFinalSnapshot and set finalSnapshotIdentifier.",
    on=DATABASES,
)
def final_snapshot(found: Resource) -> Iterator[str]:
    """A database that is deleted leaves a snapshot."""
    if found.props.get("skipFinalSnapshot") is True:
        yield "skipFinalSnapshot is true"
    elif not found.props.get("finalSnapshotIdentifier"):
        yield "finalSnapshotIdentifier is not set: its deletion would fail"


@rule(
    "backups",
    why="A mistake is often found days later; by then a short history is gone.",
    remedy="Set backupRetentionPeriod (snapshotRetentionLimit) to at least this rule's setting days.",
    on=(*DATABASES, CACHE),
    settings={"days": {"type": "integer", "default": 7}, "cacheDays": {"type": "integer", "default": 1}},
)
def backups(found: Resource) -> Iterator[str]:
    """Databases can be restored to any point of the last week, caches to yesterday's."""
    cache = found.type == CACHE
    key, least = ("snapshotRetentionLimit", "cacheDays") if cache else ("backupRetentionPeriod", "days")
    days = found.props.get(key) or 0
    if days < found.config[least]:
        yield f"{key} is {days} days, less than {found.config[least]}"


@rule(
    "multi-zone",
    why="Zones fail as a whole; a standby elsewhere takes over within a minute.",
    remedy="Set multiAz to true; for a cache, automaticFailoverEnabled and multiAzEnabled.",
    on=("aws:rds/instance:Instance", CACHE),
)
def multi_zone(found: Resource) -> Iterator[str]:
    """Data stores survive the loss of a zone."""
    for switch in ("automaticFailoverEnabled", "multiAzEnabled") if found.type == CACHE else ("multiAz",):
        if not found.props.get(switch):
            yield f"{switch} is not true"


@rule(
    "deletion-window",
    why="A deleted key or secret is lost to everything that it encrypted or opened; the window is the way "
    "back.",
    remedy="Leave out the window (30 days), or make it at least this rule's setting days.",
    on=("aws:kms/key:Key", "aws:secretsmanager/secret:Secret"),
    settings={"days": {"type": "integer", "default": 7}},
)
def deletion_window(found: Resource) -> Iterator[str]:
    """Deleted keys and secrets can be taken back for some days."""
    for key in ("deletionWindowInDays", "recoveryWindowInDays"):
        days = found.props.get(key)
        if days is not None and days is not UNKNOWN and days < found.config["days"]:
            yield f"{key} is {days}, less than {found.config['days']}"
