"""What watches the platform: all is measured, no panel is empty, a fault is told by its alert alone."""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
import yaml

from components.rules import rules
from ops.dashboards import NAMES, dashboard
from stacks.loading import read
from tests.e2e.causes import asking
from tests.e2e.conftest import LABEL, STACK, Platform, docker
from tests.e2e.faults import FAULTS, TOGETHER
from tests.e2e.waiting import eventually
from tests.e2e.watching import Watchers
from tests.metrics import OF_CLOUDS, RUNBOOKS, STACKS, asked, used

SETTINGS = read(STACKS / f"Pulumi.{STACK}.yaml", STACK)
SET_UP_S = 1800
"""For the stack and its images, where a machine has nothing yet, and for what a fault takes before it."""
CALM_S = 240
FILLED_S = 60
TARGETS = 11
"""Two gateways, edge, forecaster, Prometheus, Alertmanager and five exporters."""
LATER = ["autoscaling: How good forecasts have been"]
"""Panels about what is known once a forecast has come true."""
HELD_S = 6
"""More than an evaluation of the rules."""
ELSEWHERE = ("aws ", "kubectl ")
"""Commands that need a cloud or a cluster."""


@pytest.fixture(scope="module")
def watchers(platform: Platform) -> Iterator[Watchers]:
    """The platform's Prometheus and Alertmanager."""
    watchers = Watchers(platform)
    yield watchers
    watchers.close()


def told_alone(watchers: Watchers, expected: set[str], within_s: float, hold_s: float = 0) -> None:
    """Wait until exactly these alerts are told, and see that they stay the only ones for a while."""
    told: list[set[str]] = []

    def as_expected() -> bool:
        told.append(watchers.told())
        return told[-1] == expected

    try:
        eventually(as_expected, within_s, f"exactly these alerts are told: {sorted(expected)}")
    except AssertionError as error:
        raise AssertionError(f"{error}; told is {sorted(told[-1])}") from None
    until = time.monotonic() + hold_s

    def held() -> bool:
        assert watchers.told() == expected
        return time.monotonic() >= until

    eventually(held, hold_s + 30, "the while is over")


def test_every_part_is_measured(watchers: Watchers) -> None:
    def down() -> list[str]:
        known = watchers.ask("prometheus", "/api/v1/targets")["data"]["activeTargets"]
        targets = [one for one in known if "release" not in one["labels"]]  # none is tried
        assert len(targets) == TARGETS
        return [target["labels"]["job"] for target in targets if target["health"] != "up"]

    eventually(lambda: down() == [], 60, "all targets are up")
    assert watchers.query("probe_success == 1"), "the edge answers, although the exporter shows no key"


def test_the_platform_emits_what_rules_dashboards_and_runbooks_name(watchers: Watchers) -> None:
    emitted = watchers.metrics()
    assert {name for name in used() if not name.startswith(OF_CLOUDS)} - emitted == set()
    assert "ollamamax_no_such_thing" not in emitted


def test_no_panel_is_empty_under_load(platform: Platform, watchers: Watchers) -> None:
    alias = {"targets": [{"model": "tiny"}]}
    with httpx.Client(
        base_url=platform.url, headers=platform.headers, verify=platform.trust, timeout=60
    ) as client:
        client.put("/api/v1/models/aliases/swift", json=alias).raise_for_status()
    same = {"prompt": "hello", "options": {"num_predict": 8, "temperature": 0, "seed": 1}}
    streamed = {"prompt": "hello", "stream": True, "model": "swift", "options": {"num_predict": 16}}

    def empty() -> list[str]:
        return [
            f"{name}: {panel['title']}"
            for name in NAMES
            for panel in dashboard(name, SETTINGS, STACK)["panels"]
            if not any(watchers.query(target["expr"]) for target in panel["targets"])
        ]

    with asking(platform, same, streamed):
        deadline = time.monotonic() + FILLED_S
        while (missing := empty()) != LATER and time.monotonic() < deadline:
            pass
    assert missing == LATER


def test_commands_of_runbooks_work(platform: Platform, watchers: Watchers) -> None:
    for query in asked():
        watchers.query(query)
    pages = [page.read_text() for page in sorted(RUNBOOKS.glob("*.md"))]
    blocks = [block for page in pages for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL)]
    (function,) = [block for block in blocks if "promql() {" in block]
    commands = {line for block in blocks if block != function for line in block.splitlines()}
    logs = {line for line in commands if line.startswith("make logs SERVICE=")}
    left = {line for line in commands - logs if not line.startswith((*ELSEWHERE, "promql "))}
    # What is looked for in an answer need not be there.
    for command in sorted({*(line.partition(" | ")[0] for line in left), f"{function}promql up"}):
        done = run(platform, command)
        assert done.returncode == 0, f"{command}: {done.stderr}"
    for line in logs:
        service = line.removeprefix("make logs SERVICE=")
        assert docker("ps", "--quiet", "--filter", LABEL, "--filter", f"label=ollamamax.service={service}"), (
            line
        )


def run(platform: Platform, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of a runbook on this stack."""
    for local, here in (
        ("ollamamax-local", f"ollamamax-{STACK}"),
        ("localhost:8443", f"localhost:{platform.port}"),
        ("make status", f"make status STACK={STACK}"),
        ("outputs SECRETS=1", f"outputs STACK={STACK} SECRETS=1"),
    ):
        command = command.replace(local, here)
    return subprocess.run(
        ["bash", "-c", command],
        cwd=platform.checkout.root,
        env={**os.environ, "OLLAMAMAX_KEY": platform.key},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_faults_are_told_by_their_alerts_alone_and_then_no_more(
    platform: Platform, watchers: Watchers
) -> None:
    told_alone(watchers, set(), CALM_S)
    with ExitStack() as faults:
        for alert in TOGETHER:
            faults.enter_context(FAULTS[alert].cause(platform))
        told_alone(watchers, set(TOGETHER), 60, HELD_S)
    told_alone(watchers, set(), 60)


def test_every_alert_of_the_stack_has_a_fault() -> None:
    alerts = {
        rule["alert"]
        for text in rules(SETTINGS).values()
        for group in yaml.safe_load(text)["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    assert alerts == FAULTS.keys()


def patient(alert: str) -> object:
    """Return an alert as a test's parameter, with the time that its fault may take."""
    fault = FAULTS[alert]
    seconds = SET_UP_S + CALM_S + fault.told_s + HELD_S + fault.over_s
    return pytest.param(alert, id=alert, marks=pytest.mark.timeout(seconds))


@pytest.mark.long
@pytest.mark.parametrize("alert", [patient(alert) for alert in FAULTS])
def test_a_fault_is_told_by_its_alert_alone_and_then_no_more(
    platform: Platform, watchers: Watchers, alert: str
) -> None:
    fault = FAULTS[alert]
    with fault.under(platform):
        told_alone(watchers, set(), CALM_S)
        with fault.cause(platform):
            told_alone(watchers, {alert, *fault.also}, fault.told_s, HELD_S)
        told_alone(watchers, set(), fault.over_s)
