"""Which API operations a resource type of pulumi-aws stands for, where its name does not say it.

`ec2:Vpc` stands for Create and Put of that name in the service of its area. The first operation that has a
member goes before the others; steps after the operation lead to the structure that is meant.
"""

SERVICES = {"alb": "elbv2", "cloudwatch": "logs", "lb": "elbv2", "vpc": "ec2"}

OPERATIONS = {
    "acm:Certificate": "acm.RequestCertificate acm.ImportCertificate",
    "cloudfront:Distribution": "cloudfront.CreateDistributionWithTags.DistributionConfigWithTags",
    "cloudwatch:EventRule": "events.PutRule",
    "cloudwatch:EventTarget": "events.PutTargets.Targets.each events.PutTargets",
    "cloudwatch:LogDelivery": "logs.CreateDelivery",
    "cloudwatch:LogDeliveryDestination": "logs.PutDeliveryDestination",
    "cloudwatch:LogDeliverySource": "logs.PutDeliverySource",
    "cloudwatch:LogGroup": "logs.CreateLogGroup logs.PutRetentionPolicy",
    "cloudwatch:MetricAlarm": "cloudwatch.PutMetricAlarm",
    "ec2:DefaultSecurityGroup": "ec2.CreateSecurityGroup ec2.AuthorizeSecurityGroupIngress",
    "ec2:Eip": "ec2.AllocateAddress",
    "ec2:FlowLog": "ec2.CreateFlowLogs",
    "ec2:RouteTableAssociation": "ec2.AssociateRouteTable",
    "ec2:SecurityGroup": "ec2.CreateSecurityGroup ec2.AuthorizeSecurityGroupIngress",
    "ec2:SecurityGroupRule": "ec2.AuthorizeSecurityGroupIngress",
    "ec2:Subnet": "ec2.CreateSubnet ec2.ModifySubnetAttribute",
    "ec2:Vpc": "ec2.CreateVpc ec2.ModifyVpcAttribute",
    "ecr:RepositoryPolicy": "ecr.SetRepositoryPolicy",
    "eks:AccessPolicyAssociation": "eks.AssociateAccessPolicy",
    "eks:NodeGroup": "eks.CreateNodegroup",
    "elasticache:ParameterGroup": "elasticache.CreateCacheParameterGroup",
    "elasticache:ReplicationGroup": "elasticache.CreateReplicationGroup elasticache.ModifyReplicationGroup",
    "elasticache:SubnetGroup": "elasticache.CreateCacheSubnetGroup",
    "iam:OpenIdConnectProvider": "iam.CreateOpenIDConnectProvider",
    "iam:RolePolicy": "iam.PutRolePolicy",
    "iam:RolePolicyAttachment": "iam.AttachRolePolicy",
    "kms:Key": "kms.CreateKey kms.ScheduleKeyDeletion kms.EnableKeyRotation",
    "lb:ListenerRule": "elbv2.CreateRule",
    "rds:Instance": "rds.CreateDBInstance rds.ModifyDBInstance",
    "rds:ParameterGroup": "rds.CreateDBParameterGroup",
    "rds:SubnetGroup": "rds.CreateDBSubnetGroup",
    "route53:Record": (
        "route53.ChangeResourceRecordSets.ChangeBatch.Changes.each.ResourceRecordSet "
        "route53.ChangeResourceRecordSets"
    ),
    "route53:Zone": "route53.CreateHostedZone",
    "s3:BucketPublicAccessBlock": "s3.PutPublicAccessBlock",
    "s3:BucketServerSideEncryptionConfiguration": "s3.PutBucketEncryption",
    "secretsmanager:Secret": "secretsmanager.CreateSecret secretsmanager.DeleteSecret",
    "secretsmanager:SecretRotation": "secretsmanager.RotateSecret",
    "secretsmanager:SecretVersion": "secretsmanager.PutSecretValue",
    "sns:TopicPolicy": "sns.SetTopicAttributes",
    "sns:TopicSubscription": "sns.Subscribe",
    "sqs:QueuePolicy": "sqs.SetQueueAttributes",
    "vpc:SecurityGroupEgressRule": "ec2.AuthorizeSecurityGroupEgress",
    "vpc:SecurityGroupIngressRule": "ec2.AuthorizeSecurityGroupIngress",
    "wafv2:IpSet": "wafv2.CreateIPSet",
    "wafv2:WebAcl": "wafv2.CreateWebACL",
    "wafv2:WebAclAssociation": "wafv2.AssociateWebACL",
    "wafv2:WebAclLoggingConfiguration": "wafv2.PutLoggingConfiguration",
}

