"""What is asserted of a rehearsal: functions over what was recorded, each of which names its numbers.

Each is asked again and again while time passes, until it has come true or cannot any more.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from rehearsal import scenario
from rehearsal.record import GENERAL, Bounds, Count, Event, Record, Sample, allowed

State = Literal["true", "not yet", "false"]
SLACK_S = 2
"""What was true a moment ago may be seen a moment late: samples are a second apart."""

EVENTS_S = 10
"""Karpenter notes what happens to a node's pods no more often, so that an idle node goes so much earlier:
``dedupeTimeout`` in its ``pkg/controllers/nodeclaim/podevents``."""


@dataclass(frozen=True)
class Answer:
    """Whether something is so, and the numbers that say why."""

    state: State
    text: str


Assertion = Callable[[Record, float, Any], Answer]


@dataclass(frozen=True)
class Claim:
    """An assertion with what the report says of it."""

    letter: str
    """``b`` to ``e``: how the report orders them."""
    sentence: str
    holds: Assertion


def scale_up(record: Record, since: float, given: scenario.ScaleUp) -> Answer:
    """Replicas follow the load up, on GPU nodes in the right pools."""
    texts, short = [], []
    for name, bounds, counts in _scaled(record, since):
        first, last = counts[0][1], counts[-1][1]
        # Workers follow the load as far as they may; gateways as far as their CPU asks for.
        goal = -(-bounds.most * given.percent // 100) if bounds.slots else last.asked
        texts.append(f"{name} {first.ready} → {last.ready} of {bounds.most}")
        if last.ready < goal:
            short.append(f"{name} has {last.ready} of {goal} ready ({last.wanted} wanted)")
        if last.waiting:
            short.append(f"{last.waiting} pods of {name} have no node")
        if last.astray:
            short.append(f"{last.astray} pods of {name} are on nodes of another pool than {bounds.pool}")
    joined = _by_pool(record.happened("node-joined", since))
    for name, bounds, counts in _scaled(record, since):
        if counts[-1][1].ready > counts[0][1].ready and bounds.pool != GENERAL and bounds.pool not in joined:
            short.append(f"no node joined pool {bounds.pool} for {name}")
    nodes = ", ".join(f"{count} nodes in pool {pool}" for pool, count in sorted(joined.items()))
    return _met(record, since, [*texts, f"joined: {nodes or 'no node'}"], short)


def scale_down(record: Record, since: float, given: scenario.ScaleDown) -> Answer:
    """Replicas and nodes follow the load down, after the window, and do not come back."""
    texts, wrong, left = [], [], []
    for name, bounds, counts in _scaled(record, since):
        goal = -(-bounds.least * given.percent // 100)
        first, last = counts[0][1], counts[-1][1]
        texts.append(f"{name} {first.wanted} → {last.wanted}")
        if last.wanted > goal or last.ready > goal:
            left.append(f"{name} still has {last.ready} of {goal} replicas ({last.wanted} wanted)")
        if (turns := _turns([count.wanted for _, count in counts])) > given.flaps:
            wrong.append(f"{name} turned round {turns} times, {given.flaps} allowed")
        # It may go at once to what was asked for all through the window before.
        before = record.series(name, since - bounds.down_window_s)
        asked = [one.asked for at, one in before if since - bounds.down_window_s <= at <= since]
        held = min([first.wanted, *asked])
        went = next((at for at, count in counts if count.wanted < held), None)
        # The last count that is held may have been asked for one look before.
        if went is not None and went - since < bounds.down_window_s - record.expected.sync_s - SLACK_S:
            wrong.append(
                f"{name} fell after {went - since:.0f} s, its window is {bounds.down_window_s:.0f} s"
            )
        if went is not None:
            texts[-1] += f" after {went - since:.0f} s"
    for pool, stay_s in record.expected.consolidate_after_s.items():
        nodes = [_nodes(sample, pool) for sample in record.window(since)]
        of_pool = [counts for _, bounds, counts in _scaled(record, since) if bounds.pool == pool]
        pods = sum(counts[-1][1].ready for counts in of_pool)
        texts.append(f"{nodes[0]} → {nodes[-1]} nodes in pool {pool}")
        if nodes[-1] > max(pods, 1):
            left.append(f"pool {pool} still has {nodes[-1]} nodes for {pods} workers")
        idle = _first_fall(record, since, pool)
        # One that was empty already may go at any time; one that is only replaced, by a cheaper one, has its
        # successor first.
        used = min(nodes[0], sum(counts[0][1].ready for counts in of_pool))
        gone = next((one.at for one in record.window(since) if _nodes(one, pool) < used), None)
        if gone is not None and (idle is None or gone - idle < stay_s - EVENTS_S - SLACK_S):
            after = "before any worker" if idle is None else f"{gone - idle:.0f} s after the first worker"
            wrong.append(f"a node of pool {pool} left {after}: it was to stay {stay_s:.0f} s")
    if wrong:
        return Answer("false", "; ".join(wrong))
    return _met(record, since, texts, left)


def cost(record: Record, since: float, given: scenario.Cost) -> Answer:
    """Nodes never cost more than the estimate's most."""
    peak = max(record.samples, key=lambda sample: sample.cost_hour)
    most = record.expected.cost_most_hour
    text = f"at most {peak.cost_hour:.2f} USD an hour, {peak.at:.0f} s in; the estimate's most is {most:.2f}"
    return Answer("true" if peak.cost_hour <= most else "false", text)


