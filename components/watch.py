"""What watches a platform, wired together: Prometheus, and the forecaster that reads it."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components import autoscaler, gateway, monitoring, scaling, worker
from components.certificates import Certificates
from components.credentials import Credentials
from components.service import Peer, Target
from stacks.settings import Settings


@dataclass(frozen=True)
class WatchArgs:
    """What the watchers need."""

    settings: Settings
    stack: str
    names: Sequence[str]
    """Those that Prometheus is reached by."""
    certificates: Certificates
    credentials: Credentials


def watch(args: WatchArgs, target: Target, opts: pulumi.ResourceOptions) -> None:
    """Place Prometheus, and the forecaster where the stack has one."""
    settings, certificates, password = args.settings, args.certificates, args.credentials.monitoring
    one_machine = settings.target == "docker"
    each = [f"{gateway.NAME}-{index}" for index in range(1, settings.gateway.replicas + 1)]
    monitoring.Monitoring(
        "monitoring",
        monitoring.MonitoringArgs(
            settings=settings.monitoring,
            stack=args.stack,
            gateways=each if one_machine else [f"{gateway.NAME}-each"],
            gateway_port=gateway.ADMIN_PORT,
            resolve=not one_machine,
            autoscaler=Peer(autoscaler.NAME, autoscaler.PORT) if settings.autoscaler else None,
            certificate=certificates.issue(monitoring.NAME, args.names),
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


def watched(settings: Settings) -> Sequence[autoscaler.Pool]:
    """Return the pools of workers, and between what their numbers move."""
    plain = settings.worker
    return [
        autoscaler.Pool(
            name=pool.name,
            service=worker.pool_name(pool.name),
            slots=worker.at_once(pool)[0],
            least=pool.autoscaling.min_replicas,
            most=pool.autoscaling.max_replicas,
            target=pool.autoscaling.in_flight_percent / 100,
        )
        for pool in settings.gpu_pools
    ] or [autoscaler.Pool(worker.NAME, worker.NAME, worker.at_once(plain)[0], plain.replicas)]
