"""From where Cloudflare connects."""

from ipaddress import ip_network

from components.aws.cdn_addresses import CLOUDFLARE


def test_cloudflares_addresses_are_networks_of_the_internet() -> None:
    networks = [ip_network(network) for network in CLOUDFLARE]
    assert all(network.is_global for network in networks)
    assert sum(network.num_addresses for network in networks) < 2_000_000
