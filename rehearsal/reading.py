"""Files of scenarios: YAML, checked as strictly as a stack's, and against the stack that it is played on."""

import json
from pathlib import Path

from pydantic import ValidationError

from rehearsal.scenario import Expect, Load, LoseZone, Scenario
from stacks import Settings
from stacks.loading import SettingsError, describe, document, listed


class ScenarioError(Exception):
    """The file is no scenario for the stack; the message holds one line a problem."""


def read(file: Path, settings: Settings) -> Scenario:
    """Return the scenario in a file, for a stack with ``settings``.

    Raises:
        ScenarioError: naming every unknown key and bad value, or why the file cannot be read.
    """
    try:
        found = document(file)
        # JSON mode: a list is a tuple, while "5" is still no number.
        scenario = Scenario.model_validate_json(json.dumps(found), by_alias=True, by_name=False)
    except SettingsError as error:
        raise ScenarioError(str(error)) from error
    except ValidationError as error:
        raise ScenarioError(f"{file}: the scenario has {listed(describe(error, Scenario))}") from error
    if problems := _unfit(scenario, settings):
        raise ScenarioError(f"{file}: the scenario does not fit the stack, it has {listed(problems)}")
    return scenario


def _unfit(scenario: Scenario, settings: Settings) -> list[str]:
    """Return what in a scenario the stack does not have, or has no sense where it stands."""
    pools, zones = [pool.name for pool in settings.gpu_pools], settings.aws.zones if settings.aws else ()
    problems, names, dead, acted = [], set[str](), set[str](), False
    for index, step in enumerate(scenario.steps):
        kind, given = step.given
        if isinstance(given, Load):
            problems += [
                f"steps.{index}.load.pools.{place}: the stack has no pool {pool}, it has {', '.join(pools)}"
                for place, pool in enumerate(given.pools)
                if pool not in pools
            ]
        if isinstance(given, LoseZone) and given.zone > len(zones):
            key = "loseZone" if kind == "lose_zone" else "returnZone"
            problems.append(
                f"steps.{index}.{key}.zone: {given.zone} is more than the stack's {len(zones)} zones"
            )
        if isinstance(given, Expect):
            if given.since and given.since not in names:
                known = ", ".join(sorted(names)) or "none has a name"
                problems.append(
                    f"steps.{index}.expect.since: no step before it is named {given.since}: {known}"
                )
            elif not acted:
                problems.append(f"steps.{index}.expect: no step before it does anything: it must follow one")
        elif kind != "wait":
            acted = True
        if kind in ("kill", "start"):
            if (given in dead) is (kind == "kill"):
                state = "was killed before" if given in dead else "runs: only what was killed is started"
                problems.append(f"steps.{index}.{kind}: {given} {state}")
            (dead.add if kind == "kill" else dead.discard)(given)
        if step.name:
            names.add(step.name)
    return problems
