"""What the internet may reach."""

from typing import Any

from policies.pods import WORKLOADS
from policies.values import UNKNOWN
from tests.policies.examples import fails, kube, passes, thing
from tests.policies.examples.workloads import workload

GROUP = "aws:ec2/securityGroup:SecurityGroup"
GROUP_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
CLUSTER = "aws:eks/cluster:Cluster"
CACHE = "aws:elasticache/replicationGroup:ReplicationGroup"
EDGE = {"exposure": "edge"}


def ingress(
    port: int, protocol: str = "tcp", cidr: str = "0.0.0.0/0", last: int | None = None
) -> dict[str, Any]:
    """Return a rule of a security group."""
    return {"protocol": protocol, "fromPort": port, "toPort": last or port, "cidrBlocks": [cidr]}


EXAMPLES = [
    fails(
        "open-security-group",
        thing(GROUP, ingress=[ingress(22)]),
        says="protocol tcp, ports 22 to 22 are open to 0.0.0.0/0",
    ),
    fails("open-security-group", thing(GROUP, ingress=[ingress(443)]), says="ports 443 to 443"),
    fails(
        "open-security-group", thing(GROUP, tags=EDGE, ingress=[ingress(0, last=65535)]), says="0 to 65535"
    ),
    fails("open-security-group", thing(GROUP, tags=EDGE, ingress=[ingress(80, "udp")]), says="protocol udp"),
    fails("open-security-group", thing(GROUP, ingress=[ingress(22, cidr="128.0.0.0/1")]), says="128.0.0.0/1"),
    fails(
        "open-security-group",
        thing(GROUP, ingress=[{"protocol": "tcp", "fromPort": 22, "toPort": 22, "ipv6CidrBlocks": ["::/0"]}]),
        says="open to ::/0",
    ),
    fails("open-security-group", thing(GROUP_RULE, type="ingress", **ingress(22)), says="open to 0.0.0.0/0"),
    fails(
        "open-security-group",
        thing(INGRESS, ipProtocol="-1", cidrIpv6="::/0"),
        says="protocol -1, ports None to None are open to ::/0",
    ),
    passes(
        "open-security-group",
        thing(GROUP, tags=EDGE, ingress=[ingress(443), ingress(443, "udp"), ingress(80)]),
    ),
    passes("open-security-group", thing(GROUP, ingress=[ingress(22, cidr="10.0.0.0/8")])),
    passes("open-security-group", thing(GROUP_RULE, type="egress", **ingress(443))),
    passes(
        "open-security-group",
        thing(INGRESS, ipProtocol="udp", fromPort=443, toPort=443, cidrIpv4="0.0.0.0/0", tags=EDGE),
    ),
    fails(
        "open-cluster-endpoint",
        thing(CLUSTER, vpcConfig={"subnetIds": ["a"]}),
        says="vpcConfig.publicAccessCidrs lists no address",
    ),
    fails(
        "open-cluster-endpoint",
        thing(CLUSTER, vpcConfig={"endpointPublicAccess": True, "publicAccessCidrs": ["0.0.0.0/0"]}),
        says="its endpoint is open to 0.0.0.0/0",
    ),
    passes("open-cluster-endpoint", thing(CLUSTER, vpcConfig={"endpointPublicAccess": False})),
    passes("open-cluster-endpoint", thing(CLUSTER, vpcConfig={"publicAccessCidrs": ["203.0.113.0/24"]})),
    *(
        example
        for kind in ("instance:Instance", "clusterInstance:ClusterInstance", "cluster:Cluster")
        for example in (
            fails("public-database", thing(f"aws:rds/{kind}", publiclyAccessible=True), says="is true"),
            passes("public-database", thing(f"aws:rds/{kind}", publiclyAccessible=False)),
        )
    ),
    fails("cache-placement", thing(CACHE, securityGroupIds=["sg-1"]), says="it names no subnets"),
    fails("cache-placement", thing(CACHE, subnetGroupName="data"), says="it names no security groups"),
    fails("cache-placement", thing("aws:elasticache/cluster:Cluster"), says="it names no subnets"),
    fails(
        "cache-placement",
        thing("aws:elasticache/serverlessCache:ServerlessCache"),
        says="it names no subnets",
    ),
    passes("cache-placement", thing(CACHE, subnetGroupName=UNKNOWN, securityGroupIds=[UNKNOWN])),
    passes(
        "cache-placement",
        thing("aws:elasticache/serverlessCache:ServerlessCache", subnetIds=["a"], securityGroupIds=["sg-1"]),
    ),
    *(
        example
        for service in ("lb", "alb", "elb")
        for example in (
            fails(
                "public-load-balancer",
                thing(f"aws:{service}/loadBalancer:LoadBalancer"),
                says="it faces the internet",
            ),
            passes("public-load-balancer", thing(f"aws:{service}/loadBalancer:LoadBalancer", internal=True)),
            passes("public-load-balancer", thing(f"aws:{service}/loadBalancer:LoadBalancer", tags=EDGE)),
        )
    ),
    fails(
        "public-instance",
        thing("aws:ec2/instance:Instance", associatePublicIpAddress=True),
        says="associatePublicIpAddress is true",
    ),
    fails(
        "public-instance",
        thing(
            "aws:ec2/launchTemplate:LaunchTemplate", networkInterfaces=[{"associatePublicIpAddress": "true"}]
        ),
        says="associatePublicIpAddress is true",
    ),
    passes("public-instance", thing("aws:ec2/instance:Instance", associatePublicIpAddress=False)),
    passes("public-instance", thing("aws:ec2/launchTemplate:LaunchTemplate", networkInterfaces=[{}])),
    fails("public-service", kube("core/v1:Service", spec={"type": "NodePort"}), says="spec.type is NodePort"),
    fails("public-service", kube("core/v1:Service", spec={"type": "LoadBalancer"}), says="LoadBalancer"),
    fails(
        "public-service", kube("core/v1:Service", spec={"externalIPs": ["203.0.113.1"]}), says="externalIPs"
    ),
    passes("public-service", kube("core/v1:Service", spec={"type": "ClusterIP"})),
    passes(
        "public-service",
        kube(
            "core/v1:Service",
            metadata={"annotations": {"ollamamax.io/exposure": "edge"}},
            spec={"type": "LoadBalancer"},
        ),
    ),
    *(
        fails("host-access", workload(kind, {"hostNetwork": True}), says="hostNetwork is true")
        for kind in WORKLOADS
    ),
    fails("host-access", workload(pod={"hostPID": True}), says="hostPID is true"),
    fails(
        "host-access",
        workload(pod={"volumes": [{"name": "root", "hostPath": {"path": "/"}}]}),
        says="volume root is a hostPath",
    ),
    fails(
        "host-access",
        workload(container={"ports": [{"containerPort": 80, "hostPort": 80}]}),
        says="container main takes hostPort 80",
    ),
    passes("host-access", workload(pod={"volumes": [{"name": "tmp", "emptyDir": {}}]})),
]
