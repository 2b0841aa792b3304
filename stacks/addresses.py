"""How a VPC's addresses are cut into subnets: arithmetic that its components and its budgets share."""

from dataclasses import dataclass
from ipaddress import IPv4Network

EIGHTHS = 3
"""Bits that cut the VPC into eighths: six for private subnets, one for public ones, one for data."""
MOST_ZONES = 6
AWS_RESERVED = 5
"""Addresses of each subnet that AWS keeps for itself: the first four and the last."""
SERVICES = IPv4Network("172.20.0.0/16")
"""Addresses of a cluster's Services: one of the two ranges that EKS chooses from, written down because
policies name an address of it. None of it may be the VPC's."""


@dataclass(frozen=True)
class Subnets:
    """One subnet of each kind a zone, in the order of the zones."""

    public: tuple[IPv4Network, ...]
    """Load balancer and NAT gateways."""
    private: tuple[IPv4Network, ...]
    """Nodes and pods."""
    data: tuple[IPv4Network, ...]
    """Database and cache: no way to the internet."""


def cut(cidr: IPv4Network, zones: int) -> Subnets:
    """Return the subnets of ``zones`` zones.

    A zone keeps its subnets when zones are added behind it: a subnet cannot move.
    """
    *private, public, data = cidr.subnets(prefixlen_diff=EIGHTHS)
    return Subnets(
        public=tuple(public.subnets(prefixlen_diff=EIGHTHS))[:zones],
        private=tuple(private[:zones]),
        data=tuple(data.subnets(prefixlen_diff=EIGHTHS))[:zones],
    )


def usable(subnet: IPv4Network) -> int:
    """Return how many addresses of a subnet are there to be used."""
    return subnet.num_addresses - AWS_RESERVED
