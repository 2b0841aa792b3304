"""From where the CDNs connect."""

import re
from ipaddress import ip_network

import pulumi
import pytest

from components.aws.cdn_addresses import CLOUDFLARE, CLOUDFRONT, prefix_list


def test_cloudflares_addresses_are_networks_of_the_internet() -> None:
    networks = [ip_network(network) for network in CLOUDFLARE]
    assert all(network.is_global for network in networks)
    assert sum(network.num_addresses for network in networks) < 2_000_000


def test_every_region_has_a_list_of_its_own() -> None:
    assert len({*CLOUDFRONT.values()}) == len(CLOUDFRONT) >= 17
    assert all(re.fullmatch(r"pl-[0-9a-f]{8}", found) for found in CLOUDFRONT.values())
    assert prefix_list("eu-central-1") == "pl-a3a144ca"


def test_a_region_without_a_known_list_is_refused_with_a_way_out() -> None:
    with pytest.raises(pulumi.RunError, match=r"aws\.region: .*mars-north-1.*cloudflare"):
        prefix_list("mars-north-1")
