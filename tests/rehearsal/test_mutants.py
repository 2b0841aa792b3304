"""Each assertion of a scenario against a wrong setting that must make it fail, on the real stage."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ops.delivery import gate
from rehearsal import player, reading, release
from rehearsal.assertions import CLAIMS
from rehearsal.promises import promised
from rehearsal.stage import QUICK, Stage, running
from stacks import Settings

STACK = "prod"
DEPLOY_S = 600
"""The one before may have left a whole pool of workers that start anew."""
MERGE = "application/merge-patch+json"
UP = "  - load: {percent: 50}\n  - expect: {scaleUp: {withinS: 90, percent: 60}}\n"
FELL = "  - {name: Fall, load: {percent: 2}}\n"
WINDOW = "  - wait: {forS: 70}\n"
"""All that was asked for within a window is as much as before the fall."""
SERVICE_S = 1
"""As in the quick day: of longer ones, too few come in the time that a share of a release is watched."""
STAY = {"consolidateAfterS": 60, "budgetPercent": 100}
"""By default one node in ten goes at a time, and those that were empty before are the first to go."""
SLOW = "  - wait: {forS: 20}\n"


@dataclass(frozen=True)
class Mutant:
    """A wrong setting: in the stack's file, or, where the stack's own checks refuse it, in the cluster."""

    claim: str
    steps: str
    says: str
    """What the failed assertion must say."""
    change: Callable[[dict[str, Any]], None] | None = None
    patch: tuple[str, dict[str, Any]] | None = None
    promises: Callable[[dict[str, Any]], None] = lambda settings: None
    """What the stack promises otherwise than it does by itself."""


def chat(**changed: Any) -> Callable[[dict[str, Any]], None]:
    """Return a change of the pool ``chat``."""

    def change(settings: dict[str, Any]) -> None:
        settings["gpuPools"][0] |= changed

    return change


def pools(capacity: str) -> Callable[[dict[str, Any]], None]:
    """Return a change of what the nodes of all pools are bought as, whatever that costs."""

    def change(settings: dict[str, Any]) -> None:
        settings["cost"]["monthlyUsd"] *= 2
        for pool in settings["gpuPools"]:
            pool["capacity"] = capacity

    return change


def chat_scaling(**changed: int) -> Callable[[dict[str, Any]], None]:
    """Return a change of how the pool ``chat`` scales."""

    def change(settings: dict[str, Any]) -> None:
        settings["gpuPools"][0]["autoscaling"] |= changed

    return change


def lax(settings: Settings) -> gate.Limits:
    """Hold a release to nothing."""
    return replace(gate.limits(settings), errors_most=100, chance=0)


def few_nodes(settings: dict[str, Any]) -> None:
    """Reckon with a fifth of the nodes of the pool ``chat``."""
    chat(maxNodes=10)(settings)
    chat_scaling(maxReplicas=10)(settings)


def long_window(settings: dict[str, Any]) -> None:
    """Have the pool ``chat`` hold counts for so long that what metrics lag behind does not matter."""
    chat_scaling(scaleDownWindowS=60)(settings)
    chat(disruption=STAY)(settings)


MUTANTS = {
    "too few workers allowed": Mutant(
        "scale_up",
        "  - load: {percent: 50}\n  - expect: {scaleUp: {withinS: 60, percent: 60}}\n",
        "worker-chat has 10 of 30 ready",
        change=chat_scaling(maxReplicas=10),
    ),
    "no window before replicas go": Mutant(
        "scale_down",
        UP + WINDOW + FELL + "  - expect: {scaleDown: {withinS: 180}}\n",
        "its window is 60 s",
        promises=long_window,
        change=chat_scaling(scaleDownWindowS=0),
    ),
    "nodes that go at once": Mutant(
        "scale_down",
        UP + FELL + "  - expect: {scaleDown: {withinS: 180}}\n",
        "it was to stay 60 s",
        promises=chat(disruption=STAY),
        patch=("/apis/karpenter.sh/v1/nodepools/chat", {"spec": {"disruption": {"consolidateAfter": "0s"}}}),
    ),
    "more nodes than were reckoned with": Mutant(
        "cost",
        "  - load: {percent: 90}\n  - expect: {scaleUp: {withinS: 120}}\n  - expect: {cost: {}}\n",
        "the estimate's most is",
        promises=few_nodes,
        change=lambda settings: None,
    ),
    "a pool in one zone": Mutant(
        "capacity_back",
        UP + "  - loseZone: {zone: 3}\n  - expect: {capacityBack: {withinS: 40}}\n",
        "ready, ",
        change=chat(zones=["eu-central-1c"]),
    ),
    "a budget that allows everything": Mutant(
        "disruption_budgets",
        UP + "  - loseSpot: {percent: 60}\n" + SLOW + "  - expect: {disruptionBudgets: {}}\n",
        "worker-chat missed",
        patch=(
            "/apis/policy/v1/namespaces/ollamamax/poddisruptionbudgets/worker-chat",
            {"spec": {"maxUnavailable": "100%"}},
        ),
    ),
    "spot only": Mutant(
        "on_demand",
        UP + "  - loseSpot: {percent: 30}\n  - expect: {onDemand: {withinS: 40}}\n",
        "no node on demand has come",
        change=pools("spot"),
    ),
    "never spot": Mutant(
        "spot_returns",
        "  - returnSpot: {}\n" + UP + "  - expect: {spotReturns: {withinS: 40}}\n",
        "none on spot yet",
        change=pools("on-demand"),
    ),
    "a bad version": Mutant(
        "rolled_out",
        UP + "  - rollout: {errorsPercent: 20}\n  - expect: {rolledOut: {}}\n",
        "requests failed, beside",
    ),
    "a gate that lets everything through": Mutant(
        "taken_back",
        UP + "  - rollout: {errorsPercent: 20}\n  - expect: {takenBack: {}}\n",
        "kept",
    ),
    "a fixed number as fallback": Mutant(
        "reactive_floor",
        UP + "  - {name: Gone, kill: prometheus}\n  - wait: {forS: 100}\n  - start: prometheus\n"
        "  - expect: {reactiveFloor: {lagS: 20}, since: Gone}\n",
        "wanted at",
        patch=(
            "/apis/keda.sh/v1alpha1/namespaces/ollamamax/scaledobjects/worker-chat",
            {"spec": {"fallback": {"behavior": "static", "failureThreshold": 1, "replicas": 3}}},
        ),
    ),
}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with running(tmp_path_factory.mktemp("stage"), STACK, QUICK, print) as stands:
        yield stands


def test_every_assertion_has_a_mutant() -> None:
    assert {mutant.claim for mutant in MUTANTS.values()} == set(CLAIMS)


@pytest.mark.long
@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_setting_is_found(
    name: str, stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant = MUTANTS[name]
    file = tmp_path / "scenario.yaml"
    file.write_text(f"title: {name}\ntraffic: {{serviceS: {SERVICE_S}}}\nsteps:\n{mutant.steps}")
    if mutant.claim == "taken_back":
        monkeypatch.setattr(release, "limits", lax)
    stage.offer()
    stage.deploy(mutant.promises, DEPLOY_S)
    promise = promised(stage)
    if mutant.change:
        stage.deploy(mutant.change, DEPLOY_S)
    if mutant.patch:
        path, body = mutant.patch
        stage.plane.request("patch", path, body, MERGE)
    given = reading.read(file, promise.settings)
    record = player.begin(stage, STACK, given, {})
    player.play(stage, given, promise, record, print)
    found = record.findings[-1]
    assert found.name == CLAIMS[mutant.claim].sentence
    assert not found.passed, found.text
    assert mutant.says in found.text
