# ruff: noqa: RUF012, S324 - class attributes are constants; SHA-1 and MD5 are identifiers here
"""The tls package as pulumi-tls 5.6 shows it: keys and certificates made once and kept in the state."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pulumi_tls as sdk
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pulumi_tls.cert_request import CertRequestArgs
from pulumi_tls.locally_signed_cert import LocallySignedCertArgs
from pulumi_tls.private_key import PrivateKeyArgs
from pulumi_tls.self_signed_cert import SelfSignedCertArgs

from engine.provider import Context, Diff, Found, Provider, ProviderError, token
from engine.providers.bridge import Framework
from engine.values import Properties, Secret

CURVES = {"P224": ec.SECP224R1(), "P256": ec.SECP256R1(), "P384": ec.SECP384R1(), "P521": ec.SECP521R1()}
USES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "cert_signing", "crl_signing", "encipher_only", "decipher_only",
)  # fmt: skip
EXTENDED_USES = {
    name: getattr(ExtendedKeyUsageOID, name.upper())
    for name in ("client_auth", "code_signing", "email_protection", "ocsp_signing", "server_auth")
} | {
    "any_extended": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
}
SUBJECT = {
    "country": "COUNTRY_NAME", "organization": "ORGANIZATION_NAME",
    "organizationalUnit": "ORGANIZATIONAL_UNIT_NAME", "locality": "LOCALITY_NAME",
    "province": "STATE_OR_PROVINCE_NAME", "streetAddresses": "STREET_ADDRESS",
    "postalCode": "POSTAL_CODE", "commonName": "COMMON_NAME", "serialNumber": "SERIAL_NUMBER",
    "emailAddress": "EMAIL_ADDRESS",
}  # fmt: skip
"""Parts of a subject and their object identifiers, in the order in which Go writes them."""


class PrivateKey(Framework):
    """A key pair."""

    args, sdk, schema_version = PrivateKeyArgs, sdk.PrivateKey, 1
    defaults = {"ecdsaCurve": "P224", "rsaBits": 2048}
    patterns = {"algorithm": "RSA|ECDSA|ED25519", "ecdsaCurve": "|".join(CURVES)}

    def create(self, ctx: Context, inputs: Properties) -> tuple[str, Properties]:
        """Generate the key."""
        values = {**self.defaults, **inputs}
        key: Any = ed25519.Ed25519PrivateKey.generate()
        if inputs["algorithm"] == "RSA":
            key = rsa.generate_private_key(65537, values["rsaBits"])
        elif inputs["algorithm"] == "ECDSA":
            key = ec.generate_private_key(CURVES[values["ecdsaCurve"]])
        plain = (
            form.PrivateFormat.PKCS8
            if inputs["algorithm"] == "ED25519"
            else form.PrivateFormat.TraditionalOpenSSL
        )
        public, ssh, private_ssh, blob = key.public_key(), "", "", b""
        try:
            ssh = public.public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH).decode()
            private_ssh, blob = _private(key, form.PrivateFormat.OpenSSH), base64.b64decode(ssh.split()[1])
        except (UnsupportedAlgorithm, ValueError):
            pass  # OpenSSH has no P224: the plugin leaves these properties empty
        id_ = _identity(public.public_bytes(form.Encoding.DER, form.PublicFormat.SubjectPublicKeyInfo))
        fingerprint = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
        made = {
            "id": id_,
            "privateKeyOpenssh": Secret(private_ssh),
            "privateKeyPem": Secret(_private(key, plain)),
            "privateKeyPemPkcs8": Secret(_private(key, form.PrivateFormat.PKCS8)),
            "publicKeyFingerprintMd5": hashlib.md5(blob).digest().hex(":") if ssh else "",
            "publicKeyFingerprintSha256": f"SHA256:{fingerprint}" if ssh else "",
            "publicKeyOpenssh": f"{ssh}\n" if ssh else "",
            "publicKeyPem": public.public_bytes(
                form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo
            ).decode(),
        }
        return id_, self.state({**values, **made})


class CertRequest(Framework):
    """A certificate request, signed with the key that the certificate will belong to."""

    args, sdk = CertRequestArgs, sdk.CertRequest
    renamed = {"streetAddresses": "street_address"}
    unsupported = frozenset({"privateKeyPemWo", "privateKeyPemWoVersion"})

    def create(self, ctx: Context, inputs: Properties) -> tuple[str, Properties]:
        """Sign the request."""
        key = _key(ctx, inputs["privateKeyPem"])
        builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(inputs))
        names = _names(ctx, inputs)
        request = (builder.add_extension(names, critical=False) if names else builder).sign(key, _hash(key))
        id_ = _identity(request.public_bytes(form.Encoding.DER))
        pem = request.public_bytes(form.Encoding.PEM).decode()
        made = {"certRequestPem": pem, "id": id_, "keyAlgorithm": _algorithm(key)}
        return id_, self.state({**inputs, **made, "privateKeyPem": Secret(inputs["privateKeyPem"])})


FLAGS = ("isCaCertificate", "setAuthorityKeyId", "setSubjectKeyId")


class _Holder(NamedTuple):
    """Whom a certificate is for."""

    subject: x509.Name
    names: x509.SubjectAlternativeName | None
    public: Any


class SelfSignedCert(Framework):
    """A certificate signed with its own key."""

    args, sdk = SelfSignedCertArgs, sdk.SelfSignedCert
    defaults = {"earlyRenewalHours": 0, **dict.fromkeys(FLAGS, False)}
    patterns = {"allowedUses": "|".join([*USES, *EXTENDED_USES])}
    renamed = {"streetAddresses": "street_address"}
    in_place = frozenset({"earlyRenewalHours"})
    unsupported = frozenset({"privateKeyPemWo", "privateKeyPemWoVersion"})

    def diff(self, ctx: Context, olds: Properties, news: Properties) -> Diff:
        """Replace the certificate as soon as it may be renewed."""
        found = super().diff(ctx, olds, news)
        due = _due({**olds, "earlyRenewalHours": news.get("earlyRenewalHours", 0)})
        return Diff(
            {**found.changes, "readyForRenewal": "update-replace"} if due else found.changes, detailed=False
        )

    def read(self, ctx: Context, id_: str, inputs: Properties, olds: Properties) -> Found:
        """Look at the clock."""
        return id_, {**olds, "readyForRenewal": olds["readyForRenewal"] or _due(olds)}

    def create(self, ctx: Context, inputs: Properties) -> tuple[str, Properties]:
        """Sign the certificate."""
        key, subject = _key(ctx, inputs["privateKeyPem"]), _subject(inputs)
        holder = _Holder(subject, _names(ctx, inputs), key.public_key())
        made = self._sign(inputs, holder, subject, key, None)
        made |= {"keyAlgorithm": _algorithm(key), "privateKeyPem": Secret(inputs["privateKeyPem"])}
        return made["id"], self.state({**self.defaults, **inputs, **made})

    def _sign(
        self, inputs: Properties, of: _Holder, issuer: x509.Name, key: Any, authority: Any
    ) -> Properties:
        start, serial, uses = datetime.now(UTC), secrets.randbits(128), inputs["allowedUses"]
        end = start + timedelta(hours=inputs["validityPeriodHours"])
        is_ca = inputs.get("isCaCertificate", False)
        length = (inputs.get("maxPathLength") or None) if is_ca else None
        own = x509.SubjectKeyIdentifier.from_public_key(of.public)
        authority = authority or (own.digest if inputs.get("setAuthorityKeyId") else None)
        extended = [EXTENDED_USES[use] for use in uses if use in EXTENDED_USES]
        extensions: list[tuple[x509.ExtensionType | None, bool]] = [
            (
                x509.KeyUsage(*(use in uses for use in USES)) if any(use in USES for use in uses) else None,
                True,
            ),
            (x509.ExtendedKeyUsage(extended) if extended else None, False),
            (x509.BasicConstraints(ca=is_ca, path_length=length if length and length > 0 else None), True),
            (own if is_ca or inputs.get("setSubjectKeyId") else None, False),
            (x509.AuthorityKeyIdentifier(authority, None, None) if authority else None, False),
            (of.names, False),
        ]
        builder = x509.CertificateBuilder(issuer, of.subject, of.public, serial or 1, start, end)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical) if extension else builder
        early = inputs.get("earlyRenewalHours", 0) >= inputs["validityPeriodHours"]
        return {
            "certPem": builder.sign(key, _hash(key)).public_bytes(form.Encoding.PEM).decode(),
            "id": str(serial or 1),
            "readyForRenewal": early,
            "validityEndTime": end.isoformat().replace("+00:00", "Z"),
            "validityStartTime": start.isoformat().replace("+00:00", "Z"),
        }


class LocallySignedCert(SelfSignedCert):
    """A certificate for a request, signed by an authority of one's own."""

    args, sdk = LocallySignedCertArgs, sdk.LocallySignedCert  # type: ignore[assignment]
    defaults = {"earlyRenewalHours": 0, "isCaCertificate": False, "setSubjectKeyId": False}
    unsupported = frozenset({"caPrivateKeyPemWo", "caPrivateKeyPemWoVersion"})

    def create(self, ctx: Context, inputs: Properties) -> tuple[str, Properties]:
        """Sign the certificate."""
        key = _key(ctx, inputs["caPrivateKeyPem"])
        try:
            authority = x509.load_pem_x509_certificate(inputs["caCertPem"].encode())
            request = x509.load_pem_x509_csr(inputs["certRequestPem"].encode())
        except ValueError as error:
            raise ProviderError(
                f'{ctx.type} "{ctx.name}": not a valid certificate or request: {error}'
            ) from error
        names, digest = None, None
        for found in request.extensions:
            names = found.value if isinstance(found.value, x509.SubjectAlternativeName) else names
        for found in authority.extensions:
            digest = found.value.digest if isinstance(found.value, x509.SubjectKeyIdentifier) else digest
        holder = _Holder(request.subject, names, request.public_key())
        made = self._sign(inputs, holder, authority.subject, key, digest)
        made |= {"caKeyAlgorithm": _algorithm(key), "caPrivateKeyPem": Secret(inputs["caPrivateKeyPem"])}
        return made["id"], self.state({**self.defaults, **inputs, **made})


