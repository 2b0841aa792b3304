"""Which metrics rules, dashboards and runbooks name."""

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from components.rules import rules
from ops.dashboards import NAMES, dashboard
from stacks.loading import read
from stacks.settings import Settings

ROOT = Path(__file__).parents[1]
STACKS = ROOT / "stacks"
RUNBOOKS = ROOT / "docs" / "runbooks"
OF_CLOUDS = ("DCGM_", "aws_")
"""Of exporters whose hardware or cloud is not here: tests/components/aws/test_telemetry.py has the names."""
OF_PROMETHEUS_ITSELF = {"ALERTS", "up"}
WORDS = {
    "and",
    "bool",
    "by",
    "group_left",
    "group_right",
    "ignoring",
    "offset",
    "on",
    "or",
    "unless",
    "without",
}
LEFT_OUT = (
    r'"[^"]*"',  # values of labels
    r"\{[^}]*\}",
    r"\[[^\]]*\]",
    r"\b(?:by|ignoring|group_left|group_right|on|without)\s*\([^)]*\)",
    r"[A-Za-z_:][\w:]*\s*\(",  # functions
    r"\b\d[\w.]*",  # numbers and durations
)


def stacks() -> Iterator[tuple[str, Settings]]:
    """Yield a stack on one machine and one on AWS: together they have every rule and every panel."""
    for name in ("local", "prod"):
        yield name, read(STACKS / f"Pulumi.{name}.yaml", name)


def panels() -> list[str]:
    """Return the queries of all dashboards."""
    return [
        target["expr"]
        for stack, settings in stacks()
        for name in NAMES
        for panel in dashboard(name, settings, stack)["panels"]
        for target in panel["targets"]
    ]


def asked() -> list[str]:
    """Return the queries of all runbooks."""
    pages = [page.read_text() for page in sorted(RUNBOOKS.glob("*.md"))]
    return [query for page in pages for query in re.findall(r"^promql '(.*)'$", page, re.MULTILINE)]


def made() -> list[dict[str, str]]:
    """Return all rules, those that record and those that alert."""
    return [
        rule
        for _, settings in stacks()
        for text in rules(settings).values()
        for group in yaml.safe_load(text)["groups"]
        for rule in group["rules"]
    ]


def named_in(expression: str) -> set[str]:
    """Return the metrics that an expression of PromQL names."""
    for pattern in LEFT_OUT:
        expression = re.sub(pattern, " ( " if pattern.endswith(r"\(") else " ", expression)
    return set(re.findall(r"[A-Za-z_:][\w:]*", expression)) - WORDS


def used() -> set[str]:
    """Return the metrics that are named and that no rule makes."""
    recorded = {rule["record"] for rule in made() if "record" in rule}
    recorded.add("pool:ollamamax_load:max")  # of the forecaster: load.rules.yml
    expressions = [*panels(), *asked(), *(rule["expr"] for rule in made())]
    found: set[str] = set().union(*map(named_in, expressions))
    return found - recorded - OF_PROMETHEUS_ITSELF
