"""Gateways of a release on this machine: what the edges and the engine are told, and in which order."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from ops import containers
from ops.delivery import beside
from ops.delivery.beside import FIRST, PARTS
from ops.delivery.machine import Gateways
from ops.delivery.measure import THERE, TRIED, Prometheus, Series
from ops.stack import Stack, StackError
from tests.ops.delivery.test_releases import stack as stack  # a fixture


@dataclass
class Edge:
    """A container that keeps what is run in it."""

    told: list[str]
    status: str = "running"
    name: str = "ollamamax-some-edge-1"
    exit_code: int = 0

    def exec_run(self, words: list[str]) -> SimpleNamespace:
        self.told.append(words[-1])
        return SimpleNamespace(exit_code=self.exit_code, output=b"cd: /canary: No such file or directory")


@dataclass
class Stage:
    """A machine on which all that is done is written down."""

    gateways: Gateways
    done: list[str] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)


@pytest.fixture
def stage(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Stage:
    made = Stage(Gateways(stack))
    made.edges.append(Edge(made.done))
    monkeypatch.setattr(containers, "find", lambda of, service: made.edges)
    monkeypatch.setattr(
        beside, "time", SimpleNamespace(time=lambda: 0, monotonic=lambda: 0, sleep=lambda _: None)
    )

    def prepare(self: Stack) -> None:
        made.done.append(f"settings beside: {dict(self.beside)}")

    def under_way(self: Prometheus, series: Series, side: str) -> int:
        made.done.append(f"under way: {side}")
        return 0

    monkeypatch.setattr(Stack, "prepare", prepare)
    monkeypatch.setattr(Stack, "up", lambda self, *targets: made.done.append(f"up {' '.join(targets)}"))
    monkeypatch.setattr(
        Stack, "remove", lambda self, *targets: made.done.append(f"remove {' '.join(targets)}")
    )
    pages: dict[str, Any] = {"prometheus": "https://localhost", "user": "", "password": ""}
    outputs = {"dashboards": pages, "caCertificate": ""}
    monkeypatch.setattr(Stack, "outputs", lambda self, show_secrets: outputs)
    monkeypatch.setattr(Prometheus, "under_way", under_way)
    return made


CANARIES = "settings beside: {'canary': {'replicas': 2}}"


def test_only_what_a_trial_needs_is_brought_up(stage: Stage) -> None:
    stage.gateways.place()
    assert stage.done == [CANARIES, f"up {' '.join(FIRST)}"]


@pytest.mark.parametrize(
    ("percent", "script"),
    [
        (5, "cd /canary && touch asked 5"),
        (50, "cd /canary && touch asked 5 25 50"),
        (0, "rm -f /canary/*"),
    ],
)
def test_an_edge_is_told_the_parts_that_make_a_share(stage: Stage, percent: int, script: str) -> None:
    stage.edges.append(Edge(stage.done, status="exited"))
    stage.gateways.weigh(percent)
    assert stage.done == [script], "and one that does not run has no part to give"


def test_an_edge_of_an_older_release_is_named_with_the_way_out(stage: Stage) -> None:
    stage.edges[0].exit_code = 1
    with pytest.raises(StackError, match=r"ollamamax-some-edge-1 cannot be told .* make up STACK=some"):
        stage.gateways.weigh(5)


def test_the_old_gateways_end_what_they_are_at_before_the_new_ones_come(stage: Stage) -> None:
    stage.gateways.take_over()
    back = ["rm -f /canary/*", f"under way: {TRIED}", "settings beside: {}", f"remove {PARTS}"]
    assert stage.done == [f"under way: {THERE}", CANARIES, "up ", *back]


def test_without_prometheus_a_release_is_taken_back_all_the_same(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stack, "outputs", lambda self, show_secrets: {})
    stage.gateways.take_back()
    assert stage.done == ["rm -f /canary/*", "settings beside: {}", f"remove {PARTS}"]
