"""Certificates of a day, for what speaks TLS in a rehearsal."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        """The certificate, PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The key, PEM."""
        form, plain = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        return self.key.private_bytes(serialization.Encoding.PEM, form, plain)

    @property
    def base64(self) -> str:
        """The certificate, as kubeconfigs and the API have it."""
        return base64.b64encode(self.pem).decode()

    @property
    def key_base64(self) -> str:
        """The key, as kubeconfigs have it."""
        return base64.b64encode(self.key_pem).decode()


def issue(
    name: str, group: str = "", *,
    signed_by: Certificate | None = None, names: Sequence[x509.GeneralName] = (),
) -> Certificate:  # fmt: skip
    """Make a certificate for `name`; without `signed_by` it is an authority."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    parts = [(NameOID.ORGANIZATION_NAME, group)] if group else []
    subject = x509.Name(
        [x509.NameAttribute(oid, text) for oid, text in [*parts, (NameOID.COMMON_NAME, name)]]
    )
    issuer = signed_by.certificate.subject if signed_by else subject
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number())
    made = made.not_valid_before(now - datetime.timedelta(hours=1))
    made = made.not_valid_after(now + datetime.timedelta(days=1))
    made = made.add_extension(x509.BasicConstraints(ca=signed_by is None, path_length=None), critical=True)
    if names:
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return Certificate(made.sign(signed_by.key if signed_by else key, hashes.SHA256()), key)
