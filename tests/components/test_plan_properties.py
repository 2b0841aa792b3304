"""Whatever valid settings a stack has, its plan holds together."""

from collections.abc import Iterator
from ipaddress import IPv4Network

from hypothesis import given
from hypothesis import settings as hypothesis_settings

from components.platform import Platform
from engine.simulated.cloud import Cloud
from stacks import Settings
from tests.components import any_settings
from tests.components.in_the_cloud import record_in_the_cloud
from tests.components.references import dangling

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
