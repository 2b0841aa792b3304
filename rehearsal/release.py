"""A release of the gateways on a stage: what tries, watches and judges it is what does so in production.

Only three things are the stage's own: how its engine is run, how its Prometheus is asked, and that no kubelet
has to bring the edges what they are told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from ops.delivery import cluster, measure, reach
from ops.delivery.gate import limits
from ops.delivery.trial import Course, Trial
from ops.stack import Stack, StackError
from rehearsal.processes import RehearsalError
from rehearsal.stage import Change, Say, Stage
from stacks import Settings, SettingsError


class RefusedError(Exception):
    """A release cannot even be tried; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Staged(Stack):
    """The stack as a stage has it, with a change of its settings."""

    stage: Stage
    change: Change

    def settings(self) -> Settings:
        """Return the stack's settings, the stage's overlay and those ``beside`` them included."""
        return self.stage.describe(self._changed)

    def prepare(self) -> None:
        """Do nothing: whatever runs the engine writes its settings first."""

    def up(self, *targets: str) -> None:
        """Bring the stack, or only the ``targets`` of it, to what its settings say."""
        with _told():
            self.stage.deploy(self._changed, targets=targets)

    def outputs(self, *, show_secrets: bool) -> dict[str, Any]:
        """Return how the cluster is reached; the rest is the stage's to know."""
        return {"kubeconfig": self.stage.plane.kubeconfig.read_text()}

    def _changed(self, settings: dict[str, Any]) -> None:
        self.change(settings)
        settings.update(self.beside)


@dataclass(frozen=True, kw_only=True)
class Measured(measure.Prometheus):
    """A stage's Prometheus."""

    stage: Stage

    def ask(self, query: str, at: float) -> list[tuple[Mapping[str, str], float]]:
        """Return the labels and values that answer a query, as of a time."""
        with _told():
            return [(one.labels, one.value) for one in self.stage.prometheus.query(query, at)]


@dataclass(frozen=True)
class Reach(reach.Reach):
    """Where a stage's parts are reached."""

    stack: Staged

    @contextmanager
    def prometheus(self) -> Iterator[Measured]:
        """Yield its Prometheus."""
        yield Measured(url="", user="", password="", ca_certificate="", stage=self.stack.stage)


@dataclass(frozen=True)
class Gateways(cluster.Gateways):
    """The gateways of a release on a stage."""

    stack: Staged
    heard_s: ClassVar[float] = 0

    @cached_property
    def reach(self) -> Reach:
        """Where its measurements are had."""
        return Reach(self.stack)


def tried(stage: Stage, stack: str, change: Change, say: Say) -> str | None:
    """Try the stack with a change as a release, and put it in the place of the one before, or take it back.

    Args:
        stage: where the stack stands.
        stack: what it is called.
        change: what is new.
        say: tells how far it is.

    Returns:
        Why it was taken back; None where it was kept.

    Raises:
        RefusedError: if it cannot be tried: no room beside what is there, or nothing to measure by.
    """
    new = Staged(stack, stage=stage, change=change)
    candidate, settings = Gateways(new), new.settings()
    trial = Trial(
        candidate,
        Course.of(settings, candidate.heard_s),
        limits(settings),
        say,
        lambda percent: say(f"{percent} % of the requests"),
    )
    try:
        candidate.check()
    except (StackError, SettingsError) as error:
        raise RefusedError(str(error)) from error
    try:
        reason = trial.run()
        if reason is None:
            candidate.take_over()
    except StackError as error:
        return str(error)
    return reason


@contextmanager
def _told() -> Iterator[None]:
    """Say what goes wrong on a stage as commands say it."""
    try:
        yield
    except RehearsalError as error:
        raise StackError(str(error)) from error