RENAMED = {
    "acm:Certificate": {"certificateBody": "Certificate", "validationOptions": "DomainValidationOptions"},
    "budgets:Budget": {
        "limitAmount": "Budget.BudgetLimit.Amount", "limitUnit": "Budget.BudgetLimit.Unit",
        "notifications": "NotificationsWithSubscribers", "tags": "ResourceTags",
    },
    "cloudfront:Distribution": {
        "orderedCacheBehaviors": "DistributionConfig.CacheBehaviors",
        "origins.originId": "DistributionConfig.Origins.Items.Id",
        "restrictions.geoRestriction.locations": "DistributionConfig.Restrictions.GeoRestriction.Items",
    },
    "cloudwatch:MetricAlarm": {"name": "AlarmName"},
    "ec2:DefaultSecurityGroup": {"ingress": "IpPermissions", "egress": "IpPermissions"},
    "ec2:SecurityGroup": {"ingress": "IpPermissions", "egress": "IpPermissions"},
    "ecr:LifecyclePolicy": {"policy": "lifecyclePolicyText", "repository": "repositoryName"},
    "ecr:RepositoryPolicy": {"repository": "repositoryName"},
    "eks:Addon": {
        "resolveConflictsOnCreate": "resolveConflicts", "resolveConflictsOnUpdate": "resolveConflicts",
    },
    "eks:Cluster": {
        "enabledClusterLogTypes": "logging.clusterLogging.types", "vpcConfig": "resourcesVpcConfig",
    },
    "eks:NodeGroup": {
        "nodeRoleArn": "nodeRole", "remoteAccess.sourceSecurityGroupIds": "remoteAccess.sourceSecurityGroups",
        "subnetIds": "subnets",
    },
    "iam:RolePolicy": {"name": "PolicyName", "policy": "PolicyDocument", "role": "RoleName"},
    "iam:RolePolicyAttachment": {"role": "RoleName"},
    "kms:Key": {"deletionWindowInDays": "PendingWindowInDays"},
    "lb:Listener": {"certificateArn": "Certificates.CertificateArn"},
    "lb:LoadBalancer": {"loadBalancerType": "Type"},
    "lb:TargetGroup": {
        "healthCheck": "Matcher",  # only its code is a structure of its own
        "healthCheck.enabled": "HealthCheckEnabled", "healthCheck.healthyThreshold": "HealthyThresholdCount",
        "healthCheck.interval": "HealthCheckIntervalSeconds", "healthCheck.matcher": "Matcher.HttpCode",
        "healthCheck.path": "HealthCheckPath", "healthCheck.port": "HealthCheckPort",
        "healthCheck.protocol": "HealthCheckProtocol", "healthCheck.timeout": "HealthCheckTimeoutSeconds",
        "healthCheck.unhealthyThreshold": "UnhealthyThresholdCount",
    },
    "rds:Instance": {"password": "MasterUserPassword"},
    "route53:Record": {
        "aliases": "AliasTarget", "aliases.name": "AliasTarget.DNSName",
        "aliases.zoneId": "AliasTarget.HostedZoneId", "records": "ResourceRecords.Value",
        "zoneId": "HostedZoneId",
    },
    "secretsmanager:Secret": {"replicas": "AddReplicaRegions"},
    "sns:TopicSubscription": {"topic": "TopicArn"},
}  # fmt: skip
