"""What a stack on AWS costs a month, at the least, as expected and at the most, and a million tokens of it.

At the least: autoscalers at their fewest replicas, nodes on spot where the pool allows it, on the cheapest of
its types. At the most: all at their most replicas, on demand, on the dearest type. As expected: between both,
as the settings under ``cost`` assume. Prices are those of ``stacks/prices.py``; what is reckoned from an
estimate there says so.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stacks import capacity, models, node_hour, prices, protected
from stacks.aws import AwsSettings
from stacks.hardware import GpuInstance
from stacks.kubernetes import AutoscalingSettings, GpuPoolSettings
from stacks.settings import CostSettings, Settings

IMAGES_GB = 20
"""Container images of a few releases in ECR, GB."""
SECRETS = 2
"""In Secrets Manager: the cache's password, and that of the database's administrator."""
CDNS = {
    "cloudflare": "Cloudflare, plan Business",
    "cloudfront": "CloudFront's firewall; traffic is not in it",
}
"""CDN → what of it has a price a month."""
CONTROL_PLANE_LOGS_GB, NODE_LOGS_GB = 5, 1
"""Logs a month: of the control plane, and flow logs a node, GB."""
MOST_TOKENS_S = 200
"""Most tokens a second of one request, however small the model: the rest is overhead. An estimate."""
PARALLEL_GAIN = 0.5
"""What each further request at a time adds to a worker's tokens, of what the first one gets. An estimate."""
TOKEN_BYTES = 200
"""A streamed token on the wire: Ollama wraps each in a JSON object. An estimate."""
SECONDS = prices.HOURS * 3600
BYTES_A_GB = 1e9


@dataclass(frozen=True)
class Range:
    """US dollars a month, or a count: at the least, as expected, at the most."""

    least: float
    expected: float
    most: float

    def __add__(self, other: "Range") -> "Range":
        return Range(self.least + other.least, self.expected + other.expected, self.most + other.most)

    def __mul__(self, factor: float) -> "Range":
        return Range(self.least * factor, self.expected * factor, self.most * factor)


NOTHING = Range(0, 0, 0)


def always(amount: float) -> Range:
    """Return what costs the same however much is used."""
    return Range(amount, amount, amount)


@dataclass(frozen=True)
class Item:
    """One line of the estimate."""

    name: str
    detail: str
    month: Range
    """US dollars."""
    estimated: bool
    """Whether a price that it rests on is an estimate, not one that was read."""


@dataclass(frozen=True)
class PoolTokens:
    """What a pool generates."""

    pool: str
    per_second: float
    """Tokens a second of one busy worker."""
    millions: Range
    """Millions of tokens a month."""
    month: Range
    """US dollars that its nodes cost."""


@dataclass(frozen=True)
class Estimate:
    """A stack's cost."""

    region: str
    listed: bool
    """Whether the region's own prices are known; otherwise the dearest region's stand in."""
    items: tuple[Item, ...]
    tokens: tuple[PoolTokens, ...]

    @property
    def total(self) -> Range:
        """US dollars a month."""
        return sum((item.month for item in self.items), NOTHING)

    @property
    def millions(self) -> Range:
        """Millions of tokens a month."""
        return sum((pool.millions for pool in self.tokens), NOTHING)

    @property
    def per_million(self) -> float | None:
        """US dollars for a million tokens, as expected, all items included; None where none are expected."""
        return self.total.expected / self.millions.expected if self.millions.expected else None


def estimate(s: Settings, catalogue: models.Catalogue = models.PUBLISHED) -> Estimate:
    """Return what the stack costs.

    Raises:
        ValueError: if it is no stack on AWS: only there are prices known.
    """
    if s.aws is None or s.cost is None:
        raise ValueError(f"target {s.target} has no prices: cost is estimated for target aws")
    pools = [(pool, _pool_item(s.aws, s.cost, pool)) for pool in s.gpu_pools]
    tokens = tuple(_tokens(s.cost, catalogue, pool, item.month) for pool, item in pools)
    millions = sum((pool.millions for pool in tokens), NOTHING)
    rest = _rest(s, s.aws, s.cost, catalogue, millions * (1e6 * TOKEN_BYTES / BYTES_A_GB))
    return Estimate(
        region=s.aws.region,
        listed=s.aws.region in prices.REGIONS,
        items=(*(item for _, item in pools), *rest),
        tokens=tokens,
    )


