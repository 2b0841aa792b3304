"""What watches a platform, wired together: exporters, Alertmanager, Prometheus, and the forecaster."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components import alerting, autoscaler, edge, exporters, gateway, monitoring, pool, scaling, worker
from components.certificates import Certificates
from components.credentials import Credentials
from components.rules import rules
from components.service import Peer, Scraped, Store, Target
from stacks import capacity
from stacks.delivery import CANARY
from stacks.settings import Settings

FORECASTER = Peer(autoscaler.NAME, autoscaler.PORT)
"""What forecasts load, where a stack has it."""


@dataclass(frozen=True)
class WatchArgs:
    """What the watchers need.

    Attributes:
        settings: all of the stack's.
        stack: its name.
        certificates, credentials: the stack's own.
        database, cache: where they are.
        pool_ready: what there is of PgBouncer once it is ready.
        edge_name: whom the edge's certificate names.
        edge_of_stack: whether the stack's own authority signed it.
        prometheus_names: those that Prometheus is reached by.
        scraped: what it is to ask beside the platform's services.
    """

    settings: Settings
    stack: str
    certificates: Certificates
    credentials: Credentials
    database: Peer | Store
    cache: Peer | Store
    pool_ready: Sequence[pulumi.Resource]
    edge_name: str
    edge_of_stack: bool
    prometheus_names: Sequence[str]
    scraped: Sequence[Scraped]


def watch(args: WatchArgs, target: Target, opts: pulumi.ResourceOptions) -> None:
    """Place what watches the platform, the forecaster where the stack has one."""
    settings, certificates, password = args.settings, args.certificates, args.credentials.monitoring
    one_machine = settings.target == "docker"
    found = exporters.Exporters(
        "exporters",
        exporters.ExportersArgs(
            settings=settings.alerts,
            database=args.database,
            cache=args.cache,
            pool=Peer(pool.NAME, pool.PORT),
            database_password=args.credentials.database,
            cache_password=args.credentials.cache,
            ca_certificate=certificates.ca_certificate,
            edge=Peer(edge.NAME, edge.PORT),
            edge_name=args.edge_name,
            edge_of_stack=args.edge_of_stack,
            machine=one_machine,
        ),
        target,
        args.pool_ready,
        opts,
    )
    alerting.Alerting(
        "alerting",
        alerting.AlertingArgs(
            settings=settings.alerts,
            certificate=certificates.issue(alerting.NAME, [alerting.NAME]),
            ca_certificate=certificates.ca_certificate,
            password=password,
            password_hash=args.credentials.monitoring_hash,
        ),
        target,
        opts,
    )
    monitoring.Monitoring(
        "monitoring",
        monitoring.MonitoringArgs(
            settings=settings.monitoring,
            stack=args.stack,
            gateways=_hosts(gateway.NAME, settings.gateway.replicas, one_machine),
            canaries=_hosts(CANARY, capacity.most_canaries(settings), one_machine),
            gateway_port=gateway.ADMIN_PORT,
            edges=_hosts(edge.NAME, settings.edge.replicas, one_machine),
            edge_port=edge.METRICS_PORT,
            edge_url=f"https://{edge.NAME}:{edge.PORT}/api/version",
            resolve=not one_machine,
            autoscaler=FORECASTER if settings.autoscaler else None,
            exporters=found.peers,
            scraped=args.scraped,
            alertmanager=Peer(alerting.NAME, alerting.PORT),
            rules=rules(settings),
            certificate=certificates.issue(monitoring.NAME, args.prometheus_names),
            ca_certificate=certificates.ca_certificate,
            password=password,
            password_hash=args.credentials.monitoring_hash,
        ),
        target,
        opts,
    )
    if settings.autoscaler:
        autoscaler.Autoscaler(
            "autoscaler",
            autoscaler.AutoscalerArgs(
                settings=settings.autoscaler,
                pools=watched(settings),
                prometheus=Peer(monitoring.NAME, monitoring.PORT),
                user=monitoring.USER,
                password=password,
                ca_certificate=certificates.ca_certificate,
                scrape_interval_s=settings.monitoring.scrape_interval_s,
                exact=scaling.exact(settings),
                asks_api=settings.target == "aws" or settings.kubernetes.api_server is not None,
            ),
            target,
            opts,
        )


def pages(port_offset: int, password: pulumi.Input[str]) -> dict[str, pulumi.Input[str]]:
    """Return where the watchers' pages are, by name, and the account that opens them."""
    return {
        "alertmanager": f"https://localhost:{alerting.PORT + port_offset}",
        "prometheus": f"https://localhost:{monitoring.PUBLISHED_PORT + port_offset}",
        "user": monitoring.USER,
        "password": password,
    }


def watched(settings: Settings) -> Sequence[autoscaler.Pool]:
    """Return the pools of workers, and between what their numbers move."""
    plain = settings.worker
    return [
        autoscaler.Pool(
            name=one.name,
            service=worker.pool_name(one.name),
            slots=worker.at_once(one)[0],
            least=one.autoscaling.min_replicas,
            most=one.autoscaling.max_replicas,
            target=one.autoscaling.in_flight_percent / 100,
        )
        for one in settings.gpu_pools
    ] or [autoscaler.Pool(worker.NAME, worker.NAME, worker.at_once(plain)[0], plain.replicas)]


def _hosts(name: str, replicas: int, one_machine: bool) -> list[str]:
    """Return the replicas' own names; on a cluster the one name that resolves to all of them."""
    return [f"{name}-{index}" for index in range(1, replicas + 1)] if one_machine else [f"{name}-each"]
