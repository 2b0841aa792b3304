"""The tls package: real keys and certificates, with the shapes of Pulumi's own plugin."""

import base64
import ipaddress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import load_ssh_public_key, ssh_key_fingerprint
from cryptography.x509.verification import PolicyBuilder, Store

from engine.values import Secret
from tests.engine.providers.harness import Failed, Plugin, opened

PACKAGE = "tls"
KEY = "tls:index/privateKey:PrivateKey"
REQUEST = "tls:index/certRequest:CertRequest"
SELF = "tls:index/selfSignedCert:SelfSignedCert"
LOCAL = "tls:index/locallySignedCert:LocallySignedCert"
CA_USES = ["cert_signing", "crl_signing"]


def key(plugin: Plugin) -> dict[str, Any]:
    return opened(plugin.create(KEY, {"algorithm": "ECDSA", "ecdsaCurve": "P256"})[1])


def authority(plugin: Plugin, **inputs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and outputs of a certificate authority."""
    given = {
        "privateKeyPem": key(plugin)["privateKeyPem"],
        "subject": {"commonName": "CA", "organization": "OllamaMax"},
        "isCaCertificate": True,
        "setSubjectKeyId": True,
        "allowedUses": CA_USES,
        "validityPeriodHours": 1000,
        **inputs,
    }
    checked = plugin.check(SELF, given)
    return checked, plugin.create(SELF, checked)[1]


def test_a_key_comes_in_every_spelling_and_its_private_ones_are_secret(plugin: Plugin) -> None:
    inputs = plugin.check(KEY, {"algorithm": "ECDSA", "ecdsaCurve": "P256"})
    id_, outputs = plugin.create(KEY, inputs)
    private = {name for name, value in outputs.items() if isinstance(value, Secret)}
    assert private == {"privateKeyOpenssh", "privateKeyPem", "privateKeyPemPkcs8"}
    plain = opened(outputs)
    assert plain["privateKeyPem"].startswith("-----BEGIN EC PRIVATE KEY-----")
    loaded = serialization.load_pem_private_key(plain["privateKeyPemPkcs8"].encode(), None)
    public = loaded.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert plain["publicKeyPem"] == public.decode()
    assert plain["publicKeyOpenssh"].startswith("ecdsa-sha2-nistp256 ")
    known = load_ssh_public_key(plain["publicKeyOpenssh"].encode())
    for algorithm in (hashes.MD5(), hashes.SHA256()):  # noqa: S303 - it makes an identifier
        told = plain[f"publicKeyFingerprint{algorithm.name.capitalize()}"].removeprefix("SHA256:")
        digest = bytes.fromhex(told.replace(":", "")) if ":" in told else base64.b64decode(f"{told}=")
        assert digest == ssh_key_fingerprint(known, algorithm)
    assert len(id_) == 40
    assert plain["__meta"] == '{"schema_version":"1"}'
    assert not plugin.diff(KEY, outputs, inputs, inputs).replaces


def test_a_server_certificate_is_trusted_through_the_authority(plugin: Plugin) -> None:
    ca_inputs, ca = authority(plugin)
    server = key(plugin)
    wanted = {
        "privateKeyPem": server["privateKeyPem"],
        "subject": {"commonName": "edge"},
        "dnsNames": ["edge", "localhost"],
        "ipAddresses": ["127.0.0.1", "::1"],
    }
    _, request = plugin.create(REQUEST, plugin.check(REQUEST, wanted))
    given = {
        "certRequestPem": request["certRequestPem"],
        "caCertPem": ca["certPem"],
        "caPrivateKeyPem": Secret(ca_inputs["privateKeyPem"]),
        "allowedUses": ["digital_signature", "server_auth"],
        "setSubjectKeyId": True,
        "validityPeriodHours": 100,
        "earlyRenewalHours": 10,
    }
    inputs = plugin.check(LOCAL, given)
    id_, outputs = plugin.create(LOCAL, inputs)
    assert isinstance(outputs["caPrivateKeyPem"], Secret)
    certificate = x509.load_pem_x509_certificate(outputs["certPem"].encode())
    root = x509.load_pem_x509_certificate(ca["certPem"].encode())
    assert str(certificate.serial_number) == id_ == outputs["id"]
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["edge", "localhost"]
    assert names.get_values_for_type(x509.IPAddress) == [
        ipaddress.ip_address(one) for one in ("127.0.0.1", "::1")
    ]
    verifier = PolicyBuilder().store(Store([root])).build_server_verifier(x509.DNSName("localhost"))
    assert verifier.verify(certificate, []) == [certificate, root]
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc == timedelta(hours=100)
    assert (outputs["caKeyAlgorithm"], outputs["readyForRenewal"]) == ("ECDSA", False)
    assert not plugin.diff(LOCAL, outputs, inputs, inputs).diffs
    assert list(plugin.diff(LOCAL, outputs, inputs, inputs | {"validityPeriodHours": 101}).replaces) == [
        "validityPeriodHours"
    ]


def test_a_certificate_is_replaced_when_the_time_to_renew_it_has_come(plugin: Plugin) -> None:
    inputs, outputs = authority(plugin, earlyRenewalHours=10)
    assert not plugin.diff(SELF, outputs, inputs, inputs).diffs
    more = plugin.diff(SELF, outputs, inputs, inputs | {"earlyRenewalHours": 20})
    assert (list(more.diffs), list(more.replaces)) == (["earlyRenewalHours"], [])
    assert plugin.update(SELF, "1", outputs, inputs | {"earlyRenewalHours": 20})["earlyRenewalHours"] == 20
    soon = outputs | {"validityEndTime": (datetime.now(UTC) + timedelta(hours=9)).isoformat()}
    assert list(plugin.diff(SELF, soon, inputs, inputs).replaces) == ["readyForRenewal"]
    assert (plugin.read(SELF, "1", inputs, soon) or {})["readyForRenewal"] is True
    assert (plugin.read(SELF, "1", inputs, outputs) or {})["readyForRenewal"] is False


def test_bad_material_is_refused_by_name(plugin: Plugin) -> None:
    with pytest.raises(Failed, match=rf'^{KEY} "x": algorithm "DSA" does not match ECDSA$'):
        plugin.check(KEY, {"algorithm": "DSA"})
    with pytest.raises(Failed, match=r"the plugin's default curve is not supported by the embedded engine"):
        plugin.create(KEY, {"algorithm": "ECDSA"})
    with pytest.raises(Failed, match=r'"x": the private key is not valid PEM'):
        authority(plugin, privateKeyPem="nonsense")
    with pytest.raises(Failed, match=r'"x": ipAddresses: .*not-an-address'):
        plugin.create(
            REQUEST, {"privateKeyPem": key(plugin)["privateKeyPem"], "ipAddresses": ["not-an-address"]}
        )
    with pytest.raises(Failed, match=r'"x": allowedUses\[0\] "world_domination" does not match '):
        plugin.check(SELF, {"allowedUses": ["world_domination"], "validityPeriodHours": 1})