class TlsProvider(Provider):
    """The tls package."""

    name, version = "tls", "5.6.2"

    def __init__(self) -> None:
        kinds = (CertRequest(), LocallySignedCert(), PrivateKey(), SelfSignedCert())
        super().__init__({token("tls", type(one).__name__): one for one in kinds})


def _due(values: Properties) -> bool:
    """Whether the time for a new certificate has come."""
    end = datetime.fromisoformat(values["validityEndTime"])
    return datetime.now(UTC) >= end - timedelta(hours=values.get("earlyRenewalHours") or 0)


def _identity(der: bytes) -> str:
    return hashlib.sha1(der.strip()).hexdigest()


def _key(ctx: Context, pem: str) -> Any:
    try:
        return form.load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ProviderError(f'{ctx.type} "{ctx.name}": the private key is not valid PEM') from error


def _private(key: Any, how: form.PrivateFormat) -> str:
    pem: bytes = key.private_bytes(form.Encoding.PEM, how, form.NoEncryption())
    return pem.decode()


def _algorithm(key: Any) -> str:
    if isinstance(key, rsa.RSAPrivateKey):
        return "RSA"
    return "ECDSA" if isinstance(key, ec.EllipticCurvePrivateKey) else "ED25519"


def _hash(key: Any) -> Any:
    """The hash that Go signs with for this kind and size of key."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    size = key.curve.key_size if isinstance(key, ec.EllipticCurvePrivateKey) else 0
    return hashes.SHA512() if size > 384 else hashes.SHA384() if size > 256 else hashes.SHA256()


def _subject(inputs: Properties) -> x509.Name:
    parts = []
    for name, oid in SUBJECT.items():
        given = (inputs.get("subject") or {}).get(name) or []
        given = given if isinstance(given, list) else [given]
        parts += [x509.NameAttribute(getattr(NameOID, oid), one) for one in given]
    return x509.Name(parts)


def _names(ctx: Context, inputs: Properties) -> x509.SubjectAlternativeName | None:
    try:
        addresses = [x509.IPAddress(ipaddress.ip_address(one)) for one in inputs.get("ipAddresses") or []]
    except ValueError as error:
        raise ProviderError(f'{ctx.type} "{ctx.name}": ipAddresses: {error}') from error
    hosts = [x509.DNSName(one) for one in inputs.get("dnsNames") or []]
    uris = [x509.UniformResourceIdentifier(one) for one in inputs.get("uris") or []]
    names: list[x509.GeneralName] = [*hosts, *addresses, *uris]
    return x509.SubjectAlternativeName(names) if names else None
