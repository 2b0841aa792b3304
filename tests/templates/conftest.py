"""The local stack's services with default settings, and their programs to judge the rendered files."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import docker
import pytest
from docker.models.containers import Container

from components import alerting, cache, database, edge, exporters, gateway, monitoring, pool
from components.rules import rules
from components.service import CONFIG_DIR, USER, Outside, Peer, Service, Store, VaultSecret, Workers
from stacks.gateway import AliasSettings, AliasTargetSettings, GatewaySettings
from stacks.settings import Settings
from tests.components.test_watch import forecaster
from tests.containers import build, secrets
from tests.identity import Identity, certify
from tests.templates.rendered import (
    NO_CERTIFICATE,
    Starter,
    archive,
    edge_service,
    plain_config,
)


@pytest.fixture(scope="session")
def identity() -> Identity:
    """Return one certificate for every service."""
    return certify(
        edge.NAME, database.NAME, pool.NAME, cache.NAME, monitoring.NAME, alerting.NAME, "localhost"
    )


@pytest.fixture(scope="session")
def services() -> Mapping[str, Service]:
    """Return every service that has templates, by name, as the default settings and aliases describe it."""
    targets = (AliasTargetSettings(model="tiny", weight=9, variant="old"), AliasTargetSettings(model="new"))
    aliases = (
        AliasSettings(name="chat", targets=targets, fallbacks=("small",)),
        AliasSettings(name="tiny", fallbacks=("small", "smaller")),
    )
    settings = Settings(target="docker", gateway=GatewaySettings(aliases=aliases))
    gateway_args = _gateway(settings, Peer("postgres", 5432), Peer("redis", 6379))
    found = exporters.describe(
        exporters.ExportersArgs(
            settings=settings.alerts,
            database=Peer("postgres", 5432),
            cache=Peer("redis", 6379),
            pool=Peer("pgbouncer", 6432),
            database_password="",
            cache_password="",
            ca_certificate="",
            edge=Peer("edge", 8443),
            edge_name="localhost",
            edge_of_stack=True,
            machine=True,
        )
    )
    described = (
        edge_service(settings.edge),
        gateway.describe(gateway_args),
        gateway.describe_migrations(gateway_args),
        database.describe(database.DatabaseArgs(settings.database, NO_CERTIFICATE, "", "", "")),
        pool.describe(pool.PoolArgs(settings.pool, Peer("postgres", 5432), NO_CERTIFICATE, "", "")),
        cache.describe(cache.CacheArgs(settings.cache, NO_CERTIFICATE, "", "")),
        alerting.describe(alerting.AlertingArgs(settings.alerts, NO_CERTIFICATE, "", "", "")),
        *found,
        monitoring.describe(
            monitoring.MonitoringArgs(
                settings=settings.monitoring,
                stack="local",
                gateways=["gateway-1", "gateway-2"],
                canaries=["gateway-canary-1", "gateway-canary-2"],
                gateway_port=9090,
                edges=["edge-1"],
                edge_port=edge.METRICS_PORT,
                edge_url="https://edge:8443/api/version",
                resolve=False,
                autoscaler=Peer("autoscaler", 9090),
                exporters=[Peer(service.name, service.ports[0].number) for service in found],
                scraped=[],
                alertmanager=Peer("alertmanager", 9093),
                rules=rules(settings),
                certificate=NO_CERTIFICATE,
                ca_certificate="",
                password="",
                password_hash="",
            )
        ),
        forecaster("local"),
    )
    return {service.name: service for service in described}


@pytest.fixture(scope="session")
def beside_managed_stores() -> Mapping[str, Service]:
    """Return the services that connect to a managed database and cache where there are such."""
    settings = Settings(target="docker")
    outside = Outside(("10.80.250.0/24",), 5432)
    admin = VaultSecret("arn:aws:secretsmanager:::secret:admin", "password")
    database = Store("stack.rds.example.org", 5432, outside, "", "an authority of its own", admin)
    cache = Store("stack.cache.example.org", 6379, Outside(("10.80.250.0/24",), 6379), "")
    gateway_args = _gateway(settings, database, cache)
    described = (
        gateway.describe(gateway_args),
        gateway.describe_migrations(gateway_args),
        pool.describe(pool.PoolArgs(settings.pool, database, NO_CERTIFICATE, "", "")),
    )
    return {service.name: service for service in described}


def _gateway(settings: Settings, database: Peer | Store, cache: Peer | Store) -> gateway.GatewayArgs:
    return gateway.GatewayArgs(
        settings=settings.gateway,
        workers=[Workers(f"worker-{n}:11434", 4, 3) for n in (1, 2)],
        worker_services=[Peer("worker", 11434)],
        longest_silence_s=settings.longest_generation_s,
        database=database,
        pool=Peer("pgbouncer", 6432),
        cache=cache,
        ca_certificate="",
        database_password="",
        cache_password="",
        api_key="",
        node_memory=settings.node_memory,
    )


@pytest.fixture(scope="session")
def started(identity: Identity) -> Iterator[Starter]:
    """Return a function that runs a service's image with its files, as unprivileged as the target does."""
    client = docker.from_env()
    image = functools.cache(build)

    @contextmanager
    def run(
        service: Service, *, command: Sequence[str] | None = None, beside: Container | None = None
    ) -> Iterator[Container]:
        container = client.containers.create(
            image(service.image),
            entrypoint=list(service.entrypoint) if service.entrypoint else None,
            command=list(command or service.command or ()),
            environment=dict(service.env),
            user=USER,
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            mem_limit=f"{service.limits.memory_mib}m",
            tmpfs={path: f"size={size}m" for path, size in service.scratch.items()},
            volumes=[CONFIG_DIR, *(volume.path for volume in service.volumes)],
            network_mode=f"container:{beside.id}" if beside else None,
            hostname=None if beside else service.name,
        )
        try:
            container.put_archive(CONFIG_DIR, archive(plain_config(service), secrets(service, identity)))
            container.start()
            yield container
        finally:
            container.remove(force=True, v=True)

    yield run
    client.close()
