"""Which changes replace a resource of the simulated AWS, and which do not."""

from __future__ import annotations

from typing import Any

import pytest

from engine.simulated.replacement import CHANGED, REMOVED, REPLACED
from engine.simulated.sdk import arguments, inputs, resource
from tests.engine.providers.harness import Plugin
from tests.engine.simulated.catalogue import CATALOGUE, Made

CHANGES: list[tuple[str, dict[str, Any], dict[str, str]]] = [
    # of the cluster, database, cache, node pools and NLB: what is edited every day is changed in place
    ("cluster", {"version": "1.35"}, {"version": "update"}),
    (
        "cluster", {"vpcConfig": {"subnetIds": ["${b.id}"], "endpointPrivateAccess": False}},
        {
            "vpcConfig.endpointPrivateAccess": "update", "vpcConfig.publicAccessCidrs": "delete",
            "vpcConfig.subnetIds[0]": "update", "vpcConfig.subnetIds[1]": "delete",
        },
    ),
    ("cluster", {"enabledClusterLogTypes": ["api"]}, {"enabledClusterLogTypes[1]": "delete"}),
    ("cluster", {"tags": {"a": "b"}}, {"tags": "add"}),
    ("cluster", {"roleArn": "arn:aws:iam::1:role/b"}, {"roleArn": "update-replace"}),
    ("cluster", {"name": "other"}, {"name": "update-replace"}),
    ("cluster", {"encryptionConfig": None}, {"encryptionConfig": "delete-replace"}),
    ("cluster", {"bootstrapSelfManagedAddons": True}, {"bootstrapSelfManagedAddons": "add-replace"}),
    (
        "cluster", {"computeConfig": {"enabled": True, "nodePools": ["system"], "nodeRoleArn": "b"}},
        {"computeConfig.nodeRoleArn": "update-replace"},
    ),
    ("nodes", {"scalingConfig": {"desiredSize": 2, "minSize": 0, "maxSize": 9}},
     {"scalingConfig.desiredSize": "update", "scalingConfig.maxSize": "update"}),
    ("nodes", {"instanceTypes": ["g6.xlarge"]}, {"instanceTypes[1]": "delete-replace"}),
    ("nodes", {"capacityType": "ON_DEMAND"}, {"capacityType": "update-replace"}),
    ("db", {"instanceClass": "db.m7g.xlarge"}, {"instanceClass": "update"}),
    ("db", {"allocatedStorage": 100}, {"allocatedStorage": "update"}),
    ("db", {"engineVersion": "17.7"}, {"engineVersion": "update"}),
    ("db", {"identifier": "other"}, {"identifier": "update"}),  # AWS renames it
    ("db", {"engine": "mysql"}, {"engine": "update-replace"}),
    ("db", {"storageEncrypted": False}, {"storageEncrypted": "update-replace"}),
    ("db", {"kmsKeyId": None}, {"kmsKeyId": "delete-replace"}),
    ("db", {"username": "other"}, {"username": "update-replace"}),
    ("cache", {"nodeType": "cache.m7g.xlarge"}, {"nodeType": "update"}),
    ("cache", {"numCacheClusters": 2}, {"numCacheClusters": "update"}),
    ("cache", {"atRestEncryptionEnabled": False}, {"atRestEncryptionEnabled": "update-replace"}),
    ("cache", {"port": 6380}, {"port": "add-replace"}),
    ("cache", {"userGroupIds": None}, {"userGroupIds": "delete"}),
    ("balancer", {"enableCrossZoneLoadBalancing": False}, {"enableCrossZoneLoadBalancing": "update"}),
    ("balancer", {"subnets": ["${a.id}"]}, {"subnets[1]": "delete-replace"}),
    ("balancer", {"internal": True}, {"internal": "add-replace"}),
    ("targets", {"deregistrationDelay": 60}, {"deregistrationDelay": "update"}),
    ("targets", {"port": 8444}, {"port": "update-replace"}),
    ("listener", {"port": 444}, {"port": "update"}),
    # the rest
    ("vpc", {"cidrBlock": "10.1.0.0/16"}, {"cidrBlock": "update-replace"}),
    ("vpc", {"enableDnsHostnames": False}, {"enableDnsHostnames": "update"}),
    ("a", {"availabilityZone": "eu-central-1c"}, {"availabilityZone": "update-replace"}),
    ("group", {"description": "other"}, {"description": "update-replace"}),
    ("ingress", {"fromPort": 444}, {"fromPort": "update"}),
    ("role", {"maxSessionDuration": 7200}, {"maxSessionDuration": "add"}),
    ("logs", {"retentionInDays": 90}, {"retentionInDays": "update"}),
    ("bucket", {"bucket": "other"}, {"bucket": "update-replace"}),
    ("versions", {"bucket": "other"}, {"bucket": "update-replace"}),
    ("secret-version", {"secretString": "other"}, {"secretString": "update-replace"}),
    ("cache-policy", {"name": "other"}, {"name": "update"}),
    ("origin", {"name": "other"}, {"name": "update"}),
    ("expiry", {"policy": "[]"}, {"policy": "update-replace"}),
    ("key", {"region": "eu-west-1"}, {"region": "add-replace"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "told"), CHANGES)
def test_a_change_is_made_in_place_or_replaces(
    made: Made, name: str, change: dict[str, Any], told: dict[str, str]
) -> None:
    token, old = CATALOGUE[name][0], made.make(name).inputs[name]
    given = {key: value for key, value in {**old, **made.filled(change)}.items() if value is not None}
    assert made.plugin.changes(token, made.outputs[name], old, given) == told


def test_a_name_of_the_program_s_choice_is_freed_before_it_is_taken_again(plugin: Plugin) -> None:
    token, old, new = (
        "aws:iam/role:Role",
        {"assumeRolePolicy": "{}"},
        {"assumeRolePolicy": "{}", "path": "/a/"},
    )
    for named, first in (({"name": "r"}, True), ({"name": "r-1234567", "__defaults": ["name"]}, False)):
        answer = plugin.diff(token, {}, {**old, **named}, {**new, **named})
        assert (list(answer.replaces), answer.deleteBeforeReplace) == (["path"], first)
    other = plugin.diff(token, {}, {**old, "name": "r"}, {**new, "name": "s"})
    assert not other.deleteBeforeReplace
    policy, old = "aws:ecr/lifecyclePolicy:LifecyclePolicy", {"repository": "r", "policy": "{}"}
    assert plugin.diff(policy, {}, old, {"repository": "r", "policy": "[]"}).deleteBeforeReplace
    assert not plugin.diff(policy, {}, old, {"repository": "s", "policy": "{}"}).deleteBeforeReplace


def test_the_table_names_inputs_that_there_are() -> None:
    tokens = {_kind(token): token for token, _ in CATALOGUE.values()}
    for table in (REPLACED, REMOVED, CHANGED):
        for kind, paths in table.items():
            if token := tokens.get(kind.partition(" ")[0]):
                known = inputs(arguments(resource(token)))
                strangers = {path.split(".")[0].removesuffix("[]") for path in paths.split()} - known.keys()
                assert not strangers, f"{kind}: {strangers}"


def _kind(token: str) -> str:
    area, _, name = token.partition(":")[2].partition("/")
    return f"{area}:{name.partition(':')[2]}"
