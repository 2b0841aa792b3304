"""Who names whom in the simulated AWS: what is named must be there, and what is in use must not go."""

from __future__ import annotations

import re
from typing import Any

import pytest

from engine.values import UNKNOWN
from tests.engine.providers.harness import Failed, Plugin
from tests.engine.simulated.catalogue import CATALOGUE, Made, policy
from tests.engine.simulated.conftest import Aws

NOTHING = "the simulated cloud has no such thing; if it is made elsewhere, list it in simulated:existing"
OWN = "arn:aws:iam::123456789012"
SUBNET = "aws:ec2/subnet:Subnet"


@pytest.mark.parametrize(
    ("token", "inputs", "problem"),
    [
        (
            SUBNET, {"vpcId": "vpc-0123456789abcdef0", "cidrBlock": "10.0.0.0/20"},
            f'vpcId "vpc-0123456789abcdef0": {NOTHING}',
        ),
        (
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            {"role": UNKNOWN, "policyArn": f"{OWN}:policy/mine"},
            f'policyArn "{OWN}:policy/mine": {NOTHING}',
        ),
        (
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            {"role": "nobody", "policyArn": "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"},
            'role "nobody": the simulated cloud has no Role of that name',
        ),
        (
            "aws:iam/role:Role", {"assumeRolePolicy": policy(AWS=f"{OWN}:role/nobody")},
            f'assumeRolePolicy: the principal "{OWN}:role/nobody": {NOTHING}',
        ),
        (
            "aws:eks/addon:Addon", {"clusterName": "none", "addonName": "coredns"},
            'clusterName "none": the simulated cloud has no Cluster of that name',
        ),
        (
            "aws:s3/bucketPolicy:BucketPolicy", {"bucket": "none", "policy": "{}"},
            'bucket "none": the simulated cloud has no Bucket of that name',
        ),
        (
            "aws:rds/instance:Instance", {"instanceClass": "db.m7g.large", "dbSubnetGroupName": "none"},
            'dbSubnetGroupName "none": the simulated cloud has no SubnetGroup of that name',
        ),
        (
            "aws:route53/record:Record", {"zoneId": "Z0", "name": "api", "type": "A"},
            'zoneId "Z0": the simulated cloud has no Zone of that name',
        ),
    ],
)  # fmt: skip
def test_what_is_named_must_be_there(
    plugin: Plugin, token: str, inputs: dict[str, Any], problem: str
) -> None:
    with pytest.raises(Failed) as refused:
        plugin.check(token, inputs)
    assert str(refused.value).startswith(f'{token} "x": {problem}')


def test_what_is_nobody_s_or_of_others_may_be_named(plugin: Plugin) -> None:
    for arn in (
        "arn:aws:iam::aws:policy/ReadOnlyAccess", "arn:aws:iam::999999999999:policy/theirs",
        f"{OWN}:policy/*", UNKNOWN,
    ):  # fmt: skip
        plugin.check("aws:iam/rolePolicyAttachment:RolePolicyAttachment", {"role": UNKNOWN, "policyArn": arn})
    for principal in (f"{OWN}:root", f"{OWN}:role/aws-service-role/eks.amazonaws.com/Nodes"):
        plugin.check("aws:iam/role:Role", {"assumeRolePolicy": policy(AWS=principal)})
    given = {"instanceClass": "db.m7g.large", "parameterGroupName": "default.postgres17"}
    plugin.check("aws:rds/instance:Instance", given)


def test_what_is_made_elsewhere_is_listed(aws: Aws) -> None:
    plugin = aws("vpc-0123456789abcdef0", f"{OWN}:role/admins", "shared")
    plugin.check(SUBNET, {"vpcId": "vpc-0123456789abcdef0", "cidrBlock": "10.0.0.0/20"})
    plugin.check(
        "aws:eks/accessEntry:AccessEntry", {"clusterName": "shared", "principalArn": f"{OWN}:role/admins"}
    )


def test_parts_of_what_is_there_are_there(made: Made) -> None:
    outputs = made.make("cluster", "vpc").outputs
    inner = outputs["cluster"]["vpcConfig"]["clusterSecurityGroupId"]
    for group in (inner, outputs["vpc"]["defaultSecurityGroupId"]):
        given = {"securityGroupId": group, "ipProtocol": "-1"}
        made.plugin.check("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", given)


def test_a_plan_may_name_what_it_makes_itself(plugin: Plugin) -> None:
    role = plugin.check("aws:iam/role:Role", {"assumeRolePolicy": "{}"}, name="role")
    plugin.check("aws:iam/rolePolicy:RolePolicy", {"role": role["name"], "policy": "{}"})


