"""Checks across layers: what no single setting can get wrong on its own.

Each check yields sentences that name every layer and number involved, and the way out. One module a layer.
"""

from collections.abc import Callable, Iterator, Mapping

from stacks import capacity, cost, models
from stacks.budgets import (
    alerts,
    aliases,
    autoscaling,
    cloud,
    connections,
    forecasts,
    gpus,
    lists,
    memory,
    protection,
    releases,
    spending,
    target,
    timeouts,
)
from stacks.settings import Settings

NAME_CHECKS: tuple[Callable[[Settings, str], Iterator[str]], ...] = (target.stack_name,)
"""Checks that need to know what the stack is called."""
CHECKS: tuple[Callable[[Settings], Iterator[str]], ...] = (
    target.target,
    target.unused,
    lists.listed_twice,
    aliases.aliases,
    timeouts.timeouts,
    timeouts.load_balancer,
    timeouts.cdn,
    timeouts.rollouts,
    connections.connections,
    connections.open_files,
    memory.memory,
    autoscaling.autoscaling,
    autoscaling.metrics_missing,
    autoscaling.scale_to_zero,
    forecasts.forecasts,
    gpus.gpu_nodes,
    gpus.gpu_sharing,
    gpus.node_groups,
    cloud.account,
    cloud.network,
    cloud.names,
    alerts.alerts,
    releases.steps,
    protection.given_free,
)
MODEL_CHECKS: tuple[Callable[[Settings, models.Catalogue], Iterator[str]], ...] = (
    memory.models_in_memory,
    memory.preloaded_models,
    gpus.models_on_gpus,
    autoscaling.worker_memory,
    spending.spending,
)
"""Checks that need to know how large the models are."""


def check(settings: Settings, stack: str, catalogue: models.Catalogue = models.PUBLISHED) -> list[str]:
    """Return every budget that ``settings`` break in a stack of this name, one sentence each."""
    named = [problem for rule in NAME_CHECKS for problem in rule(settings, stack)]
    alone = [problem for rule in CHECKS for problem in rule(settings)]
    return named + alone + [problem for rule in MODEL_CHECKS for problem in rule(settings, catalogue)]


def figures(
    settings: Settings, catalogue: models.Catalogue = models.PUBLISHED
) -> Mapping[str, Mapping[str, int]]:
    """Return the numbers that policies hold the stack to: connections, and US dollars a month."""
    month = cost.estimate(settings, catalogue).total if settings.aws else cost.NOTHING
    return {
        "databaseConnections": {
            "wanted": capacity.server_connections(settings),
            "limit": capacity.free_connections(settings),
        },
        "monthlyCostUsd": {
            "expected": round(month.expected),
            "max": round(month.most),
            "budget": settings.cost.monthly_usd if settings.cost else 0,
        },
    }
