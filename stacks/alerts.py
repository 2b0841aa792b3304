"""Settings of alerts: from which number on people are told, and whom.

``templates/prometheus/rules`` holds the rules themselves, ``docs/runbooks`` a page for each.
"""

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from stacks.block import Block, Email, HostName, Resources

Positive = Annotated[float, Field(ge=0.1, le=1_000_000)]
Share = Annotated[float, Field(ge=1, le=99)]
Severity = Literal["warning", "critical"]


class Kpi(Block):
    """A number that the platform is held to: what is aimed at, and where people are told."""

    target: Positive
    """What is aimed at: the dashboards' first line."""
    warning: Positive
    """From here on somebody looks into it within a day."""
    critical: Positive
    """From here on somebody is woken."""


class WebhookSettings(Block):
    """An address that alerts are posted to, in Alertmanager's own JSON."""

    url: SecretStr
    """The address. Many hold a token: encrypt it with ``make secret SETTING=alerts.webhook.url``."""
    port: Annotated[int, Field(ge=1, le=65_535)] = 443
    """Its port, which Alertmanager may then reach on a cluster."""
    least: Severity = "warning"
    """What is posted at least: with ``critical``, for a pager, no warnings are."""


class MailSettings(Block):
    """People who get a mail, and the server that takes it."""

    to: Annotated[tuple[Email, ...], Field(min_length=1)]
    """Who gets it."""
    sender: Email
    """Whom it is from."""
    host: HostName
    """The mail server; it must offer STARTTLS."""
    port: Annotated[int, Field(ge=1, le=65_535)] = 587
    """The server's port."""
    username: str | None = None
    """Account on the server; None needs none."""
    password: SecretStr | None = None
    """Its password: encrypt it with ``make secret SETTING=alerts.mail.password``."""
    least: Severity = "warning"
    """What is written at least; with ``critical`` no warnings are."""


class AlertSettings(Block):
    """When people are told that something is wrong, and who is."""

    webhook: WebhookSettings | None = None
    """Where alerts are posted to. With neither this nor ``mail`` they show in Alertmanager alone."""
    mail: MailSettings | None = None
    """Who is written to."""
    repeat_hours: Annotated[int, Field(ge=1, le=168)] = 12
    """An alert that goes on is told again after this, hours."""
    pace: Annotated[float, Field(ge=1, le=60)] = 1
    """How many times as fast as usual rules judge: all their windows and waits are divided by it. More than 1
    only where faults are caused on purpose and nobody wants to wait for hours: what is short then counts."""
    throughput: Kpi = Kpi(target=500, warning=400, critical=300)
    """Requests answered a second, in all (report). Alerts only while at least the target is asked for."""
    platform_ms: Kpi = Kpi(target=10, warning=25, critical=50)
    """What the gateway adds to a request, 99th percentile, milliseconds (report)."""
    memory_mib: Kpi = Kpi(target=1024, warning=2048, critical=3072)
    """Memory of one gateway, MiB (report). Where its container's limit is lower than ``critical``, 95 % of
    that limit takes its place."""
    errors_percent: Kpi = Kpi(target=0.1, warning=1, critical=5)
    """Requests answered 5xx, percent (report). The target is what may fail in 30 days, the error budget: 0.1
    is an availability of 99.9 %."""
    least_requests: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    """Requests within an alert's window below which their errors wake nobody: one of three is no measure."""
    slot_wait_s: Kpi = Kpi(target=0.1, warning=1, critical=10)
    """Wait for a slot of a worker, 95th percentile, seconds: 0.1 is where autoscalers add workers."""
    full_percent: Share = 80
    """Use of connections, and of managed stores' processors, beyond which somebody looks into it, percent."""
    restarts: Annotated[int, Field(ge=1, le=100)] = 3
    """Starts of a gateway within half an hour beyond which somebody looks into it: a rollout has one."""
    gpu_celsius: Annotated[int, Field(ge=40, le=120)] = 85
    """Temperature of a GPU beyond which somebody looks into it, degrees Celsius: about where NVIDIA's cards
    for data centres begin to slow down."""
    gpu_memory_percent: Share = 97
    """Use of a GPU's memory beyond which somebody looks into it, percent: models fill it on purpose."""
    disk_free_percent: Kpi = Kpi(target=25, warning=15, critical=5)
    """Free disk of the machine, or of the managed database, percent."""
    certificate_days: Kpi = Kpi(target=30, warning=20, critical=5)
    """Days until the edge's certificate ends. ``make up`` renews the stack's own in its last 60 days, the
    cluster a public one in its last 30."""
    resources: Resources = Resources(memory_mib=128, cpus=0.1)
    """Limits of Alertmanager."""
    exporter_resources: Resources = Resources(memory_mib=64, cpus=0.1)
    """Limits of each exporter: what turns a store's own numbers into metrics."""
