"""Settings of the managed parts on AWS: network, cluster, data stores, names, CDN."""

from ipaddress import IPv4Network
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from stacks.block import (
    ACCOUNT,
    ADDON_VERSION,
    CACHE_TYPE,
    CLOUDFLARE_ID,
    DATABASE_CLASS,
    ENDPOINT,
    PATH,
    REGION,
    REPOSITORY,
    ROLE_ARN,
    ZONE,
    ZONE_ID,
    Block,
    Days,
    Email,
    HostName,
    Label,
    Seconds,
)

LogDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]
"""The times, in days, for which CloudWatch keeps a log."""
AddonVersion = Annotated[str, Field(pattern=ADDON_VERSION)]


class NetworkSettings(Block):
    """The VPC: a public, a private and a data subnet in each zone."""

    cidr: IPv4Network = IPv4Network("10.80.0.0/16")
    """Addresses of the VPC, /16 to /20. Pods have addresses of it too."""
    nat: Literal["per-zone", "single"] = "per-zone"
    """NAT gateways: with a ``single`` one, the loss of its zone cuts every zone off the internet."""
    interface_endpoints: tuple[Annotated[str, Field(pattern=ENDPOINT)], ...] = (
        "ec2",
        "ecr.api",
        "ecr.dkr",
        "eks-auth",
        "logs",
        "secretsmanager",
        "sts",
    )
    """AWS services that are reached without leaving the VPC; S3 always is. Each costs by the hour, a zone."""
    flow_log_days: LogDays = 30
    """How long the record of connections is kept, days."""


class AddonSettings(Block):
    """Versions of the cluster's managed add-ons; None is the one that EKS takes when it makes the add-on."""

    metrics_server: AddonVersion | None = None
    """``metrics-server``: the CPU and memory that autoscaling reads."""
    secrets_store: AddonVersion | None = None
    """``aws-secrets-store-csi-driver-provider``: files from Secrets Manager."""
    mountpoint_s3: AddonVersion | None = None
    """``aws-mountpoint-s3-csi-driver``: the models, from S3."""


class ClusterSettings(Block):
    """EKS in Auto Mode: Karpenter and the controllers for load balancers, disks and GPUs are AWS's to run."""

    version: Literal["1.33", "1.34", "1.35"] = "1.34"
    """Kubernetes version."""
    public_access: tuple[IPv4Network, ...] = ()
    """Addresses from which the API server is reached over the internet. None leaves the private endpoint
    alone: ``pulumi up`` then has to run inside the VPC."""
    admin_roles: tuple[Annotated[str, Field(pattern=ROLE_ARN)], ...] = ()
    """IAM roles that administer the cluster, that of whoever runs ``up`` among them: EKS knows no other. The
    role that ``ci`` deploys with is added."""
    addons: AddonSettings = AddonSettings()
    """Versions of the add-ons."""
    log_days: LogDays = 90
    """How long audit and control-plane logs are kept, days."""


class DatabaseSettings(Block):
    """RDS for PostgreSQL 17; ``database.*`` are its server's own parameters."""

    instance_class: Annotated[str, Field(pattern=DATABASE_CLASS)] = "db.m7g.large"
    """Instance class."""
    multi_az: bool = True
    """Whether a standby in another zone takes over."""
    storage_gib: Annotated[int, Field(ge=20, le=65_536)] = 100
    """Disk, GiB."""
    max_storage_gib: Annotated[int, Field(ge=20, le=65_536)] = 500
    """Size up to which the disk grows by itself, GiB."""
    backup_days: Annotated[int, Field(ge=1, le=35)] = 14
    """How far back a point in time can be restored, days."""


class CacheSettings(Block):
    """ElastiCache for Valkey: one shard, its replicas in other zones."""

    node_type: Annotated[str, Field(pattern=CACHE_TYPE)] = "cache.m7g.large"
    """Node type."""
    replicas: Annotated[int, Field(ge=0, le=5)] = 1
    """Replicas of the primary node; with none, the loss of its zone takes the cache away."""