def capacity_back(record: Record, since: float, given: scenario.CapacityBack) -> Answer:
    """What was lost is ready again."""
    texts, short, dipped = [], [], False
    for name, _, counts in _scaled(record, since):
        before, last = counts[0][1], counts[-1][1]
        lowest = min(count.ready for _, count in counts)
        dipped |= lowest < before.ready
        goal = _again(before, last)
        texts.append(f"{name} {before.ready} → {lowest} → {last.ready}")
        if last.ready < goal:
            short.append(f"{name} has {last.ready} of {goal} ready, {last.waiting} without a node")
    if not dipped:
        short.append("nothing was lost yet")
    return _met(record, since, texts, short)


def disruption_budgets(record: Record, since: float, given: scenario.DisruptionBudgets) -> Answer:
    """No more pods were missing than the budgets allow."""
    texts, wrong = [], []
    for name, bounds, counts in _scaled(record, since):
        worst, there = (0, since), 0
        for moment, count in counts:
            there = min(max(there, count.ready), count.wanted)  # what is still to come is not missing
            worst = max(worst, (there - count.ready, moment))
            if there - count.ready > (most := allowed(bounds.at_a_time, count.wanted)):
                wrong.append(f"{name} missed {there - count.ready} pods at {moment:.0f} s, {most} allowed")
                break
        texts.append(f"{name} missed {worst[0]} at most")
    return Answer("false" if wrong else "true", "; ".join(wrong or texts))


def on_demand(record: Record, since: float, given: scenario.OnDemand) -> Answer:
    """Nodes on demand have taken the place of those on spot."""
    samples = record.window(since)
    before, last = samples[0], samples[-1]
    text = (
        f"spot {before.gpu_nodes('spot')} → {last.gpu_nodes('spot')}, "
        f"on demand {before.gpu_nodes('on-demand')} → {last.gpu_nodes('on-demand')}"
    )
    short = []
    if last.gpu_nodes("spot") >= before.gpu_nodes("spot"):
        short.append("no node on spot has gone")
    if last.gpu_nodes("on-demand") <= before.gpu_nodes("on-demand"):
        short.append("no node on demand has come")
    for name, bounds, counts in _scaled(record, since):
        goal = _again(counts[0][1], counts[-1][1])
        if bounds.pool != GENERAL and counts[-1][1].ready < goal:
            short.append(f"{name} has {counts[-1][1].ready} of {goal} ready")
    return _met(record, since, [text], short)


def spot_returns(record: Record, since: float, given: scenario.SpotReturns) -> Answer:
    """Nodes that join are on spot again."""
    joined = [event for event in record.happened("node-joined", since) if event.about["pool"] != GENERAL]
    spot = sum(event.about["capacity"] == "spot" for event in joined)
    text = f"{len(joined)} GPU nodes joined, {spot} of them on spot"
    return _met(record, since, [text], [] if spot else ["none on spot yet"])


