"""Every rule, on what breaks it and on what keeps it."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest

from policies.pack import MODULES, RULES
from policies.rule import Resource, Rule, Stack
from policies.values import UNKNOWN
from tests.policies.examples import Example

BY_ID = {rule.id: rule for rule in RULES}
EXAMPLES: list[Example] = [
    example
    for module in MODULES
    for example in import_module(f"tests.policies.examples.{module.__name__.rpartition('.')[2]}").EXAMPLES
]
FAILING = [one for one in EXAMPLES if one.says]
PASSING = [one for one in EXAMPLES if not one.says]


def judged(example: Example) -> list[str]:
    """Return what the rule says about the resources, as the pack asks it."""
    rule = BY_ID[example.rule]
    config = rule.default_config() | dict(example.config or {})
    if rule.about_stack:
        return [message for _, message in rule.check(Stack(example.resources, config))]
    of_its_types = [one for one in example.resources if rule.on is None or one.type in rule.on]
    return [message for one in of_its_types for message in rule.check(replace(one, config=config))]


def name(example: Example) -> str:
    return f"{example.rule}-{example.resources[0].type}-{example.says}"


@pytest.mark.parametrize("example", FAILING, ids=name)
def test_what_breaks_a_rule_is_found(example: Example) -> None:
    assert any(example.says in message for message in judged(example)), judged(example)


@pytest.mark.parametrize("example", PASSING, ids=name)
def test_what_keeps_a_rule_passes(example: Example) -> None:
    assert judged(example) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_has_an_example_of_both_and_a_failing_one_for_each_type(rule: Rule) -> None:
    assert any(one.rule == rule.id for one in PASSING)
    broken = {one.type for example in FAILING if example.rule == rule.id for one in example.resources}
    assert broken, "no example that fails"
    assert broken >= (rule.on or set())


def unknown(value: Any) -> Iterator[Any]:
    """Yield copies of a value in each of which one part is unknown."""
    yield UNKNOWN
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            for variant in unknown(inner):
                other = copy.copy(value)
                other[key] = variant
                yield other


def variants(example: Example) -> Iterator[Example]:
    """Yield the example with one part of one resource unknown; its type and name stay."""
    for index, one in enumerate(example.resources):
        for key, value in one.props.items():
            for variant in unknown(value):
                known: Resource = replace(one, props=one.props | {key: variant})
                yield replace(
                    example, resources=(*example.resources[:index], known, *example.resources[index + 1 :])
                )


@pytest.mark.parametrize("example", [one for one in PASSING if not BY_ID[one.rule].about_stack], ids=name)
def test_what_is_not_known_yet_breaks_no_rule(example: Example) -> None:
    """The stack's rules are left out: they have to know what belongs to what."""
    for variant in variants(example):
        assert judged(variant) == [], variant.resources


@pytest.mark.parametrize("example", EXAMPLES, ids=name)
def test_no_unknown_value_makes_a_rule_fail_to_run(example: Example) -> None:
    for variant in variants(example):
        judged(variant)


def test_ids_are_kebab_case_and_unique() -> None:
    ids = [rule.id for rule in RULES]
    assert len(ids) == len(set(ids)) >= 30
    assert all(one == one.lower() and one.replace("-", "").isalnum() for one in ids)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_says_what_holds_why_and_how_to_keep_it(rule: Rule) -> None:
    for text in (rule.what, rule.why, rule.remedy):
        assert text[0].isupper()
        assert text.endswith(".")
    assert rule.level in ("mandatory", "advisory")
    assert all("default" in schema for schema in rule.settings.values())
