# ruff: noqa: S324 - SHA-1 and MD5 make identifiers here
"""The tls package as pulumi-tls 5.6 shows it: keys and certificates made once and kept in the state."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID as Use
from cryptography.x509.oid import NameOID

from engine.provider import NEEDS_CLI, Context, Diff, Found, Resource
from engine.values import Properties, Secret

USES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "cert_signing", "crl_signing", "encipher_only", "decipher_only",
)  # fmt: skip
EXTENDED_USES = {"client_auth": Use.CLIENT_AUTH, "server_auth": Use.SERVER_AUTH}
SUBJECT = {"organization": NameOID.ORGANIZATION_NAME, "commonName": NameOID.COMMON_NAME}
"""Parts of a subject, in the order in which Go writes them."""
NAMES = dict.fromkeys(SUBJECT, str)
CERTIFICATE = {
    "allowedUses": ["|".join([*USES, *EXTENDED_USES])], "earlyRenewalHours": int, "isCaCertificate": bool,
    "setSubjectKeyId": bool, "validityPeriodHours": int,
}  # fmt: skip
FLAGS = dict.fromkeys(("isCaCertificate", "setSubjectKeyId"), False)


class PrivateKey(Resource):
    """A key pair."""

    inputs: ClassVar = {"algorithm": "ECDSA", "ecdsaCurve": "P256"}

    def create(self, ctx: Context, inputs: Properties) -> tuple[str, Properties]:
        """Generate the key."""
        if "ecdsaCurve" not in inputs:
            raise ctx.error(NEEDS_CLI.format("the plugin's default curve"))
        key = ec.generate_private_key(ec.SECP256R1())
        public, info = key.public_key(), form.PublicFormat.SubjectPublicKeyInfo
        ssh = public.public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH).decode()
        id_ = hashlib.sha1(public.public_bytes(form.Encoding.DER, info)).hexdigest()
        blob = base64.b64decode(ssh.split()[1])
        digest = hashlib.sha256(blob).digest()
        return id_, {
            **inputs, "id": id_, "rsaBits": 2048,
            "privateKeyOpenssh": Secret(_private(key, form.PrivateFormat.OpenSSH)),
            "privateKeyPem": Secret(_private(key, form.PrivateFormat.TraditionalOpenSSL)),
            "privateKeyPemPkcs8": Secret(_private(key, form.PrivateFormat.PKCS8)),
            "publicKeyFingerprintMd5": hashlib.md5(blob).digest().hex(":"),
            "publicKeyFingerprintSha256": f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}",
            "publicKeyOpenssh": f"{ssh}\n",
            "publicKeyPem": public.public_bytes(form.Encoding.PEM, info).decode(),
            "__meta": '{"schema_version":"1"}',
        }  # fmt: skip


class CertRequest(Resource):
    """A certificate request, signed with the key that the certificate will belong to."""

    inputs: ClassVar = {"dnsNames": [str], "ipAddresses": [str], "privateKeyPem": str, "subject": NAMES}

    def create(self, ctx: Context, inputs: Properties) -> tuple[str, Properties]:
        """Sign the request."""
        try:
            addresses = [x509.IPAddress(ipaddress.ip_address(one)) for one in inputs.get("ipAddresses", [])]
        except ValueError as error:
            raise ctx.error(f"ipAddresses: {error}") from error
        names = [*(x509.DNSName(one) for one in inputs.get("dnsNames", [])), *addresses]
        builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(inputs))
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        made = builder.sign(_key(ctx, inputs["privateKeyPem"]), hashes.SHA256())
        id_ = hashlib.sha1(made.public_bytes(form.Encoding.DER)).hexdigest()
        pem = made.public_bytes(form.Encoding.PEM).decode()
        return id_, {**inputs, "certRequestPem": pem, "id": id_, "keyAlgorithm": "ECDSA"}


class Certificate(Resource):
    """What both kinds of certificate do."""

    in_place = frozenset({"earlyRenewalHours"})

    def diff(self, ctx: Context, olds: Properties, inputs: Properties, news: Properties) -> Diff:
        """Replace the certificate as soon as it may be renewed."""
        changes = dict(super().diff(ctx, olds, inputs, news).changes)
        if _due({**olds, "earlyRenewalHours": news.get("earlyRenewalHours", 0)}):
            changes["readyForRenewal"] = "update-replace"
        return Diff(changes)

    def read(self, ctx: Context, id_: str, inputs: Properties, olds: Properties) -> Found:
        """Look at the clock."""
        return (id_, {**olds, "readyForRenewal": _due(olds)}) if olds else None

    def update(self, ctx: Context, id_: str, olds: Properties, news: Properties) -> Properties:
        """Take over the time of renewal, which the certificate itself does not hold."""
        return {**olds, "earlyRenewalHours": news.get("earlyRenewalHours", 0)}

    def _signed(
        self, inputs: Properties, builder: x509.CertificateBuilder, key: Any, public: Any
    ) -> tuple[str, Properties]:
        """Fill in what the inputs say, sign it, and return id and outputs."""
        start, serial, uses = datetime.now(UTC), secrets.randbits(127) + 1, inputs["allowedUses"]
        end = start + timedelta(hours=inputs["validityPeriodHours"])
        is_ca = inputs.get("isCaCertificate", False)
        builder = builder.public_key(public).serial_number(serial)
        builder = builder.not_valid_before(start).not_valid_after(end)
        if any(use in USES for use in uses):
            builder = builder.add_extension(x509.KeyUsage(*(use in uses for use in USES)), critical=True)
        if extended := [EXTENDED_USES[use] for use in uses if use in EXTENDED_USES]:
            builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        if is_ca or inputs.get("setSubjectKeyId"):
            builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        return str(serial), {
            "earlyRenewalHours": 0, **FLAGS, **inputs, "id": str(serial),
            "certPem": builder.sign(key, hashes.SHA256()).public_bytes(form.Encoding.PEM).decode(),
            "readyForRenewal": False,
            "validityEndTime": end.isoformat().replace("+00:00", "Z"),
            "validityStartTime": start.isoformat().replace("+00:00", "Z"),
        }  # fmt: skip


class SelfSignedCert(Certificate):
    """A certificate signed with its own key."""

    inputs: ClassVar = {**CERTIFICATE, "privateKeyPem": str, "subject": NAMES}

    def create(self, ctx: Context, inputs: Properties) -> tuple[str, Properties]:
        """Sign the certificate."""
        key, subject = _key(ctx, inputs["privateKeyPem"]), _subject(inputs)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject)
        id_, outputs = self._signed(inputs, builder, key, key.public_key())
        return id_, {"setAuthorityKeyId": False, **outputs, "keyAlgorithm": "ECDSA"}


class LocallySignedCert(Certificate):
    """A certificate for a request, signed by an authority of one's own."""

    inputs: ClassVar = {**CERTIFICATE, "caCertPem": str, "caPrivateKeyPem": str, "certRequestPem": str}

    def create(self, ctx: Context, inputs: Properties) -> tuple[str, Properties]:
        """Sign the certificate."""
        try:
            authority = x509.load_pem_x509_certificate(inputs["caCertPem"].encode())
            request = x509.load_pem_x509_csr(inputs["certRequestPem"].encode())
        except ValueError as error:
            raise ctx.error(f"not a valid certificate or request: {error}") from error
        builder = x509.CertificateBuilder().subject_name(request.subject).issuer_name(authority.subject)
        for found in request.extensions:
            builder = builder.add_extension(found.value, found.critical)
        key = _key(ctx, inputs["caPrivateKeyPem"])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
        builder = builder.add_extension(issuer, critical=False)
        id_, outputs = self._signed(inputs, builder, key, request.public_key())
        return id_, {**outputs, "caKeyAlgorithm": "ECDSA"}


def _due(values: Properties) -> bool:
    """Whether the time for a new certificate has come."""
    end = datetime.fromisoformat(values["validityEndTime"])
    return datetime.now(UTC) >= end - timedelta(hours=values.get("earlyRenewalHours") or 0)


def _key(ctx: Context, pem: str) -> ec.EllipticCurvePrivateKey:
    try:
        key = form.load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError) as error:
        raise ctx.error("the private key is not valid PEM") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ctx.error(NEEDS_CLI.format("a key that is not ECDSA"))
    return key


def _private(key: ec.EllipticCurvePrivateKey, how: form.PrivateFormat) -> str:
    return key.private_bytes(form.Encoding.PEM, how, form.NoEncryption()).decode()


def _subject(inputs: Properties) -> x509.Name:
    given = inputs.get("subject") or {}
    return x509.Name([x509.NameAttribute(oid, given[name]) for name, oid in SUBJECT.items() if name in given])
