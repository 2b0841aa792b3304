"""Which changes replace a resource: what the Terraform providers mark so, by `AREA:NAME`.

A path stands for all that is below it. `REMOVED` are those whose removal alone replaces, `CHANGED` those
that may be added in place. Names and the region replace wherever they occur, but for what can be renamed.
"""

from __future__ import annotations

import re

from engine.values import Properties

REPLACED = {
    "acm:Certificate": (
        "certificateAuthorityArn domainName keyAlgorithm subjectAlternativeNames validationMethod "
        "validationOptions"
    ),
    "acm:CertificateValidation": "certificateArn validationRecordFqdns",
    "budgets:Budget": "accountId",
    "cloudflare:Ruleset": "kind phase",
    "cloudflare:Zone": "account",
    "cloudflare:ZoneSetting": "settingId",
    "cloudfront:Distribution": "staging",
    "cloudwatch:EventRule": "eventBusName",
    "cloudwatch:EventTarget": "eventBusName rule targetId",
    "cloudwatch:LogDelivery": "deliveryDestinationArn deliverySourceName",
    "cloudwatch:LogDeliveryDestination": "deliveryDestinationType",
    "cloudwatch:LogDeliverySource": "logType resourceArn",
    "cloudwatch:LogGroup": "logGroupClass",
    "ec2:Eip": "address customerOwnedIpv4Pool domain ipamPoolId networkBorderGroup publicIpv4Pool",
    "ec2:FlowLog": (
        "deliverCrossAccountRole destinationOptions eniId iamRoleArn logDestination logDestinationType "
        "logFormat maxAggregationInterval regionalNatGatewayId subnetId trafficType "
        "transitGatewayAttachmentId transitGatewayId vpcId"
    ),
    "ec2:NatGateway": "allocationId availabilityMode connectivityType privateIp subnetId vpcId",
    "ec2:NetworkAcl": "vpcId",
    "ec2:Route": "destinationCidrBlock destinationIpv6CidrBlock destinationPrefixListId routeTableId",
    "ec2:RouteTable": "vpcId",
    "ec2:RouteTableAssociation": "gatewayId subnetId",
    "ec2:SecurityGroup": "description vpcId",
    "ec2:SecurityGroupRule": (
        "cidrBlocks fromPort ipv6CidrBlocks prefixListIds protocol securityGroupId self "
        "sourceSecurityGroupId toPort type"
    ),
    "ec2:Subnet": (
        "availabilityZone availabilityZoneId cidrBlock ipv4IpamPoolId ipv4NetmaskLength ipv6Native "
        "ipv6NetmaskLength outpostArn vpcId"
    ),
    "ec2:Vpc": "cidrBlock instanceTenancy ipv4IpamPoolId ipv4NetmaskLength",
    "ec2:VpcEndpoint": (
        "resourceConfigurationArn serviceName serviceNetworkArn serviceRegion vpcEndpointType vpcId"
    ),
    "ecr:LifecyclePolicy": "policy repository",
    "ecr:PullThroughCacheRule": "ecrRepositoryPrefix upstreamRegistryUrl upstreamRepositoryPrefix",
    "ecr:Repository": "encryptionConfigurations",
    "ecr:RepositoryCreationTemplate": "prefix",
    "ecr:RepositoryPolicy": "repository",
    "eks:AccessEntry": "clusterName principalArn type",
    "eks:AccessPolicyAssociation": "accessScope clusterName policyArn principalArn",
    "eks:Addon": "addonName clusterName",
    "eks:Cluster": (
        "accessConfig.bootstrapClusterCreatorAdminPermissions bootstrapSelfManagedAddons "
        "kubernetesNetworkConfig.ipFamily kubernetesNetworkConfig.serviceIpv4Cidr "
        "outpostConfig.controlPlaneInstanceType outpostConfig.controlPlanePlacement roleArn"
    ),
    "eks:NodeGroup": (
        "amiType capacityType clusterName diskSize instanceTypes launchTemplate.id launchTemplate.name "
        "nodeGroupName nodeGroupNamePrefix nodeRoleArn remoteAccess subnetIds"
    ),
    "eks:PodIdentityAssociation": "clusterName namespace serviceAccount",
    "elasticache:ParameterGroup": "description family",
    "elasticache:ReplicationGroup": (
        "atRestEncryptionEnabled dataTieringEnabled globalReplicationGroupId kmsKeyId networkType "
        "nodeGroupConfigurations port replicationGroupId securityGroupNames snapshotArns snapshotName "
        "subnetGroupName"
    ),
    "elasticache:User": "userId userName",
    "elasticache:UserGroup": "userGroupId",
    "iam:InstanceProfile": "path",
    "iam:OpenIdConnectProvider": "url",
    "iam:Policy": "description path",
    "iam:Role": "path",
    "iam:RolePolicy": "role",
    "iam:RolePolicyAttachment": "policyArn role",
    "kms:Key": "customKeyStoreId customerMasterKeySpec keyUsage multiRegion xksKeyId",
    "lb:Listener": "loadBalancerArn",
    "lb:ListenerRule": "listenerArn",
    "lb:LoadBalancer": "customerOwnedIpv4Pool internal loadBalancerType",
    "lb:TargetGroup": "ipAddressType port protocol protocolVersion targetType vpcId",
    "rds:Instance": (
        "availabilityZone backupTarget characterSetName customIamInstanceProfile dbName engine kmsKeyId "
        "ncharCharacterSetName restoreToPointInTime snapshotIdentifier storageEncrypted timezone username"
    ),
    "rds:ParameterGroup": "description family",
    "route53:Record": "zoneId",
    "route53:Zone": "delegationSetId",
    "s3:Bucket": "bucketNamespace bucketPrefix objectLockEnabled",
    "secretsmanager:SecretRotation": "secretId",
    "secretsmanager:SecretVersion": "secretBinary secretId secretString secretStringWoVersion",
    "sns:Topic": "fifoTopic",
    "sns:TopicPolicy": "arn",
    "sns:TopicSubscription": "endpoint protocol topic",
    "sqs:Queue": "fifoQueue",
    "sqs:QueuePolicy": "queueUrl",
    "vpc:SecurityGroupEgressRule": "securityGroupId",
    "vpc:SecurityGroupIngressRule": "securityGroupId",
    "wafv2:IpSet": "ipAddressVersion scope",
    "wafv2:WebAcl": "scope",
    "wafv2:WebAclAssociation": "resourceArn webAclArn",
    "wafv2:WebAclLoggingConfiguration": "resourceArn",
}
REMOVED = {
    "eks:Cluster": "encryptionConfig",
    "lb:LoadBalancer network": "securityGroups subnetMappings[] subnets[]",
}
"""Whole properties, or with `[]` their items."""
CHANGED = {"eks:Cluster": "computeConfig.nodeRoleArn"}
RENAMED_IN_PLACE = (
    "cloudflare:DnsRecord", "cloudflare:Ruleset", "cloudfront:CachePolicy",
    "cloudfront:OriginAccessControl", "cloudfront:OriginRequestPolicy", "cloudfront:ResponseHeadersPolicy",
)  # fmt: skip


def replaces(kind: str, path: str, change: str, inputs: Properties) -> bool:
    """Tell whether a change (add, update, delete) at a property path replaces a resource of a kind."""
    bare = re.sub(r"\[\d+\]", "[]", path)
    removed = [REMOVED.get(one, "") for one in (kind, f"{kind} {inputs.get('loadBalancerType')}")]
    if change == "delete" and bare in " ".join(removed).split():
        return True
    found = ["region", *REPLACED.get(kind, "").split()]
    found += [] if kind in RENAMED_IN_PLACE else ["name", "namePrefix"]
    found += CHANGED.get(kind, "").split() if change != "add" else []
    found += ["bucket", "expectedBucketOwner"] if kind.startswith("s3:Bucket") else []
    found += ["accountId", "zoneId"] if kind.startswith("cloudflare:") else []
    return any(re.match(rf"{re.escape(one)}($|[.\[])", bare) for one in found)
