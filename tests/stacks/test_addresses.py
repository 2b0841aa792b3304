"""The VPC's subnets: inside it, apart from each other, and where they were when a zone is added."""

from ipaddress import IPv4Network
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from stacks import addresses

networks = st.builds(
    lambda prefix, number: IPv4Network((10 << 24 | number % (1 << prefix - 8) << 32 - prefix, prefix)),
    st.integers(16, 20),
    st.integers(0, 4095),
)
zones = st.integers(2, addresses.MOST_ZONES)


@given(network=networks, count=zones)
def test_subnets_lie_in_the_network_and_do_not_overlap(network: IPv4Network, count: int) -> None:
    cut = addresses.cut(network, count)
    every = [*cut.public, *cut.private, *cut.data]
    assert len(every) == 3 * count
    assert all(subnet.subnet_of(network) for subnet in every)
    assert not any(one.overlaps(other) for one, other in combinations(every, 2))


@given(network=networks, count=st.integers(2, addresses.MOST_ZONES - 1))
def test_a_zone_keeps_its_subnets_when_one_is_added(network: IPv4Network, count: int) -> None:
    before, after = addresses.cut(network, count), addresses.cut(network, count + 1)
    assert before.private == after.private[:count]
    assert before.public == after.public[:count]
    assert before.data == after.data[:count]


def test_the_subnets_of_a_16_are_large_where_pods_live() -> None:
    cut = addresses.cut(IPv4Network("10.80.0.0/16"), 3)
    assert [str(subnet) for subnet in cut.private] == ["10.80.0.0/19", "10.80.32.0/19", "10.80.64.0/19"]
    assert [str(subnet) for subnet in cut.public] == ["10.80.192.0/22", "10.80.196.0/22", "10.80.200.0/22"]
    assert [str(subnet) for subnet in cut.data] == ["10.80.224.0/22", "10.80.228.0/22", "10.80.232.0/22"]
    assert addresses.usable(cut.private[0]) == 8187
