"""A checkout whose engines only record what they are asked, and certificates for loopback."""

import datetime
import json
import sys
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ops.stack import Stack

RECORDER = f"""\
#!{sys.executable}
import json, os, pathlib, sys

words = sys.argv[1:]
with open(os.environ["RECORD"], "a") as record:
    kept = {{name: value for name, value in os.environ.items() if name.startswith(("PATH", "PULUMI_"))}}
    record.write(json.dumps({{"words": words, "env": kept, "cwd": os.getcwd()}}) + "\\n")
if "init" in words:
    folder = pathlib.Path(words[words.index("--cwd") + 1])
    assert (folder / "Pulumi.yaml").exists()
    (folder / "stacks").mkdir(exist_ok=True)
    (folder / "stacks/Pulumi.some.yaml").write_text("encryptionsalt: v1:from-the-cli\\n")
print(os.environ.get("ANSWER", ""))
sys.exit(int(os.environ.get("STATUS", "0")))
"""
SETTINGS = "config:\n  ollamamax:target: docker\n"


@dataclass
class Checkout:
    """A checkout with one stack, ``some``, and engines that only record."""

    root: Path
    record: Path

    @property
    def stack(self) -> Stack:
        return Stack("some", self.root)

    @property
    def calls(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.record.read_text().splitlines()]

    @property
    def words(self) -> list[str]:
        """What the engine was asked last."""
        return list(self.calls[-1]["words"])


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """Return a checkout on a machine without the Pulumi CLI."""
    root = tmp_path / "checkout"
    (root / "stacks").mkdir(parents=True)
    (root / "stacks" / "Pulumi.some.yaml").write_text(SETTINGS)
    (root / "stacks" / "Pulumi.other.yaml").write_text(SETTINGS)
    (root / "Pulumi.yaml").write_text("name: ollamamax\n")
    (root / "engine").mkdir()
    (root / "engine" / "__main__.py").write_text(RECORDER)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("RECORD", str(tmp_path / "record"))
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE_FILE", raising=False)
    return Checkout(root, tmp_path / "record")


@pytest.fixture
def with_cli(embedded: Checkout) -> Checkout:
    """Return a checkout on a machine with the Pulumi CLI."""
    cli = embedded.root.parent / "bin" / "pulumi"
    cli.write_text(RECORDER)
    cli.chmod(0o755)
    return embedded


@dataclass(frozen=True)
class Identity:
    """A server's certificate and key, and the authority that vouches for it."""

    authority: Path
    certificate: Path
    key: Path


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    """Return an identity for localhost."""
    return make_identity(tmp_path_factory.mktemp("identity"))


def make_identity(folder: Path) -> Identity:
    """Make an authority and a certificate for localhost in ``folder``."""
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = (
        _certificate("authority", authority_key.public_key(), "authority", authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    certificate = (
        _certificate("localhost", key.public_key(), "authority", authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )
    made = Identity(folder / "ca.pem", folder / "tls.crt", folder / "tls.key")
    made.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return made


def _certificate(
    subject: str, key: ec.EllipticCurvePublicKey, issuer: str, issuer_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )
