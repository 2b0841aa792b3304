"""What the simulated cloud refuses: each kind of mistake, in the words in which it is told."""

from __future__ import annotations

import re
from typing import Any

import pytest

from engine.values import UNKNOWN
from tests.engine.providers.harness import Failed, Plugin
from tests.engine.simulated.conftest import CLOUDFLARE

ROLE = {"roleArn": "arn:aws:iam::111111111111:role/eks"}
SUBNETS = {"vpcConfig": {"subnetIds": ["subnet-of-the-network"]}}
NODES = {
    "clusterName": UNKNOWN, "nodeRoleArn": UNKNOWN, "subnetIds": [UNKNOWN],
    "scalingConfig": {"desiredSize": 1, "minSize": 1, "maxSize": 1},
}  # fmt: skip
DB = {"instanceClass": "db.m7g.large"}
CACHE = {"description": "results"}

MISTAKES: list[tuple[str, dict[str, Any], str]] = [
    # names, types and required-ness, from the SDK
    ("aws:ec2/vpc:Vpc", {"cidr_blok": "10.0.0.0/16"}, "cidr_blok is no input; did you mean cidr_block?"),
    ("aws:ec2/vpc:Vpc", {"cidrBlok": "10.0.0.0/16"}, "cidrBlok is no input; did you mean cidrBlock?"),
    ("aws:ec2/vpc:Vpc", {"zzz": 1}, "zzz is no input"),
    ("aws:ec2/subnet:Subnet", {}, "vpcId is missing"),
    ("aws:ec2/vpc:Vpc", {"enableDnsSupport": "yes"}, "enableDnsSupport must be true or false, not str"),
    ("aws:ec2/vpc:Vpc", {"ipv4NetmaskLength": True}, "ipv4NetmaskLength must be a whole number, not bool"),
    ("aws:ec2/vpc:Vpc", {"tags": ["a"]}, "tags must be a map, not list"),
    ("aws:ec2/vpc:Vpc", {"tags": {"a": 1}}, "tags.a must be text, not int"),
    ("aws:elasticache/subnetGroup:SubnetGroup", {"subnetIds": "a"}, "subnetIds must be a list, not str"),
    (
        "aws:eks/cluster:Cluster", {**ROLE, "vpcConfig": {"subnet_idz": []}},
        "vpcConfig.subnet_idz is no input; did you mean subnet_ids?; vpcConfig.subnetIds is missing",
    ),
    (
        "aws:eks/nodeGroup:NodeGroup", {**NODES, "taints": [{"key": "a"}]},
        "taints[0].effect is missing",
    ),
    # words, patterns, lengths and ranges, from the API's models
    (
        "aws:eks/cluster:Cluster", {**ROLE, **SUBNETS, "accessConfig": {"authenticationMode": "APY"}},
        'accessConfig.authenticationMode "APY" is none of API, API_AND_CONFIG_MAP, CONFIG_MAP',
    ),
    (
        "aws:eks/cluster:Cluster", {**ROLE, **SUBNETS, "enabledClusterLogTypes": ["api", "audits"]},
        'enabledClusterLogTypes[1] "audits" is none of api, audit, authenticator, controllerManager, '
        "scheduler; did you mean audit?",
    ),
    (
        "aws:eks/cluster:Cluster", {**ROLE, **SUBNETS, "name": "not a name"},
        r'name "not a name" does not match ^[0-9A-Za-z][A-Za-z0-9\-_]*',
    ),
    (
        "aws:iam/role:Role", {"assumeRolePolicy": "{}", "name": "r" * 65},
        "name has 65 characters, more than 64",
    ),
    (
        "aws:iam/role:Role", {"assumeRolePolicy": "{}", "maxSessionDuration": 60},
        "maxSessionDuration 60 is less than 3600",
    ),
    (
        "aws:eks/nodeGroup:NodeGroup",
        {**NODES, "scalingConfig": {"desiredSize": 0, "minSize": 0, "maxSize": 0}},
        "scalingConfig.maxSize 0 is less than 1",
    ),
    (
        "aws:lb/targetGroup:TargetGroup", {"protocol": "TCP_UDPP", "port": 70_000},
        "port 70000 is more than 65535; "
        'protocol "TCP_UDPP" is none of HTTP, HTTPS, TCP, TLS, UDP, TCP_UDP, GENEVE, QUIC, TCP_QUIC; '
        "did you mean TCP_UDP?",
    ),
    (
        "aws:lb/targetGroup:TargetGroup", {"healthCheck": {"interval": 1, "protocol": "TPC"}},
        "healthCheck.interval 1 is less than 5; "
        'healthCheck.protocol "TPC" is none of HTTP, HTTPS, TCP, TLS, UDP, TCP_UDP, GENEVE, QUIC, TCP_QUIC',
    ),
    (
        "aws:eks/nodeGroup:NodeGroup", {**NODES, "taints": [{"key": "gpu", "effect": "NoSchedule"}]},
        'taints[0].effect "NoSchedule" is none of NO_SCHEDULE, NO_EXECUTE, PREFER_NO_SCHEDULE',
    ),
    (
        "aws:elasticache/replicationGroup:ReplicationGroup", {**CACHE, "transitEncryptionMode": "on"},
        'transitEncryptionMode "on" is none of preferred, required',
    ),
    (
        "aws:route53/record:Record", {"zoneId": UNKNOWN, "name": "api", "type": "ALIAS", "ttl": -1},
        'ttl -1 is less than 0; type "ALIAS" is none of SOA, A, TXT, NS, CNAME, MX, NAPTR, PTR, SRV, SPF, '
        "AAAA, CAA, DS, TLSA, SSHFP, SVCB, HTTPS",
    ),
    (
        "aws:budgets/budget:Budget",
        {"budgetType": "COST", "timeUnit": "MONTHLY", "notifications": [{
            "comparisonOperator": "MORE_THAN", "notificationType": "ACTUAL", "threshold": 90.5,
            "thresholdType": "PERCENTAGE",
        }]},
        'notifications[0].comparisonOperator "MORE_THAN" is none of GREATER_THAN, LESS_THAN, EQUAL_TO',
    ),
    (
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        {"bucket": UNKNOWN, "rules": [{"id": "old", "status": "On"}]},
        'rules[0].status "On" is none of Enabled, Disabled',
    ),
    (
        "aws:cloudfront/cachePolicy:CachePolicy", {"parametersInCacheKeyAndForwardedToOrigin": {
            "cookiesConfig": {"cookieBehavior": "some"}, "headersConfig": {"headerBehavior": "none"},
            "queryStringsConfig": {"queryStringBehavior": "none"},
        }},
        'parametersInCacheKeyAndForwardedToOrigin.cookiesConfig.cookieBehavior "some" is none of none, '
        "whitelist, allExcept, all",
    ),
    # what AWS says in prose alone
    ("aws:ec2/vpc:Vpc", {"tags": {"aws:a": "b"}}, 'tags: the key "aws:a" does not match (?!aws:).*'),
    ("aws:ec2/vpc:Vpc", {"tags": {"a": "b" * 257}}, "tags.a has 257 characters, more than 256"),
    ("aws:ec2/vpc:Vpc", {"tags": {str(n): "" for n in range(51)}}, "tags has 51 tags, more than 50"),
    (
        "aws:cloudwatch/logGroup:LogGroup", {"retentionInDays": 31},
        "retentionInDays 31 is none of 0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, "
        "1096, 1827, 2192, 2557, 2922, 3288, 3653",
    ),
    ("aws:kms/key:Key", {"deletionWindowInDays": 5}, "deletionWindowInDays 5 is less than 7"),
    ("aws:kms/alias:Alias", {"targetKeyId": UNKNOWN, "name": "data"}, 'name "data" does not match alias/'),
    (
        "aws:secretsmanager/secret:Secret", {"recoveryWindowInDays": 3},
        "recoveryWindowInDays 3 is less than 7",
    ),
    ("aws:s3/bucket:Bucket", {"bucket": "My_Bucket"}, 'bucket "My_Bucket" does not match'),
    (
        "aws:rds/instance:Instance", {**DB, "backupRetentionPeriod": 36},
        "backupRetentionPeriod 36 is more than 35",
    ),
    (
        "aws:rds/instance:Instance", {**DB, "maintenanceWindow": "sunday"},
        'maintenanceWindow "sunday" is not ddd:hh:mm-ddd:hh:mm',
    ),
    (
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        {"securityGroupId": UNKNOWN, "ipProtocol": "tcp", "fromPort": 443, "toPort": 65_536},
        "toPort 65536 is more than 65535",
    ),
    ("aws:ec2/vpc:Vpc", {"cidrBlock": "10.0.0.0/8"}, 'cidrBlock "10.0.0.0/8" is not between /16 and /28'),
    (
        "aws:ec2/vpc:Vpc", {"cidrBlock": "10.0.0.1/16"},
        'cidrBlock "10.0.0.1/16" is no CIDR block: it has host bits set',
    ),
    (
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        {"securityGroupId": UNKNOWN, "ipProtocol": "tcp", "cidrIpv4": "192.0.2.1"},
        'cidrIpv4 "192.0.2.1" is no CIDR block: write 192.0.2.1/32',
    ),
    (
        "aws:iam/role:Role", {"assumeRolePolicy": "{"},
        'assumeRolePolicy "{" is no JSON: Expecting property name enclosed in double quotes',
    ),
    # tables: instance types, regions, zones
    (
        "aws:eks/nodeGroup:NodeGroup", {**NODES, "instanceTypes": ["g6.xlarge", "g6.xlarg"]},
        'instanceTypes[1] "g6.xlarg" is no instance type of EC2; did you mean g6.xlarge?',
    ),
    (
        "aws:ec2/launchTemplate:LaunchTemplate", {"instanceType": "p9.huge"},
        'instanceType "p9.huge" is no instance type of EC2',
    ),
    (
        "aws:rds/instance:Instance", {"instanceClass": "m7g.large"},
        'instanceClass "m7g.large" is no db.TYPE.SIZE that is built on an EC2 type; '
        "did you mean db.m7g.large?",
    ),
    (
        "aws:elasticache/replicationGroup:ReplicationGroup", {**CACHE, "nodeType": "cache.m7g.hug"},
        'nodeType "cache.m7g.hug" is no cache.TYPE.SIZE that is built on an EC2 type',
    ),
    (
        "aws:ec2/vpc:Vpc", {"region": "eu-centrl-1"},
        'region "eu-centrl-1" is no region; did you mean eu-central-1?',
    ),
    (
        "aws:ec2/subnet:Subnet", {"vpcId": UNKNOWN, "availabilityZone": "us-east-1a"},
        'availabilityZone "us-east-1a" is no zone of eu-central-1; zones are named eu-central-1a, '
        "eu-central-1b and so on",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("token", "inputs", "problem"), MISTAKES, ids=[re.split(r"[;:]", problem)[0] for *_, problem in MISTAKES]
)
def test_a_mistake_is_told_with_path_value_and_limit(
    plugin: Plugin, token: str, inputs: dict[str, Any], problem: str
) -> None:
    with pytest.raises(Failed) as refused:
        plugin.check(token, inputs)
    assert str(refused.value).startswith(f'{token} "x": {problem}')


def test_all_mistakes_of_a_resource_are_told_at_once(plugin: Plugin) -> None:
    given = {
        "name": "no name", "roleArn": 7, "version": "latest", "upgradePolicy": {"supportType": "ANY"},
        "vpcConfig": {"subnetIds": ["subnet-0123456789abcdef0"], "endpointPublicAccess": "no"},
    }  # fmt: skip
    with pytest.raises(Failed) as refused:
        plugin.check("aws:eks/cluster:Cluster", given)
    assert str(refused.value).split("; ") == [
        r'aws:eks/cluster:Cluster "x": name "no name" does not match ^[0-9A-Za-z][A-Za-z0-9\-_]*',
        "roleArn must be text, not int",
        'upgradePolicy.supportType "ANY" is none of STANDARD, EXTENDED',
        r'version "latest" does not match 1\.\d\d',
        "vpcConfig.endpointPublicAccess must be true or false, not str",
        'vpcConfig.subnetIds "subnet-0123456789abcdef0": the simulated cloud has no such thing',
        "if it is made elsewhere, list it in simulated:existing",
    ]


def test_what_is_not_known_yet_is_not_judged(plugin: Plugin) -> None:
    given = {"roleArn": UNKNOWN, "vpcConfig": UNKNOWN, "accessConfig": {"authenticationMode": UNKNOWN}}
    assert plugin.check("aws:eks/cluster:Cluster", given).items() >= given.items()


def test_a_type_that_the_sdk_does_not_have_is_refused(plugin: Plugin) -> None:
    with pytest.raises(Failed, match=r"^aws:ec2/vpc:Vpcs is no resource type of the installed pulumi-aws$"):
        plugin.check("aws:ec2/vpc:Vpcs", {})
    with pytest.raises(
        Failed, match=r"^aws:nothing/vpc:Vpc is no resource type of the installed pulumi-aws$"
    ):
        plugin.check("aws:nothing/vpc:Vpc", {})


@CLOUDFLARE
def test_cloudflare_is_checked_against_its_sdk_and_the_words_of_its_documentation(cloudflare: Plugin) -> None:
    record = "cloudflare:index/dnsRecord:DnsRecord"
    assert cloudflare.check(
        record, {"name": "api", "ttl": 1, "type": "A", "zoneId": "z", "content": "192.0.2.1"}
    )
    with pytest.raises(Failed) as refused:
        cloudflare.check(record, {"name": "api", "ttl": "1", "type": "ALIAS", "zone": "z"})
    assert str(refused.value) == (
        f'{record} "x": ttl must be a number, not str; type "ALIAS" is none of A, AAAA, CNAME, MX, NS, '
        "OPENPGPKEY, PTR, TXT, CAA, CERT, DNSKEY, DS, HTTPS, LOC, NAPTR, SMIMEA, SRV, SSHFP, SVCB, TLSA, "
        "URI; zone is no input; did you mean zoneId?; zoneId is missing"
    )
    ruleset = {"kind": "zone", "name": "cache", "phase": "http_request_cache_setting", "zoneId": "z"}
    with pytest.raises(Failed, match=r"did you mean http_request_cache_settings\?$"):
        cloudflare.check("cloudflare:index/ruleset:Ruleset", ruleset)
