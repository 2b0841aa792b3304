"""The GPU nodes of managed node groups: for pools that share a GPU, which EKS's own nodes do not offer.

A group always has its ``maxNodes`` nodes: each costs its instance all day (p4d.24xlarge $22 an hour on demand
in us-east-1), and $23 a month for a disk of 100 GiB that is fast.
Deleted, a group's nodes are drained and gone, and its models are served by nobody. So groups are protected.

The nodes run Bottlerocket, as those that EKS makes do. Its own NVIDIA device plugin cuts or shares the GPUs
as its boot settings say, and offers each part under the name of a whole one.
"""

import base64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import ec2, eks

from components.aws.account import Account
from components.aws.documents import assumed_by
from components.aws.node_addons import NodeAddons, NodeAddonsArgs
from components.aws.protection import protects
from components.aws.role import Role, RoleArgs
from components.pods import GPU, POOL_LABEL
from stacks.hardware import INSTANCE_TYPES, NODE_DISK_IOPS, NODE_DISK_MIB_S
from stacks.kubernetes import GpuPoolSettings

NODE_POLICIES = ("AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodePolicy")
CAPACITY_TYPES = {"spot": "SPOT", "on-demand": "ON_DEMAND", "reserved": "CAPACITY_BLOCK"}
SYSTEM_DISK, DATA_DISK = "/dev/xvda", "/dev/xvdb"
"""Bottlerocket keeps itself on the first, and images and what containers write on the second."""
MIG_NAMES = {"A100 40 GB": "a100.40gb", "A100 80 GB": "a100.80gb", "H100": "h100.80gb", "H200": "h200.141gb"}
"""GPU → what Bottlerocket calls it."""


@dataclass(frozen=True)
class NodeGroupsArgs:
    """What the groups need.

    Attributes:
        account: where they are; its tags are put on nodes, so that their costs are the stack's.
        pools: all pools of the stack; those that are no node groups are left out.
        cluster_name: the cluster.
        version: its Kubernetes version.
        subnet_ids: subnets of nodes and pods, by zone.
        allow_replace: the names that the stack gives free.
    """

    account: Account
    pools: Sequence[GpuPoolSettings]
    cluster_name: pulumi.Input[str]
    version: str
    subnet_ids: Mapping[str, pulumi.Input[str]]
    allow_replace: Collection[str] = ()


