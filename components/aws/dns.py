"""The zone in Route 53: the platform's names, who may issue certificates for them, and those of the CDN.

Costs 0.50 USD a month, and 0.40 USD for a million queries; those for aliases are free. Deleted, no name leads
anywhere, and the parent zone points to name servers that know nothing. A new zone has other name servers,
which have to go into the parent zone by hand, so it is protected. Until they are there, no certificate is
issued and ``up`` waits: make the zone first, by ``up --target`` with its URN.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import acm, route53

from components.aws.protection import protects
from stacks.aws import DnsSettings

TTL_S = 300
GLOBAL_REGION = "us-east-1"
"""Where CloudFront looks for certificates."""


@dataclass(frozen=True)
class DnsArgs:
    """What the names need.

    Attributes:
        settings: their own.
        issuers: domains of the authorities that may issue certificates for the zone's names.
        allow_replace: the names that the stack gives free.
    """

    settings: DnsSettings
    issuers: Sequence[str]
    allow_replace: Collection[str] = ()


class Dns(pulumi.ComponentResource):
    """A zone, made or found; its records are added by those who know where they lead."""

    def __init__(self, name: str, args: DnsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ollamamax:aws:Dns", name, None, opts)
        settings = args.settings
        self._child = pulumi.ResourceOptions(parent=self)
        self._zone = (
            route53.Zone(
                name,
                name=settings.zone,
                opts=pulumi.ResourceOptions(parent=self, protect=protects(name, args.allow_replace)),
            )
            if settings.create_zone
            else None
        )
        self._zone_id: pulumi.Input[str] = self._zone.zone_id if self._zone else str(settings.zone_id)
        route53.Record(
            "caa",
            zone_id=self._zone_id,
            name=settings.zone,
            type="CAA",
            ttl=TTL_S,
            records=caa(args.issuers, settings.certificate_email),
            opts=self._child,
        )
        self.register_outputs({"zoneId": self.zone_id})

    @property
    def zone_id(self) -> pulumi.Output[str]:
        """The zone's id."""
        return pulumi.Output.from_input(self._zone_id)

    @property
    def name_servers(self) -> pulumi.Output[Sequence[str]] | None:
        """What the parent zone has to name; None where the zone was there before."""
        return self._zone.name_servers if self._zone else None

    def alias(
        self, host: str, to: pulumi.Input[str], zone_id: pulumi.Input[str], *, ipv6: bool = False
    ) -> None:
        """Let ``host`` lead to a resource of AWS, by its name and the zone of that name."""
        for kind in ("A", "AAAA") if ipv6 else ("A",):
            route53.Record(
                f"{host}-{kind}",
                zone_id=self._zone_id,
                name=host,
                type=kind,
                aliases=[route53.RecordAliasArgs(name=to, zone_id=zone_id, evaluate_target_health=False)],
                opts=self._child,
            )

    def cname(self, host: str, to: pulumi.Input[str]) -> None:
        """Let ``host`` be another name of ``to``."""
        route53.Record(
            host, zone_id=self._zone_id, name=host, type="CNAME", ttl=TTL_S, records=[to], opts=self._child
        )

    def certificate(self, host: str) -> pulumi.Output[str]:
        """Return the ARN of a certificate for ``host`` that CloudFront can use, once it is issued."""
        certificate = acm.Certificate(
            host, domain_name=host, validation_method="DNS", region=GLOBAL_REGION, opts=self._child
        )
        proof = certificate.domain_validation_options[0]
        record = route53.Record(
            f"{host}-proof",
            zone_id=self._zone_id,
            name=proof.resource_record_name,
            type=proof.resource_record_type,
            ttl=TTL_S,
            records=[proof.resource_record_value],
            opts=self._child,
        )
        issued = acm.CertificateValidation(
            host,
            certificate_arn=certificate.arn,
            validation_record_fqdns=[record.fqdn],
            region=GLOBAL_REGION,
            opts=self._child,
        )
        return issued.certificate_arn


def caa(issuers: Sequence[str], email: str) -> list[str]:
    """Return the records that let ``issuers`` alone issue certificates, and others tell ``email``."""
    return [*(f'0 issue "{issuer}"' for issuer in sorted(issuers)), f'0 iodef "mailto:{email}"']
