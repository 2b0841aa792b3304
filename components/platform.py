"""The platform: every component, wired together here and nowhere else."""

import pulumi

from components import cache, database, edge, gateway, models, monitoring, pool, worker
from components.certificates import Certificates
from components.credentials import Credentials
from components.docker_target import DockerTarget, DockerTargetArgs
from components.service import Peer
from stacks.settings import Settings

MEBIBYTE = 1024 * 1024


class Platform(pulumi.ComponentResource):
    """A whole platform in one stack."""

    def __init__(
        self, name: str, settings: Settings, version: str, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Build the platform that ``settings`` describe; ``version`` is stamped on its images."""
        super().__init__("ollamamax:index:Platform", name, None, opts)
        stack = pulumi.get_stack()
        child = pulumi.ResourceOptions(parent=self)
        self._settings = settings
        self._credentials = credentials = Credentials("credentials", child)
        self._certificates = certificates = Certificates("certificates", stack, child)
        ca_certificate = certificates.ca_certificate
        target = DockerTarget(
            "docker",
            DockerTargetArgs(settings.docker, stack, version, settings.port_offset),
            child,
        )

        postgres = database.Database(
            "database",
            database.DatabaseArgs(
                settings=settings.database,
                certificate=certificates.issue(database.NAME, [database.NAME]),
                ca_certificate=ca_certificate,
                password=credentials.database,
                admin_password=credentials.database_admin,
            ),
            target,
            child,
        )
        pgbouncer = pool.Pool(
            "pool",
            pool.PoolArgs(
                settings=settings.pool,
                database=Peer(database.NAME, database.PORT),
                certificate=certificates.issue(pool.NAME, [pool.NAME]),
                ca_certificate=ca_certificate,
                password=credentials.database,
            ),
            target,
            after=postgres.placed.replicas,
            opts=child,
        )
        redis = cache.Cache(
            "cache",
            cache.CacheArgs(
                settings=settings.cache,
                certificate=certificates.issue(cache.NAME, [cache.NAME]),
                ca_certificate=ca_certificate,
                password=credentials.cache,
            ),
            target,
            child,
        )
        placed_workers = worker.Worker(
            "worker",
            worker.WorkerArgs(settings.worker, drain_timeout_s=settings.gateway.drain_timeout_s),
            target,
            child,
        )
        worker_hosts = worker.hosts(settings.worker)
        workers = Peer(worker.NAME, worker.PORT)
        loaded = models.Models(
            "models",
            models.ModelsArgs(
                settings.models, worker_hosts, workers, image=worker.IMAGE, home=worker.HOME_DIR
            ),
            target,
            after=placed_workers.placed.replicas,
            opts=child,
        )
        gateways = gateway.Gateway(
            "gateway",
            gateway.GatewayArgs(
                settings=settings.gateway,
                workers=worker_hosts,
                longest_silence_s=settings.longest_generation_s,
                worker_services=[workers],
                database=Peer(database.NAME, database.PORT),
                pool=Peer(pool.NAME, pool.PORT),
                cache=Peer(cache.NAME, cache.PORT),
                ca_certificate=ca_certificate,
                database_password=credentials.database,
                cache_password=credentials.cache,
                api_key=credentials.api_key,
            ),
            target,
            after_migrations=[*postgres.placed.replicas, *redis.placed.replicas],
            after=[*pgbouncer.placed.replicas, *loaded.jobs],
            opts=child,
        )
        edge.Edge(
            "edge",
            edge.EdgeArgs(
                settings=settings.edge,
                public_port=self._edge_port,
                gateways=gateways.placed.addresses,
                gateway_port=gateway.PORT,
                max_header_bytes=settings.gateway.max_header_bytes,
                max_body_bytes=settings.gateway.max_body_mib * MEBIBYTE,
                longest_silence_s=settings.longest_generation_s,
                certificate=certificates.issue(edge.NAME, settings.edge.names),
            ),
            target,
            after=gateways.placed.replicas,
            opts=child,
        )
        monitoring.Monitoring(
            "monitoring",
            monitoring.MonitoringArgs(
                settings=settings.monitoring,
                stack=stack,
                gateways=[f"{gateway.NAME}-{index}" for index in range(1, settings.gateway.replicas + 1)],
                gateway_port=gateway.ADMIN_PORT,
                certificate=certificates.issue(monitoring.NAME, [monitoring.NAME]),
                ca_certificate=ca_certificate,
                password=credentials.monitoring,
                password_hash=credentials.monitoring_hash,
            ),
            target,
            child,
        )
        self.register_outputs({"url": self.url})

    @property
    def url(self) -> str:
        """Where clients reach the platform."""
        return f"https://{self._settings.edge.names[0]}:{self._edge_port}"

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
        """Pages for people, by name, with the account that opens them; the password is secret."""
        port = monitoring.PUBLISHED_PORT + self._settings.port_offset
        return {
            "prometheus": f"https://localhost:{port}",
            "user": monitoring.USER,
            "password": self._credentials.monitoring,
        }

    @property
    def _edge_port(self) -> int:
        return edge.PORT + self._settings.port_offset