def _replicas(cost: CostSettings, scaling: AutoscalingSettings) -> tuple[int, int, int]:
    """Return the fewest, the expected and the most replicas."""
    low, high = scaling.min_replicas, max(scaling.min_replicas, scaling.max_replicas)
    return low, low + math.ceil((high - low) * cost.expected_scale_percent / 100), high


def nodes_hour(s: Settings) -> Range:
    """Return what all nodes cost an hour, US dollars.

    Raises:
        ValueError: if it is no stack on AWS: only there are prices known.
    """
    if s.aws is None or s.cost is None:
        raise ValueError(f"target {s.target} has no prices: cost is estimated for target aws")
    gpus = (_pool_item(s.aws, s.cost, pool).month for pool in s.gpu_pools)
    general = _general_nodes(s, s.cost) * node_hour.general(s.aws)
    return sum(gpus, NOTHING) * (1 / prices.HOURS) + general


def _general_nodes(s: Settings, cost: CostSettings) -> Range:
    low, high = capacity.general_nodes(s, most=False), capacity.general_nodes(s)
    return Range(low, low + math.ceil((high - low) * cost.expected_scale_percent / 100), high)


def _pool_item(aws: AwsSettings, cost: CostSettings, pool: GpuPoolSettings) -> Item:
    types = capacity.known_types(pool)
    spot_share = {"spot": 1.0, "spot-first": cost.expected_spot_percent / 100}.get(pool.capacity, 0.0)

    def month(name: str, kind: GpuInstance, workers: int, on_spot: float) -> float:
        always_on = not capacity.consolidates(pool)
        count = pool.max_nodes if always_on else capacity.nodes(pool, kind, workers)
        return count * node_hour.gpu(aws, pool, name, on_spot) * prices.HOURS

    def pick(choose: Callable[[Iterator[float]], float], workers: int, on_spot: float) -> float:
        return choose(month(name, kind, workers, on_spot) for name, kind in types.items()) if types else 0.0

    low, expected, high = _replicas(cost, pool.autoscaling)
    fee = pool.management == "karpenter"
    return Item(
        f"GPU pool {pool.name}",
        f"{low} – {high} workers, {expected} expected, on {' or '.join(pool.instance_types)}, "
        f"{pool.capacity}; disks{' and the fee of EKS Auto Mode' if fee else ''} included",
        Range(pick(min, low, math.ceil(spot_share)), pick(min, expected, spot_share), pick(max, high, 0.0)),
        bool(spot_share or fee)
        or prices.estimated(aws.region, "disk")
        or any(prices.on_demand_estimated(name, aws.region) for name in types),
    )


def _tokens(
    cost: CostSettings, catalogue: models.Catalogue, pool: GpuPoolSettings, month: Range
) -> PoolTokens:
    """Reckon what a pool's workers generate: on its slowest GPU, its models asked for equally often."""
    found = [model for name in pool.models if (model := models.find(catalogue, name))]
    slices = pool.sharing.slices if pool.sharing else 1
    kinds = capacity.known_types(pool).values()
    read = min((kind.gpu.bandwidth * kind.gpu.reached for kind in kinds), default=0) / slices * BYTES_A_GB
    speeds = [
        min(MOST_TOKENS_S, read / model.weights) * (1 + PARALLEL_GAIN * (pool.parallel - 1))
        for model in found
    ]
    per_second = sum(speeds) / len(speeds) if speeds else 0.0
    busy = per_second * cost.expected_busy_percent / 100 * SECONDS / 1e6
    return PoolTokens(pool.name, per_second, Range(*_replicas(cost, pool.autoscaling)) * busy, month)


