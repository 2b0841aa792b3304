"""What the machines of AWS hold: instance types with GPUs, classes of databases and caches.

CPUs, memory and number of GPUs of instance types agree with Karpenter's table of them, generated from ``aws
ec2 describe-instance-types`` (github.com/aws/karpenter-provider-aws,
website/content/en/docs/reference/instance-types.md, August 2026); memory of databases and caches with AWS's
user guides, as others quote them. A type that is not here is refused, with the nearest one named: what is not
known cannot be priced or checked.
"""

from dataclasses import dataclass

MIB_A_GIB = 1024
HYPERVISOR_SHARE = 0.075
"""Part of an instance's memory that never reaches its operating system: what Karpenter reckons with."""
KUBELET_MIB = 255
KUBELET_MIB_A_POD = 11
MAX_PODS = 110
"""Pods that a node of EKS Auto Mode takes at most; the kubelet keeps memory for as many."""
EVICTION_MIB = 100
"""Free memory at which the kubelet begins to evict pods."""


@dataclass(frozen=True)
class Gpu:
    """A kind of GPU."""

    name: str
    memory_mib: int
    """What CUDA lets programs use, MiB: the least total that Ollama's and PyTorch's messages, published by
    others, name for it. Less than what ``describe-instance-types`` says."""
    bandwidth: int
    """Memory bandwidth, GB/s, as on NVIDIA's data sheets: what the speed of generating depends on."""
    reached: float = 0.6
    """Part of that bandwidth which generating reaches: an estimate. Others measured llama.cpp with models of
    6 and 17 GB in 2026: 0.78 on GDDR (an RTX 4090), 0.23 to 0.41 on the HBM of A100, H100 and H200."""
    slices: int = 0
    """Most MIG slices that it can be cut into; 0 has no MIG, or none that EKS's node images can set up."""

    def slice_mib(self, slices: int) -> int:
        """Return the memory of one of so many MIG slices: a half, a quarter or an eighth of the GPU."""
        return self.memory_mib // next(parts for parts in (2, 4, 8) if slices <= parts)


@dataclass(frozen=True)
class Instance:
    """A kind of instance."""

    cpus: int
    memory_gib: int

    @property
    def pod_memory_mib(self) -> int:
        """What pods may use of its memory, MiB."""
        seen = int(self.memory_gib * MIB_A_GIB * (1 - HYPERVISOR_SHARE))
        return seen - KUBELET_MIB - KUBELET_MIB_A_POD * MAX_PODS - EVICTION_MIB

    @property
    def pod_cpus(self) -> float:
        """What pods may use of its CPUs: 6 % of the first, 1 % of the second, less of the others is kept."""
        third_and_fourth, rest = min(2, self.cpus - 2), max(0, self.cpus - 4)
        return self.cpus - (0.06 + 0.01 + 0.005 * third_and_fourth + 0.0025 * rest)


@dataclass(frozen=True)
class GpuInstance(Instance):
    """A kind of instance with GPUs."""

    gpu: Gpu
    gpus: int = 1


GENERAL_NODE = Instance(4, 16)
"""m7i.xlarge, on which everything without a GPU is reckoned: EKS Auto Mode chooses among such instances."""

NODE_DISK_IOPS, NODE_DISK_MIB_S = 3000, 500
"""Speed of a GPU node's disk: four times the base throughput, because a node is of use only once it has
pulled gigabytes of images."""
BASE_DISK_MIB_S = 125
"""Throughput of a gp3 disk that costs nothing more; each MiB a second beyond it costs as half a GiB does."""

MIG_SLICES = (2, 3, 4, 7)
"""Into how many equal slices a GPU can be cut."""

T4 = Gpu("T4", 14_900, 320)
A10G = Gpu("A10G", 22_550, 600)
L4 = Gpu("L4", 22_550, 300)
L40S = Gpu("L40S", 45_400, 864)
RTX_PRO_6000 = Gpu("RTX PRO 6000", 97_200, 1597)
A100_40 = Gpu("A100 40 GB", 40_300, 1555, reached=0.4, slices=7)
A100_80 = Gpu("A100 80 GB", 81_000, 2039, reached=0.35, slices=7)
H100 = Gpu("H100", 81_000, 3350, reached=0.3, slices=7)
H200 = Gpu("H200", 143_000, 4800, reached=0.25, slices=7)

