"""Encryption of what is stored."""

from policies.values import UNKNOWN
from tests.policies.examples import fails, kube, passes, thing

CACHE = "aws:elasticache/replicationGroup:ReplicationGroup"
CLUSTER = "aws:eks/cluster:Cluster"
REPOSITORY = "aws:ecr/repository:Repository"
LOGS = "aws:cloudwatch/logGroup:LogGroup"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
ENCRYPTED = {"atRestEncryptionEnabled": True, "transitEncryptionEnabled": True, "kmsKeyId": UNKNOWN}
KEY = {"keyArn": UNKNOWN}

EXAMPLES = [
    *(
        example
        for kind in ("instance:Instance", "cluster:Cluster")
        for example in (
            fails(
                "database-encryption",
                thing(f"aws:rds/{kind}", kmsKeyId="k"),
                says="storageEncrypted is not true",
            ),
            fails(
                "database-encryption",
                thing(f"aws:rds/{kind}", storageEncrypted=True),
                says="kmsKeyId is not set",
            ),
            passes("database-encryption", thing(f"aws:rds/{kind}", storageEncrypted=True, kmsKeyId=UNKNOWN)),
        )
    ),
    fails(
        "cache-encryption", thing(CACHE, **ENCRYPTED | {"transitEncryptionEnabled": False}), says="transitEnc"
    ),
    fails(
        "cache-encryption", thing(CACHE, transitEncryptionEnabled=True), says="atRestEncryptionEnabled is not"
    ),
    fails("cache-encryption", thing(CACHE, **ENCRYPTED | {"kmsKeyId": None}), says="kmsKeyId is not set"),
    passes("cache-encryption", thing(CACHE, **ENCRYPTED)),
    fails("cluster-secrets-encryption", thing(CLUSTER), says="does not cover secrets with a key"),
    fails(
        "cluster-secrets-encryption",
        thing(CLUSTER, encryptionConfig={"resources": ["other"], "provider": KEY}),
        says="does not cover secrets",
    ),
    passes(
        "cluster-secrets-encryption",
        thing(CLUSTER, encryptionConfig={"resources": ["secrets"], "provider": KEY}),
    ),
    fails("registry-encryption", thing(REPOSITORY), says="names no KMS key"),
    fails(
        "registry-encryption",
        thing(REPOSITORY, encryptionConfigurations=[{"encryptionType": "AES256"}]),
        says="names no KMS key",
    ),
    passes("registry-encryption", thing(REPOSITORY, encryptionConfigurations=[{"encryptionType": "KMS"}])),
    fails("disk-encryption", thing("aws:ebs/volume:Volume"), says="disk it is not encrypted"),
    fails(
        "disk-encryption", thing("aws:efs/fileSystem:FileSystem", encrypted=False), says="is not encrypted"
    ),
    fails(
        "disk-encryption",
        thing(TEMPLATE, blockDeviceMappings=[{"deviceName": "/dev/xvda", "ebs": {"volumeSize": 20}}]),
        says="disk /dev/xvda is not encrypted",
    ),
    fails("disk-encryption", thing("aws:ec2/instance:Instance"), says="disk root is not encrypted"),
    fails(
        "disk-encryption",
        kube(
            "storage.k8s.io/v1:StorageClass",
            provisioner="ebs.csi.eks.amazonaws.com",
            parameters={"type": "gp3"},
        ),
        says="disk of its volumes is not encrypted",
    ),
    passes("disk-encryption", thing("aws:ebs/volume:Volume", encrypted=True)),
    passes("disk-encryption", thing("aws:efs/fileSystem:FileSystem", encrypted=True)),
    passes(
        "disk-encryption",
        thing(TEMPLATE, blockDeviceMappings=[{"deviceName": "/dev/xvda", "ebs": {"encrypted": "true"}}, {}]),
    ),
    passes("disk-encryption", thing("aws:ec2/instance:Instance", rootBlockDevice={"encrypted": True})),
    passes(
        "disk-encryption",
        kube(
            "storage.k8s.io/v1:StorageClass", provisioner="ebs.csi.aws.com", parameters={"encrypted": "true"}
        ),
    ),
    passes("disk-encryption", kube("storage.k8s.io/v1:StorageClass", provisioner="example.org/nfs")),
    fails("log-encryption", thing(LOGS), says="kmsKeyId is not set"),
    passes("log-encryption", thing(LOGS, kmsKeyId=UNKNOWN)),
    fails("log-retention", thing(LOGS), says="logs are kept for ever"),
    fails("log-retention", thing(LOGS, retentionInDays=0), says="logs are kept for ever"),
    passes("log-retention", thing(LOGS, retentionInDays=30)),
    fails("message-encryption", thing("aws:sns/topic:Topic"), says="kmsMasterKeyId is not set"),
    fails("message-encryption", thing("aws:sqs/queue:Queue"), says="kmsMasterKeyId is not set"),
    passes("message-encryption", thing("aws:sns/topic:Topic", kmsMasterKeyId=UNKNOWN)),
    passes("message-encryption", thing("aws:sqs/queue:Queue", sqsManagedSseEnabled=True)),
    fails("secret-encryption", thing("aws:secretsmanager/secret:Secret"), says="kmsKeyId is not set"),
    passes("secret-encryption", thing("aws:secretsmanager/secret:Secret", kmsKeyId=UNKNOWN)),
    fails("key-rotation", thing("aws:kms/key:Key"), says="enableKeyRotation is not true"),
    passes("key-rotation", thing("aws:kms/key:Key", enableKeyRotation=True)),
    passes("key-rotation", thing("aws:kms/key:Key", customerMasterKeySpec="ECC_NIST_P256")),
]
