"""AWS: account, network, names and capacity agree with each other."""

import difflib
from collections.abc import Iterator

from stacks import addresses, capacity, hardware, regions
from stacks.settings import Settings

FIXED_ADDRESSES = 32
"""Addresses at the bottom of the Docker subnet: the bridge, and the services with a fixed address."""
ADDRESSES_A_NODE = 33
"""Addresses of a subnet that a node takes: its own, and prefixes of 16 for its pods, one of them ahead of
need: docs.aws.amazon.com/eks/latest/userguide/auto-networking.html"""
LARGEST, SMALLEST = 16, 20
"""Prefix lengths of a VPC: AWS gives no larger one, and a smaller one has no room for nodes in six zones."""
GROUP_RULES = 60
"""Rules of a security group, unless AWS was asked for more:
docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html"""
LONGEST_COMMON_NAME = 64
"""Letters of the name that a certificate of ACM is for:
docs.aws.amazon.com/acm/latest/APIReference/API_RequestCertificate.html."""


def account(s: Settings) -> Iterator[str]:
    """Zones belong to the region, classes exist, and capacity that was reserved is named."""
    for pool in s.gpu_pools:
        if pool.capacity == "reserved" and not pool.reservations:
            yield (
                f"gpuPools[{pool.name}].reservations: is empty, while capacity is {pool.capacity}: name the "
                "capacity reservations or capacity blocks"
            )
        if pool.capacity != "reserved" and pool.reservations:
            yield (
                f"gpuPools[{pool.name}].reservations are given, while capacity is {pool.capacity}: they "
                "would be paid for and not used; set capacity to reserved"
            )
    if s.aws is None:
        return
    for pool in s.gpu_pools:
        for zone in pool.zones:
            if zone not in s.aws.zones:
                yield f"gpuPools[{pool.name}].zones: {zone} is none of aws.zones ({', '.join(s.aws.zones)})"
    if not s.aws.cluster.admin_roles and s.aws.ci is None:
        yield (
            f"aws.cluster.adminRoles is empty, and there is no aws.ci: nobody could place anything in the "
            f"cluster of account {s.aws.account_id}: name the IAM role that runs up"
        )
    authorities = regions.database_authorities()
    if s.aws.region not in authorities:
        near = difflib.get_close_matches(s.aws.region, authorities, n=1)
        hint = f"the nearest known is {near[0]}" if near else f"known are {', '.join(authorities)}"
        yield (
            f"aws.region: {s.aws.region} is not known here, stacks/rds-ca.pem has no authority of RDS for "
            f"it; {hint}"
        )
    if strangers := [zone for zone in s.aws.zones if zone[:-1] != s.aws.region]:
        yield f"aws.zones: {', '.join(strangers)}: not in aws.region {s.aws.region}"
    if len(s.aws.zones) > addresses.MOST_ZONES:
        yield f"aws.zones: {len(s.aws.zones)} are more than the {addresses.MOST_ZONES} that a VPC is cut for"
    if s.aws.database.max_storage_gib < s.aws.database.storage_gib:
        yield (
            f"aws.database.maxStorageGib ({s.aws.database.max_storage_gib}) must be at least "
            f"aws.database.storageGib ({s.aws.database.storage_gib})"
        )
    for path, name, known in (
        ("aws.database.instanceClass", s.aws.database.instance_class, hardware.DATABASE_GIB),
        ("aws.cache.nodeType", s.aws.cache.node_type, hardware.CACHE_GIB),
    ):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            yield f"{path}: {name} is not known here; did you mean {(near or list(known))[0]}?"


