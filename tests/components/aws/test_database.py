"""RDS in the graph, and what the platform connects to."""

import json
from collections.abc import Mapping
from typing import Any

import pulumi

from components.aws.account import Account
from components.aws.database import Database, DatabaseArgs
from components.service import Store
from stacks import aws
from stacks.stores import DatabaseSettings
from tests.components.aws.conftest import TIER
from tests.components.conftest import Graph, record_of, strings

INSTANCE = "aws:rds/instance:Instance::database"
KEY = "aws:kms/key:Key::database-key"
HOST = "ollamamax-prod.abc.eu-central-1.rds.amazonaws.com"
ADMIN_SECRET = "arn:aws:secretsmanager:::secret:rds!db-1"
KEY_ARN = "arn:aws:kms:eu-central-1:444455556666:key/11-22"
MADE: dict[str, dict[str, Any]] = {
    "database": {"address": HOST, "masterUserSecrets": [{"secretArn": ADMIN_SECRET}]},
    "database-key": {"arn": KEY_ARN},
}


def database(**changed: Any) -> tuple[Graph, dict[str, Any]]:
    """Return the graph of a database, and what its properties came to."""
    settled: dict[str, Any] = {}

    def build() -> None:
        args = {
            "settings": aws.DatabaseSettings(),
            "server": DatabaseSettings(),
            "account": Account("prod", "444455556666", "eu-central-1"),
            "tier": TIER,
            "password": pulumi.Output.secret("password-of-the-role"),
            **changed,
        }
        made = Database("database", DatabaseArgs(**args))
        settled["store"] = made.store
        assert made.store.admin is not None
        pulumi.Output.all(host=made.store.host, admin=made.store.admin.arn, policy=made.admin_policy).apply(
            settled.update
        )

    return record_of(build, "prod", MADE), settled


def instance(graph: Graph) -> Mapping[str, Any]:
    return graph[INSTANCE].inputs


def test_only_the_cluster_reaches_it() -> None:
    graph, _ = database()
    (rule,) = graph.of_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    assert rule.inputs["referencedSecurityGroupId"] == "sg-cluster"
    assert (rule.inputs["fromPort"], rule.inputs["toPort"]) == (5432, 5432)
    assert "cidrIpv4" not in rule.inputs
    assert instance(graph)["publiclyAccessible"] is False
    assert graph["aws:rds/subnetGroup:SubnetGroup::database"].inputs["subnetIds"] == ["subnet-1", "subnet-2"]


def test_data_and_passwords_are_encrypted_with_a_key_of_its_own() -> None:
    inputs = instance(database()[0])
    assert inputs["storageEncrypted"] is True
    assert inputs["kmsKeyId"] == inputs["masterUserSecretKmsKeyId"] == KEY_ARN
    assert inputs["performanceInsightsKmsKeyId"] == KEY_ARN
    assert inputs["manageMasterUserPassword"] is True
    assert "password" not in inputs


def test_a_deleted_database_leaves_a_snapshot_and_backups_that_can_be_read() -> None:
    graph, _ = database()
    inputs = instance(graph)
    assert inputs["skipFinalSnapshot"] is False
    assert inputs["finalSnapshotIdentifier"] == "ollamamax-prod-final-11-22"
    assert inputs["deleteAutomatedBackups"] is False
    assert graph[KEY].retain_on_delete


def test_nothing_deletes_or_replaces_it_without_an_explicit_word() -> None:
    graph, _ = database()
    assert graph[INSTANCE].protect
    assert instance(graph)["deletionProtection"] is True
    freed, _ = database(allow_replace=["database"])
    assert not freed[INSTANCE].protect
    assert instance(freed)["deletionProtection"] is False
    assert freed[KEY].protect


def test_its_logs_are_encrypted_and_not_kept_for_ever() -> None:
    graph, _ = database()
    groups = graph.of_type("aws:cloudwatch/logGroup:LogGroup")
    exported = instance(graph)["enabledCloudwatchLogsExports"]
    assert {group.inputs["name"] for group in groups} == {
        f"/aws/rds/instance/ollamamax-prod/{log}" for log in exported
    }
    assert {group.inputs["retentionInDays"] for group in groups} == {30}
    assert {group.inputs["kmsKeyId"] for group in groups} == {KEY_ARN}
    assert {group.key for group in groups} <= {*graph[INSTANCE].depends_on}


def test_the_settings_reach_the_instance() -> None:
    settings = aws.DatabaseSettings(
        instance_class="db.t4g.medium", multi_az=False, storage_gib=20, max_storage_gib=100, backup_days=7
    )
    inputs = instance(database(settings=settings)[0])
    assert inputs["instanceClass"] == "db.t4g.medium"
    assert inputs["multiAz"] is False
    assert (inputs["allocatedStorage"], inputs["maxAllocatedStorage"]) == (20, 100)
    assert inputs["backupRetentionPeriod"] == 7
    assert instance(database()[0])["multiAz"] is True


def test_the_parameters_of_the_platform_reach_the_server() -> None:
    graph, _ = database(server=DatabaseSettings(max_connections=200, shared_buffers_mib=2048))
    group = graph["aws:rds/parameterGroup:ParameterGroup::database"].inputs
    found = {one["name"]: one["value"] for one in group["parameters"]}
    assert group["family"] == "postgres17"
    assert found["max_connections"] == "207"
    assert found["shared_buffers"] == "262144"


def test_the_platform_connects_over_checked_tls() -> None:
    _, settled = database()
    store = settled["store"]
    assert isinstance(store, Store)
    assert settled["host"] == HOST
    assert store.outside.networks == ("10.80.250.0/24", "10.80.251.0/24")
    assert store.port == store.outside.port == 5432
    assert str(store.ca_certificate).startswith("-----BEGIN CERTIFICATE-----\n")


def test_the_migrations_may_read_the_administrators_password_and_no_other() -> None:
    _, settled = database()
    assert settled["admin"] == ADMIN_SECRET
    read, decrypt = json.loads(settled["policy"])["Statement"]
    assert read["Resource"] == [ADMIN_SECRET]
    assert decrypt["Resource"] == [KEY_ARN]


def test_the_role_s_password_goes_to_no_resource() -> None:
    graph, _ = database()
    assert "password-of-the-role" not in {text for one in graph.values() for text in strings(one.inputs)}
