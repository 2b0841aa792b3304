"""ElastiCache for Valkey: the gateways' second cache, and the bus on which they tell each other of changes.

Costs the node type, once for the primary and once for each replica (a cache.m7g.large about 115 USD a month).
Deleted, or away, no request fails: gateways answer from their own memory and learn of new keys and models by
asking the database, later than by a message.
"""

from collections.abc import Collection
from dataclasses import dataclass

import pulumi
from pulumi_aws import cloudwatch, elasticache, secretsmanager

from components.aws.account import Account
from components.aws.data_tier import DataTier
from components.aws.key import Key, KeyArgs
from components.aws.protection import protects
from components.service import Store
from stacks.aws import CacheSettings

PORT = 6379
FAMILY = "valkey8"
VERSION = "8.1"
PARAMETERS = {"maxmemory-policy": "allkeys-lru", "tcp-keepalive": "60"}
"""As ``templates/redis`` has them; how much memory there is and for how many clients is AWS's to say."""
LOGS = ("engine-log", "slow-log")
LOG_DAYS = 14
RECOVERY_DAYS = 7
"""How long the deleted secret can still be taken back, days."""


@dataclass(frozen=True)
class ValkeyArgs:
    """What the cache needs."""

    settings: CacheSettings
    account: Account
    tier: DataTier
    password: pulumi.Input[str]
    """16 to 128 letters and digits."""
    allow_replace: Collection[str] = ()
    """The names of protected resources that the stack gives free."""


class Valkey(pulumi.ComponentResource):
    """One shard; its replicas stand in other zones, and one of them takes over from a lost primary."""

    def __init__(self, name: str, args: ValkeyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ollamamax:aws:Valkey", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self._args = args
        identifier = args.account.prefix
        survives = args.settings.replicas > 0
        # What AWS delivers to this path needs no entry in the account's one resource policy.
        log_names = {log: f"/aws/vendedlogs/elasticache/{identifier}/{log}" for log in LOGS}
        key = Key(
            name,
            KeyArgs(
                args.account,
                "The cache, its logs and its password",
                list(log_names.values()),
                args.allow_replace,
            ),
            child,
        )
        subnets = elasticache.SubnetGroup(
            name, description="Data subnets", subnet_ids=args.tier.subnet_ids, opts=child
        )
        server = elasticache.ParameterGroup(
            name,
            family=FAMILY,
            description="OllamaMax: a cache",
            parameters=[
                elasticache.ParameterGroupParameterArgs(name=parameter, value=value)
                for parameter, value in sorted(PARAMETERS.items())
            ],
            opts=child,
        )
        logs = {
            log: cloudwatch.LogGroup(
                f"{name}-{log}",
                name=log_name,
                retention_in_days=LOG_DAYS,
                kms_key_id=key.arn,
                opts=child,
            )
            for log, log_name in log_names.items()
        }
        secret = secretsmanager.Secret(
            name,
            # A name is taken for as long as the deleted secret can be taken back.
            name_prefix=f"{identifier}/cache-",
            description="Password of the cache, for people and tools; the gateways have it already",
            kms_key_id=key.arn,
            recovery_window_in_days=RECOVERY_DAYS,
            opts=child,
        )
        secretsmanager.SecretVersion(name, secret_id=secret.id, secret_string=args.password, opts=child)
        self._group = elasticache.ReplicationGroup(
            name,
            replication_group_id=identifier,
            description="OllamaMax: the cache",
            engine="valkey",
            engine_version=VERSION,
            auto_minor_version_upgrade=True,
            node_type=args.settings.node_type,
            num_cache_clusters=1 + args.settings.replicas,
            automatic_failover_enabled=survives,
            multi_az_enabled=survives,
            parameter_group_name=server.name,
            port=PORT,
            subnet_group_name=subnets.name,
            security_group_ids=[args.tier.admit(name, PORT, "Valkey", child)],
            transit_encryption_enabled=True,
            transit_encryption_mode="required",
            auth_token=args.password,
            # Gateways that still have the old password go on until they are replaced.
            auth_token_update_strategy="ROTATE",  # noqa: S106 - a word of the API
            at_rest_encryption_enabled=True,
            kms_key_id=key.arn,
            snapshot_retention_limit=1,
            snapshot_window="01:00-02:00",
            maintenance_window="sun:02:30-sun:03:30",
            log_delivery_configurations=[
                elasticache.ReplicationGroupLogDeliveryConfigurationArgs(
                    destination=logs[log].name,
                    destination_type="cloudwatch-logs",
                    log_format="json",
                    log_type=log,
                )
                for log in LOGS
            ],
            opts=pulumi.ResourceOptions(parent=self, protect=protects(name, args.allow_replace)),
        )
        self.register_outputs({"host": self._group.primary_endpoint_address})

    @property
    def store(self) -> Store:
        """What the gateways connect to. Its certificate is signed by Amazon's public authority."""
        return Store(
            host=self._group.primary_endpoint_address,
            port=PORT,
            outside=self._args.tier.outside(PORT),
            password=self._args.password,
        )