def _rest(
    s: Settings, aws: AwsSettings, cost: CostSettings, catalogue: models.Catalogue, out_gb: Range
) -> Iterator[Item]:
    """Yield everything but the GPU pools."""
    region, zones, hours = prices.region(aws.region), len(aws.zones), prices.HOURS
    nodes = _general_nodes(s, cost)
    yield Item(
        "Other nodes",
        f"{nodes.least} – {nodes.most} nodes like m7i.xlarge for gateways, edge and the rest, on demand; "
        "disks and the fee of EKS Auto Mode included",
        nodes * (node_hour.general(aws) * hours),
        estimated=True,
    )
    yield Item("EKS control plane", "one cluster", always(prices.CLUSTER_HOUR * hours), estimated=False)
    gateways = zones if aws.network.nat == "per-zone" else 1
    endpoints = len(aws.network.interface_endpoints) * zones
    yield Item(
        "Network",
        f"{gateways} NAT gateway{'s' * (gateways > 1)}, {endpoints} interface endpoints, "
        f"{gateways + zones} public addresses",
        always(
            (gateways * region.nat + endpoints * region.endpoint + (gateways + zones) * prices.ADDRESS_HOUR)
            * hours
        ),
        prices.estimated(aws.region, "nat", "endpoint"),
    )
    yield Item(
        "Load balancer",
        "one NLB, and a capacity unit for each GB an hour",
        always((region.balancer + prices.BALANCER_UNIT_HOUR) * hours) + out_gb * prices.BALANCER_UNIT_HOUR,
        prices.estimated(aws.region, "balancer"),
    )
    yield _database(aws, region)
    cache = aws.cache
    yield Item(
        "Cache",
        f"{1 + cache.replicas} × {cache.node_type}",
        always((1 + cache.replicas) * prices.CACHE_HOUR.get(cache.node_type, 0.0) * region.cache * hours),
        prices.estimated(aws.region, "cache"),
    )
    weights = _store_gb(s, catalogue)
    yield Item(
        "Storage",
        f"{weights:.0f} GB of models in S3, {IMAGES_GB} GB of images, {s.monitoring.retention_mib} MiB of "
        "metrics",
        always(
            weights * region.bucket
            + IMAGES_GB * prices.IMAGES_GB_MONTH
            + s.monitoring.retention_mib / 1024 * region.disk
        ),
        prices.estimated(aws.region, "bucket", "disk"),
    )
    yield Item(
        "Data out",
        f"{out_gb.expected:.0f} GB of tokens",
        out_gb * prices.TRANSFER_OUT_GB,
        prices.estimated(aws.region),
    )
    if aws.cdn:
        firewall = prices.FIREWALL_MONTH + prices.FIREWALL_RULES * prices.FIREWALL_RULE_MONTH
        amount = prices.CLOUDFLARE_MONTH if aws.cdn.provider == "cloudflare" else firewall
        yield Item("CDN and firewall", CDNS[aws.cdn.provider], always(amount), estimated=False)
    keys = sum(name.endswith(protected.key("")) for name in protected.names(s))
    yield Item(
        "Names, keys, secrets",
        f"a zone, {keys} keys, {SECRETS} secrets",
        always(prices.ZONE_MONTH + keys * prices.KEY_MONTH + SECRETS * prices.SECRET_MONTH),
        estimated=False,
    )
    yield Item(
        "Logs",
        "control plane and flow logs",
        (always(CONTROL_PLANE_LOGS_GB) + nodes * NODE_LOGS_GB) * region.logs,
        prices.estimated(aws.region, "logs"),
    )


def _database(aws: AwsSettings, region: prices.Region) -> Item:
    database, instances = aws.database, 2 if aws.database.multi_az else 1
    hour = prices.DATABASE_HOUR.get(database.instance_class, 0.0)

    def month(gib: float) -> float:
        return instances * region.database * (hour * prices.HOURS + prices.DATABASE_GIB_MONTH * gib)

    return Item(
        "Database",
        f"{database.instance_class}, {'two zones' if database.multi_az else 'one zone'}, "
        f"{database.storage_gib} – {database.max_storage_gib} GiB",
        Range(
            month(database.storage_gib),
            month(database.storage_gib),
            month(max(database.storage_gib, database.max_storage_gib)),
        ),
        prices.estimated(aws.region, "database"),
    )


def _store_gb(s: Settings, catalogue: models.Catalogue) -> float:
    """Return the size of all models that the stack serves, GB."""
    names = {name for pool in s.gpu_pools for name in pool.models} or set(s.models)
    return sum(model.weights for name in names if (model := models.find(catalogue, name))) / BYTES_A_GB