class DnsSettings(Block):
    """Names and certificates."""

    zone: HostName
    """The platform's own zone in Route 53: ``api.ZONE`` and ``console.ZONE`` are made in it."""
    create_zone: bool = True
    """Whether the stack makes the zone; its name servers then go into the parent zone by hand, once.
    Otherwise the zone exists, and ``zoneId`` names it."""
    zone_id: Annotated[str, Field(pattern=ZONE_ID)] | None = None
    """Id of a zone that exists."""
    certificate_email: Email
    """Where the certificate authority (Let's Encrypt) writes to about the certificate of ``api.ZONE``."""


class CdnSettings(Block):
    """The CDN in front of ``console.ZONE`` and of the public GETs."""

    provider: Literal["cloudflare", "cloudfront"] = "cloudflare"
    """Whose (report: Cloudflare)."""
    cloudflare_zone_id: Annotated[str, Field(pattern=CLOUDFLARE_ID)] | None = None
    """Cloudflare's id of the zone; needed with ``cloudflare``. The zone must be the stack's alone: for each
    phase of a request a zone has one entry-point ruleset, which the stack then makes, and what is set for TLS
    counts for every host in it."""
    cloudflare_token: SecretStr | None = None
    """Token of Cloudflare's API that may edit DNS, cache rules, origin rules, WAF and settings of that zone:
    encrypt it with ``make secret SETTING=aws.cdn.cloudflareToken``. None: ``CLOUDFLARE_API_TOKEN`` in
    the environment of whoever deploys."""
    api: bool = False
    """Whether ``api.ZONE`` goes through the CDN too. It then has no HTTP/3 to the origin and keeps to the
    CDN's limits of body size and read time-out."""
    origin_keepalive_timeout_s: Seconds = 920
    """Idle time after which the edge closes a connection of the CDN, seconds: more than Cloudflare's 900 and
    CloudFront's 60, because the side that sends requests must close first."""
    public_paths: tuple[Annotated[str, Field(pattern=PATH)], ...] = ("/api/version", "/v1/models")
    """GETs that need no key, and whose answers the CDN keeps: they are everybody's."""
    static_max_age_s: Annotated[int, Field(ge=0, le=31_536_000)] = 31_536_000
    """How long content-hashed files are cached, seconds (report)."""
    public_max_age_s: Annotated[int, Field(ge=0, le=86_400)] = 300
    """How long the answers to ``publicPaths`` are cached, seconds (report)."""
    requests_per_5_minutes: Annotated[int, Field(ge=10, le=20_000_000)] = 2000
    """Requests from one address within five minutes beyond which it is blocked."""


class CiSettings(Block):
    """GitHub Actions: whom ``make bootstrap`` gives a role for previews, and one for deployments."""

    repository: Annotated[str, Field(pattern=REPOSITORY)]
    """The repository; its pull requests and its branch ``main`` may preview."""
    environment: Label
    """The environment of the repository whose jobs may deploy; who may approve them is set there."""


class AwsSettings(Block):
    """The AWS account, and the managed parts in it."""

    account_id: Annotated[str, Field(pattern=ACCOUNT)]
    """Account that the stack may be deployed to; credentials of another one are refused."""
    region: Annotated[str, Field(pattern=REGION)]
    """Region."""
    zones: Annotated[tuple[Annotated[str, Field(pattern=ZONE)], ...], Field(min_length=2)]
    """Availability zones, of this region; three, so that the loss of one leaves a majority."""
    network: NetworkSettings = NetworkSettings()
    """The VPC."""
    cluster: ClusterSettings = ClusterSettings()
    """The EKS cluster."""
    database: DatabaseSettings = DatabaseSettings()
    """The database."""
    cache: CacheSettings = CacheSettings()
    """The cache."""
    model_versions_days: Days = 30
    """How long a model that was replaced or deleted stays in the model store's bucket, days."""
    clients: Annotated[tuple[IPv4Network, ...], Field(min_length=1)] = (IPv4Network("0.0.0.0/0"),)
    """Addresses that may reach ``api.ZONE``."""
    dns: DnsSettings
    """Names and certificates."""
    cdn: CdnSettings | None = None
    """The CDN; None has none, and no console."""
    ci: CiSettings | None = None
    """Who deploys the stack from GitHub Actions; None is nobody."""
    first_in_account: bool = True
    """Whether ``make bootstrap`` of this stack makes what an account has once: the bucket of all stacks'
    state, and the trust in GitHub's identities. False for the second stack in an account."""
