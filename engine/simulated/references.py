"""Who names whom: what an input names must be there, and what is named must not go."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from engine.simulated.cloud import Cloud, Thing, texts
from engine.values import UNKNOWN, Properties

_ID = re.compile(r"(acl|dopt|eipalloc|eni|fl|igw|lt|nat|rtb|rtbassoc|sg|sgr|subnet|vpc|vpce)-[0-9a-f]{8,}")
_OTHERS = re.compile(r"arn:.*:(root$|role/aws-service-role/|role/aws-reserved/)|.*[*$?]")
"""What is there although nobody made it, or stands for many."""

_NAMED = {
    "clusterName": ("eks:.*", "aws:eks/cluster:Cluster"),
    "bucket": ("s3:(?!Bucket$).*", "aws:s3/bucket:Bucket"),
    "dbSubnetGroupName": ("rds:.*", "aws:rds/subnetGroup:SubnetGroup"),
    "origins.originAccessControlId": (
        "cloudfront:.*", "aws:cloudfront/originAccessControl:OriginAccessControl",
    ),
    "parameterGroupName": ("(rds|elasticache):.*", "aws:{}/parameterGroup:ParameterGroup"),
    "repository": ("ecr:.*", "aws:ecr/repository:Repository"),
    "role": ("iam:.*", "aws:iam/role:Role"),
    "subnetGroupName": ("elasticache:.*", "aws:elasticache/subnetGroup:SubnetGroup"),
    "targetKeyId": ("kms:.*", "aws:kms/key:Key"),
    "userGroupIds": ("elasticache:.*", "aws:elasticache/userGroup:UserGroup"),
    "userIds": ("elasticache:.*", "aws:elasticache/user:User"),
    "zoneId": ("route53:.*", "aws:route53/zone:Zone"),
}  # fmt: skip
"""Inputs that hold a name: in which kinds, and the type that they name."""

_ELSEWHERE = ("principalArn",)
"""Inputs that hold the roles of people, which no stack makes."""

_GIVEN = re.compile(r"default([.:-].*)?")
"""Names of what AWS has made: `default.postgres17`."""

_IN_USE = {
    "acm/certificate:Certificate": ("ResourceInUseException", "lb/listener|cloudfront/distribution"),
    "cloudfront/cachePolicy:CachePolicy": ("CachePolicyInUse", "cloudfront/distribution"),
    "cloudfront/originAccessControl:OriginAccessControl": (
        "OriginAccessControlInUse", "cloudfront/distribution",
    ),
    "cloudfront/originRequestPolicy:OriginRequestPolicy": (
        "OriginRequestPolicyInUse", "cloudfront/distribution",
    ),
    "cloudfront/responseHeadersPolicy:ResponseHeadersPolicy": (
        "ResponseHeadersPolicyInUse", "cloudfront/distribution",
    ),
    "ec2/eip:Eip": ("InvalidIPAddress.InUse", "ec2/natGateway|lb/loadBalancer"),
    "ec2/routeTable:RouteTable": ("DependencyViolation", "ec2/routeTableAssociation"),
    "ec2/securityGroup:SecurityGroup": ("DependencyViolation", r"(?!(vpc|ec2)/.*#securityGroupId$)"),
    "ec2/subnet:Subnet": (
        "DependencyViolation",
        "ec2/(natGateway|vpcEndpoint|instance|networkInterface)|eks/(cluster|nodeGroup)|lb/loadBalancer",
    ),
    "ec2/vpc:Vpc": (
        "DependencyViolation",
        "ec2/(subnet|securityGroup|internetGateway|routeTable|vpcEndpoint|networkAcl|networkInterface):",
    ),
    "eks/cluster:Cluster": ("ResourceInUseException", "eks/(nodeGroup|fargateProfile)"),
    "elasticache/parameterGroup:ParameterGroup": ("InvalidCacheParameterGroupState", "elasticache/repl"),
    "elasticache/subnetGroup:SubnetGroup": ("CacheSubnetGroupInUse", "elasticache/replicationGroup"),
    "elasticache/user:User": ("InvalidUserState", "elasticache/userGroup"),
    "elasticache/userGroup:UserGroup": ("InvalidUserGroupState", "elasticache/replicationGroup"),
    "iam/policy:Policy": ("DeleteConflict", "iam/.*#policyArn$"),
    "iam/role:Role": ("DeleteConflict", "iam/(rolePolicy|rolePolicyAttachment|instanceProfile):.*#role$"),
    "lb/targetGroup:TargetGroup": ("ResourceInUse", "lb/listener"),
    "rds/parameterGroup:ParameterGroup": ("InvalidDBParameterGroupState", "rds/instance"),
    "rds/subnetGroup:SubnetGroup": ("InvalidDBSubnetGroupStateFault", "rds/instance"),
    "route53/zone:Zone": ("HostedZoneNotEmpty", "route53/record"),
    "wafv2/webAcl:WebAcl": ("WAFAssociatedItemException", "cloudfront/distribution|wafv2/webAclAssociation"),
}  # fmt: skip
"""What AWS does not delete while it is in use: its error, and who keeps it, `TYPE#PROPERTY`."""

_PROTECTED = ("deletionProtection", "deletionProtectionEnabled", "enableDeletionProtection")


def dangling(cloud: Cloud, kind: str, account: str, inputs: Properties) -> Iterator[str]:
    """Yield the inputs of a resource of `AREA:NAME` that name what neither is there nor is planned."""
    for path, text in texts(inputs):
        if text == UNKNOWN or path in _ELSEWHERE:
            continue
        kinds, type_ = _NAMED.get(path, ("", ""))
        if re.fullmatch(kinds, kind) and not _GIVEN.fullmatch(text):
            type_ = type_.format(kind.partition(":")[0])
            there = (text in (one.id, *map(one.outputs.get, ("arn", "name"))) for one in cloud.of(type_))
            planned = (text in names for kind, _, *names in list(cloud.claims) if kind == type_)
            if text not in cloud.existing and not any(there) and not any(planned):
                yield _told(path, text, f"{type_.rpartition(':')[2]} of that name")
        elif _ID.fullmatch(text) or _own_arn(text, account):
            if not cloud.knows(text):
                yield _told(path, text, "such thing")
        elif path.lower().endswith("policy") and text.startswith("{"):
            for arn in _principals(text):
                if _own_arn(arn, account) and not cloud.knows(arn):
                    yield _told(f"{path}: the principal", arn, "such thing")


def hindrance(cloud: Cloud, thing: Thing) -> str:
    """Return why AWS would not delete a thing, empty when it would."""
    if held := [name for name in _PROTECTED if thing.outputs.get(name) is True]:
        return f"{held[0]} is on; turn it off first"
    snapped = thing.inputs.get("skipFinalSnapshot") or "finalSnapshotIdentifier" in thing.inputs
    if thing.type == "aws:rds/instance:Instance" and not snapped:
        return "finalSnapshotIdentifier is missing; name a last snapshot, or set skipFinalSnapshot"
    code, keepers = _IN_USE.get(thing.type.removeprefix("aws:"), ("", ""))
    names = {thing.id, thing.outputs.get("arn")}
    users = [
        one.urn for one in cloud.things for path, text in texts(one.inputs)
        if code and text in names and one.urn != thing.urn
        and re.match(keepers, f"{one.type.removeprefix('aws:')}#{path}")
    ]  # fmt: skip
    return (
        f"{code}: {', '.join(sorted(set(users)))} {'use' if len(set(users)) > 1 else 'uses'} it"
        if users
        else ""
    )


def _told(path: str, text: str, what: str) -> str:
    way_out = "if it is made elsewhere, list it in simulated:existing"
    return f"{path} {json.dumps(text)}: the simulated cloud has no {what}; {way_out}"


def _own_arn(text: str, account: str) -> bool:
    return bool(re.match(rf"arn:[\w-]+:[\w-]+:[\w-]*:{account}:", text)) and not _OTHERS.match(text)


def _principals(policy: str) -> Iterator[str]:
    """Yield the ARNs that a policy names as principals."""
    try:
        statements = json.loads(policy).get("Statement", [])
    except (ValueError, AttributeError):
        return
    for statement in statements if isinstance(statements, list) else [statements]:
        yield from (arn for path, arn in texts(statement) if path in ("Principal.AWS", "Principal.Federated"))
