"""The real form of what AWS makes up: ids, ARNs, endpoints, zones, domain names, defaults of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.simulated import made


@dataclass(frozen=True)
class Form:
    """How the id, the ARN and other outputs of a type look; `unique` inputs are taken once in a region."""

    id: Any
    arn: Any = ""
    unique: tuple[str, ...] = ()
    outputs: Mapping[str, Any] = field(default_factory=dict)


def _arn(service: str, rest: str, region: str = "{region}") -> str:
    return f"arn:{{partition}}:{service}:{region}:{{account}}:{rest}"


def _cdn(id_: str, what: str, unique: tuple[str, ...] = ("name",), **outputs: Any) -> Form:
    return Form(id_, _arn("cloudfront", f"{what}/{{id}}", ""), unique, {"etag": "E{upper:13etag}", **outputs})


def _ec2(id_: str, what: str, unique: tuple[str, ...] = (), **outputs: Any) -> Form:
    return Form(id_, _arn("ec2", f"{what}/{{id}}"), unique, outputs)


_NAME = ("name",)
_MANAGED = {"description": "Managed by Pulumi"}
_ON_BUCKET = Form("{bucket}", unique=("bucket",))
_RULE = _ec2("sgr-0{hex:16}", "security-group-rule", securityGroupRuleId="{id}")

FORMS = {
    "acm:Certificate": Form("{arn}", _arn("acm", "certificate/{uuid}"), outputs={
        "domainValidationOptions": made.validation, "keyAlgorithm": "RSA_2048",
        "renewalEligibility": "INELIGIBLE", "status": "PENDING_VALIDATION", "type": "AMAZON_ISSUED",
    }),
    "acm:CertificateValidation": Form("{certificateArn}"),
    "budgets:Budget": Form("{account}:{name}", _arn("budgets", "budget/{name}", ""), _NAME, {
        "accountId": "{account}",
    }),
    "cloudflare:Zone": Form("{hex:32}", unique=_NAME, outputs={
        "nameServers": ["{lower:4a}.ns.cloudflare.com", "{lower:4b}.ns.cloudflare.com"], "status": "active",
        "type": "full",
    }),
    "cloudfront:CachePolicy": _cdn("{uuid}", "cache-policy"),
    "cloudfront:Distribution": _cdn(
        "E{upper:13}", "distribution", (), callerReference="{digits:20}", status="Deployed",
        domainName="d{lower:13name}.cloudfront.net", hostedZoneId="Z2FDTNDATAQYW2",
    ),
    "cloudfront:Function": _cdn("{name}", "function", liveStageEtag="E{upper:13live}", status="DEPLOYED"),
    "cloudfront:OriginAccessControl": _cdn("E{upper:13}", "origin-access-control"),
    "cloudfront:OriginRequestPolicy": _cdn("{uuid}", "origin-request-policy"),
    "cloudfront:ResponseHeadersPolicy": _cdn("{uuid}", "response-headers-policy"),
    "cloudwatch:EventRule": Form("{name}", _arn("events", "rule/{name}"), _NAME),
    "cloudwatch:LogDelivery": Form("{lower:16}", _arn("logs", "delivery:{id}")),
    "cloudwatch:LogDeliveryDestination": Form("{name}", _arn("logs", "delivery-destination:{name}"), _NAME, {
        "deliveryDestinationType": "S3",
    }),
    "cloudwatch:LogDeliverySource": Form("{name}", _arn("logs", "delivery-source:{name}"), _NAME, {
        "service": "cloudfront",
    }),
    "cloudwatch:LogGroup": Form("{name}", _arn("logs", "log-group:{name}"), _NAME, {
        "logGroupClass": "STANDARD",
    }),
    "cloudwatch:MetricAlarm": Form("{name}", _arn("cloudwatch", "alarm:{name}"), _NAME),
    "ec2:DefaultSecurityGroup": Form(made.default_group, _arn("ec2", "security-group/{id}"), ("vpcId",), {
        "description": "default VPC security group", "name": "default",
    }),
    "ec2:Eip": _ec2(
        "eipalloc-0{hex:16}", "elastic-ip", allocationId="{id}", domain="vpc", networkBorderGroup="{region}",
        publicDns=made.public_name, publicIp=made.public_ip, publicIpv4Pool="amazon",
    ),
    "ec2:FlowLog": _ec2("fl-0{hex:16}", "vpc-flow-log"),
    "ec2:InternetGateway": _ec2("igw-0{hex:16}", "internet-gateway"),
    "ec2:LaunchTemplate": _ec2("lt-0{hex:16}", "launch-template", _NAME, defaultVersion=1, latestVersion=1),
    "ec2:NatGateway": Form("nat-0{hex:16}", outputs={
        "associationId": "eipassoc-0{hex:16}", "availabilityMode": "zonal", "connectivityType": "public",
        "networkInterfaceId": "eni-0{hex:16}", "privateIp": made.private_ip, "publicIp": made.nat_ip,
        "vpcId": made.vpc,
    }),
    "ec2:NetworkAcl": _ec2("acl-0{hex:16}", "network-acl"),
    "ec2:Route": Form("r-{routeTableId}{digits:10}", outputs={"origin": "CreateRoute", "state": "active"}),
    "ec2:RouteTable": _ec2("rtb-0{hex:16}", "route-table"),
    "ec2:RouteTableAssociation": Form("rtbassoc-0{hex:16}"),
    "ec2:SecurityGroup": _ec2("sg-0{hex:16}", "security-group", ("name", "vpcId"), **_MANAGED),
    "ec2:SecurityGroupRule": Form("sgrule-{digits:10}", outputs={"securityGroupRuleId": "sgr-0{hex:16}"}),
    "ec2:Subnet": _ec2(
        "subnet-0{hex:16}", "subnet", availabilityZone="{region}a", availabilityZoneId="{region}-az1",
        privateDnsHostnameTypeOnLaunch="ip-name",
    ),
    "ec2:Vpc": _ec2(
        "vpc-0{hex:16}", "vpc", defaultNetworkAclId="acl-0{hex:16acl}",
        defaultRouteTableId="rtb-0{hex:16rtb}", defaultSecurityGroupId="sg-0{hex:16sg}",
        dhcpOptionsId="dopt-0{hex:16dopt}", enableDnsSupport=True, instanceTenancy="default",
        mainRouteTableId="rtb-0{hex:16rtb}",
    ),
    "ec2:VpcEndpoint": _ec2(
        "vpce-0{hex:16}", "vpc-endpoint", dnsEntries=made.endpoint_names, networkInterfaceIds=made.interfaces,
        prefixListId="pl-{hex:8}", state="available", vpcEndpointType="Gateway",
    ),
    "ecr:LifecyclePolicy": Form("{repository}", unique=("repository",)),
    "ecr:PullThroughCacheRule": Form("{ecrRepositoryPrefix}", unique=("ecrRepositoryPrefix",)),
    "ecr:RegistryScanningConfiguration": Form("{account}"),
    "ecr:Repository": Form("{name}", _arn("ecr", "repository/{name}"), _NAME, {
        "repositoryUrl": "{account}.dkr.ecr.{region}.{suffix}/{name}",
    }),
    "ecr:RepositoryCreationTemplate": Form("{prefix}", unique=("prefix",)),
    "ecr:RepositoryPolicy": Form("{repository}", unique=("repository",)),
    "eks:AccessEntry": Form("{clusterName}:{principalArn}", "", ("clusterName", "principalArn"), {
        "accessEntryArn": _arn("eks", "access-entry/{clusterName}/{uuid}"), "type": "STANDARD",
        "userName": "{principalArn}",
    }),
    "eks:AccessPolicyAssociation": Form(
        "{clusterName}#{principalArn}#{policyArn}", unique=("clusterName", "principalArn", "policyArn")
    ),
    "eks:Addon": Form(
        "{clusterName}:{addonName}", _arn("eks", "addon/{clusterName}/{addonName}/{uuid}"),
        ("clusterName", "addonName"), {"addonVersion": "v1.0.0-eksbuild.1"},
    ),
    "eks:Cluster": Form("{name}", _arn("eks", "cluster/{name}"), _NAME, {
        "accessConfig": {"authenticationMode": "CONFIG_MAP"}, "certificateAuthority": made.certificate,
        "endpoint": "https://{HEX:32}.gr7.{region}.eks.{suffix}",
        "identities": [{"oidcs": [{"issuer": "https://oidc.eks.{region}.{suffix}/id/{HEX:32}"}]}],
        "kubernetesNetworkConfig": {"ipFamily": "ipv4", "serviceIpv4Cidr": "172.20.0.0/16"},
        "platformVersion": "eks.1", "status": "ACTIVE", "upgradePolicy": {"supportType": "EXTENDED"},
        "version": "1.34", "vpcConfig": {
            "clusterSecurityGroupId": "sg-0{hex:16}", "publicAccessCidrs": ["0.0.0.0/0"], "vpcId": made.vpc,
        },
    }),
    "eks:NodeGroup": Form(
        "{clusterName}:{nodeGroupName}", _arn("eks", "nodegroup/{clusterName}/{nodeGroupName}/{uuid}"),
        ("clusterName", "nodeGroupName"), {
            "amiType": "AL2023_x86_64_STANDARD", "capacityType": "ON_DEMAND", "diskSize": 20,
            "instanceTypes": ["t3.medium"], "releaseVersion": "1.34.0-20260101", "status": "ACTIVE",
            "resources": [{"autoscalingGroups": [{"name": "eks-{nodeGroupName}-{uuid}"}]}], "version": "1.34",
        },
    ),
    "eks:PodIdentityAssociation": Form(
        "a-{lower:17}", "", ("clusterName", "namespace", "serviceAccount"), {
            "associationArn": _arn("eks", "podidentityassociation/{clusterName}/{id}"),
            "associationId": "{id}",
        },
    ),
    "elasticache:ParameterGroup": Form(
        "{name}", _arn("elasticache", "parametergroup:{name}"), _NAME, _MANAGED
    ),
    "elasticache:ReplicationGroup": Form(
        "{replicationGroupId}", _arn("elasticache", "replicationgroup:{id}"), ("replicationGroupId",), {
            "clusterEnabled": made.is_sharded, "engine": "redis", "engineVersion": "7.1",
            "configurationEndpointAddress": made.cache_endpoint("clustercfg"),
            "engineVersionActual": "{engineVersion}", "memberClusters": made.cache_members,
            "primaryEndpointAddress": made.cache_endpoint("master"),
            "readerEndpointAddress": made.cache_endpoint("replica"),
        },
    ),
    "elasticache:SubnetGroup": Form("{name}", _arn("elasticache", "subnetgroup:{name}"), _NAME, {
        **_MANAGED, "vpcId": made.vpc,
    }),
    "elasticache:User": Form("{userId}", _arn("elasticache", "user:{userId}"), ("userId",)),
    "elasticache:UserGroup": Form("{userGroupId}", _arn("elasticache", "usergroup:{id}"), ("userGroupId",)),
    "iam:InstanceProfile": Form("{name}", _arn("iam", "instance-profile{path}{name}", ""), _NAME, {
        "path": "/", "uniqueId": "AIPA{upper:17}",
    }),
    "iam:OpenIdConnectProvider": Form("{arn}", made.oidc_arn, ("url",)),
    "iam:Policy": Form("{arn}", _arn("iam", "policy{path}{name}", ""), _NAME, {
        "path": "/", "policyId": "ANPA{upper:17}",
    }),
    "iam:Role": Form("{name}", _arn("iam", "role{path}{name}", ""), _NAME, {
        "maxSessionDuration": 3600, "path": "/", "uniqueId": "AROA{upper:17}",
    }),
    "iam:RolePolicy": Form("{role}:{name}", unique=("role", "name")),
    "iam:RolePolicyAttachment": Form("{role}/{policyArn}", unique=("role", "policyArn")),
    "kms:Alias": Form("{name}", _arn("kms", "{name}"), _NAME, {
        "targetKeyArn": _arn("kms", "key/{targetKeyId}"),
    }),
    "kms:Key": Form("{uuid}", _arn("kms", "key/{id}"), outputs={
        "customerMasterKeySpec": "SYMMETRIC_DEFAULT", "keyId": "{id}", "keyUsage": "ENCRYPT_DECRYPT",
    }),
    "lb:Listener": Form("{arn}", made.listener_arn, ("loadBalancerArn", "port")),
    "lb:LoadBalancer": Form("{arn}", made.balancer_arn, _NAME, {
        "arnSuffix": made.balancer, "dnsName": made.balancer_name, "ipAddressType": "ipv4",
        "loadBalancerType": "application", "vpcId": made.vpc, "zoneId": "Z{upper:13}",
    }),
    "lb:TargetGroup": Form("{arn}", _arn("elasticloadbalancing", "{arnSuffix}"), _NAME, {
        "arnSuffix": "targetgroup/{name}/{hex:16}", "targetType": "instance",
    }),
    "rds:Instance": Form("db-{upper:26}", _arn("rds", "db:{identifier}"), ("identifier",), {
        "address": "{identifier}.{lower:12}.{region}.rds.{suffix}", "availabilityZone": "{region}a",
        "endpoint": made.database_endpoint, "engineVersionActual": "{engineVersion}",
        "hostedZoneId": "Z{upper:13}", "identifier": made.database_name,
        "masterUserSecrets": made.master_secret, "port": made.database_port, "resourceId": "{id}",
        "status": "available",
    }),
    "rds:ParameterGroup": Form("{name}", _arn("rds", "pg:{name}"), _NAME, _MANAGED),
    "rds:SubnetGroup": Form("{name}", _arn("rds", "subgrp:{name}"), _NAME, {
        **_MANAGED, "supportedNetworkTypes": ["IPV4"], "vpcId": made.vpc,
    }),
    "route53:Record": Form("{zoneId}_{name}_{type}", "", ("zoneId", "name", "type", "setIdentifier"), {
        "fqdn": made.fqdn,
    }),
    "route53:Zone": Form("Z{upper:20}", "arn:{partition}:route53:::hostedzone/{id}", outputs={
        "nameServers": made.name_servers, "primaryNameServer": made.name_server, "zoneId": "{id}",
    }),
    "s3:Bucket": Form("{bucket}", "arn:{partition}:s3:::{bucket}", ("bucket",), {
        "bucketDomainName": "{bucket}.s3.{suffix}", "bucketRegion": "{region}",
        "bucketRegionalDomainName": "{bucket}.s3.{region}.{suffix}", "hostedZoneId": "Z{upper:13}",
    }),
    "s3:BucketLifecycleConfiguration": _ON_BUCKET,
    "s3:BucketLogging": _ON_BUCKET,
    "s3:BucketOwnershipControls": _ON_BUCKET,
    "s3:BucketPolicy": _ON_BUCKET,
    "s3:BucketPublicAccessBlock": _ON_BUCKET,
    "s3:BucketServerSideEncryptionConfiguration": _ON_BUCKET,
    "s3:BucketVersioning": _ON_BUCKET,
    "secretsmanager:Secret": Form("{arn}", _arn("secretsmanager", "secret:{name}-{lower:6}"), _NAME),
    "secretsmanager:SecretRotation": Form("{secretId}"),
    "secretsmanager:SecretVersion": Form("{secretId}|{versionId}", "{secretId}", outputs={
        "secretArn": "{secretId}", "versionId": "terraform-{uuid}",
    }),
    "sns:Topic": Form("{arn}", _arn("sns", "{name}"), _NAME),
    "sns:TopicPolicy": Form("{arn}"),
    "sns:TopicSubscription": Form("{arn}", "{topic}:{uuid}"),
    "sqs:Queue": Form("https://sqs.{region}.{suffix}/{account}/{name}", _arn("sqs", "{name}"), _NAME, {
        "url": "{id}",
    }),
    "vpc:SecurityGroupEgressRule": _RULE,
    "vpc:SecurityGroupIngressRule": _RULE,
    "wafv2:IpSet": Form("{uuid}", made.waf_arn("ipset"), ("name", "scope"), {"lockToken": "{uuid:lock}"}),
    "wafv2:WebAcl": Form("{uuid}", made.waf_arn("webacl"), ("name", "scope"), {
        "capacity": made.waf_capacity, "lockToken": "{uuid:lock}",
    }),
    "wafv2:WebAclLoggingConfiguration": Form("{resourceArn}", unique=("resourceArn",)),
}  # fmt: skip
"""By `AREA:NAME`; texts are filled in with `Facts`, functions called with them."""
