"""Encryption of what is stored."""

from collections.abc import Iterator

from policies.rule import Resource, rule
from policies.values import dig, items, may_be, uncertain

EBS_DRIVERS = ("ebs.csi.aws.com", "ebs.csi.eks.amazonaws.com")


@rule(
    "database-encryption",
    why="Snapshots and replicas of an unencrypted database are unencrypted too, and encryption can't be "
    "added without replacing it.",
    remedy="Set storageEncrypted to true and kmsKeyId to the stack's key.",
    on=("aws:rds/instance:Instance", "aws:rds/cluster:Cluster"),
)
def database_encryption(found: Resource) -> Iterator[str]:
    """Every database is encrypted with a KMS key."""
    if not found.props.get("storageEncrypted"):
        yield "storageEncrypted is not true"
    if not found.props.get("kmsKeyId"):
        yield "kmsKeyId is not set"


@rule(
    "cache-encryption",
    why="A cache holds prompts and answers: on its disks, in its snapshots and on the wire.",
    remedy="Set atRestEncryptionEnabled and transitEncryptionEnabled to true, and kmsKeyId to the stack's "
    "key.",
    on=("aws:elasticache/replicationGroup:ReplicationGroup",),
)
def cache_encryption(found: Resource) -> Iterator[str]:
    """Every cache is encrypted on disk, with a KMS key, and on the wire."""
    for switch in ("atRestEncryptionEnabled", "transitEncryptionEnabled"):
        if not may_be(found.props.get(switch), True, "true"):
            yield f"{switch} is not true"
    if not found.props.get("kmsKeyId"):
        yield "kmsKeyId is not set"


@rule(
    "cluster-secrets-encryption",
    why="Without the stack's own key, whoever gets at the cluster's etcd reads every Secret.",
    remedy="Set encryptionConfig with resources [secrets] and provider.keyArn.",
    on=("aws:eks/cluster:Cluster",),
)
def cluster_secrets_encryption(found: Resource) -> Iterator[str]:
    """A cluster encrypts its Secrets with a KMS key."""
    config = found.props.get("encryptionConfig")
    resources = dig(config, "resources")
    covered = uncertain(resources) or "secrets" in items(resources)
    if not (covered and dig(config, "provider", "keyArn")):
        yield "encryptionConfig does not cover secrets with a key"


@rule(
    "registry-encryption",
    why="Access to the stack's own key can be taken from whoever should no longer pull images.",
    remedy="Set encryptionConfigurations with encryptionType KMS and kmsKey.",
    on=("aws:ecr/repository:Repository",),
)
def registry_encryption(found: Resource) -> Iterator[str]:
    """Every image repository is encrypted with a KMS key."""
    given = found.props.get("encryptionConfigurations")
    kinds = [dig(one, "encryptionType") for one in items(given)]
    if not uncertain(given) and not any(may_be(kind, "KMS", "KMS_DSSE") for kind in kinds):
        yield "encryptionConfigurations names no KMS key"


@rule(
    "disk-encryption",
    why="Disks and their snapshots outlive the machine that wrote them.",
    remedy="Set encrypted to true (parameters.encrypted to 'true' in a StorageClass).",
    on=(
        "aws:ebs/volume:Volume",
        "aws:efs/fileSystem:FileSystem",
        "aws:ec2/launchTemplate:LaunchTemplate",
        "aws:ec2/instance:Instance",
        "kubernetes:storage.k8s.io/v1:StorageClass",
    ),
)
def disk_encryption(found: Resource) -> Iterator[str]:
    """Every disk is encrypted."""
    props = found.props
    if found.type in ("aws:ebs/volume:Volume", "aws:efs/fileSystem:FileSystem"):
        disks = {found.name: props.get("encrypted")}
    elif found.type == "kubernetes:storage.k8s.io/v1:StorageClass":
        ours = props.get("provisioner") in EBS_DRIVERS
        disks = {"of its volumes": dig(props, "parameters", "encrypted")} if ours else {}
    elif found.type == "aws:ec2/instance:Instance":
        given = [props.get("rootBlockDevice") or {}, *items(props.get("ebsBlockDevices"))]
        disks = {str(dig(one, "deviceName") or "root"): dig(one, "encrypted") for one in given}
    else:
        mappings = items(props.get("blockDeviceMappings"))
        disks = {
            str(dig(one, "deviceName")): dig(one, "ebs", "encrypted") for one in mappings if dig(one, "ebs")
        }
    for disk, encrypted in disks.items():
        if not may_be(encrypted, True, "true"):
            yield f"disk {disk} is not encrypted"


@rule(
    "log-encryption",
    why="Logs name clients, models and, when something goes wrong, what was sent.",
    remedy="Set kmsKeyId to the stack's key.",
    on=("aws:cloudwatch/logGroup:LogGroup",),
)
def log_encryption(found: Resource) -> Iterator[str]:
    """Every log group is encrypted with a KMS key."""
    if not found.props.get("kmsKeyId"):
        yield "kmsKeyId is not set"


@rule(
    "log-retention",
    why="Logs that are kept for ever cost more every month, and data protection law limits their life.",
    remedy="Set retentionInDays.",
    on=("aws:cloudwatch/logGroup:LogGroup",),
)
def log_retention(found: Resource) -> Iterator[str]:
    """Every log group has an end to how long it keeps logs."""
    if not found.props.get("retentionInDays"):
        yield "retentionInDays is not set: logs are kept for ever"


@rule(
    "message-encryption",
    why="Alarms and events pass through topics and queues, and wait in them.",
    remedy="Set kmsMasterKeyId (for a queue, sqsManagedSseEnabled is enough).",
    on=("aws:sns/topic:Topic", "aws:sqs/queue:Queue"),
)
def message_encryption(found: Resource) -> Iterator[str]:
    """Every topic and queue is encrypted."""
    if not (found.props.get("kmsMasterKeyId") or found.props.get("sqsManagedSseEnabled")):
        yield "kmsMasterKeyId is not set"


@rule(
    "secret-encryption",
    why="With the stack's own key, reading a secret needs two permissions, and each use is logged.",
    remedy="Set kmsKeyId to the stack's key.",
    on=("aws:secretsmanager/secret:Secret",),
)
def secret_encryption(found: Resource) -> Iterator[str]:
    """Every secret in the secret store is encrypted with the stack's own key."""
    if not found.props.get("kmsKeyId"):
        yield "kmsKeyId is not set"


@rule(
    "key-rotation",
    why="Rotation limits how much a leaked key opens.",
    remedy="Set enableKeyRotation to true.",
    on=("aws:kms/key:Key",),
)
def key_rotation(found: Resource) -> Iterator[str]:
    """Every KMS key that encrypts is rotated."""
    spec = found.props.get("customerMasterKeySpec") or "SYMMETRIC_DEFAULT"
    if spec == "SYMMETRIC_DEFAULT" and not found.props.get("enableKeyRotation"):
        yield "enableKeyRotation is not true"