def rolled_out(record: Record, since: float, given: scenario.RolledOut) -> Answer:
    """The rollout passed its gate."""
    return _rollout(record, since, "kept")


def taken_back(record: Record, since: float, given: scenario.TakenBack) -> Answer:
    """The rollout failed its gate, and what ran before runs again."""
    return _rollout(record, since, "taken back")


def reactive_floor(record: Record, since: float, given: scenario.ReactiveFloor) -> Answer:
    """No count was below what the reactive triggers had asked for all the time."""
    texts, wrong = [], []
    for name, bounds, counts in _scaled(record, since):
        least: int | None = None
        for moment, count in counts:
            asked = [one.asked for at, one in counts if moment - given.lag_s <= at <= moment]
            if moment - since < given.lag_s or not asked:
                continue
            floor = min(min(asked), bounds.most)
            least = count.wanted - floor if least is None else min(least, count.wanted - floor)
            if count.wanted < floor:
                wrong.append(f"{name} had {count.wanted} wanted at {moment:.0f} s, asked for were {floor}")
                break
        texts.append(f"{name} {'not seen long enough' if least is None else f'{least:+d} at the least'}")
    if not wrong and any("not seen" in text for text in texts):
        return Answer("false", f"{'; '.join(texts)}: less than {given.lag_s} s have passed")
    return Answer("false" if wrong else "true", "; ".join(wrong or texts))


CLAIMS = {
    "scale_up": Claim("b", "Replicas and GPU nodes follow the load up", scale_up),
    "scale_down": Claim("b", "Both follow it down, after their windows and without a flap", scale_down),
    "cost": Claim("b", "Nodes cost no more than the estimate's most", cost),
    "capacity_back": Claim("c", "What was lost is ready again in time", capacity_back),
    "disruption_budgets": Claim("c", "Disruption budgets were kept", disruption_budgets),
    "on_demand": Claim("c", "On-demand nodes take over from spot", on_demand),
    "spot_returns": Claim("c", "Spot returns", spot_returns),
    "rolled_out": Claim("d", "A new version passes its gate", rolled_out),
    "taken_back": Claim("d", "A version that fails its gate takes itself back", taken_back),
    "reactive_floor": Claim("e", "Never fewer than the reactive triggers ask for", reactive_floor),
}
"""Field of :class:`rehearsal.scenario.Expect` → what it asserts."""


def _scaled(record: Record, since: float) -> Iterator[tuple[str, Bounds, list[tuple[float, Count]]]]:
    """Yield what is scaled, and its counts from just before ``since`` on."""
    for name, bounds in sorted(record.expected.workloads.items()):
        if counts := record.series(name, since):
            yield name, bounds, counts


def _met(record: Record, since: float, texts: list[str], short: list[str]) -> Answer:
    took = f"after {record.samples[-1].at - since:.0f} s"
    if short:
        return Answer("not yet", "; ".join([*short, took]))
    return Answer("true", "; ".join([*texts, took]))


def _again(before: Count, last: Count) -> int:
    """Return how many must be ready again: those of before, unless fewer are wanted and asked for now."""
    return min(before.ready, max(last.wanted, last.asked))


def _by_pool(events: Iterator[Event]) -> dict[str, int]:
    found: dict[str, int] = {}
    for event in events:
        found[event.about["pool"]] = found.get(event.about["pool"], 0) + 1
    return found


def _nodes(sample: Sample, pool: str) -> int:
    return sum(one.count for one in sample.nodes if one.pool == pool)


def _turns(wanted: list[int]) -> int:
    """Return how often a count that has fallen rises again."""
    turns, falling = 0, False
    for before, now in pairwise(wanted):
        if now > before and falling:
            turns += 1
        falling = now < before or (falling and now == before)
    return turns


def _first_fall(record: Record, since: float, pool: str) -> float | None:
    """Return when the first worker of a pool went."""
    for _, bounds, counts in _scaled(record, since):
        if bounds.pool == pool:
            return next((at for at, one in counts if one.ready < counts[0][1].ready), None)
    return None


def _rollout(record: Record, since: float, wanted: str) -> Answer:
    event = next(record.happened("rollout", since), None)
    if event is None:
        return Answer("false", "nothing was rolled out")
    return Answer("true" if event.about["outcome"] == wanted else "false", event.text)