class NodeGroups(pulumi.ComponentResource):
    """A node group ``pool-NAME`` for each pool; without such pools, nothing."""

    def __init__(self, name: str, args: NodeGroupsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ollamamax:aws:NodeGroups", name, None, opts)
        self._args = args
        self._child = child = pulumi.ResourceOptions(parent=self)
        pools = [pool for pool in args.pools if pool.management == "node-group"]
        self._groups: list[pulumi.Resource] = []
        if pools:
            role = Role(
                "node-group",
                RoleArgs(
                    args.account,
                    "Nodes of managed node groups",
                    trust=assumed_by("ec2.amazonaws.com"),
                    managed=NODE_POLICIES,
                ),
                child,
            )
            addons = NodeAddons("node-addons", NodeAddonsArgs(args.account, args.cluster_name), child)
            self._groups = [self._group(pool, role, addons) for pool in pools]
        self.register_outputs({})

    @property
    def node_pools(self) -> list[pulumi.Resource]:
        """The groups: what runs on their nodes comes after them, and goes before them."""
        return [*self._groups]

    def _group(self, pool: GpuPoolSettings, role: Role, addons: NodeAddons) -> pulumi.Resource:
        args, name = self._args, f"pool-{pool.name}"
        template = self._template(name, pool)
        return eks.NodeGroup(
            name,
            cluster_name=args.cluster_name,
            version=args.version,
            ami_type="BOTTLEROCKET_x86_64_NVIDIA",
            capacity_type=CAPACITY_TYPES[pool.capacity],
            # A capacity block wants its one type in the template.
            instance_types=None if pool.capacity == "reserved" else sorted(pool.instance_types),
            launch_template=eks.NodeGroupLaunchTemplateArgs(
                id=template.id, version=template.latest_version.apply(str)
            ),
            node_role_arn=role.arn,
            subnet_ids=[args.subnet_ids[zone] for zone in pool.zones or args.subnet_ids],
            scaling_config=eks.NodeGroupScalingConfigArgs(
                min_size=pool.max_nodes, desired_size=pool.max_nodes, max_size=pool.max_nodes
            ),
            update_config=eks.NodeGroupUpdateConfigArgs(
                max_unavailable_percentage=pool.disruption.budget_percent
            ),
            node_repair_config=eks.NodeGroupNodeRepairConfigArgs(enabled=True),
            labels={POOL_LABEL: pool.name},
            taints=[eks.NodeGroupTaintArgs(key=GPU, value="true", effect="NO_SCHEDULE")],
            # Without the role's policies and the add-ons a node never becomes ready.
            opts=pulumi.ResourceOptions(
                parent=self, protect=protects(name, args.allow_replace), depends_on=[role, addons]
            ),
        )

    def _template(self, name: str, pool: GpuPoolSettings) -> ec2.LaunchTemplate:
        reserved = pool.capacity == "reserved"
        tags = {**self._args.account.tags, "Name": f"{self._args.account.prefix}-{name}"}
        return ec2.LaunchTemplate(
            name,
            name=f"{self._args.account.prefix}-{name}",
            update_default_version=True,
            user_data=base64.b64encode(boot_settings(pool).encode()).decode() or None,
            instance_type=pool.instance_types[0] if reserved else None,
            instance_market_options=ec2.LaunchTemplateInstanceMarketOptionsArgs(market_type="capacity-block")
            if reserved
            else None,
            capacity_reservation_specification=_reservation(pool) if reserved else None,
            block_device_mappings=[
                _disk(SYSTEM_DISK),
                _disk(DATA_DISK, volume_size=pool.disk_gib, iops=NODE_DISK_IOPS, throughput=NODE_DISK_MIB_S),
            ],
            metadata_options=ec2.LaunchTemplateMetadataOptionsArgs(
                http_endpoint="enabled",
                http_tokens="required",
                http_put_response_hop_limit=1,  # a pod is one hop further: it gets no credentials of the node
            ),
            tag_specifications=[
                ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=tags)
                for kind in ("instance", "network-interface", "volume")
            ],
            opts=self._child,
        )


def boot_settings(pool: GpuPoolSettings) -> str:
    """Return how Bottlerocket shares the pool's GPUs, TOML; EKS adds what a node needs to join."""
    sharing, plugin = pool.sharing, "settings.kubelet-device-plugins.nvidia"
    if sharing is None:
        return ""
    if sharing.mode == "time-slicing":
        lines = [
            f"[{plugin}]",
            'device-sharing-strategy = "time-slicing"',
            f"[{plugin}.time-slicing]",
            f"replicas = {sharing.slices}",
            "rename-by-default = false",
        ]
    else:
        gpus = sorted({MIG_NAMES[INSTANCE_TYPES[kind].gpu.name] for kind in pool.instance_types})
        lines = [
            f"[{plugin}]",
            'device-partitioning-strategy = "mig"',
            f"[{plugin}.mig.profile]",
            *(f'"{gpu}" = "{sharing.slices}"' for gpu in gpus),
        ]
    return "\n".join([*lines, ""])


def _reservation(pool: GpuPoolSettings) -> ec2.LaunchTemplateCapacityReservationSpecificationArgs:
    return ec2.LaunchTemplateCapacityReservationSpecificationArgs(
        capacity_reservation_target=(
            ec2.LaunchTemplateCapacityReservationSpecificationCapacityReservationTargetArgs(
                capacity_reservation_id=pool.reservations[0]
            )
        )
    )


def _disk(device: str, **size: int) -> ec2.LaunchTemplateBlockDeviceMappingArgs:
    return ec2.LaunchTemplateBlockDeviceMappingArgs(
        device_name=device,
        ebs=ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
            encrypted="true", delete_on_termination="true", volume_type="gp3", **size
        ),
    )
