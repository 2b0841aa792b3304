"""The GPU nodes that Karpenter makes and takes away: a node pool and its node class for each pool.

Cost nothing by themselves. A node costs its instance (g6.xlarge in us-east-1 $0.80 an hour on demand, about
half of it on spot), EKS Auto Mode's fee on top, and $23 a month for a disk of 100 GiB that is fast. A pool's
``maxNodes`` bounds it.
Deleted, a pool's nodes are drained and gone, and its models are served by nobody. So pools are protected.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes
from pulumi_kubernetes import apiextensions

from components.aws.account import Account
from components.aws.protection import protects
from components.pods import GPU, POOL_LABEL
from stacks.capacity import one_worker_a_node
from stacks.hardware import INSTANCE_TYPES, NODE_DISK_IOPS, NODE_DISK_MIB_S
from stacks.kubernetes import GpuPoolSettings

CAPACITY_TYPES = {
    "spot": ("spot",),
    "on-demand": ("on-demand",),
    "spot-first": ("on-demand", "spot"),  # Karpenter takes spot as long as there is any
    "reserved": ("reserved",),
}
EXPIRE = "336h"
"""Nodes live two weeks, then they are replaced by patched ones; AWS allows three."""
DRAIN = "24h"
"""How long a node may drain, as in EKS's own pools: the pods' own grace periods end long before."""


@dataclass(frozen=True)
class GpuPoolsArgs:
    """What the pools need.

    Attributes:
        account: where they are; its tags are put on nodes, so that their costs are the stack's.
        pools: all pools of the stack; those that Karpenter does not manage are left out.
        zones: availability zones.
        node_role_name: the nodes' role.
        security_group_id: the nodes' security group.
        provider: what makes objects in the cluster.
        allow_replace: the names that the stack gives free.
    """

    account: Account
    pools: Sequence[GpuPoolSettings]
    zones: Sequence[str]
    node_role_name: pulumi.Input[str]
    security_group_id: pulumi.Input[str]
    provider: pulumi_kubernetes.Provider
    allow_replace: Collection[str] = ()


class GpuPools(pulumi.ComponentResource):
    """A Karpenter node pool ``pool-NAME``, with a node class of its own, for each pool."""

    def __init__(self, name: str, args: GpuPoolsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ollamamax:aws:GpuPools", name, None, opts)
        self._pools = []
        for pool in args.pools:
            if pool.management != "karpenter":
                continue
            resource = f"pool-{pool.name}"
            options = pulumi.ResourceOptions(
                parent=self, provider=args.provider, protect=protects(resource, args.allow_replace)
            )
            node_class = apiextensions.CustomResource(
                resource,
                api_version="eks.amazonaws.com/v1",
                kind="NodeClass",
                metadata={"name": pool.name},
                spec=node_class_spec(pool, args),
                opts=options,
            )
            self._pools.append(
                apiextensions.CustomResource(
                    resource,
                    api_version="karpenter.sh/v1",
                    kind="NodePool",
                    metadata={"name": pool.name},
                    spec=node_pool_spec(pool, args.zones),
                    # It names the class, which is no output.
                    opts=pulumi.ResourceOptions.merge(
                        options, pulumi.ResourceOptions(depends_on=[node_class])
                    ),
                )
            )
        self.register_outputs({})

    @property
    def node_pools(self) -> list[pulumi.Resource]:
        """The pools: what runs on their nodes comes after them, and goes before them."""
        return [*self._pools]


def node_class_spec(pool: GpuPoolSettings, args: GpuPoolsArgs) -> dict[str, Any]:
    """Return what a pool's nodes are made of."""
    reservations = [{"id": reservation} for reservation in sorted(pool.reservations)]
    return {
        "role": args.node_role_name,
        "subnetSelectorTerms": [{"tags": {"karpenter.sh/discovery": args.account.prefix}}],
        "securityGroupSelectorTerms": [{"id": args.security_group_id}],
        # Policies are enforced on the pods that they select. DefaultDeny would also cut off those that none
        # selects: the pods of AWS's own driver that mount the models, among others.
        "networkPolicy": "DefaultAllow",
        "ephemeralStorage": {
            "size": f"{pool.disk_gib}Gi",
            "iops": NODE_DISK_IOPS,
            "throughput": NODE_DISK_MIB_S,
        },
        "tags": args.account.tags,
    } | ({"capacityReservationSelectorTerms": reservations} if reservations else {})


def node_pool_spec(pool: GpuPoolSettings, zones: Sequence[str]) -> dict[str, Any]:
    """Return which nodes a pool may have, how many, and when they may go."""
    requirements: Mapping[str, Sequence[str]] = {
        "node.kubernetes.io/instance-type": pool.instance_types,
        "karpenter.sh/capacity-type": CAPACITY_TYPES[pool.capacity],
        "topology.kubernetes.io/zone": pool.zones or zones,
        "kubernetes.io/arch": ("amd64",),
        "kubernetes.io/os": ("linux",),
    }
    return {
        "template": {
            "metadata": {"labels": {POOL_LABEL: pool.name}},
            "spec": {
                "nodeClassRef": {"group": "eks.amazonaws.com", "kind": "NodeClass", "name": pool.name},
                "requirements": [
                    {"key": key, "operator": "In", "values": sorted(values)}
                    for key, values in requirements.items()
                ],
                "taints": [{"key": GPU, "value": "true", "effect": "NoSchedule"}],
                "expireAfter": EXPIRE,
                "terminationGracePeriod": DRAIN,
            },
        },
        "limits": limits(pool),
        "disruption": disruption(pool),
    }


def limits(pool: GpuPoolSettings) -> dict[str, str]:
    """Return the most that a pool may hold: the bound of its bill, in every unit that Karpenter counts."""
    kinds = [INSTANCE_TYPES[name] for name in pool.instance_types]
    return {
        "nodes": str(pool.max_nodes),
        "cpu": str(pool.max_nodes * max(kind.cpus for kind in kinds)),
        GPU: str(pool.max_nodes * max(kind.gpus for kind in kinds)),
    }


def disruption(pool: GpuPoolSettings) -> dict[str, Any]:
    """Return when nodes go without need: when they are empty, or their workers fit on others.

    A node with room for one worker goes only empty (docs/decisions/0037), a reserved one never, for it is
    paid for all the same.
    """
    reserved = pool.capacity == "reserved"
    only_empty = reserved or one_worker_a_node(pool)
    return {
        "consolidationPolicy": "WhenEmpty" if only_empty else "WhenEmptyOrUnderutilized",
        "consolidateAfter": "Never" if reserved else f"{pool.disruption.consolidate_after_s}s",
        "budgets": [{"nodes": f"{pool.disruption.budget_percent}%"}],
    }
