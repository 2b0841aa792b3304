"""The platform: every service, wired together here; the workers and their models in ``serving.py``."""

from collections.abc import Sequence

import pulumi

from components import (
    cache,
    database,
    edge,
    gateway,
    load,
    models,
    monitoring,
    naming,
    pool,
    serving,
    watch,
    worker,
)
from components.aws import names
from components.certificates import Certificates
from components.credentials import Credentials
from components.ground import GroundArgs, Names, lay
from components.scaling import Prometheus
from components.service import Peer, Store
from stacks import budgets, capacity
from stacks.budgets.timeouts import longest_silence_s
from stacks.delivery import CANARY, TRIAL
from stacks.settings import Settings

MEBIBYTE = 1024 * 1024
HTTPS = 443


class Platform(pulumi.ComponentResource):
    """A whole platform in one stack."""

    def __init__(
        self, name: str, settings: Settings, version: str, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Build the platform that ``settings`` describe; ``version`` is stamped on images and state."""
        # Policies see a component's inputs: so they can hold the stack to its budgets.
        super().__init__("ollamamax:index:Platform", name, {"budget": budgets.figures(settings)}, opts)
        self._stack = pulumi.get_stack()
        self._child = child = pulumi.ResourceOptions(parent=self)
        self._settings = settings
        self._version = version
        self._credentials = Credentials("credentials", settings.rotation, child)
        self._certificates = certificates = Certificates(
            "certificates", self._stack, settings.rotation, child
        )
        self._ground = ground = lay(
            GroundArgs(settings, self._stack, version, self._credentials, _names(settings), self._prometheus),
            child,
        )
        self._target = target = ground.target
        cdn = settings.aws.cdn if settings.aws else None
        console = names.console(settings.aws.dns.zone) if settings.aws and cdn else None

        at_database, database_ready = self._database(ground.database)
        at_cache, cache_ready = self._cache(ground.cache)
        pgbouncer = pool.Pool(
            "pool",
            pool.PoolArgs(
                settings=settings.pool,
                database=at_database,
                certificate=certificates.issue(pool.NAME, [pool.NAME]),
                ca_certificate=self.ca_certificate,
                password=self._credentials.database,
            ),
            target,
            after=database_ready,
            opts=child,
        )
        workers, services, ready = serving.place(settings, target, child)
        canaries = capacity.most_canaries(settings)
        gateways = gateway.Gateway(
            "gateway",
            gateway.GatewayArgs(
                settings=settings.gateway,
                workers=workers,
                longest_silence_s=settings.longest_generation_s,
                workers_pull=self._one_machine,
                worker_services=services,
                database=at_database,
                pool=Peer(pool.NAME, pool.PORT),
                cache=at_cache,
                ca_certificate=self.ca_certificate,
                database_password=self._credentials.database,
                cache_password=self._credentials.cache,
                api_key=self._credentials.api_key,
                node_memory=settings.node_memory,
                public_paths=cdn.public_paths if cdn else (),
                forecaster=watch.FORECASTER if settings.autoscaler else None,
                console=f"https://{console}" if console else None,
            ),
            target,
            after_migrations=[*database_ready, *cache_ready],
            after=[*pgbouncer.placed.replicas, *ready],
            canaries=settings.canary.replicas if settings.canary else 0,
            opts=child,
        )
        inside = settings.edge.names if self._one_machine else (*settings.edge.names, edge.NAME)
        placed = edge.Edge(
            "edge",
            edge.EdgeArgs(
                settings=settings.edge,
                public_port=self._edge_port,
                gateways=gateways.placed.addresses,
                canaries=target.addresses(CANARY if self._one_machine else TRIAL, canaries),
                canary_percents=settings.release.steps_percent,
                gateway_port=gateway.PORT,
                max_header_bytes=settings.gateway.max_header_bytes,
                max_body_bytes=settings.gateway.max_body_mib * MEBIBYTE,
                longest_silence_s=longest_silence_s(settings),
                certificate=ground.certificate or certificates.issue(edge.NAME, inside),
                leave_s=0 if self._one_machine else settings.edge.drain_delay_s,
                cdn=cdn,
                # CloudFront has the console's files from a bucket.
                console_host=console if cdn and cdn.provider == "cloudflare" else None,
            ),
            target,
            after=gateways.placed.replicas,
            opts=child,
        ).placed
        ground.publish(placed)
        if settings.load:
            authority = None if ground.certificate else self.ca_certificate
            load.Load("load", load.LoadArgs(settings, self.url, self.api_key, authority), target, child)
        watch.watch(
            watch.WatchArgs(
                settings,
                self._stack,
                certificates,
                self._credentials,
                at_database,
                at_cache,
                pgbouncer.placed.replicas,
                self._edge_name,
                edge_of_stack=not ground.certificate,
                prometheus_names=self._prometheus_names,
                scraped=ground.scraped,
            ),
            target,
            child,
        )
        self.register_outputs({"url": self.url})

    @property
    def url(self) -> str:
        """Where clients reach the platform."""
        host, port = self._edge_name, self._edge_port
        return f"https://{host}" if port == HTTPS else f"https://{host}:{port}"

    @property
    def ca_certificate(self) -> pulumi.Output[str]:
        """Certificate of the stack's authority, PEM: what a client has to trust."""
        return self._certificates.ca_certificate

    @property
    def api_key(self) -> pulumi.Output[str]:
        """The stack's first API key; secret."""
        return self._credentials.api_key

    @property
    def dashboards(self) -> dict[str, pulumi.Input[str]]:
        """Pages for people, by name, with the account that opens them; the password is secret.

        On a cluster they are reached through ``kubectl port-forward``. Where the edge's certificate is of
        somebody else's authority, that of the pages is named with them.
        """
        pages = watch.pages(self._settings.port_offset, self._credentials.monitoring)
        return pages | ({"caCertificate": self.ca_certificate} if self._ground.certificate else {})

    @property
    def outputs(self) -> dict[str, pulumi.Input[object]]:
        """The stack's outputs, by name."""
        return {
            "url": self.url,
            "version": self._version,
            # Where every machine trusts who has signed the edge's certificate, clients need none.
            **({} if self._ground.certificate else {"caCertificate": self.ca_certificate}),
            "apiKey": self.api_key,
            "dashboards": self.dashboards,
            **self._ground.outputs,
        }

    @property
    def _prometheus(self) -> Prometheus:
        """What reads the metrics from outside the platform, and needs to open Prometheus."""
        password, authority = self._credentials.monitoring, self.ca_certificate
        return Prometheus(monitoring.NAME, monitoring.PORT, monitoring.USER, password, authority)

    @property
    def _prometheus_names(self) -> list[str]:
        if self._one_machine:
            return [monitoring.NAME]
        return [monitoring.NAME, self._prometheus.host(self._settings.kubernetes.namespace)]

    @property
    def _one_machine(self) -> bool:
        return self._settings.target == "docker"

    @property
    def _edge_name(self) -> str:
        """The name that clients know the edge by."""
        aws = self._settings.aws
        return names.api(aws.dns.zone) if aws else self._settings.edge.names[0]

    @property
    def _edge_port(self) -> int:
        """The port that clients see."""
        return HTTPS if self._settings.aws else edge.PORT + self._settings.port_offset

    def _database(self, there: Store | None) -> tuple[Peer | Store, Sequence[pulumi.Resource]]:
        """Return where PostgreSQL is, and what is ready once it is; place it unless it is there."""
        if there:
            return there, []
        placed = database.Database(
            "database",
            database.DatabaseArgs(
                settings=self._settings.database,
                certificate=self._certificates.issue(database.NAME, [database.NAME]),
                ca_certificate=self.ca_certificate,
                password=self._credentials.database,
                admin_password=self._credentials.database_admin,
            ),
            self._target,
            self._child,
        ).placed
        return Peer(database.NAME, database.PORT), placed.replicas

    def _cache(self, there: Store | None) -> tuple[Peer | Store, Sequence[pulumi.Resource]]:
        """Return where Redis is, and what is ready once it is; place it unless it is there."""
        if there:
            return there, []
        placed = cache.Cache(
            "cache",
            cache.CacheArgs(
                settings=self._settings.cache,
                certificate=self._certificates.issue(cache.NAME, [cache.NAME]),
                ca_certificate=self.ca_certificate,
                password=self._credentials.cache,
            ),
            self._target,
            self._child,
        ).placed
        return Peer(cache.NAME, cache.PORT), placed.replicas


def _names(settings: Settings) -> Names:
    pools = [worker.pool_name(pool.name) for pool in settings.gpu_pools]
    return Names(
        images=[naming.repository(image) for image in naming.IMAGES],
        migrations=gateway.MIGRATIONS,
        models=models.NAME,
        workers=pools or [worker.NAME],
        edge=edge.NAME,
        edge_port=edge.PORT,
        edge_cdn_port=edge.CDN_PORT,
    )
