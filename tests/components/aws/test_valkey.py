"""ElastiCache in the graph, and what the gateways connect to."""

from collections.abc import Mapping
from typing import Any

import pulumi

from components.aws.account import Account
from components.aws.valkey import PARAMETERS, Valkey, ValkeyArgs
from components.rendering import render
from components.service import Store
from stacks.aws import CacheSettings
from tests.components.aws.conftest import TIER
from tests.components.conftest import SECRET, Graph, record_of

GROUP = "aws:elasticache/replicationGroup:ReplicationGroup::cache"
KEY_ARN = "arn:aws:kms:eu-central-1:444455556666:key/11-22"
HOST = "master.ollamamax-prod.abc.euc1.cache.amazonaws.com"
MADE: dict[str, dict[str, Any]] = {"cache": {"primaryEndpointAddress": HOST}, "cache-key": {"arn": KEY_ARN}}


def valkey(**changed: Any) -> tuple[Graph, dict[str, Any]]:
    """Return the graph of a cache, and what its properties came to."""
    settled: dict[str, Any] = {}

    def build() -> None:
        args = {
            "settings": CacheSettings(),
            "account": Account("prod", "444455556666", "eu-central-1"),
            "tier": TIER,
            "password": pulumi.Output.secret("a-password-of-32-letters-or-more"),
            **changed,
        }
        made = Valkey("cache", ValkeyArgs(**args))
        settled["store"] = made.store
        pulumi.Output.all(host=made.store.host).apply(settled.update)

    return record_of(build, "prod", MADE), settled


def group(graph: Graph) -> Mapping[str, Any]:
    return graph[GROUP].inputs


def test_only_the_cluster_reaches_it_over_tls_with_a_password() -> None:
    graph, _ = valkey()
    (rule,) = graph.of_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    assert rule.inputs["referencedSecurityGroupId"] == "sg-cluster"
    assert (rule.inputs["fromPort"], rule.inputs["toPort"]) == (6379, 6379)
    inputs = group(graph)
    assert inputs["transitEncryptionEnabled"] is True
    assert inputs["transitEncryptionMode"] == "required"
    assert inputs["authToken"] == SECRET


def test_data_and_password_are_encrypted_with_a_key_of_its_own() -> None:
    graph, _ = valkey()
    assert group(graph)["atRestEncryptionEnabled"] is True
    assert group(graph)["kmsKeyId"] == KEY_ARN
    assert graph["aws:secretsmanager/secret:Secret::cache"].inputs["kmsKeyId"] == KEY_ARN
    named = graph["aws:secretsmanager/secret:Secret::cache"].inputs
    assert "name" not in named, "a deleted one keeps its name for days: the stack could not be made again"
    assert named["namePrefix"] == "ollamamax-prod/cache-"
    version = graph["aws:secretsmanager/secretVersion:SecretVersion::cache"]
    assert version.inputs["secretString"] == SECRET


def test_a_replica_in_another_zone_takes_over() -> None:
    inputs = group(valkey(settings=CacheSettings(replicas=2))[0])
    assert inputs["numCacheClusters"] == 3
    assert inputs["multiAzEnabled"] is True
    assert inputs["automaticFailoverEnabled"] is True


def test_a_cache_alone_cannot_fail_over() -> None:
    inputs = group(valkey(settings=CacheSettings(replicas=0))[0])
    assert inputs["numCacheClusters"] == 1
    assert inputs["multiAzEnabled"] is False
    assert inputs["automaticFailoverEnabled"] is False


def test_it_behaves_as_the_redis_of_a_container() -> None:
    conf = render("redis/redis.conf.j2", redis={"port": 6379, "max_memory_mib": 1, "max_clients": 1})
    for name, value in PARAMETERS.items():
        assert f"{name} {value}" in conf.splitlines()
    found = valkey()[0]["aws:elasticache/parameterGroup:ParameterGroup::cache"].inputs
    assert {one["name"]: one["value"] for one in found["parameters"]} == PARAMETERS
    assert found["family"] == "valkey8"
    assert group(valkey()[0])["engineVersion"].startswith("8.")


def test_its_logs_are_encrypted_and_not_kept_for_ever() -> None:
    graph, _ = valkey()
    groups = {one.inputs["name"]: one for one in graph.of_type("aws:cloudwatch/logGroup:LogGroup")}
    assert {one["destination"] for one in group(graph)["logDeliveryConfigurations"]} == {*groups}
    assert {one.inputs["retentionInDays"] for one in groups.values()} == {14}
    assert {one.inputs["kmsKeyId"] for one in groups.values()} == {KEY_ARN}


def test_nothing_deletes_or_replaces_it_without_an_explicit_word() -> None:
    assert valkey()[0][GROUP].protect
    assert not valkey(allow_replace=["cache"])[0][GROUP].protect


def test_the_gateways_trust_amazons_public_authority() -> None:
    _, settled = valkey()
    store = settled["store"]
    assert isinstance(store, Store)
    assert settled["host"] == HOST
    assert store.ca_certificate is None
    assert store.port == store.outside.port == 6379
    assert store.outside.networks == ("10.80.250.0/24", "10.80.251.0/24")