def network(s: Settings) -> Iterator[str]:
    """Subnets hold what is placed in them at the most: containers in Docker, nodes and their pods on AWS."""
    if s.target == "docker" and s.docker.subnet.num_addresses < 2 * FIXED_ADDRESSES * 2:
        yield f"docker.subnet ({s.docker.subnet}) must be /25 or larger: it holds fixed and dynamic addresses"
    if s.aws is None:
        return
    cidr = s.aws.network.cidr
    if not LARGEST <= cidr.prefixlen <= SMALLEST:
        yield f"aws.network.cidr ({cidr}) must be from /{LARGEST} to /{SMALLEST}"
        return
    if cidr.overlaps(addresses.SERVICES):
        yield (
            f"aws.network.cidr ({cidr}) overlaps with {addresses.SERVICES}, the addresses of the cluster's "
            "Services, which EKS refuses: take another network, such as 10.80.0.0/16"
        )
    if "s3" in s.aws.network.interface_endpoints:
        yield (
            f"aws.network.interfaceEndpoints ({', '.join(s.aws.network.interface_endpoints)}): leave s3 out, "
            "which has an endpoint that costs nothing"
        )
    rules = 2 * len(s.aws.clients)
    if rules > GROUP_RULES:
        yield (
            f"aws.clients: {len(s.aws.clients)} networks × TCP and UDP = {rules} rules are more than the "
            f"{GROUP_RULES} that a security group takes: join networks"
        )
    nodes = sum(pool.max_nodes for pool in s.gpu_pools) + capacity.general_nodes(s, trial=True)
    zones = len(s.aws.zones)
    subnets = addresses.cut(cidr, min(zones, addresses.MOST_ZONES)).private
    room = sum(addresses.usable(subnet) for subnet in subnets)
    if nodes * ADDRESSES_A_NODE > room:
        yield (
            f"aws.network.cidr ({cidr}) gives nodes and pods {room} addresses in {zones} zones, fewer than "
            f"{nodes} nodes (all pools' maxNodes, the gateways' and a release's) × {ADDRESSES_A_NODE} = "
            f"{nodes * ADDRESSES_A_NODE}: take a larger network, or lower maxNodes"
        )


def names(s: Settings) -> Iterator[str]:
    """Zones of names either exist or are made, and the CDN knows which one is its own."""
    if s.aws is None:
        return
    dns, cdn = s.aws.dns, s.aws.cdn
    if dns.create_zone and dns.zone_id:
        yield (
            f"aws.dns.zoneId ({dns.zone_id}) names a zone that exists, while aws.dns.createZone is true: set "
            "it to false, or leave zoneId out"
        )
    if not dns.create_zone and not dns.zone_id:
        yield f"aws.dns.zoneId: is missing: aws.dns.createZone is false, so {dns.zone} is there: give its id"
    if cdn and cdn.provider == "cloudflare" and not cdn.cloudflare_zone_id:
        yield f"aws.cdn.cloudflareZoneId: is missing: aws.cdn.provider is {cdn.provider}"
    if cdn and cdn.provider != "cloudflare" and cdn.cloudflare_zone_id:
        yield (
            f"aws.cdn.cloudflareZoneId ({cdn.cloudflare_zone_id}) is given, while aws.cdn.provider is "
            f"{cdn.provider}"
        )
    if cdn and cdn.provider != "cloudflare" and cdn.cloudflare_token:
        yield f"aws.cdn.cloudflareToken is given, while aws.cdn.provider is {cdn.provider}: leave it out"
    if cdn and cdn.provider == "cloudfront" and s.aws.region not in regions.CLOUDFRONT_LISTS:
        yield (
            f"aws.cdn.provider ({cdn.provider}): the list of its addresses in aws.region {s.aws.region} is "
            f"not known here, only in {', '.join(regions.CLOUDFRONT_LISTS)}: take one of these, or cloudflare"
        )
    console = f"console.{dns.zone}"
    if cdn and cdn.provider == "cloudfront" and len(console) > LONGEST_COMMON_NAME:
        yield (
            f"aws.dns.zone ({dns.zone}): {console} has {len(console)} letters, and ACM issues certificates "
            f"for names of at most {LONGEST_COMMON_NAME}: take a shorter zone, or aws.cdn.provider cloudflare"
        )
