"""The stack's own certificate authority, and the server certificates that it signs."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_tls as tls

from stacks.rotation import RotationSettings

CA_HOURS = 10 * 365 * 24
SERVER_HOURS = 825 * 24
"""The longest that Apple's clients accept for a certificate of a private authority."""
RENEW_HOURS = 60 * 24
"""An update in the last 60 days of a certificate's life replaces it."""


@dataclass(frozen=True)
class ServerCertificate:
    """A certificate and its key, PEM; outputs with the key are secret."""

    certificate: pulumi.Output[str]
    key: pulumi.Output[str]
    together: pulumi.Output[str]
    """Both in one text, so that neither is ever read without the other."""


class Certificates(pulumi.ComponentResource):
    """A private authority, made with the stack and kept in its state."""

    def __init__(
        self,
        name: str,
        stack: str,
        rotation: RotationSettings,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("ollamamax:index:Certificates", name, None, opts)
        self._generation = rotation.certificates
        self._key = self._private_key("ca", rotation.authority)
        self._ca = tls.SelfSignedCert(
            "ca",
            private_key_pem=self._key.private_key_pem,
            subject=tls.SelfSignedCertSubjectArgs(
                common_name=f"OllamaMax {stack} CA", organization="OllamaMax"
            ),
            is_ca_certificate=True,
            set_subject_key_id=True,
            allowed_uses=["cert_signing", "crl_signing"],
            validity_period_hours=CA_HOURS,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"caCertificate": self.ca_certificate})

    @property
    def ca_certificate(self) -> pulumi.Output[str]:
        """The authority's certificate, PEM: what a client has to trust."""
        return self._ca.cert_pem

    def issue(self, name: str, dns_names: Sequence[str]) -> ServerCertificate:
        """Return a certificate for a server reached as ``dns_names`` or on loopback."""
        opts = pulumi.ResourceOptions(parent=self)
        key = self._private_key(name, self._generation)
        request = tls.CertRequest(
            name,
            private_key_pem=key.private_key_pem,
            subject=tls.CertRequestSubjectArgs(common_name=dns_names[0], organization="OllamaMax"),
            dns_names=sorted({*dns_names, "localhost"}),
            ip_addresses=["127.0.0.1", "::1"],
            opts=opts,
        )
        certificate = tls.LocallySignedCert(
            name,
            cert_request_pem=request.cert_request_pem,
            ca_cert_pem=self._ca.cert_pem,
            ca_private_key_pem=self._key.private_key_pem,
            set_subject_key_id=True,
            allowed_uses=["digital_signature", "server_auth"],
            validity_period_hours=SERVER_HOURS,
            early_renewal_hours=RENEW_HOURS,
            opts=opts,
        )
        pem = certificate.cert_pem, key.private_key_pem
        return ServerCertificate(*pem, pulumi.Output.concat(*pem))

    def _private_key(self, name: str, generation: str | None) -> tls.PrivateKey:
        # The provider has nothing like the passwords' keepers: a key of another name is another key, and what
        # was made with the one before follows.
        return tls.PrivateKey(
            f"{name}-{generation}" if generation else name,
            algorithm="ECDSA",
            ecdsa_curve="P256",
            opts=pulumi.ResourceOptions(parent=self),
        )
