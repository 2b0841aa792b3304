"""What an AWS account must allow before a stack is brought up in it: ``python -m ops preflight``.

A quota or an instance type that is missing shows only when the nodes are needed, and a higher quota takes AWS
days to grant. So this asks the account beforehand, reads only, and prints what to request.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError

from ops.stack import StackError
from stacks import Settings, capacity
from stacks.aws import AwsSettings
from stacks.hardware import GENERAL_NODE

Client = Callable[[str], Any]
"""Name of a service → its client."""
NO_CREDENTIALS = (
    "no credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, of an account that may "
    "call sts:GetCallerIdentity, iam:GetRole, servicequotas:Get* and ec2:Describe*"
)


@dataclass(frozen=True)
class Quota:
    """A limit that AWS sets for an account in a region."""

    service: str
    code: str
    name: str


STANDARD = Quota("ec2", "L-1216C47A", "vCPUs of on-demand Standard (C, M, R …) instances")
ON_DEMAND = {
    "g": Quota("ec2", "L-DB2E81BA", "vCPUs of on-demand G and VT instances"),
    "p": Quota("ec2", "L-417A185B", "vCPUs of on-demand P instances"),
}
SPOT = {
    "g": Quota("ec2", "L-3819A6DF", "vCPUs of spot G and VT instances"),
    "p4": Quota("ec2", "L-7212CCBC", "vCPUs of spot P4, P3 and P2 instances"),
    "p5": Quota("ec2", "L-C4BD4855", "vCPUs of spot P5 instances"),
}
ADDRESSES = Quota("ec2", "L-0263D0A3", "Elastic IP addresses")
NETWORKS = Quota("vpc", "L-F678F1CE", "VPCs")
NAT = Quota("vpc", "L-FE5A380F", "NAT gateways in a zone")
ENDPOINTS = Quota("vpc", "L-29B6F2EB", "interface endpoints in a VPC")
BALANCERS = Quota("elasticloadbalancing", "L-69A177A2", "network load balancers")
CLUSTERS = Quota("eks", "L-1194D53C", "EKS clusters")
DATABASES = Quota("rds", "L-7B6409FD", "RDS instances")


@dataclass(frozen=True)
class Report:
    """What was found."""

    notes: tuple[str, ...]
    problems: tuple[str, ...]
    """What would fail, each with what to do."""
    requests: tuple[str, ...]
    """Commands that request what is missing."""

    @property
    def text(self) -> str:
        """The report as lines."""
        verdict = f"{len(self.problems)} problem{'s' * (len(self.problems) != 1)}"
        lines = [*self.notes, *(f"problem: {problem}" for problem in self.problems)]
        if self.requests:
            lines += ["to request it (AWS takes hours to days):", *(f"  {line}" for line in self.requests)]
        return "\n".join([*lines, "the account has all that the stack needs" if self.ok else verdict])

    @property
    def ok(self) -> bool:
        """Whether the account has all that the stack needs."""
        return not self.problems


def run(settings: Settings, stack: str) -> Report:
    """Ask the account whose credentials are in the environment.

    Raises:
        StackError: if the stack is not on AWS, there are no credentials, or AWS refuses to answer.
    """
    aws = _aws(settings)
    session = botocore.session.get_session()
    try:
        if session.get_credentials() is None:
            raise StackError(NO_CREDENTIALS)
        return check(settings, stack, lambda name: session.create_client(name, region_name=aws.region))
    except (BotoCoreError, ClientError) as error:
        raise StackError(f"asking AWS in {aws.region} failed: {error}") from error


def check(settings: Settings, stack: str, client: Client) -> Report:
    """Compare what a stack needs at the most with what the account of these clients allows."""
    aws = _aws(settings)
    account = client("sts").get_caller_identity()["Account"]
    if account != aws.account_id:
        found = f"the credentials are those of account {account}, aws.accountId is {aws.account_id}"
        return Report((), (found,), ())
    notes = [f"account {account}, region {aws.region}"]
    problems = [*_zones(aws, client("ec2")), *_spot(settings, client("iam"))]
    offered = _offered(settings, aws, client("ec2"))
    for pool in settings.gpu_pools:
        for name in pool.instance_types:
            if not offered[name]:
                problems.append(
                    f"gpuPools[{pool.name}].instanceTypes: {name} is not offered in {', '.join(aws.zones)}: "
                    "take another type, zone or region"
                )
        without = [zone for zone in aws.zones if not any(zone in offered[n] for n in pool.instance_types)]
        if without and len(without) < len(aws.zones):
            notes.append(f"gpuPools[{pool.name}]: no type of it is offered in {', '.join(without)}")
    requests = []
    used = _used(stack, client("ec2"))
    for quota, wanted in sorted(needs(settings).items(), key=lambda need: need[0].name):
        limit, taken = _limit(quota, client("service-quotas")), used.get(quota, 0)
        others = f", {taken} of them taken by others" if taken else ""
        notes.append(f"{quota.name}: needs {wanted}, the account has {limit:g}{others}")
        if wanted + taken > limit:
            problems.append(f"{quota.name}: the stack needs {wanted}, the account has {limit:g}{others}")
            requests.append(
                f"aws service-quotas request-service-quota-increase --region {aws.region} --service-code "
                f"{quota.service} --quota-code {quota.code} --desired-value {wanted + taken}"
            )
    return Report(tuple(notes), tuple(problems), tuple(requests))


def needs(settings: Settings) -> dict[Quota, int]:
    """Return how much of each quota the stack takes at the most."""
    aws, wanted = _aws(settings), dict[Quota, int]()
    for pool in settings.gpu_pools:
        most: dict[Quota, int] = {}  # of quotas that a pool may use in turn, each must hold all of it
        for name, kind in capacity.known_types(pool).items():
            cpus = kind.cpus * capacity.nodes(pool, kind, pool.autoscaling.max_replicas)
            for quota in _quotas(name, pool.capacity):
                most[quota] = max(most.get(quota, 0), cpus)
        for quota, cpus in most.items():
            wanted[quota] = wanted.get(quota, 0) + cpus
    gateways = len(aws.zones) if aws.network.nat == "per-zone" else 1
    return {
        **wanted,
        STANDARD: GENERAL_NODE.cpus * capacity.general_nodes(settings, trial=True),
        ADDRESSES: gateways,
        NETWORKS: 1,
        NAT: 1,
        ENDPOINTS: len(aws.network.interface_endpoints),
        BALANCERS: 1,
        CLUSTERS: 1,
        DATABASES: 1,
    }


def _aws(settings: Settings) -> AwsSettings:
    if settings.aws is None:
        raise StackError(f"target {settings.target} needs no account: preflight is for stacks on AWS")
    return settings.aws


def _quotas(instance_type: str, bought_as: str) -> Iterator[Quota]:
    """Yield the quotas that nodes of a type count against; reserved ones count as on demand."""
    letter = instance_type[0]
    if bought_as != "spot":
        yield ON_DEMAND[letter]
    if bought_as in ("spot", "spot-first"):
        yield SPOT["g" if letter == "g" else "p5" if instance_type.startswith("p5") else "p4"]


def _zones(aws: AwsSettings, ec2: Any) -> Iterator[str]:  # noqa: ANN401 - botocore makes its clients at run time
    """Yield the zones that the account has not."""
    known = {zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]}
    for zone in aws.zones:
        if zone not in known:
            yield f"aws.zones: the account has no zone {zone}; it has {', '.join(sorted(known))}"


def _spot(settings: Settings, iam: Any) -> Iterator[str]:  # noqa: ANN401 - as above
    """Yield what an account lacks that never had a spot instance, where a pool wants some."""
    if not any(capacity.buys_spot(pool) for pool in settings.gpu_pools):
        return
    try:
        iam.get_role(RoleName="AWSServiceRoleForEC2Spot")
    except iam.exceptions.NoSuchEntityException:
        yield (
            "the account never had a spot instance, and nodes may not make the role for it: "
            "aws iam create-service-linked-role --aws-service-name spot.amazonaws.com"
        )


def _offered(settings: Settings, aws: AwsSettings, ec2: Any) -> dict[str, list[str]]:  # noqa: ANN401 - as above
    """Return in which of the stack's zones each of its instance types is offered."""
    names = sorted({name for pool in settings.gpu_pools for name in pool.instance_types})
    offered: dict[str, list[str]] = {name: [] for name in names}
    if not names:
        return offered
    answer = ec2.describe_instance_type_offerings(
        LocationType="availability-zone",
        Filters=[
            {"Name": "instance-type", "Values": names},
            {"Name": "location", "Values": sorted(aws.zones)},
        ],
    )
    for entry in answer["InstanceTypeOfferings"]:
        offered[entry["InstanceType"]].append(entry["Location"])
    return offered


def _used(stack: str, ec2: Any) -> dict[Quota, int]:  # noqa: ANN401 - as above
    """Return what others than the stack take of the quotas that are small and shared."""

    def others(resources: Iterable[dict[str, Any]]) -> int:
        ours = {"project": "ollamamax", "stack": stack}.items()
        return sum(
            not ours <= {tag["Key"]: tag["Value"] for tag in resource.get("Tags", [])}.items()
            for resource in resources
        )

    return {
        ADDRESSES: others(ec2.describe_addresses()["Addresses"]),
        NETWORKS: others(ec2.describe_vpcs()["Vpcs"]),
    }


def _limit(quota: Quota, quotas: Any) -> float:  # noqa: ANN401 - as above
    """Return the account's limit: its own, or the default where it never had another."""
    words = {"ServiceCode": quota.service, "QuotaCode": quota.code}
    try:
        answer = quotas.get_service_quota(**words)
    except quotas.exceptions.NoSuchResourceException:
        answer = quotas.get_aws_default_service_quota(**words)
    return float(answer["Quota"].get("Value", math.inf))
