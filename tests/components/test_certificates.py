"""The stack's certificate authority and what it signs."""

from tests.components.conftest import SECRET, Graph, Plan

SERVERS = ["alertmanager", "edge", "pgbouncer", "postgres", "prometheus", "redis"]
KEY = "tls:index/privateKey:PrivateKey"
REQUEST = "tls:index/certRequest:CertRequest"
SIGNED = "tls:index/locallySignedCert:LocallySignedCert"


def test_one_authority_signs_every_server(local: Graph) -> None:
    (authority,) = local.of_type("tls:index/selfSignedCert:SelfSignedCert")
    assert authority.inputs["isCaCertificate"] is True
    assert [one.name for one in local.of_type(SIGNED)] == SERVERS
    for one in local.of_type(SIGNED):
        assert authority.key in one.depends_on


def test_a_server_certificate_can_sign_nothing(local: Graph) -> None:
    for one in local.of_type(SIGNED):
        assert "isCaCertificate" not in one.inputs
        assert one.inputs["allowedUses"] == ["digital_signature", "server_auth"]


def test_every_server_has_a_key_of_its_own(local: Graph) -> None:
    keys = local.of_type(KEY)
    assert [one.name for one in keys] == sorted(["ca", *SERVERS])
    for one in local.of_type(REQUEST):
        assert f"{KEY}::{one.name}" in one.depends_on
        assert one.inputs["privateKeyPem"] == SECRET


def test_certificates_are_renewed_before_they_expire_and_accepted_by_all_clients(local: Graph) -> None:
    for one in local.of_type(SIGNED):
        assert one.inputs["validityPeriodHours"] <= 825 * 24, "Apple's limit for private authorities"
        assert 0 < one.inputs["earlyRenewalHours"] < one.inputs["validityPeriodHours"]


def test_a_server_is_known_by_its_name_in_the_network_and_on_loopback(local: Graph) -> None:
    for one in local.of_type(REQUEST):
        assert set(one.inputs["ipAddresses"]) == {"127.0.0.1", "::1"}
        names = {"localhost"} if one.name == "edge" else {"localhost", one.name}
        assert set(one.inputs["dnsNames"]) == names


def test_the_edges_names_are_in_its_certificate_in_one_order(plan: Plan) -> None:
    graph = plan(edge={"names": ["b.example.org", "a.example.org"]})
    request = graph[f"{REQUEST}::edge"].inputs
    assert request["dnsNames"] == ["a.example.org", "b.example.org", "localhost"]
    assert request["subject"]["commonName"] == "b.example.org"


def test_the_authority_is_named_after_its_stack(plan: Plan) -> None:
    (authority,) = plan(stack="other").of_type("tls:index/selfSignedCert:SelfSignedCert")
    assert authority.inputs["subject"]["commonName"] == "OllamaMax other CA"


def test_a_generation_of_certificates_has_keys_of_its_own_and_the_same_authority(plan: Plan) -> None:
    graph = plan(rotation={"certificates": "2026-11"})
    assert [one.name for one in graph.of_type(KEY)] == sorted(
        ["ca", *(f"{name}-2026-11" for name in SERVERS)]
    )
    for one in graph.of_type(REQUEST):
        assert f"{KEY}::{one.name}-2026-11" in one.depends_on
    assert [one.name for one in graph.of_type(SIGNED)] == SERVERS


def test_a_generation_of_the_authority_signs_every_server(plan: Plan) -> None:
    graph = plan(rotation={"authority": "2026-11"})
    assert [one.name for one in graph.of_type(KEY)] == sorted(["ca-2026-11", *SERVERS])
    (authority,) = graph.of_type("tls:index/selfSignedCert:SelfSignedCert")
    assert f"{KEY}::ca-2026-11" in authority.depends_on
    for one in graph.of_type(SIGNED):
        assert {f"{KEY}::ca-2026-11", authority.key} <= {*one.depends_on}
