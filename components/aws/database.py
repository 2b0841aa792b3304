"""RDS for PostgreSQL 17: keys, nodes, models and metrics.

Costs the instance class, twice with a standby (db.m7g.large: about 290 USD a month), and 0.12 USD a GiB and
month, twice as well. Deleted, every key and its usage are gone, and no gateway learns a new one: known keys
go on working until a gateway restarts. The last snapshot and the key that encrypts it stay, and a new
database can be made from them.
"""

from collections.abc import Collection
from dataclasses import dataclass

import pulumi
from pulumi_aws import cloudwatch, rds

from components.aws.account import Account
from components.aws.data_tier import DataTier
from components.aws.database_parameters import FAMILY, parameters
from components.aws.documents import allow, document
from components.aws.key import Key, KeyArgs
from components.aws.protection import protects
from components.service import ADMINISTRATOR, Store, VaultSecret
from stacks import aws
from stacks.regions import database_authorities
from stacks.stores import DatabaseSettings

PORT = 5432
AUTHORITY = "rds-ca-rsa2048-g1"
"""Who signs the server's certificate."""
LOGS = ("postgresql", "upgrade")
LOG_DAYS = 30
INSIGHTS_DAYS = 7
"""What costs nothing."""


@dataclass(frozen=True)
class DatabaseArgs:
    """What the database needs."""

    settings: aws.DatabaseSettings
    server: DatabaseSettings
    """The server's own parameters, the same as for a container."""
    account: Account
    tier: DataTier
    password: pulumi.Input[str]
    """Of the role ``ollamamax``, which the migrations make."""
    allow_replace: Collection[str] = ()
    """The names of protected resources that the stack gives free."""


class Database(pulumi.ComponentResource):
    """One PostgreSQL server, with a standby in another zone where settings say so."""

    def __init__(self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ollamamax:aws:Database", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self._args = args
        settings = args.settings
        identifier = args.account.prefix
        protected = protects(name, args.allow_replace)
        log_names = [f"/aws/rds/instance/{identifier}/{log}" for log in LOGS]
        self._key = key = Key(
            name,
            KeyArgs(
                args.account,
                "The database, its backups, logs and administrator's password",
                log_names,
                args.allow_replace,
                retain=True,
            ),
            child,
        )
        subnets = rds.SubnetGroup(name, subnet_ids=args.tier.subnet_ids, opts=child)
        server = rds.ParameterGroup(
            name,
            family=FAMILY,
            parameters=[
                rds.ParameterGroupParameterArgs(name=parameter, value=value, apply_method=method)
                for parameter, (value, method) in sorted(parameters(args.server).items())
            ],
            opts=child,
        )
        logs = [
            cloudwatch.LogGroup(
                f"{name}-{log}",
                name=log_name,
                retention_in_days=LOG_DAYS,
                kms_key_id=key.arn,
                opts=child,
            )
            for log, log_name in zip(LOGS, log_names, strict=True)
        ]
        self._instance = rds.Instance(
            name,
            identifier=identifier,
            engine="postgres",
            engine_version="17",
            # A release past its end would go on, at a price of its own, instead of being upgraded.
            engine_lifecycle_support="open-source-rds-extended-support-disabled",
            auto_minor_version_upgrade=True,
            instance_class=settings.instance_class,
            multi_az=settings.multi_az,
            parameter_group_name=server.name,
            port=PORT,
            ca_cert_identifier=AUTHORITY,
            publicly_accessible=False,
            db_subnet_group_name=subnets.name,
            vpc_security_group_ids=[args.tier.admit(name, PORT, "PostgreSQL", child)],
            username=ADMINISTRATOR,
            manage_master_user_password=True,
            master_user_secret_kms_key_id=key.arn,
            storage_type="gp3",
            allocated_storage=settings.storage_gib,
            max_allocated_storage=settings.max_storage_gib,
            storage_encrypted=True,
            kms_key_id=key.arn,
            backup_retention_period=settings.backup_days,
            backup_window="02:00-03:00",
            maintenance_window="sun:03:30-sun:04:30",
            copy_tags_to_snapshot=True,
            delete_automated_backups=False,
            deletion_protection=protected,
            skip_final_snapshot=False,
            # The key is new whenever the database is, and so no earlier snapshot has this name.
            final_snapshot_identifier=key.arn.apply(
                lambda arn: f"{identifier}-final-{arn.rpartition('/')[2]}"
            ),
            performance_insights_enabled=True,
            performance_insights_kms_key_id=key.arn,
            performance_insights_retention_period=INSIGHTS_DAYS,
            enabled_cloudwatch_logs_exports=list(LOGS),
            # RDS would make the log groups itself, unencrypted and kept for ever.
            opts=pulumi.ResourceOptions(parent=self, protect=protected, depends_on=logs),
        )
        self.register_outputs({"host": self._instance.address})

    @property
    def store(self) -> Store:
        """What the pool and the migrations connect to."""
        return Store(
            host=self._instance.address,
            port=PORT,
            outside=self._args.tier.outside(PORT),
            password=self._args.password,
            ca_certificate=database_authorities()[self._args.account.region],
            admin=VaultSecret(self._instance.master_user_secrets[0].secret_arn, "password"),
        )

    @property
    def admin_policy(self) -> pulumi.Output[str]:
        """IAM policy, JSON, of who reads the administrator's password: the migrations."""
        secret = self._instance.master_user_secrets[0].secret_arn
        return document(
            allow(["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"], [secret]),
            allow(["kms:Decrypt"], [self._key.arn]),
        )
