"""The player: does what a scenario says, step by step, and looks whether what it expects comes true."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rehearsal import losses
from rehearsal.assertions import CLAIMS
from rehearsal.promises import Promise
from rehearsal.record import Finding, Record
from rehearsal.recorder import CAPACITY, GATEWAY, HASH, NAME, ZONE, Recorder, is_ready
from rehearsal.release import RefusedError, tried
from rehearsal.scenario import Expect, Load, LoseSpot, LoseZone, Rollout, Scenario, Step, Wait, Within
from rehearsal.stage import Change, Say, Stage
from rehearsal.stage.inventory import POOL
from rehearsal.traffic import Model, served
from stacks.delivery import CANARY

LOOK_S = 1.0
SIMULATED = (
    "Nodes, pods, and what pods use: KWOK plays the kubelets. How long nodes and workers take to start, and "
    "pods to end, is set, not measured.",
    "Requests: none is made. Waits, requests in flight, errors and CPU are what a model of queues makes of "
    "the scenario's load (docs/rehearsal.md).",
    "The cloud: capacity is lost by taking offers from Karpenter, and nodes by deleting them.",
    "A new version of the gateways is a changed setting; what it fails is a part of the model. It is as "
    "fast as the one before, and of memory nothing is known.",
    "Costs are list prices and estimates (docs/cost.md), of nodes alone.",
)
"""What no reader of a report should take for measured."""


@dataclass
class Player:
    """Plays a scenario on a stage."""

    stage: Stage
    model: Model
    recorder: Recorder
    say: Say
    _version: int = 0
    _acted: float = 0.0
    _named: dict[str, float] = field(default_factory=dict)
    _notices: list[tuple[float, frozenset[str]]] = field(default_factory=list)
    _spot: bool = True
    _lost: frozenset[str] = frozenset()

    def play(self, scenario: Scenario) -> None:
        """Play it, to the end whatever is found on the way."""
        with served(self.stage.traffic_port, self.model), self.recorder.running():
            for step in scenario.steps:
                self._do(step)

    def _do(self, step: Step) -> None:
        kind, given = step.given
        if step.name:
            self._named[step.name] = self.recorder.now()
        if isinstance(given, Expect):
            self._expect(given)
            return
        if isinstance(given, Wait):
            self._pass(given.for_s)
            return
        self._acted = self.recorder.now()
        text = step.name or _words(kind, given)
        self.say(f"{self._acted:4.0f} s  {text}")
        self.recorder.note("step", text)
        self._act(kind, given)

    def _act(self, kind: str, given: Any) -> None:
        match kind, given:
            case _, Load():
                self.model.turn(self.recorder.now(), given)
            case _, LoseSpot():
                self._lose_spot(given)
            case "lose_zone", LoseZone():
                self._lose_zone(self._zone(given))
            case "return_zone", LoseZone():
                self._offer(lost=self._lost - {self._zone(given)})
            case "return_spot", _:
                self._offer(spot=True)
            case _, Rollout():
                self._roll_out(given)
            case "kill", _:
                self.recorder.dead.add(given)
                self.stage.kill(given)
            case "start", _:
                self.stage.start(given)
                self.recorder.dead.discard(given)

    def _expect(self, given: Expect) -> None:
        """Look every second until the assertion is true, cannot be true any more, or its time is over."""
        name, about = given.given
        claim, since = CLAIMS[name], self._named[given.since] if given.since else self._acted
        within_s = about.within_s if isinstance(about, Within) else 0
        record = self.recorder.record
        answer = claim.holds(record, since, about)
        while answer.state == "not yet" and self.recorder.now() < since + within_s:
            self._pass(LOOK_S)
            answer = claim.holds(record, since, about)
        passed = answer.state == "true"
        at, late = self.recorder.now(), answer.state == "not yet"
        text = answer.text + (f": {within_s} s were allowed" if late else "")
        record.findings.append(
            Finding(name=claim.sentence, letter=claim.letter, at=at, since=since, passed=passed, text=text)
        )
        self.say(f"{at:4.0f} s  {'ok' if passed else 'FAILED'}  {claim.letter}. {claim.sentence}: {text}")

    def _pass(self, seconds: float) -> None:
        """Let time pass, while all that plays runs; who was given notice ends when it is over."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_S))
            self.stage.check()
            self.recorder.check()
            for over in [one for one in self._notices if one[0] <= self.recorder.now()]:
                self._notices.remove(over)
                losses.end(self.stage.plane, over[1] & self.recorder.see().nodes.keys())

    def _lose_spot(self, given: LoseSpot) -> None:
        self._offer(spot=False)
        nodes = self.recorder.see().nodes.items()
        labels = {name: node["metadata"]["labels"] for name, node in nodes}
        spot = sorted(
            name for name, about in labels.items() if about.get(CAPACITY) == "spot" and POOL in about
        )
        told = frozenset(spot[: -(-len(spot) * given.percent // 100)])
        self.recorder.note("note", f"{len(told)} of {len(spot)} spot nodes get {given.notice_s} s notice")
        losses.interrupt(self.stage.plane, told)
        self._notices.append((self.recorder.now() + given.notice_s, told))

    def _lose_zone(self, zone: str) -> None:
        self._offer(lost=self._lost | {zone})
        nodes = self.recorder.see().nodes.items()
        gone = frozenset(name for name, node in nodes if node["metadata"]["labels"].get(ZONE) == zone)
        self.recorder.note("note", f"{len(gone)} nodes in {zone} end")
        losses.end(self.stage.plane, gone)

    def _zone(self, given: LoseZone) -> str:
        aws = self.stage.settings.aws
        return aws.zones[given.zone - 1] if aws else ""

    def _offer(self, *, spot: bool | None = None, lost: frozenset[str] | None = None) -> None:
        self._spot = self._spot if spot is None else spot
        self._lost = self._lost if lost is None else lost
        self.stage.offer(spot=self._spot, without_zones=sorted(self._lost))

    def _roll_out(self, given: Rollout) -> None:
        began, good, before = self.recorder.now(), self._hashes(GATEWAY), self.model.requests()
        self.recorder.failing = given.errors_percent / 100
        if given.never_ready:
            self.stage.break_new_pods(CANARY)
        reason, refused = None, False
        try:
            reason = tried(self.stage, self.recorder.record.stack, _version(self._version + 1), self._tell)
        except RefusedError as error:
            reason, refused = str(error), True
        if given.never_ready:
            self.stage.mend_new_pods(CANARY)
        self.recorder.failing = 0.0
        now, left = self._hashes(GATEWAY), self._hashes(CANARY)
        if refused:
            outcome = "not tried"
        elif not reason:
            self._version += 1
            outcome = "kept" if now and not now & good and not left else "not everywhere"
        else:
            outcome = "taken back" if now and now == good and not left else "not taken back"
        answered, failed = (now - then for now, then in zip(self.model.requests(), before, strict=True))
        lost = 100 * failed / max(answered + failed, 1)
        text = f"{outcome} after {self.recorder.now() - began:.0f} s, {lost:.2f} % of requests failed"
        if reason:
            text += f"; {reason.splitlines()[0]}"
        self.recorder.note("rollout", text, {"outcome": outcome})

    def _tell(self, text: str) -> None:
        self.say(f"{self.recorder.now():4.0f} s  {text}")
        self.recorder.note("note", text)

    def _hashes(self, service: str) -> frozenset[str]:
        """Return the versions of a service that are ready."""
        labels = [pod["metadata"]["labels"] for pod in self.recorder.see().pods if is_ready(pod)]
        return frozenset(about[HASH] for about in labels if about.get(NAME) == service)


def begin(stage: Stage, stack: str, scenario: Scenario, versions: Mapping[str, str]) -> Record:
    """Return the record of a rehearsal in which nothing has happened yet.

    Args:
        stage: where it is played.
        stack: what the stack is called.
        scenario: what is played.
        versions: what runs.
    """
    return Record(
        stack=stack,
        title=scenario.title,
        description=scenario.description,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=versions,
        substitutions=stage.substitutions,
        overlay=stage.overlay,
        simulated=SIMULATED,
    )


def play(stage: Stage, scenario: Scenario, promise: Promise, record: Record, say: Say) -> None:
    """Play a scenario on a stage on which the stack stands, and record all of it.

    Args:
        stage: where it is played.
        scenario: what is played.
        promise: what the stack is to keep to: its own, or that of one that it should be like.
        record: what gets all of it.
        say: tells how far it is.
    """
    record.expected = promise.expected
    model = Model(promise.pools, scenario.traffic)
    Player(stage, model, Recorder(stage, promise.settings, model, record), say).play(scenario)


def _version(number: int) -> Change:
    """Return the change that makes gateways of another version: of a setting of theirs that does no harm."""

    def change(settings: dict[str, Any]) -> None:
        settings.setdefault("gateway", {})["keyRefreshIntervalS"] = 10 + number

    return change


def _words(kind: str, given: Any) -> str:
    """Return a step in words, where its author gave it no name."""
    match given:
        case Load():
            where = " and ".join(given.pools) or "all pools"
            return f"load of {where} to {given.percent} %"
        case LoseSpot():
            return f"spot is lost, {given.percent} % of its nodes interrupted"
        case LoseZone():
            return f"zone {given.zone} {'lost' if kind == 'lose_zone' else 'back'}"
        case Rollout():
            bad = f", which fails {given.errors_percent} % of requests" if given.errors_percent else ""
            return f"rollout of new gateways{', which never get ready' if given.never_ready else bad}"
        case str():
            return f"{kind} {given}"
        case _:
            return kind.replace("_", " ")
