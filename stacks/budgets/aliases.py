"""Aliases: each stands for models that the stack has, and never for an alias."""

from collections.abc import Iterator

from stacks.gateway import AliasSettings, AliasTargetSettings
from stacks.models import listed_as
from stacks.settings import Settings


def aliases(s: Settings) -> Iterator[str]:
    """Every alias can be answered, and means the same whoever reads it."""
    pulled = {listed_as(name) for pool in s.gpu_pools for name in pool.models} or set(
        map(listed_as, s.models)
    )
    seen: set[str] = set()
    stand_for_others = {listed_as(one.name) for one in s.gateway.aliases if not _is_model(one)}
    for alias in s.gateway.aliases:
        path, name = f"gateway.aliases[{alias.name}]", listed_as(alias.name)
        if name in seen:
            yield f"{path}: there are two aliases of this name"
        seen.add(name)
        targets = _targets(alias)
        if not any(target.weight for target in targets):
            yield f"{path}.targets: none has a weight above 0, so that nothing would answer"
        if len(targets) == 1 and _is_model(alias) and not alias.fallbacks:
            yield f"{path} stands for itself alone: name another model, or fallbacks"
        variants = [target.variant or listed_as(target.model) for target in targets]
        for variant in dict.fromkeys(one for one in variants if variants.count(one) > 1):
            yield f"{path}.targets: {variant} is the variant of several: give each a name of its own"
        weighted = {listed_as(target.model) for target in targets if target.weight}
        for fallback in alias.fallbacks:
            if listed_as(fallback) in weighted:
                yield f"{path}.fallbacks: {fallback} is a target with a weight, which is tried before anyway"
        for model in dict.fromkeys((*(target.model for target in targets), *alias.fallbacks)):
            if listed_as(model) in stand_for_others - {name}:
                yield f"{path}: {model} is an alias itself: name a model that it stands for"
            elif listed_as(model) not in pulled:
                yield f"{path}: {model} is none of the stack's models: {', '.join(sorted(pulled))}"


def _targets(alias: AliasSettings) -> tuple[AliasTargetSettings, ...]:
    return alias.targets or (AliasTargetSettings(model=alias.name),)


def _is_model(alias: AliasSettings) -> bool:
    """Tell whether the name is a model's own, which is then among its targets."""
    return listed_as(alias.name) in {listed_as(target.model) for target in _targets(alias)}
