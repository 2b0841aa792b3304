"""Any valid settings: a stack of this repository in which a handful of settings are others."""

import copy
from typing import Any

import yaml
from hypothesis import assume
from hypothesis import strategies as st

from stacks import Settings, SettingsError
from stacks.loading import NAMESPACE, parse
from tests.components.conftest import ROOT

REGION = "eu-central-1"
ZONES = [f"{REGION}{letter}" for letter in "abc"]
NETWORKS = ["0.0.0.0/0", "10.0.0.0/8", "192.0.2.0/24", "203.0.113.7/32"]
MODELS = ["llama2:7b", "codellama:7b", "mistral:7b", "llama3.2:3b"]
FEW = st.integers(1, 6)
NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)


def some(values: list[str], least: int = 0) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=least, max_size=3, unique=True)


def choice(**values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return a block in which each of these settings is given, or left to its default."""
    return st.fixed_dictionaries({}, optional=values)


AUTOSCALING = st.fixed_dictionaries(
    {"minReplicas": st.integers(1, 4), "maxReplicas": st.integers(4, 20)},
    optional={"scaleDownWindowS": st.integers(0, 600)},
)
MAY_SLEEP = st.fixed_dictionaries({"minReplicas": st.just(0), "maxReplicas": st.integers(1, 20)})
"""Of a pool whose nodes go."""
SHARING = st.fixed_dictionaries({"mode": st.just("time-slicing"), "slices": st.integers(2, 4)})


def pool(
    given: dict[str, st.SearchStrategy[Any]], **perhaps: st.SearchStrategy[Any]
) -> st.SearchStrategy[dict[str, Any]]:
    """Return a pool for which these settings are given, and some of the others."""
    return st.fixed_dictionaries(
        {
            "name": NAMES,
            "models": some(MODELS, 1),
            "instanceTypes": some(["g6.xlarge", "g5.xlarge", "g6e.xlarge", "g6.2xlarge"], 1),
            "autoscaling": AUTOSCALING,
            **given,
        },
        optional={
            "maxNodes": st.integers(1, 30),
            "parallel": FEW,
            "contextLength": st.sampled_from([2048, 4096]),
            "diskGib": st.integers(50, 500),
            **perhaps,
        },
    )


def pools(one: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(one, max_size=3, unique_by=lambda pool: pool["name"])


KARPENTER = pool(
    {"disruption": st.just({"consolidateAfterS": 600}), "autoscaling": AUTOSCALING | MAY_SLEEP},
    capacity=st.sampled_from(["spot", "on-demand", "spot-first"]),
    zones=some(ZONES, 1),
)
NODE_GROUP = pool(
    {"management": st.just("node-group"), "capacity": st.sampled_from(["spot", "on-demand"])},
    zones=some(ZONES, 1),
    sharing=SHARING,
)
ANYWHERE = {
    "edge": choice(replicas=FEW, keepaliveRequests=st.integers(1, 10_000)),
    "pool": choice(replicas=FEW),
    "gateway": choice(replicas=FEW, maxBodyMib=st.integers(1, 256)),
    "worker": choice(replicas=FEW),
    "database": choice(slowStatementMs=st.integers(-1, 10_000)),
    "monitoring": choice(retentionHours=st.integers(72, 1000)),
}
KUBERNETES = {
    "namespace": NAMES,
    "zoneSpread": st.sampled_from(["required", "preferred"]),
    "storageClass": st.none() | NAMES,
}
CLUSTER = {
    **ANYWHERE,
    "gpuPools": pools(pool({}, sharing=SHARING)),
    "gateway": choice(replicas=FEW, autoscaling=st.none() | AUTOSCALING),
    "kubernetes": choice(
        **KUBERNETES, modelStore=choice(access=st.sampled_from(["ReadWriteMany", "ReadWriteOnce"]))
    ),
}
AWS = {
    **CLUSTER,
    "gpuPools": pools(KARPENTER | NODE_GROUP),
    "kubernetes": choice(**KUBERNETES),
    "aws": choice(
        network=choice(
            nat=st.sampled_from(["per-zone", "single"]),
            cidr=st.sampled_from(["10.80.0.0/16", "172.21.0.0/18"]),
            interfaceEndpoints=some(["ec2", "ecr.api", "ecr.dkr", "sts", "logs"]),
        ),
        cluster=choice(publicAccess=some(NETWORKS[1:])),
        database=choice(multiAz=st.booleans(), backupDays=st.integers(1, 35)),
        cache=choice(replicas=st.integers(0, 5)),
        cdn=st.none()
        | st.fixed_dictionaries({"provider": st.just("cloudfront")}, optional={"api": st.booleans()})
        | st.fixed_dictionaries(
            {"provider": st.just("cloudflare"), "cloudflareZoneId": st.just("0123456789abcdef" * 2)},
            optional={"api": st.booleans(), "cloudflareToken": st.just("of the zone")},
        ),
        clients=some(NETWORKS, 1),
        zones=st.sampled_from([ZONES, ZONES[:2]]),
    ),
    "policy": choice(allowReplace=some(["database", "cluster", "vpc", "edge", "models-key"])),
}


def _file(path: str) -> dict[str, Any]:
    config = yaml.safe_load((ROOT / path).read_text())["config"]
    raw = {key.removeprefix(f"{NAMESPACE}:"): value for key, value in config.items()}
    if "cost" in raw:
        raw["cost"]["monthlyUsd"] = 10_000_000  # no other setting is to be refused for its price
    return raw


STACKS: dict[str, tuple[dict[str, Any], dict[str, st.SearchStrategy[Any]]]] = {
    "local": (_file("stacks/Pulumi.local.yaml"), {**ANYWHERE, "models": some(MODELS, 1)}),
    "staging": (_file("stacks/Pulumi.staging.yaml"), AWS),
    "prod": (_file("stacks/Pulumi.prod.yaml"), AWS),
    "existing-cluster": (_file("docs/examples/Pulumi.existing-cluster.yaml"), CLUSTER),
}


@st.composite
def settings(draw: st.DrawFn) -> tuple[str, Settings]:
    """Draw a stack's name and valid settings for it."""
    stack = draw(st.sampled_from(sorted(STACKS)))
    base, others = STACKS[stack]
    raw = copy.deepcopy(base)
    for key in draw(st.lists(st.sampled_from(sorted(others)), max_size=3, unique=True)):
        _put(raw, key, draw(others[key]))
    try:
        return stack, parse(raw, stack)
    except SettingsError:
        assume(False)
        raise


def _put(raw: dict[str, Any], key: str, value: Any) -> None:
    """Set a setting; of a block, only what is given."""
    if isinstance(value, dict) and isinstance(raw.get(key), dict):
        for name, inner in value.items():
            _put(raw[key], name, inner)
    else:
        raw[key] = value
