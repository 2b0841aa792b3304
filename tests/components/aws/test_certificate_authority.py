"""cert-manager in the graph, and what it may do."""

from typing import Any

import pulumi
from pulumi_kubernetes import Provider

from components.aws.account import Account
from components.aws.certificate_authority import (
    IMAGES,
    SECRET,
    CertificateAuthority,
    CertificateAuthorityArgs,
    policy,
    values,
)
from tests.components.aws.conftest import statements
from tests.components.conftest import Graph, record_of

ISSUER = "kubernetes:cert-manager.io/v1:ClusterIssuer::certificates"
CERTIFICATE = f"kubernetes:cert-manager.io/v1:Certificate::{SECRET}"
RELEASE = "kubernetes:helm.sh/v3:Release::certificates"
ACCOUNT = Account("prod", "111122223333", "eu-central-1")


def authority() -> Graph:
    def build() -> None:
        provider = Provider("cluster", kubeconfig="{}")
        args = CertificateAuthorityArgs(ACCOUNT, provider, "Z1", "platform@example.org", after=[provider])
        made = CertificateAuthority("certificates", args)
        made.issue(["api.llm.example.org", "origin.llm.example.org"], "ollamamax")

    return record_of(build, "prod")


def test_on_a_first_install_the_cluster_knows_a_kind_before_there_is_one_of_it() -> None:
    graph = authority()
    assert RELEASE in graph[ISSUER].depends_on
    assert ISSUER in graph[CERTIFICATE].depends_on
    assert graph[RELEASE].inputs["values"]["crds"] == {"enabled": True, "keep": True}


def test_the_chart_is_pinned() -> None:
    inputs = authority()[RELEASE].inputs
    assert inputs["chart"] == "cert-manager"
    assert inputs["version"].startswith("v1.")
    assert inputs["repositoryOpts"] == {"repo": "https://charts.jetstack.io"}


def test_the_names_are_proved_in_the_stacks_own_zone() -> None:
    acme = authority()[ISSUER].inputs["spec"]["acme"]
    assert acme["email"] == "platform@example.org"
    assert acme["solvers"] == [{"dns01": {"route53": {"region": "eu-central-1", "hostedZoneID": "Z1"}}}]


def test_the_edge_finds_its_certificate_where_it_looks_for_it() -> None:
    inputs = authority()[CERTIFICATE].inputs
    assert inputs["metadata"] == {"name": "edge-tls", "namespace": "ollamamax"}
    assert inputs["spec"]["secretName"] == "edge-tls"
    assert inputs["spec"]["dnsNames"] == ["api.llm.example.org", "origin.llm.example.org"]


def test_it_may_write_its_proofs_and_nothing_else() -> None:
    settled: dict[str, Any] = {}

    def build() -> None:
        pulumi.Output.all(policy=policy(ACCOUNT, "Z1")).apply(settled.update)

    record_of(build, "prod")
    change, read, wait = statements(settled["policy"])
    zone = "arn:aws:route53:::hostedzone/Z1"
    assert change["Resource"] == read["Resource"] == [zone]
    names = change["Condition"]["ForAllValues:StringLike"]
    assert names == {"route53:ChangeResourceRecordSetsNormalizedRecordNames": ["_acme-challenge.*"]}
    types = change["Condition"]["ForAllValues:StringEquals"]
    assert types == {"route53:ChangeResourceRecordSetsRecordTypes": ["TXT"]}
    assert wait["Action"] == ["route53:GetChange"]


def test_every_image_comes_from_the_cache_and_every_pod_is_limited() -> None:
    found = values(lambda image: f"cache/{image}")
    parts = [found, *(found[part] for part in IMAGES if part != "image")]
    assert {part["image"]["repository"] for part in parts} == {f"cache/{name}" for name in IMAGES.values()}
    assert all(part["resources"]["limits"]["memory"] for part in parts)
