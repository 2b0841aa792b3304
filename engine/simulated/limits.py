"""Limits that AWS documents in prose alone: its API models do not hold them.

`PROSE` has them by resource type and property, or by the name that a property has wherever it occurs. Each
is a shape, in the form of a model's, or a function. Where there is one, the model's own is not asked.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import re
from collections.abc import Callable, Collection
from typing import Any

from engine.simulated import api


def _number(low: int, high: int, *also: int) -> dict[str, Any]:
    return {"type": "integer", "min": low, "max": high, "also": also}


def _text(pattern: str, longest: int = 255) -> dict[str, Any]:
    return {"type": "string", "pattern": pattern, "max": longest}


def _one_of(*words: Any) -> dict[str, Any]:
    return {"type": "integer" if isinstance(words[0], int) else "string", "enum": words}


def near(word: str, words: Collection[str]) -> str:
    """Return `; did you mean this?` where one of the words is close enough."""
    close = difflib.get_close_matches(word, words, 1, 0.75)
    return f"; did you mean {close[0]}?" if close else ""


def _zone(value: str, region: str) -> str:
    known = re.fullmatch(rf"{re.escape(region)}(-[a-z]+-\d)?[a-z]", value)
    return "" if known else f"is no zone of {region}; zones are named {region}a, {region}b and so on"


def _region(value: str, _: str) -> str:
    known = api.partitions()
    return "" if value in known else f"is no region{near(value, known)}"


def _instance_type(value: str, _: str) -> str:
    known = api.instance_types()
    return "" if value in known else f"is no instance type of EC2{near(value, known)}"


def _node_type(prefix: str) -> Callable[[str, str], str]:
    def rule(value: str, _: str) -> str:
        known = [f"{prefix}.{one}" for one in api.instance_types()] + [f"{prefix}.serverless"]
        bare = re.sub(r"\.tpc\d\.mem\dx$", "", value)
        return (
            ""
            if bare in known
            else f"is no {prefix}.TYPE.SIZE that is built on an EC2 type{near(value, known)}"
        )

    return rule


def _cidr(value: str, _: str) -> str:
    try:
        ipaddress.ip_network(value)
    except ValueError as error:
        reason = str(error).removeprefix(f"'{value}' ").removeprefix(f"{value} ")
        return f"is no CIDR block: it {reason}"
    return "" if "/" in value else f"is no CIDR block: write {value}/{'128' if ':' in value else '32'}"


def _block(value: str, region: str) -> str:
    """Check the CIDR block of a VPC or subnet."""
    problem = _cidr(value, region)
    if not problem and not 16 <= ipaddress.ip_network(value).prefixlen <= 28:
        problem = "is not between /16 and /28"
    return problem


def _json(value: str, _: str) -> str:
    try:
        json.loads(value)
    except ValueError as error:
        return f"is no JSON: {error}"
    return ""


def _matching(pattern: str, words: str) -> Callable[[str, str], str]:
    return lambda value, _: "" if re.fullmatch(pattern, value, re.IGNORECASE) else f"is not {words}"


TAGS = {"max": 50}
TAG_KEY = {"type": "string", "min": 1, "max": 128, "pattern": "(?!aws:).*"}
TAG_VALUE = {"type": "string", "max": 256}

_HYPHENATED = "[a-zA-Z](-?[a-zA-Z0-9])*"
_BALANCED = _text("(?!internal-)[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?", 32)
_DAILY = r"([01]\d|2[0-3]):[0-5]\d"
_WEEKLY = f"(mon|tue|wed|thu|fri|sat|sun):{_DAILY}"
_MONTHS = [31 * month for month in range(1, 24)]

PROSE: dict[str, Any] = {
    "assumeRolePolicy": _json,
    "availabilityZone": _zone,
    "availabilityZones": _zone,
    "backupWindow": _matching(f"{_DAILY}-{_DAILY}", "hh:mm-hh:mm"),
    "budgets:Budget.timePeriodEnd": _text(r"\d{4}-\d\d-\d\d_\d\d:\d\d"),
    "budgets:Budget.timePeriodStart": _text(r"\d{4}-\d\d-\d\d_\d\d:\d\d"),
    "cidrBlock": _cidr,
    "cidrBlocks": _cidr,
    "cidrIpv4": _cidr,
    "cidrIpv6": _cidr,
    "cloudwatch:LogGroup.retentionInDays": _one_of(
        0,
        1,
        3,
        5,
        7,
        14,
        30,
        60,
        90,
        120,
        150,
        180,
        365,
        400,
        545,
        731,
        1096,
        1827,
        2192,
        2557,
        2922,
        3288,
        3653,
    ),
    "destinationCidrBlock": _cidr,
    "destinationIpv6CidrBlock": _cidr,
    "ec2:SecurityGroup.description": _text(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]*"),
    "ec2:SecurityGroup.name": _text(r"(?!sg-)[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]*"),
    "ec2:Subnet.cidrBlock": _block,
    "ec2:Vpc.cidrBlock": _block,
    "eks:Cluster.computeConfig.nodePools": _one_of("general-purpose", "system"),
    "eks:Cluster.encryptionConfig.resources": _one_of("secrets"),
    "eks:Cluster.version": _text(r"1\.\d\d"),
    "elasticache:ReplicationGroup.authToken": {"type": "string", "min": 16, "max": 128},
    "elasticache:ReplicationGroup.engine": _one_of("redis", "valkey"),
    "elasticache:ReplicationGroup.numCacheClusters": _number(1, 6),
    "elasticache:ReplicationGroup.replicasPerNodeGroup": _number(0, 5),
    "elasticache:ReplicationGroup.replicationGroupId": _text(_HYPHENATED, 40),
    "elasticache:ReplicationGroup.snapshotRetentionLimit": _number(0, 35),
    "eventPattern": _json,
    "filterPolicy": _json,
    "fromPort": _number(0, 65_535, -1),
    "instanceClass": _node_type("db"),
    "instanceType": _instance_type,
    "instanceTypes": _instance_type,
    "ipv6CidrBlock": _cidr,
    "ipv6CidrBlocks": _cidr,
    "kms:Alias.name": _text("alias/(?!aws/)[a-zA-Z0-9/_-]+", 256),
    "kms:Key.deletionWindowInDays": _number(7, 30),
    "lb:Listener.tcpIdleTimeoutSeconds": _number(60, 6000),
    "lb:LoadBalancer.clientKeepAlive": _number(60, 604_800),
    "lb:LoadBalancer.dnsRecordClientRoutingPolicy": _one_of(
        "any_availability_zone", "availability_zone_affinity", "partial_availability_zone_affinity"
    ),
    "lb:LoadBalancer.idleTimeout": _number(1, 4000),
    "lb:LoadBalancer.name": _BALANCED,
    "lb:TargetGroup.deregistrationDelay": _number(0, 3600),
    "lb:TargetGroup.loadBalancingAlgorithmType": _one_of(
        "round_robin", "least_outstanding_requests", "weighted_random"
    ),
    "lb:TargetGroup.name": _BALANCED,
    "lb:TargetGroup.slowStart": _number(30, 900, 0),
    "maintenanceWindow": _matching(f"{_WEEKLY}-{_WEEKLY}", "ddd:hh:mm-ddd:hh:mm"),
    "nodeType": _node_type("cache"),
    "policy": _json,
    "preferredCacheClusterAzs": _zone,
    "publicAccessCidrs": _cidr,
    "rds:Instance.allocatedStorage": _number(5, 65_536),
    "rds:Instance.backupRetentionPeriod": _number(0, 35),
    "rds:Instance.engineLifecycleSupport": _one_of(
        "open-source-rds-extended-support", "open-source-rds-extended-support-disabled"
    ),
    "rds:Instance.identifier": _text(_HYPHENATED, 63),
    "rds:Instance.monitoringInterval": _one_of(0, 1, 5, 10, 15, 30, 60),
    "rds:Instance.networkType": _one_of("IPV4", "DUAL"),
    "rds:Instance.performanceInsightsRetentionPeriod": _one_of(7, *_MONTHS, 731),
    "rds:Instance.port": _number(1150, 65_535),
    "rds:Instance.storageType": _one_of("gp2", "gp3", "io1", "io2", "standard"),
    "redrivePolicy": _json,
    "region": _region,
    "s3:Bucket.bucket": _text(r"(?!xn--|\d+\.\d+\.\d+\.\d+$)[a-z0-9]([a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]", 63),
    "s3:BucketVersioning.versioningConfiguration.status": _one_of("Enabled", "Suspended", "Disabled"),
    "secretsmanager:Secret.recoveryWindowInDays": _number(7, 30, 0),
    "serviceIpv4Cidr": _cidr,
    "snapshotWindow": _matching(f"{_DAILY}-{_DAILY}", "hh:mm-hh:mm"),
    "sqs:Queue.delaySeconds": _number(0, 900),
    "sqs:Queue.messageRetentionSeconds": _number(60, 1_209_600),
    "sqs:Queue.receiveWaitTimeSeconds": _number(0, 20),
    "sqs:Queue.visibilityTimeoutSeconds": _number(0, 43_200),
    "toPort": _number(0, 65_535, -1),
}
"""By `AREA:NAME.PATH` or the last name of the path. `also` are numbers that are good outside of the range."""