INSTANCE_TYPES = {
    "g4dn.xlarge": GpuInstance(4, 16, T4),
    "g4dn.2xlarge": GpuInstance(8, 32, T4),
    "g4dn.4xlarge": GpuInstance(16, 64, T4),
    "g4dn.8xlarge": GpuInstance(32, 128, T4),
    "g4dn.12xlarge": GpuInstance(48, 192, T4, gpus=4),
    "g4dn.16xlarge": GpuInstance(64, 256, T4),
    "g5.xlarge": GpuInstance(4, 16, A10G),
    "g5.2xlarge": GpuInstance(8, 32, A10G),
    "g5.4xlarge": GpuInstance(16, 64, A10G),
    "g5.8xlarge": GpuInstance(32, 128, A10G),
    "g5.12xlarge": GpuInstance(48, 192, A10G, gpus=4),
    "g5.16xlarge": GpuInstance(64, 256, A10G),
    "g5.24xlarge": GpuInstance(96, 384, A10G, gpus=4),
    "g5.48xlarge": GpuInstance(192, 768, A10G, gpus=8),
    "g6.xlarge": GpuInstance(4, 16, L4),
    "g6.2xlarge": GpuInstance(8, 32, L4),
    "g6.4xlarge": GpuInstance(16, 64, L4),
    "g6.8xlarge": GpuInstance(32, 128, L4),
    "g6.12xlarge": GpuInstance(48, 192, L4, gpus=4),
    "g6.16xlarge": GpuInstance(64, 256, L4),
    "g6.24xlarge": GpuInstance(96, 384, L4, gpus=4),
    "g6.48xlarge": GpuInstance(192, 768, L4, gpus=8),
    "gr6.4xlarge": GpuInstance(16, 128, L4),
    "gr6.8xlarge": GpuInstance(32, 256, L4),
    "g6e.xlarge": GpuInstance(4, 32, L40S),
    "g6e.2xlarge": GpuInstance(8, 64, L40S),
    "g6e.4xlarge": GpuInstance(16, 128, L40S),
    "g6e.8xlarge": GpuInstance(32, 256, L40S),
    "g6e.12xlarge": GpuInstance(48, 384, L40S, gpus=4),
    "g6e.16xlarge": GpuInstance(64, 512, L40S),
    "g6e.24xlarge": GpuInstance(96, 768, L40S, gpus=4),
    "g6e.48xlarge": GpuInstance(192, 1536, L40S, gpus=8),
    "g7e.2xlarge": GpuInstance(8, 64, RTX_PRO_6000),
    "g7e.4xlarge": GpuInstance(16, 128, RTX_PRO_6000),
    "g7e.8xlarge": GpuInstance(32, 256, RTX_PRO_6000),
    "g7e.12xlarge": GpuInstance(48, 512, RTX_PRO_6000, gpus=2),
    "g7e.24xlarge": GpuInstance(96, 1024, RTX_PRO_6000, gpus=4),
    "g7e.48xlarge": GpuInstance(192, 2048, RTX_PRO_6000, gpus=8),
    "p4d.24xlarge": GpuInstance(96, 1152, A100_40, gpus=8),
    "p4de.24xlarge": GpuInstance(96, 1152, A100_80, gpus=8),
    "p5.4xlarge": GpuInstance(16, 256, H100),
    "p5.48xlarge": GpuInstance(192, 2048, H100, gpus=8),
    "p5en.48xlarge": GpuInstance(192, 2048, H200, gpus=8),
}

DATABASE_GIB = {
    "db.t4g.micro": 1,
    "db.t4g.small": 2,
    "db.t4g.medium": 4,
    "db.t4g.large": 8,
    "db.t4g.xlarge": 16,
    "db.m6g.large": 8,
    "db.m6g.xlarge": 16,
    "db.m6g.2xlarge": 32,
    "db.m7g.large": 8,
    "db.m7g.xlarge": 16,
    "db.m7g.2xlarge": 32,
    "db.m7g.4xlarge": 64,
    "db.r6g.large": 16,
    "db.r6g.xlarge": 32,
    "db.r7g.large": 16,
    "db.r7g.xlarge": 32,
    "db.r7g.2xlarge": 64,
    "db.r7g.4xlarge": 128,
}
"""Instance class of RDS → memory, GiB."""

CACHE_GIB = {
    "cache.t4g.micro": 0.5,
    "cache.t4g.small": 1.37,
    "cache.t4g.medium": 3.09,
    "cache.m6g.large": 6.38,
    "cache.m7g.large": 6.38,
    "cache.m7g.xlarge": 12.93,
    "cache.m7g.2xlarge": 26.04,
    "cache.r6g.large": 13.07,
    "cache.r7g.large": 13.07,
    "cache.r7g.xlarge": 26.32,
    "cache.r7g.2xlarge": 52.82,
}
"""Node type of ElastiCache → memory, GiB."""