@pytest.mark.parametrize(
    ("first", "told"),
    [
        ("role", r'name "role-\w+"'), ("cluster", r'name "cluster-\w+"'), ("db", 'identifier "ollamamax"'),
        ("images", r'name "images-\w+"'), ("bucket", r'bucket "bucket-\w+"'),
        ("logs", 'name "/aws/vpc/flows"'),
        ("nodes", r'clusterName "cluster-\w+", nodeGroupName "nodes-\w+"'),
        ("bucket-policy", r'bucket "bucket-\w+"'), ("group", r'name "group-\w+", vpcId "vpc-\w+"'),
    ],
)  # fmt: skip
def test_a_name_is_taken_once(made: Made, first: str, told: str) -> None:
    made.make(first)
    token, inputs = CATALOGUE[first][0], made.inputs[first]
    with pytest.raises(Failed) as refused:
        made.plugin.check(token, inputs, name="second")
    owner = re.escape(made.plugin.urn(token, first))
    assert re.fullmatch(f'{token} "second": {told}: {owner} has it already', str(refused.value))
    with pytest.raises(Failed, match="has it already"):
        made.plugin.create(token, inputs, "second")


def test_two_of_one_plan_cannot_have_one_name(plugin: Plugin) -> None:
    repository = "aws:ecr/repository:Repository"
    plugin.check(repository, {"name": "gateway"}, name="a")
    assert plugin.check(repository, {"name": "gateway"}, name="a"), "the same one, asked again"
    with pytest.raises(Failed, match=rf'name "gateway": {plugin.urn(repository, "a")} has it already$'):
        plugin.check(repository, {"name": "gateway"}, name="b")
    assert plugin.check(repository, {"name": "gateway", "region": "eu-west-1"}, name="b")
    for name in ("a", "b"):
        plugin.check("aws:iam/role:Role", {"name": f"{name}-role", "assumeRolePolicy": "{}"}, name=name)


def test_a_subnet_lies_in_its_vpc_and_beside_the_others(made: Made) -> None:
    vpc = made.make("a").ids["vpc"]
    with pytest.raises(Failed, match=rf'cidrBlock "10.1.0.0/20" is not in that of {vpc}, 10.0.0.0/16$'):
        made.plugin.check(SUBNET, {"vpcId": vpc, "cidrBlock": "10.1.0.0/20"})
    with pytest.raises(Failed, match=rf'cidrBlock "10.0.8.0/21" overlaps 10.0.0.0/20 of {made.ids["a"]}$'):
        made.plugin.check(SUBNET, {"vpcId": vpc, "cidrBlock": "10.0.8.0/21"})
    made.plugin.check(SUBNET, {"vpcId": vpc, "cidrBlock": "10.0.16.0/20"})


@pytest.mark.parametrize(
    ("kept", "keeper", "code"),
    [
        ("vpc", "internet", "DependencyViolation"), ("a", "nat", "DependencyViolation"),
        ("group", "endpoint", "DependencyViolation"), ("table", "routed", "DependencyViolation"),
        ("address", "nat", "InvalidIPAddress.InUse"), ("role", "managed", "DeleteConflict"),
        ("policy", "attached", "DeleteConflict"), ("cluster", "nodes", "ResourceInUseException"),
        ("targets", "listener", "ResourceInUse"), ("zone", "proof", "HostedZoneNotEmpty"),
        ("db-subnets", "db", "InvalidDBSubnetGroupStateFault"),
        ("cache-subnets", "cache", "CacheSubnetGroupInUse"),
        ("firewall", "cdn", "WAFAssociatedItemException"),
    ],
)  # fmt: skip
def test_what_is_in_use_is_not_deleted(made: Made, kept: str, keeper: str, code: str) -> None:
    made.make(kept, keeper)
    urn = re.escape(made.plugin.urn(CATALOGUE[keeper][0], keeper))
    with pytest.raises(Failed, match=rf"can't be deleted: {code}: (.*, )?{urn}(, .*)? uses? it$"):
        made.delete(kept)
    for name in reversed(list(made.ids)):
        made.delete(name)


def test_the_rules_of_a_group_do_not_keep_it(made: Made) -> None:
    made.make("ingress").delete("group")


def test_what_is_protected_is_not_deleted(plugin: Plugin) -> None:
    database, given = "aws:rds/instance:Instance", {"instanceClass": "db.m7g.large", "engine": "postgres"}
    id_, outputs = plugin.create(database, {**given, "deletionProtection": True})
    with pytest.raises(Failed, match=r"can't be deleted: deletionProtection is on; turn it off first$"):
        plugin.delete(database, id_, outputs)
    plugin.update(database, id_, outputs, given)
    with pytest.raises(Failed, match="finalSnapshotIdentifier is missing; name a last snapshot"):
        plugin.delete(database, id_, outputs)
    plugin.update(database, id_, outputs, {**given, "skipFinalSnapshot": True})
    plugin.delete(database, id_, outputs)
    assert plugin.read(database, id_, given, outputs) is None
