"""Releases from their command to their end, with gateways that only say what is asked of them."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import pytest

from ops.delivery import cluster, commands, machine
from ops.delivery.commands import Delivery
from ops.delivery.releases import Record
from ops.delivery.trial import Clock, Trial
from ops.stack import Stack, StackError
from tests.ops.delivery.test_releases import stack as stack  # a fixture
from tests.ops.delivery.test_trial import Fake


@dataclass
class Gateways(Fake):
    """A candidate that stands for those of any place."""

    is_up: bool = True
    is_tried: bool = False
    heard_s: float = 0
    images: dict[str, str] = field(default_factory=lambda: {"gateway": "ollamamax-gateway:a@sha256:0"})
    passed: list[float] = field(default_factory=list)

    def check(self) -> None:
        """Find nothing wrong."""

    def take_back(self) -> None:
        super().take_back()
        self.is_tried = False

    def pass_time(self, seconds: float) -> None:
        self.passed.append(seconds)
        super().pass_time(seconds)


@dataclass
class Stage:
    """A delivery on a stage: what was said, and what was done with gateways and engine."""

    stack: Stack
    fake: Gateways = field(default_factory=Gateways)
    said: list[str] = field(default_factory=list)
    engine: list[str] = field(default_factory=list)

    @property
    def delivery(self) -> Delivery:
        return Delivery(self.stack, self.said.append)

    def release(self, change: str, until: int = 100) -> None:
        """Release the checkout with a change."""
        (self.stack.root / "templates" / "a").write_text(change)
        self.delivery.release(until)

    def states(self) -> dict[int, str]:
        return {one.number: one.state for one in self.delivery.releases.all}

    def leave(self, percent: int, *, held: bool = False) -> Record:
        """Leave a release as a command does that is killed."""
        record = self.delivery.releases.begin("0.1.0")
        left = record.model_copy(update={"percent": percent, "held": held})
        self.delivery.releases.write(left)
        return left


@pytest.fixture
def stage(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Stage:
    made = Stage(stack)
    stack.settings_file.write_text("config:\n  ollamamax:target: docker\n")
    (stack.root / "pyproject.toml").write_text('[project]\nversion = "0.1.0"\n')
    clock = Clock(lambda seconds: made.fake.pass_time(seconds))
    monkeypatch.setattr(commands, "Trial", partial(Trial, clock=clock))
    monkeypatch.setattr(commands, "gateways", lambda of: made.fake)
    monkeypatch.setattr(Stack, "prepare", lambda self: None)

    def up(self: Stack, *targets: str) -> None:
        made.engine.append((self.root / "templates" / "a").read_text())

    monkeypatch.setattr(Stack, "up", up)
    return made


def test_a_good_release_takes_over_and_is_kept(stage: Stage) -> None:
    stage.release("one")
    assert stage.fake.done[-1] == "take over"
    assert stage.said[-1] == "release 1 runs"
    running = stage.delivery.releases.running
    assert running
    assert running.images == {"gateway": "ollamamax-gateway:a@sha256:0"}
    assert stage.engine == [], "the candidate brings itself up"


def test_the_first_release_of_a_stack_that_is_not_up_is_brought_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage.fake, "is_up", False)
    stage.release("one")
    assert stage.engine == ["one"]
    assert stage.states() == {1: "kept"}


def test_a_release_makes_no_secret_anew(stage: Stage) -> None:
    stage.release("one")
    settings = stage.stack.settings_file.read_text()
    stage.stack.settings_file.write_text(f"{settings}  ollamamax:rotation: {{database: next}}\n")
    again = replace(stage, stack=Stack(stage.stack.name, stage.stack.root))
    with pytest.raises(StackError, match=r"make up STACK=.* makes them anew"):
        again.release("two")
    assert again.states() == {1: "kept"}
    again.delivery.keep()
    again.release("three")
    assert again.states() == {1: "kept", 2: "kept", 3: "kept"}


def test_a_bad_release_is_taken_back_forgotten_and_says_why(stage: Stage) -> None:
    stage.fake.fails = 0.02
    why = r"^release 1 was taken back at 5 %: 2\.00 % of \d+ requests failed, [^\n]*$"
    with pytest.raises(StackError, match=why):
        stage.release("bad")
    assert stage.fake.done == ["place", "5 %", "take back"]
    assert stage.states() == {}


def test_a_bad_release_that_cannot_be_taken_back_is_not_forgotten(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> None:
        raise StackError("Docker does not answer")

    stage.fake.fails = 0.02
    monkeypatch.setattr(stage.fake, "take_back", fails)
    with pytest.raises(StackError, match="Docker does not answer"):
        stage.release("bad")
    assert stage.states() == {1: "tried"}
    with pytest.raises(StackError, match="make rollback STACK=some takes it back"):
        stage.delivery.check_settled()


def test_a_first_release_that_does_not_come_up_is_not_in_the_way_of_the_next(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Stack, *targets: str) -> None:
        raise StackError("port 8443 is in use")

    monkeypatch.setattr(stage.fake, "is_up", False)
    monkeypatch.setattr(Stack, "up", fails)
    with pytest.raises(StackError, match="port 8443 is in use"):
        stage.release("one")
    stage.delivery.check_settled()
    assert stage.states() == {}


def test_one_that_is_held_goes_on_with_the_program_that_it_had(stage: Stage) -> None:
    stage.release("one", until=25)
    assert stage.states() == {1: "tried"}
    assert "is held at 25 %" in stage.said[-1]
    with pytest.raises(StackError, match="release 1 is being tried: make promote STACK=some goes on"):
        stage.delivery.check_settled()
    (stage.stack.root / "templates" / "a").write_text("edited since")
    stage.delivery.promote()
    assert stage.fake.done == ["place", "5 %", "25 %", "place", "50 %", "100 %", "take over"]
    running = stage.delivery.releases.running
    assert running
    assert (stage.delivery.releases.program(running) / "templates" / "a").read_text() == "one"
    stage.delivery.check_settled()


def test_one_that_was_left_in_its_midst_is_taken_back_first(stage: Stage) -> None:
    stage.leave(25)
    stage.release("next")
    assert "was left unfinished at 25 %: it is taken back first" in stage.said[0]
    assert stage.fake.done[:2] == ["take back", "place"]
    assert stage.states() == {1: "kept"}


def test_one_that_was_left_while_it_took_over_is_brought_to_its_end_first(stage: Stage) -> None:
    stage.leave(100, held=True)
    stage.release("next")
    assert "found good: it takes over first" in stage.said[0]
    assert stage.fake.done[:2] == ["take over", "place"]
    assert stage.states() == {1: "kept", 2: "kept"}


def test_promote_watches_a_share_again_that_was_not_watched_to_its_end(stage: Stage) -> None:
    stage.leave(25)
    stage.delivery.promote()
    assert stage.fake.done == ["place", "25 %", "50 %", "100 %", "take over"]


def test_there_must_be_something_to_promote(stage: Stage) -> None:
    with pytest.raises(StackError, match="no release is being tried: make release STACK=some"):
        stage.delivery.promote()


def test_a_rollback_takes_back_what_is_tried_and_leaves_the_rest(stage: Stage) -> None:
    stage.release("one")
    stage.release("two", until=5)
    stage.delivery.rollback(None)
    assert stage.fake.done[-1] == "take back"
    assert stage.engine == []
    assert stage.states() == {1: "kept"}


def test_a_rollback_of_one_that_was_taking_over_brings_the_one_before_up_again(stage: Stage) -> None:
    stage.release("one")
    stage.leave(100, held=True)
    stage.delivery.rollback(None)
    assert stage.engine == ["one"]


@pytest.mark.parametrize(("to", "expected"), [(None, "two"), (1, "one")])
def test_a_rollback_brings_a_kept_release_up_with_its_program(
    stage: Stage, to: int | None, expected: str
) -> None:
    for change in ("one", "two", "three"):
        stage.release(change)
    stage.delivery.rollback(to)
    assert stage.engine == [expected]
    running = stage.delivery.releases.running
    assert running
    assert running.number == (to or 2)


def test_there_must_be_something_to_go_back_to(stage: Stage) -> None:
    with pytest.raises(StackError, match="no release is kept"):
        stage.delivery.rollback(None)
    stage.release("one")
    with pytest.raises(StackError, match="no release before 1"):
        stage.delivery.rollback(None)


def test_what_up_has_brought_up_is_kept_once(stage: Stage) -> None:
    stage.delivery.keep()
    stage.delivery.keep()
    assert stage.states() == {1: "kept"}
    (stage.stack.root / "templates" / "a").write_text("changed")
    stage.delivery.keep()
    assert stage.states() == {1: "kept", 2: "kept"}


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda delivery: delivery.release(30), "UNTIL=30 is not among release.stepsPercent: 5, 25, 50, 100"),
        (lambda delivery: delivery.rollback(7), "release 7 of stack some is not kept; there are: none"),
    ],
)
def test_what_is_asked_for_and_cannot_be_is_named(
    stage: Stage, act: Callable[[Delivery], None], message: str
) -> None:
    stage.leave(5)
    with pytest.raises(StackError, match=message.replace(".", r"\.")):
        act(stage.delivery)


def test_one_that_is_written_down_elsewhere_is_taken_back_before_another_comes(stage: Stage) -> None:
    stage.fake.is_tried = True
    with pytest.raises(StackError, match="nothing is written down here: make rollback STACK=some takes it"):
        stage.delivery.check_settled()
    stage.delivery.rollback(None)
    assert stage.fake.done == ["take back"]
    stage.fake.is_tried = True
    stage.release("one")
    assert "nothing is written down here: it is taken back" in stage.said[1]
    assert stage.fake.done[1:3] == ["take back", "place"]


def test_a_release_that_could_not_be_measured_is_not_begun(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.leave(25, held=True)

    def fails() -> None:
        raise StackError("kubectl is missing")

    monkeypatch.setattr(stage.fake, "check", fails)
    with pytest.raises(StackError, match="kubectl is missing"):
        stage.delivery.promote()
    assert stage.states() == {1: "tried"}, "and one that is held goes on being so"
    with pytest.raises(StackError, match="kubectl is missing"):
        stage.release("next")
    assert stage.fake.done == ["take back"], "of the one that was left"
    assert stage.states() == {}


def test_a_share_counts_once_every_edge_has_heard_of_it(stage: Stage) -> None:
    stage.fake.heard_s = 90
    stage.release("one", until=5)
    assert stage.fake.passed[0] == 90, "longer than release.settleS"


def test_a_release_is_tried_where_its_stack_runs(stack: Stack) -> None:
    stack.settings_file.write_text("config:\n  ollamamax:target: kubernetes\n")
    assert isinstance(commands.gateways(stack), cluster.Gateways)
    assert isinstance(commands.gateways(Stack("local")), machine.Gateways)


def test_a_stack_that_cannot_be_changed_from_here_says_so_at_once(stage: Stage) -> None:
    with pytest.raises(StackError, match="stack prod is on AWS, which only the Pulumi CLI can change"):
        Delivery(Stack("prod"), stage.said.append).release(100)
