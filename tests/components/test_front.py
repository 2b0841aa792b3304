"""What the internet sees of a stack on AWS, with either CDN and with none."""

from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

from components.platform import Platform
from stacks.loading import read
from stacks.settings import Settings
from tests.components.conftest import MANAGED, ROOT, Graph, record_of

RECORD = "aws:route53/record:Record"
LISTENER = "aws:lb/listener:Listener"
STAGING = "staging.llm.example.org"


def planned(images: Path, cdn: dict[str, Any] | None, outputs: set[str] | None = None) -> Graph:
    """Return the graph of stack ``staging`` with another CDN; ``outputs`` gets the names of what it tells."""
    settings = read(ROOT / "stacks" / "Pulumi.staging.yaml", "staging")
    assert settings.aws is not None
    raw = settings.model_dump(exclude_unset=True)
    raw["aws"]["cdn"] = cdn
    changed = Settings.model_validate(raw)

    def build() -> None:
        platform = Platform("platform", changed, "0.0.0")
        if outputs is not None:
            outputs.update(platform.outputs)

    with chdir(images):
        return record_of(build, "staging", MANAGED)


@pytest.fixture(scope="module")
def cloudfront(images: Path) -> Graph:
    return planned(images, {"provider": "cloudfront", "api": True})


@pytest.fixture(scope="module")
def alone(images: Path) -> Graph:
    return planned(images, None)


def leads(graph: Graph) -> dict[str, str]:
    """Return what each name leads to."""
    found = {}
    for record in graph.of_type(RECORD):
        inputs = record.inputs
        if inputs["type"] in ("A", "CNAME") and not inputs["name"].startswith("_proof"):
            found[inputs["name"]] = str(inputs.get("records") or inputs["aliases"][0]["name"])
    return found


def ports(graph: Graph) -> dict[str, tuple[str, int]]:
    return {one.name: (one.inputs["protocol"], one.inputs["port"]) for one in graph.of_type(LISTENER)}


def test_clients_reach_the_load_balancer_itself_and_the_console_is_behind_the_cdn(cloud: Graph) -> None:
    assert {*leads(cloud)} == {"api.llm.example.org", "console.llm.example.org"}
    assert "cdn.cloudflare.net" in leads(cloud)["console.llm.example.org"]
    assert ports(cloud) == {"edge": ("TCP_UDP", 443), "edge-cdn": ("TCP", 8443)}


def test_the_load_balancer_has_a_way_to_the_internet_as_long_as_it_stands(cloud: Graph) -> None:
    balancer = cloud["aws:lb/loadBalancer:LoadBalancer::edge"]
    assert "aws:ec2/internetGateway:InternetGateway::internet" in balancer.depends_on


def test_an_api_behind_the_cdn_has_no_way_around_it_and_no_quic(cloudfront: Graph) -> None:
    assert ports(cloudfront) == {"edge-cdn": ("TCP", 8443)}
    assert {*leads(cloudfront)} == {f"{name}.{STAGING}" for name in ("api", "console", "origin")}
    (sources,) = (
        one.inputs["prefixListId"]
        for one in cloudfront.of_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
        if one.name.startswith("edge-cdn-tcp")
    )
    assert sources == "pl-a3a144ca"


def test_without_a_cdn_there_is_one_name_and_one_port(alone: Graph) -> None:
    assert {*leads(alone)} == {f"api.{STAGING}"}
    assert ports(alone) == {"edge": ("TCP_UDP", 443)}
    assert not [one for one in alone if one.startswith(("aws:cloudfront", "cloudflare:"))]


def test_what_is_public_needs_no_key_only_where_a_cdn_keeps_it(cloudfront: Graph, alone: Graph) -> None:
    public = 'publicPaths: ["/api/version", "/v1/models"]'
    for graph, expected in ((cloudfront, True), (alone, False)):
        (config,) = (
            one.inputs["data"]["gateway.yaml"]
            for one in graph.of_type("kubernetes:core/v1:ConfigMap")
            if one.name == "gateway"
        )
        assert (public in config) is expected


def test_the_edges_certificate_has_the_names_that_it_is_asked_for(cloud: Graph, cloudfront: Graph) -> None:
    for graph, names in (
        (cloud, ["api.llm.example.org", "console.llm.example.org"]),
        (cloudfront, [f"api.{STAGING}", f"origin.{STAGING}"]),
    ):
        certificate = graph["kubernetes:cert-manager.io/v1:Certificate::edge-tls"]
        assert certificate.inputs["spec"]["dnsNames"] == names


def test_the_pods_of_the_edge_join_at_the_ports_where_they_listen(cloud: Graph) -> None:
    bindings = cloud.of_type("kubernetes:eks.amazonaws.com/v1:TargetGroupBinding")
    joined = {one.name: one.inputs["spec"]["serviceRef"] for one in bindings}
    assert joined == {"edge": {"name": "edge", "port": 8443}, "edge-cdn": {"name": "edge", "port": 8444}}
    service = cloud["kubernetes:core/v1:Service::edge"].inputs["spec"]["ports"]
    assert {(port["port"], port["protocol"]) for port in service} == {
        (8443, "TCP"),
        (8443, "UDP"),
        (8444, "TCP"),
    }


def test_the_bucket_for_the_consoles_files_is_among_the_outputs_where_a_cdn_reads_it(images: Path) -> None:
    for provider, expected in (("cloudfront", True), ("cloudflare", False)):
        outputs: set[str] = set()
        planned(images, {"provider": provider, "cloudflareZoneId": "0" * 32}, outputs)
        assert ("consoleBucket" in outputs) is expected, provider
