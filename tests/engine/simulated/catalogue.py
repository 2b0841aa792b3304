"""Resources of a plausible stack, one of each type and more, in an order in which they can be made.

Inputs are texts, numbers and so on; a text like `${vpc.id}` or `${key.arn}` is the id or an output of an
earlier one.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tests.engine.providers.harness import Plugin


def policy(**principal: str) -> str:
    """A policy that lets a principal do something."""
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


_METRIC = {"cloudwatchMetricsEnabled": True, "metricName": "rate", "sampledRequestsEnabled": True}
_BEHAVIOUR = {
    "allowedMethods": ["GET", "HEAD"], "cachedMethods": ["GET", "HEAD"],
    "cachePolicyId": "${cache-policy.id}", "originRequestPolicyId": "${origin-policy.id}",
    "responseHeadersPolicyId": "${headers-policy.id}", "targetOriginId": "models",
    "viewerProtocolPolicy": "redirect-to-https",
}  # fmt: skip

CATALOGUE: dict[str, tuple[str, dict[str, Any]]] = {
    "key": ("aws:kms/key:Key", {"deletionWindowInDays": 30, "enableKeyRotation": True}),
    "alias": ("aws:kms/alias:Alias", {"targetKeyId": "${key.keyId}"}),
    "vpc": ("aws:ec2/vpc:Vpc", {"cidrBlock": "10.0.0.0/16", "enableDnsHostnames": True}),
    "closed": ("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", {"vpcId": "${vpc.id}"}),
    "a": ("aws:ec2/subnet:Subnet", {
        "vpcId": "${vpc.id}", "cidrBlock": "10.0.0.0/20", "availabilityZone": "eu-central-1a",
    }),
    "b": ("aws:ec2/subnet:Subnet", {
        "vpcId": "${vpc.id}", "cidrBlock": "10.0.16.0/20", "availabilityZone": "eu-central-1b",
    }),
    "internet": ("aws:ec2/internetGateway:InternetGateway", {"vpcId": "${vpc.id}"}),
    "address": ("aws:ec2/eip:Eip", {"domain": "vpc"}),
    "nat": ("aws:ec2/natGateway:NatGateway", {"subnetId": "${a.id}", "allocationId": "${address.id}"}),
    "table": ("aws:ec2/routeTable:RouteTable", {"vpcId": "${vpc.id}"}),
    "route": ("aws:ec2/route:Route", {
        "routeTableId": "${table.id}", "destinationCidrBlock": "0.0.0.0/0", "natGatewayId": "${nat.id}",
    }),
    "routed": ("aws:ec2/routeTableAssociation:RouteTableAssociation", {
        "routeTableId": "${table.id}", "subnetId": "${a.id}",
    }),
    "group": ("aws:ec2/securityGroup:SecurityGroup", {"vpcId": "${vpc.id}", "description": "the edge"}),
    "ingress": ("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", {
        "securityGroupId": "${group.id}", "ipProtocol": "udp", "fromPort": 443, "toPort": 443,
        "cidrIpv4": "0.0.0.0/0",
    }),
    "egress": ("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", {
        "securityGroupId": "${group.id}", "ipProtocol": "-1", "cidrIpv4": "0.0.0.0/0",
    }),
    "endpoint": ("aws:ec2/vpcEndpoint:VpcEndpoint", {
        "vpcId": "${vpc.id}", "serviceName": "com.amazonaws.eu-central-1.ecr.api", "subnetIds": ["${a.id}"],
        "vpcEndpointType": "Interface", "privateDnsEnabled": True, "securityGroupIds": ["${group.id}"],
    }),
    "logs": ("aws:cloudwatch/logGroup:LogGroup", {
        "name": "/aws/vpc/flows", "retentionInDays": 30, "kmsKeyId": "${key.arn}",
    }),
    "role": ("aws:iam/role:Role", {"assumeRolePolicy": policy(Service="eks.amazonaws.com")}),
    "flows": ("aws:ec2/flowLog:FlowLog", {
        "vpcId": "${vpc.id}", "trafficType": "ALL", "logDestination": "${logs.arn}",
        "iamRoleArn": "${role.arn}", "maxAggregationInterval": 60,
    }),
    "policy": ("aws:iam/policy:Policy", {"policy": policy(AWS="*")}),
    "attached": ("aws:iam/rolePolicyAttachment:RolePolicyAttachment", {
        "role": "${role.name}", "policyArn": "${policy.arn}",
    }),
    "managed": ("aws:iam/rolePolicyAttachment:RolePolicyAttachment", {
        "role": "${role.name}", "policyArn": "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy",
    }),
    "inline": ("aws:iam/rolePolicy:RolePolicy", {"role": "${role.name}", "policy": policy(AWS="*")}),
    "cluster": ("aws:eks/cluster:Cluster", {
        "roleArn": "${role.arn}", "version": "1.34", "vpcConfig": {
            "subnetIds": ["${a.id}", "${b.id}"], "endpointPrivateAccess": True,
            "publicAccessCidrs": ["192.0.2.0/24"],
        },
        "accessConfig": {"authenticationMode": "API"}, "enabledClusterLogTypes": ["api", "audit"],
        "computeConfig": {"enabled": True, "nodePools": ["system"], "nodeRoleArn": "${role.arn}"},
        "encryptionConfig": {"provider": {"keyArn": "${key.arn}"}, "resources": ["secrets"]},
    }),
    "identity": ("aws:iam/openIdConnectProvider:OpenIdConnectProvider", {
        "url": "${cluster.identities}", "clientIdLists": ["sts.amazonaws.com"],
    }),
    "entry": ("aws:eks/accessEntry:AccessEntry", {
        "clusterName": "${cluster.name}", "principalArn": "${role.arn}", "type": "EC2",
    }),
    "access": ("aws:eks/accessPolicyAssociation:AccessPolicyAssociation", {
        "clusterName": "${cluster.name}", "principalArn": "${role.arn}", "accessScope": {"type": "cluster"},
        "policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSAutoNodePolicy",
    }),
    "pods": ("aws:eks/podIdentityAssociation:PodIdentityAssociation", {
        "clusterName": "${cluster.name}", "namespace": "ollama", "serviceAccount": "worker",
        "roleArn": "${role.arn}",
    }),
    "addon": ("aws:eks/addon:Addon", {
        "clusterName": "${cluster.name}", "addonName": "metrics-server",
        "resolveConflictsOnCreate": "OVERWRITE",
    }),
    "boot": ("aws:ec2/launchTemplate:LaunchTemplate", {
        "updateDefaultVersion": True, "instanceType": "p5.48xlarge", "userData": "c2V0dGluZ3M=",
        "instanceMarketOptions": {"marketType": "capacity-block"},
        "blockDeviceMappings": [{
            "deviceName": "/dev/xvda",
            "ebs": {"encrypted": "true", "volumeSize": 100, "volumeType": "gp3", "throughput": 500},
        }],
        "metadataOptions": {
            "httpEndpoint": "enabled", "httpPutResponseHopLimit": 1, "httpTokens": "required",
        },
        "tagSpecifications": [{"resourceType": "instance", "tags": {"Name": "gpu"}}],
    }),
    "nodes": ("aws:eks/nodeGroup:NodeGroup", {
        "clusterName": "${cluster.name}", "nodeRoleArn": "${role.arn}", "subnetIds": ["${a.id}"],
        "scalingConfig": {"desiredSize": 1, "minSize": 0, "maxSize": 4}, "capacityType": "SPOT",
        "instanceTypes": ["g6.xlarge", "g6e.xlarge"], "amiType": "AL2023_x86_64_NVIDIA",
        "taints": [{"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}],
    }),
    "images": ("aws:ecr/repository:Repository", {
        "imageTagMutability": "IMMUTABLE", "imageScanningConfiguration": {"scanOnPush": True},
        "encryptionConfigurations": [{"encryptionType": "KMS", "kmsKey": "${key.arn}"}],
    }),
    "expiry": ("aws:ecr/lifecyclePolicy:LifecyclePolicy", {
        "repository": "${images.name}", "policy": json.dumps({"rules": []}),
    }),
    "template": ("aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate", {
        "prefix": "ecr-public", "appliedFors": ["PULL_THROUGH_CACHE"], "lifecyclePolicy": json.dumps({}),
    }),
    "through": ("aws:ecr/pullThroughCacheRule:PullThroughCacheRule", {
        "ecrRepositoryPrefix": "ecr-public", "upstreamRegistryUrl": "public.ecr.aws",
    }),
    "scanning": ("aws:ecr/registryScanningConfiguration:RegistryScanningConfiguration", {
        "scanType": "ENHANCED", "rules": [{
            "scanFrequency": "SCAN_ON_PUSH",
            "repositoryFilters": [{"filter": "*", "filterType": "WILDCARD"}],
        }],
    }),
    "cache-subnets": ("aws:elasticache/subnetGroup:SubnetGroup", {"subnetIds": ["${a.id}", "${b.id}"]}),
    "cache-parameters": ("aws:elasticache/parameterGroup:ParameterGroup", {
        "family": "valkey8", "parameters": [{"name": "maxmemory-policy", "value": "allkeys-lru"}],
    }),
    "cache-user": ("aws:elasticache/user:User", {
        "userId": "gateway", "userName": "default", "engine": "valkey", "accessString": "on ~* +@all",
        "authenticationMode": {"type": "iam"},
    }),
    "cache-users": ("aws:elasticache/userGroup:UserGroup", {
        "userGroupId": "gateways", "engine": "valkey", "userIds": ["${cache-user.userId}"],
    }),
    "cache": ("aws:elasticache/replicationGroup:ReplicationGroup", {
        "description": "results", "engine": "valkey", "nodeType": "cache.m7g.large", "numCacheClusters": 3,
        "subnetGroupName": "${cache-subnets.name}", "parameterGroupName": "${cache-parameters.name}",
        "securityGroupIds": ["${group.id}"], "atRestEncryptionEnabled": True, "kmsKeyId": "${key.arn}",
        "transitEncryptionEnabled": True, "transitEncryptionMode": "required",
        "userGroupIds": ["${cache-users.userGroupId}"], "automaticFailoverEnabled": True,
        "maintenanceWindow": "sun:03:00-sun:04:00", "snapshotWindow": "01:00-02:00",
        "logDeliveryConfigurations": [{
            "destination": "${logs.name}", "destinationType": "cloudwatch-logs", "logFormat": "json",
            "logType": "slow-log",
        }],
    }),
    "secret": ("aws:secretsmanager/secret:Secret", {"kmsKeyId": "${key.arn}", "recoveryWindowInDays": 7}),
    "secret-version": ("aws:secretsmanager/secretVersion:SecretVersion", {
        "secretId": "${secret.id}", "secretString": "hunter2",
    }),
    "rotation": ("aws:secretsmanager/secretRotation:SecretRotation", {
        "secretId": "${secret.id}", "rotationRules": {"automaticallyAfterDays": 30},
    }),
    "db-subnets": ("aws:rds/subnetGroup:SubnetGroup", {"subnetIds": ["${a.id}", "${b.id}"]}),
    "db-parameters": ("aws:rds/parameterGroup:ParameterGroup", {
        "family": "postgres17", "parameters": [
            {"name": "max_connections", "value": "200", "applyMethod": "pending-reboot"},
        ],
    }),
    "db": ("aws:rds/instance:Instance", {
        "instanceClass": "db.m7g.large", "engine": "postgres", "engineVersion": "17.6",
        "allocatedStorage": 50, "identifier": "ollamamax", "storageType": "gp3",
        "storageEncrypted": True, "kmsKeyId": "${key.arn}", "dbSubnetGroupName": "${db-subnets.name}",
        "parameterGroupName": "${db-parameters.name}",
        "vpcSecurityGroupIds": ["${group.id}"], "manageMasterUserPassword": True, "username": "ollama",
        "backupRetentionPeriod": 14, "backupWindow": "02:00-03:00", "multiAz": True,
        "maintenanceWindow": "Sun:04:00-Sun:05:00", "skipFinalSnapshot": True, "monitoringInterval": 60,
        "performanceInsightsEnabled": True, "performanceInsightsRetentionPeriod": 7,
    }),
    "bucket": ("aws:s3/bucket:Bucket", {"forceDestroy": False}),
    "versions": ("aws:s3/bucketVersioning:BucketVersioning", {
        "bucket": "${bucket.bucket}", "versioningConfiguration": {"status": "Enabled"},
    }),
    "encryption": ("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration", {
        "bucket": "${bucket.id}", "rules": [{
            "applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": "${key.arn}"},
            "bucketKeyEnabled": True,
        }],
    }),
    "private": ("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", {
        "bucket": "${bucket.id}", "blockPublicAcls": True, "blockPublicPolicy": True,
    }),
    "lifecycle": ("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration", {
        "bucket": "${bucket.id}", "rules": [{
            "id": "old", "status": "Enabled", "noncurrentVersionExpiration": {"noncurrentDays": 30},
        }],
    }),
    "bucket-policy": ("aws:s3/bucketPolicy:BucketPolicy", {
        "bucket": "${bucket.id}", "policy": policy(Service="cloudfront.amazonaws.com"),
    }),
    "ownership": ("aws:s3/bucketOwnershipControls:BucketOwnershipControls", {
        "bucket": "${bucket.id}", "rule": {"objectOwnership": "BucketOwnerEnforced"},
    }),
    "balancer": ("aws:lb/loadBalancer:LoadBalancer", {
        "loadBalancerType": "network", "subnets": ["${a.id}", "${b.id}"], "securityGroups": ["${group.id}"],
        "enableCrossZoneLoadBalancing": True,
    }),
    "targets": ("aws:lb/targetGroup:TargetGroup", {
        "vpcId": "${vpc.id}", "port": 8443, "protocol": "TCP_UDP", "targetType": "ip",
        "preserveClientIp": "true", "deregistrationDelay": 300,
        "healthCheck": {
            "protocol": "HTTP", "path": "/livez", "port": "8081", "interval": 10, "matcher": "200",
        },
    }),
    "listener": ("aws:lb/listener:Listener", {
        "loadBalancerArn": "${balancer.arn}", "port": 443, "protocol": "TCP_UDP",
        "defaultActions": [{"type": "forward", "targetGroupArn": "${targets.arn}"}],
    }),
    "certificate": ("aws:acm/certificate:Certificate", {
        "domainName": "llm.example.org", "subjectAlternativeNames": ["*.llm.example.org"],
        "validationMethod": "DNS",
    }),
    "zone": ("aws:route53/zone:Zone", {"name": "llm.example.org"}),
    "proof": ("aws:route53/record:Record", {
        "zoneId": "${zone.zoneId}", "name": "_x.llm.example.org", "type": "CNAME", "ttl": 300,
        "records": ["_y.acm-validations.aws."],
    }),
    "api": ("aws:route53/record:Record", {
        "zoneId": "${zone.zoneId}", "name": "api", "type": "A", "aliases": [{
            "name": "${balancer.dnsName}", "zoneId": "${balancer.zoneId}", "evaluateTargetHealth": True,
        }],
    }),
    "valid": ("aws:acm/certificateValidation:CertificateValidation", {
        "certificateArn": "${certificate.arn}", "validationRecordFqdns": ["${proof.fqdn}"],
    }),
    "origin": ("aws:cloudfront/originAccessControl:OriginAccessControl", {
        "originAccessControlOriginType": "s3", "signingBehavior": "always", "signingProtocol": "sigv4",
    }),
    "cache-policy": ("aws:cloudfront/cachePolicy:CachePolicy", {
        "defaultTtl": 60, "maxTtl": 300, "minTtl": 0, "parametersInCacheKeyAndForwardedToOrigin": {
            "cookiesConfig": {"cookieBehavior": "none"}, "headersConfig": {"headerBehavior": "none"},
            "queryStringsConfig": {"queryStringBehavior": "none"}, "enableAcceptEncodingBrotli": True,
        },
    }),
    "origin-policy": ("aws:cloudfront/originRequestPolicy:OriginRequestPolicy", {
        "cookiesConfig": {"cookieBehavior": "none"}, "headersConfig": {"headerBehavior": "none"},
        "queryStringsConfig": {"queryStringBehavior": "all"},
    }),
    "headers-policy": ("aws:cloudfront/responseHeadersPolicy:ResponseHeadersPolicy", {
        "securityHeadersConfig": {"contentTypeOptions": {"override": True}},
    }),
    "firewall": ("aws:wafv2/webAcl:WebAcl", {
        "scope": "CLOUDFRONT", "region": "us-east-1", "defaultAction": {"allow": {}},
        "visibilityConfig": _METRIC, "rules": [{
            "name": "rate", "priority": 1, "action": {"block": {}}, "visibilityConfig": _METRIC,
            "statement": {"rateBasedStatement": {"limit": 1000, "aggregateKeyType": "IP"}},
        }],
    }),
    "cdn": ("aws:cloudfront/distribution:Distribution", {
        "enabled": True, "httpVersion": "http2and3", "priceClass": "PriceClass_100",
        "webAclId": "${firewall.arn}", "aliases": ["console.llm.example.org"],
        "defaultCacheBehavior": _BEHAVIOUR,
        "orderedCacheBehaviors": [{**_BEHAVIOUR, "pathPattern": "/api/tags"}],
        "origins": [{
            "originId": "models", "domainName": "${bucket.bucketRegionalDomainName}",
            "originAccessControlId": "${origin.id}",
        }],
        "restrictions": {"geoRestriction": {"restrictionType": "none"}},
        "viewerCertificate": {
            "acmCertificateArn": "${certificate.arn}", "sslSupportMethod": "sni-only",
            "minimumProtocolVersion": "TLSv1.2_2021",
        },
    }),
    "written": ("aws:cloudwatch/logDeliverySource:LogDeliverySource", {
        "logType": "ACCESS_LOGS", "resourceArn": "${cdn.arn}", "region": "us-east-1",
    }),
    "kept": ("aws:cloudwatch/logDeliveryDestination:LogDeliveryDestination", {
        "outputFormat": "json", "region": "us-east-1",
        "deliveryDestinationConfiguration": {"destinationResourceArn": "${bucket.arn}"},
    }),
    "delivery": ("aws:cloudwatch/logDelivery:LogDelivery", {
        "deliverySourceName": "${written.name}", "deliveryDestinationArn": "${kept.arn}",
        "region": "us-east-1",
    }),
    "page": ("aws:cloudfront/function:Function", {
        "runtime": "cloudfront-js-2.0", "code": "function handler(event) { return event.request; }",
    }),
    "blocked": ("aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration", {
        "resourceArn": "${firewall.arn}", "logDestinationConfigs": ["${logs.arn}"],
    }),
    "topic": ("aws:sns/topic:Topic", {"kmsMasterKeyId": "${key.id}"}),
    "queue": ("aws:sqs/queue:Queue", {"visibilityTimeoutSeconds": 60, "sqsManagedSseEnabled": True}),
    "budget": ("aws:budgets/budget:Budget", {
        "budgetType": "COST", "limitAmount": "30000", "limitUnit": "USD", "timeUnit": "MONTHLY",
        "notifications": [{
            "comparisonOperator": "GREATER_THAN", "notificationType": "FORECASTED", "threshold": 100,
            "thresholdType": "PERCENTAGE", "subscriberSnsTopicArns": ["${topic.arn}"],
        }],
    }),
}  # fmt: skip


class Made:
    """The catalogue, as far as it was made, through a provider."""

    def __init__(self, plugin: Plugin) -> None:
        self.plugin = plugin
        self.ids: dict[str, str] = {}
        self.inputs: dict[str, dict[str, Any]] = {}
        self.outputs: dict[str, dict[str, Any]] = {}

    def make(self, *names: str) -> Made:
        """Make resources of the catalogue and what they need; without names all."""
        for name in names or CATALOGUE:
            if name not in self.ids:
                token, inputs = CATALOGUE[name]
                self.make(*needs(inputs)) if needs(inputs) else None
                self.inputs[name] = self.plugin.check(token, self.filled(inputs), name=name)
                self.ids[name], self.outputs[name] = self.plugin.create(token, self.inputs[name], name)
        return self

    def filled(self, value: Any) -> Any:
        """Inputs with the values of what they name."""
        if isinstance(value, dict):
            return {key: self.filled(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        found = re.fullmatch(r"\$\{([\w-]+)\.(\w+)\}", value) if isinstance(value, str) else None
        if not found:
            return value
        if found[2] == "identities":
            return self.outputs[found[1]]["identities"][0]["oidcs"][0]["issuer"]
        return self.ids[found[1]] if found[2] == "id" else self.outputs[found[1]][found[2]]

    def delete(self, name: str) -> None:
        """Delete one of them."""
        self.plugin.delete(CATALOGUE[name][0], self.ids[name], self.outputs[name])
        del self.ids[name]


def needs(value: Any) -> list[str]:
    """The resources that inputs name."""
    return list(dict.fromkeys(re.findall(r"\$\{([\w-]+)\.", json.dumps(value))))
