"""The rule files of a stack: what they watch is there, and their numbers are the stack's."""

import re
from pathlib import Path

import pytest
import yaml

from components.rules import EVERYWHERE, rules
from stacks.alerts import AlertSettings, Kpi
from stacks.loading import read
from stacks.settings import Settings

STACKS = Path(__file__).parents[2] / "stacks"


def limits(text: str, alert: str) -> dict[str, str]:
    """Return severity → expression of an alert."""
    groups = yaml.safe_load(text)["groups"]
    found = [rule for group in groups for rule in group["rules"] if rule.get("alert") == alert]
    return {rule["labels"]["severity"]: rule["expr"] for rule in found}


@pytest.mark.parametrize(
    ("stack", "more"), [("local", {"machine"}), ("staging", {"cloud", "gpu"}), ("prod", {"cloud", "gpu"})]
)
def test_a_stack_has_the_rules_for_what_it_has(stack: str, more: set[str]) -> None:
    found = rules(read(STACKS / f"Pulumi.{stack}.yaml", stack))
    assert set(found) == {f"rules-{group}.yml" for group in {*EVERYWHERE, "autoscaler", *more}}


def test_the_thresholds_are_the_stacks() -> None:
    settings = Settings(
        target="docker", alerts=AlertSettings(platform_ms=Kpi(target=1, warning=2, critical=3))
    )
    found = limits(rules(settings)["rules-platform.yml"], "PlatformTimeHigh")
    assert "p99_5m > 0.002 and" in found["warning"]
    assert "p99_5m > 0.003 and" in found["critical"]


def test_a_gateway_cannot_take_more_memory_than_its_container_has() -> None:
    settings = Settings(target="docker")
    most = settings.gateway.resources.memory_mib
    assert settings.alerts.memory_mib.critical > most, "else nothing is shown here"
    found = limits(rules(settings)["rules-platform.yml"], "GatewayMemoryHigh")
    assert float(found["critical"].rpartition("> ")[2]) < most * 2**20


@pytest.mark.parametrize(("pace", "paused"), [(1, "5m"), (10, "30s"), (15, "20s")])
def test_all_windows_and_waits_follow_the_pace(pace: float, paused: str) -> None:
    found = rules(Settings(target="docker", alerts=AlertSettings(pace=pace)))
    alerts = [
        rule for text in found.values() for group in yaml.safe_load(text)["groups"] for rule in group["rules"]
    ]
    waits = {rule["for"] for rule in alerts if "for" in rule}
    windows = {window for rule in alerts for window in re.findall(r"\[(\w+)\]", rule["expr"])}
    assert paused in waits & windows
    assert pace == 1 or all(time.endswith("s") for time in waits | windows)
