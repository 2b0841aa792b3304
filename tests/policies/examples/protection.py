"""Protection of what can't be made again."""

from policies.protection import CACHE, DATABASES, LOAD_BALANCERS, PRECIOUS
from tests.policies.examples import fails, passes, thing

INSTANCE = DATABASES[0]
SWITCHES = {
    **dict.fromkeys((*DATABASES, "aws:eks/cluster:Cluster"), "deletionProtection"),
    **dict.fromkeys(LOAD_BALANCERS, "enableDeletionProtection"),
    "aws:dynamodb/table:Table": "deletionProtectionEnabled",
}

EXAMPLES = [
    *(
        example
        for kind in PRECIOUS
        for example in (
            fails("blast-radius", thing(kind), says="it is not protected"),
            passes("blast-radius", thing(kind, "it", {"protect": True})),
            passes("blast-radius", thing(kind), config={"allowReplace": [kind]}),
            passes("blast-radius", thing(kind), config={"allowReplace": ["it"]}),
            passes("blast-radius", thing(kind), config={"allowReplace": ["*"]}),
            passes(
                "blast-radius", thing(kind), config={"allowReplace": [f"urn:pulumi:dev::demo::{kind}::it"]}
            ),
        )
    ),
    fails("blast-radius", thing(INSTANCE), says="it is not protected", config={"allowReplace": [CACHE]}),
    *(
        example
        for kind, switch in SWITCHES.items()
        for example in (
            fails("deletion-protection", thing(kind), says=f"{switch} is not true"),
            fails("deletion-protection", thing(kind, **{switch: False}), says=f"{switch} is not true"),
            passes("deletion-protection", thing(kind, **{switch: True})),
            passes("deletion-protection", thing(kind), config={"allowReplace": ["it"]}),
        )
    ),
    *(
        example
        for kind in DATABASES
        for example in (
            fails("final-snapshot", thing(kind, skipFinalSnapshot=True), says="skipFinalSnapshot is true"),
            fails("final-snapshot", thing(kind), says="finalSnapshotIdentifier is not set"),
            passes("final-snapshot", thing(kind, finalSnapshotIdentifier="last")),
            fails("backups", thing(kind, backupRetentionPeriod=3), says="is 3 days, less than 7"),
            fails("backups", thing(kind), says="backupRetentionPeriod is 0 days"),
            fails("backups", thing(kind, backupRetentionPeriod=7), says="less than 14", config={"days": 14}),
            passes("backups", thing(kind, backupRetentionPeriod=7)),
        )
    ),
    fails("backups", thing(CACHE), says="snapshotRetentionLimit is 0 days, less than 1"),
    passes("backups", thing(CACHE, snapshotRetentionLimit=1)),
    fails("multi-zone", thing(INSTANCE, multiAz=False), says="multiAz is not true"),
    fails("multi-zone", thing(CACHE, multiAzEnabled=True), says="automaticFailoverEnabled is not true"),
    passes("multi-zone", thing(INSTANCE, multiAz=True)),
    passes("multi-zone", thing(CACHE, multiAzEnabled=True, automaticFailoverEnabled=True)),
    fails(
        "deletion-window", thing("aws:kms/key:Key", deletionWindowInDays=7), says="is 7", config={"days": 14}
    ),
    fails(
        "deletion-window",
        thing("aws:secretsmanager/secret:Secret", recoveryWindowInDays=0),
        says="recoveryWindowInDays is 0, less than 7",
    ),
    passes("deletion-window", thing("aws:kms/key:Key")),
    passes("deletion-window", thing("aws:secretsmanager/secret:Secret", recoveryWindowInDays=30)),
]
