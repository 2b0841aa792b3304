"""The zone in the graph: names, who may issue certificates, and proofs."""

from typing import Any

import pulumi

from components.aws.dns import Dns, DnsArgs
from stacks.aws import DnsSettings
from tests.components.aws.conftest import of
from tests.components.conftest import Graph, record_of

ZONE = "llm.example.org"
HOST = f"console.{ZONE}"
PROOF = {
    "resourceRecordName": f"_abc.{HOST}.",
    "resourceRecordType": "CNAME",
    "resourceRecordValue": "_def.acm-validations.aws.",
}


def zone(**changed: Any) -> tuple[Graph, dict[str, Any]]:
    settled: dict[str, Any] = {}

    def build() -> None:
        settings = DnsSettings(zone=ZONE, certificate_email="platform@example.org", **changed)
        made = Dns("dns", DnsArgs(settings, ["letsencrypt.org", "amazon.com"]))
        made.alias(f"api.{ZONE}", "edge.elb.example.org", "ZELB")
        made.alias(HOST, "d1.cloudfront.net", "Z2FDTNDATAQYW2", ipv6=True)
        made.cname(f"other.{ZONE}", "elsewhere.example.org")
        pulumi.Output.all(zone=made.zone_id, certificate=made.certificate(HOST)).apply(settled.update)
        settled["name_servers"] = made.name_servers

    provided: dict[str, dict[str, Any]] = {
        "dns": {"zoneId": "Z1"},
        HOST: {"domainValidationOptions": [PROOF], "certificateArn": "arn:c"},
    }
    return record_of(build, "prod", provided), settled


def records(graph: Graph) -> dict[str, dict[str, Any]]:
    return {name: one.inputs for name, one in of(graph, "route53/record:Record").items()}


def test_the_zone_is_made_and_nothing_deletes_it() -> None:
    graph, settled = zone()
    (made,) = of(graph, "route53/zone:Zone").values()
    assert made.inputs["name"] == ZONE
    assert made.protect
    assert settled["zone"] == "Z1"
    assert {one["zoneId"] for one in records(graph).values()} == {"Z1"}


def test_a_zone_that_is_there_is_used() -> None:
    graph, settled = zone(create_zone=False, zone_id="Z0")
    assert not of(graph, "route53/zone:Zone")
    assert {one["zoneId"] for one in records(graph).values()} == {"Z0"}
    assert settled["name_servers"] is None


def test_only_the_stacks_own_authorities_may_issue_certificates() -> None:
    found = records(zone()[0])["caa"]
    assert (found["type"], found["name"]) == ("CAA", ZONE)
    assert found["records"] == [
        '0 issue "amazon.com"',
        '0 issue "letsencrypt.org"',
        '0 iodef "mailto:platform@example.org"',
    ]


def test_names_lead_to_resources_of_aws_over_the_versions_of_ip_that_these_have() -> None:
    found = records(zone()[0])
    assert found[f"api.{ZONE}-A"]["aliases"] == [
        {"name": "edge.elb.example.org", "zoneId": "ZELB", "evaluateTargetHealth": False}
    ]
    assert f"api.{ZONE}-AAAA" not in found
    assert {found[f"{HOST}-{kind}"]["type"] for kind in ("A", "AAAA")} == {"A", "AAAA"}
    assert found[f"other.{ZONE}"]["records"] == ["elsewhere.example.org"]


def test_a_certificate_for_the_cdn_is_proved_in_the_zone_before_it_is_used() -> None:
    graph, settled = zone()
    (certificate,) = of(graph, "acm/certificate:Certificate").values()
    assert certificate.inputs["domainName"] == HOST
    assert certificate.inputs["region"] == "us-east-1", "CloudFront looks nowhere else"
    proof = records(graph)[f"{HOST}-proof"]
    assert proof["name"] == PROOF["resourceRecordName"]
    assert proof["records"] == [PROOF["resourceRecordValue"]]
    (issued,) = of(graph, "acm/certificateValidation:CertificateValidation").values()
    assert f"aws:route53/record:Record::{HOST}-proof" in issued.depends_on
    assert settled["certificate"] == "arn:c"
