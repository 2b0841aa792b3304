"""Which nodes are to be had: the stack's instance types, as Karpenter's KWOK provider reads them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from rehearsal.stage.inventory import GPU
from stacks import prices
from stacks.hardware import INSTANCE_TYPES, MAX_PODS, Instance
from stacks.settings import Settings

GENERAL = {
    name: Instance(cpus, cpus * 4)
    for name, cpus in (("m7i.xlarge", 4), ("m7i.2xlarge", 8), ("m7i.4xlarge", 16))
}
"""What EKS Auto Mode's own pools are reckoned on, and larger ones of the family."""
GENERAL_DISK_GIB = 80
KEPT_MIB = 10
"""Memory that the provider keeps from pods, MiB; of CPUs it keeps 0.1, which is what a kubelet keeps."""


def offered(settings: Settings, *, spot: bool, without_zones: Collection[str] = ()) -> list[dict[str, Any]]:
    """Return the instance types that the stack names, with what is to be had of each now.

    Args:
        settings: the stack's, on AWS.
        spot: whether spot capacity is to be had.
        without_zones: zones in which nothing is to be had.
    """
    assert settings.aws  # noqa: S101 - a stage is of a stack on AWS
    zones = [zone for zone in settings.aws.zones if zone not in without_zones]
    region = settings.aws.region
    return [_type(*one, zones, spot=spot) for one in _kinds(settings, region)]


def _kinds(settings: Settings, region: str) -> Iterator[tuple[str, Instance, int, dict[str, float]]]:
    """Yield each instance type with its disk, GiB, and its price by capacity type."""
    disks: dict[str, int] = {}
    for pool in settings.gpu_pools:
        for name in pool.instance_types:
            disks[name] = min(pool.disk_gib, disks.get(name, pool.disk_gib))
    for name, disk in sorted(disks.items()):
        by_capacity = {"on-demand": prices.on_demand(name, region), "spot": prices.spot(name, region)}
        yield name, INSTANCE_TYPES[name], disk, by_capacity
    hour = prices.GENERAL_HOUR * prices.region(region).general
    for name, kind in GENERAL.items():
        yield name, kind, GENERAL_DISK_GIB, {"on-demand": hour * kind.cpus / 4}


def _type(
    name: str, kind: Instance, disk_gib: int, by_capacity: dict[str, float], zones: list[str], *, spot: bool
) -> dict[str, Any]:
    resources = {
        "cpu": str(kind.cpus), "memory": f"{kind.pod_memory_mib + KEPT_MIB}Mi", "pods": str(MAX_PODS),
        "ephemeral-storage": f"{disk_gib}Gi",
    }  # fmt: skip
    if gpus := getattr(kind, "gpus", 0):
        resources[GPU] = str(gpus)  # as the device plugin of the cloud's nodes says
    offerings = [
        {
            "Price": price,
            "Requirements": [
                {"key": key, "operator": "In", "values": [value]}
                for key, value in (
                    ("karpenter.sh/capacity-type", capacity),
                    ("topology.kubernetes.io/zone", zone),
                )
            ],
        }
        for capacity, price in sorted(by_capacity.items())
        if spot or capacity != "spot"
        for zone in zones
    ]
    return {
        "name": name, "architecture": "amd64", "operatingSystems": ["linux"],
        "resources": resources, "offerings": offerings,
    }  # fmt: skip
