"""What a node on AWS costs an hour, its disk and the fee of EKS Auto Mode included, US dollars."""

from stacks import prices
from stacks.aws import AwsSettings
from stacks.hardware import BASE_DISK_MIB_S, NODE_DISK_MIB_S
from stacks.kubernetes import GpuPoolSettings

GENERAL_DISK_GIB = 80


def gpu(aws: AwsSettings, pool: GpuPoolSettings, name: str, on_spot: float) -> float:
    """Return the cost of a node of a pool that is on spot for a part of the time."""
    fee = prices.AUTO_MODE_SHARE if pool.management == "karpenter" else 0.0
    listed, spot = prices.on_demand(name, aws.region), prices.spot(name, aws.region)
    disk = pool.disk_gib + (NODE_DISK_MIB_S - BASE_DISK_MIB_S) / 2
    hour = on_spot * spot + (1 - on_spot) * listed + fee * listed
    return hour + disk * prices.region(aws.region).disk / prices.HOURS


def general(aws: AwsSettings) -> float:
    """Return the cost of a node without a GPU."""
    region = prices.region(aws.region)
    hour = prices.GENERAL_HOUR * region.general * (1 + prices.AUTO_MODE_SHARE)
    return hour + GENERAL_DISK_GIB * region.disk / prices.HOURS
