"""Whatever valid settings a stack has, its plan holds together."""

import copy
import gc
from collections.abc import Iterator
from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings

from components.platform import Platform
from engine.simulated.cloud import Cloud
from stacks import Settings, protected
from stacks.budgets.target import LONGEST_STACK
from stacks.loading import parse
from tests.components import any_settings
from tests.components.in_the_cloud import record_in_the_cloud
from tests.components.references import dangling

CACHE_RULE = "aws:ecr/pullThroughCacheRule:PullThroughCacheRule"
INSIDE = [IPv4Network(cidr) for cidr in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]


def open_groups(cloud: Cloud) -> Iterator[str]:
    """Yield the ids of the security groups that let addresses of the internet in."""
    for rule in cloud.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"):
        cidr = rule.inputs.get("cidrIpv4")
        if "cidrIpv6" in rule.inputs or (
            cidr and not any(IPv4Network(cidr).subnet_of(inside) for inside in INSIDE)
        ):
            yield rule.inputs["securityGroupId"]
    for kind in ("securityGroup:SecurityGroup", "defaultSecurityGroup:DefaultSecurityGroup"):
        for group in cloud.of(f"aws:ec2/{kind}"):
            if group.inputs.get("ingress"):  # rules are resources of their own here
                yield group.id


def edges(cloud: Cloud) -> set[str]:
    """Return the ids of the load balancers' security groups."""
    return {
        group
        for balancer in cloud.of("aws:lb/loadBalancer:LoadBalancer")
        for group in balancer.inputs["securityGroups"]
    }


def here(settings: Settings) -> set[str]:
    """Return what is protected of the stack itself, without what ``make bootstrap`` makes for it."""
    return {*protected.names(settings)} - {"secrets-key", "state", "state-key"}


@hypothesis_settings(max_examples=20)
@given(any_settings.settings())
def test_any_valid_settings_give_a_plan_that_holds_together(drawn: tuple[str, Settings]) -> None:
    stack, settings = drawn
    # The cloud refuses names that are there already, and references to what is not.
    graph, cloud = record_in_the_cloud(lambda: Platform("platform", settings, "0.0.0"), stack)
    urns = [one.urn for one in graph.values()]
    assert len(set(urns)) == len(urns)
    assert dangling(graph) == []
    assert set(open_groups(cloud)) <= edges(cloud)
    given_free = {*settings.policy.allow_replace}
    assert {one.name for one in graph.values() if one.protect} == here(settings) - given_free


def longest_names(stack: str) -> Settings:
    """Return settings in which all that AWS's names are made of is as long as it may be."""
    raw = copy.deepcopy(any_settings.STACKS["staging"][0])
    raw["gpuPools"][0]["name"] = "p" * 30
    raw["kubernetes"] = {"namespace": "n" * 30}
    raw["aws"]["dns"]["zone"] = f"{'z' * 44}.example.org"
    return parse(raw, stack)


@pytest.mark.parametrize("stack", ["a" * LONGEST_STACK, "a-b-c-d-e-f-g-1"])
def test_the_longest_name_of_a_stack_fits_into_all_that_is_named_after_it(stack: str) -> None:
    settings = longest_names(stack)
    _, cloud = record_in_the_cloud(lambda: Platform("platform", settings, "0.0.0"), stack)
    prefixes = [rule.inputs["ecrRepositoryPrefix"] for rule in cloud.of(CACHE_RULE)]
    assert max(map(len, prefixes)) == 30


def test_a_longer_one_does_not() -> None:
    settings, longer = longest_names("a"), "a" * (LONGEST_STACK + 1)
    with pytest.raises(Exception, match=r"ecrRepositoryPrefix"):
        record_in_the_cloud(lambda: Platform("platform", settings, "0.0.0"), longer)
    gc.collect()  # asyncio tells here, not among later tests, of errors that nobody asked for
