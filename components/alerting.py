"""Alertmanager: whom the alerts of Prometheus reach."""

from dataclasses import dataclass

import pulumi

from components.certificates import ServerCertificate
from components.rendering import render, render_input
from components.service import Limits, Outside, Placed, Port, Probe, Service, Target, Volume
from stacks.alerts import AlertSettings

NAME = "alertmanager"
PORT = 9093
ANYWHERE = ("0.0.0.0/0",)


@dataclass(frozen=True)
class AlertingArgs:
    """What Alertmanager needs; account and password of its pages are those of Prometheus's."""

    settings: AlertSettings
    certificate: ServerCertificate
    ca_certificate: pulumi.Input[str]
    password: pulumi.Input[str]
    password_hash: pulumi.Input[str]


def describe(args: AlertingArgs) -> Service:
    """Return Alertmanager as a service."""
    settings = args.settings
    receivers = [one for one in (settings.webhook, settings.mail) if one]
    return Service(
        name=NAME,
        image="alertmanager",
        limits=Limits(settings.resources.memory_mib, settings.resources.cpus),
        config={
            "alertmanager.yml": render("alertmanager/alertmanager.yml.j2", alerts=settings),
            "amtool.yml": render("alertmanager/amtool.yml.j2"),
        },
        secrets={
            "ca.pem": args.ca_certificate,
            "tls.crt": args.certificate.certificate,
            "tls.key": args.certificate.key,
            "prometheus-password": args.password,
            "web.yml": render_input("prometheus/web.yml.j2", password_bcrypt=args.password_hash),
            **_receivers_secrets(settings),
        },
        ports=(Port(PORT, published=PORT),),
        # Silences, and what has been told: both must outlive a restart.
        volumes=(Volume("data", "/var/lib/alertmanager", size_gib=1),),
        probe=Probe(("/usr/local/bin/healthcheck",), interval_s=5),
        reaches=tuple(Outside(ANYWHERE, one.port) for one in receivers),
    )


def _receivers_secrets(settings: AlertSettings) -> dict[str, pulumi.Input[str]]:
    secrets: dict[str, pulumi.Input[str]] = {}
    if settings.webhook:
        secrets["webhook-url"] = pulumi.Output.secret(settings.webhook.url.get_secret_value())
    if settings.mail and settings.mail.password:
        secrets["mail-password"] = pulumi.Output.secret(settings.mail.password.get_secret_value())
    return secrets


class Alerting(pulumi.ComponentResource):
    """One Alertmanager, its pages on loopback behind the password of Prometheus's."""

    def __init__(
        self, name: str, args: AlertingArgs, target: Target, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ollamamax:index:Alerting", name, None, opts)
        self._placed = target.place(describe(args), parent=self)
        self.register_outputs({})

    @property
    def placed(self) -> Placed:
        """The server."""
        return self._placed
