"""Scenarios: what is played on a rehearsed stack, step by step, and what is asserted of it.

docs/rehearsal.md explains it for those who write one.
"""

from typing import Annotated, Any

from pydantic import Field, model_validator

from rehearsal.stage import Part
from stacks.block import Block, Label, Percent, Seconds

Name = Annotated[str, Field(min_length=1, max_length=60)]
AtLeast0 = Annotated[int, Field(ge=0, le=86_400)]


class Traffic(Block):
    """What one request means to those who serve it: part of the simulation, not measured."""

    service_s: Annotated[float, Field(ge=0.1, le=600)] = 4.0
    """How long a request occupies a slot, seconds."""
    worker_cpu_percent: Percent = 40
    """CPU, of what it may use, that a worker takes whose slots are all busy, percent. It is the GPU that
    generates: the CPU alone would never ask for the last workers."""
    gateway_cpu_percent: Percent = 30
    """CPU, of what it may use, that each of the most gateways takes where a load is 100 percent."""
    memory_percent: Percent = 40
    """Memory, of what it may use, that every pod takes, percent."""


class Load(Block):
    """A new load, from here on."""

    percent: Annotated[int, Field(ge=0, le=300)]
    """Busy slots, of all that the most workers of a pool have, percent."""
    pools: tuple[Label, ...] = ()
    """Which pools; none named: all, and the gateways with them."""
    over_s: AtLeast0 = 0
    """Time over which the load goes there, seconds."""
    wobble_percent: Annotated[int, Field(ge=0, le=100)] = 0
    """How far the load swings up and down around that, percent of it."""
    wobble_s: Seconds = 20
    """Length of one such swing, seconds."""


class LoseSpot(Block):
    """No spot capacity is to be had any more, and nodes on spot are given notice."""

    percent: Percent = 100
    """How many of the GPU nodes on spot are interrupted, percent."""
    notice_s: AtLeast0 = 120
    """Time between the notice and the end of a node, seconds; AWS gives 120."""


class Nothing(Block):
    """A step without values."""


class LoseZone(Block):
    """All nodes of a zone end at once, and no capacity is to be had in it."""

    zone: Annotated[int, Field(ge=1, le=6)]
    """Which of the stack's zones, from 1 in the order of ``aws.zones``."""


class Rollout(Block):
    """A new version of the gateways, tried beside the one before as ``make release`` tries one."""

    errors_percent: Annotated[int, Field(ge=0, le=100)] = 0
    """Requests that the new version fails, percent."""
    never_ready: bool = False
    """Whether no pod of the new version becomes ready."""


class Wait(Block):
    """Nothing new."""

    for_s: Seconds
    """How long, seconds."""


class Within(Block):
    """Asserted to come true in time."""

    within_s: Seconds
    """Time that it may take, from the step that it follows, seconds."""


class ScaleUp(Within):
    """Ready replicas follow the load up, GPU nodes join in the pools that they belong to, nothing waits."""

    percent: Percent = 100
    """Ready workers, of the most that the stack allows, percent; gateways: as many as their CPU asks for."""


class ScaleDown(Within):
    """Replicas and GPU nodes follow the load down, none before its time, and none comes back."""

    percent: Percent = 100
    """Replicas that may be left, of the least that the stack has, percent; 100: just those."""
    flaps: Annotated[int, Field(ge=0, le=100)] = 0
    """How often a replica count may turn round."""


class CapacityBack(Within):
    """What was ready before the step was lost, and is ready again."""


class DisruptionBudgets(Block):
    """Since the step no more pods were missing than their PodDisruptionBudgets allow."""


class OnDemand(Within):
    """Nodes on demand have taken the place of those on spot."""


class SpotReturns(Within):
    """GPU nodes that join are on spot again."""


class RolledOut(Block):
    """The rollout passed its gate and runs everywhere."""


class TakenBack(Block):
    """The rollout failed its gate, and what ran before it runs again."""


class ReactiveFloor(Block):
    """Since the step no replica count was below what the reactive triggers asked for."""

    lag_s: Seconds = 60
    """How long they must have asked, seconds: autoscalers look every 15 s, at metrics that are as old."""


class Cost(Block):
    """Nodes never cost more an hour than the stack's estimate says for its most replicas."""


class Expect(Block):
    """An assertion: exactly one."""

    scale_up: ScaleUp | None = None
    """b. traffic up."""
    scale_down: ScaleDown | None = None
    """b. traffic down."""
    cost: Cost | None = None
    """b. cost, over the whole scenario so far."""
    capacity_back: CapacityBack | None = None
    """c. loss of nodes."""
    disruption_budgets: DisruptionBudgets | None = None
    """c. drains."""
    on_demand: OnDemand | None = None
    """c. spot is lost."""
    spot_returns: SpotReturns | None = None
    """c. spot is back."""
    rolled_out: RolledOut | None = None
    """d. a rollout."""
    taken_back: TakenBack | None = None
    """d. a bad one."""
    reactive_floor: ReactiveFloor | None = None
    """e. parts are away."""
    since: Name | None = None
    """Name of the step that the assertion is about; none: the last one before it that did something."""

    @property
    def given(self) -> tuple[str, Block]:
        """Which assertion, by the name of its field, and its parameters."""
        return _only(self, {"since"})

    @model_validator(mode="after")
    def _check(self) -> "Expect":
        _only(self, {"since"})
        return self


class Step(Block):
    """One step: exactly one thing that happens, or is asserted."""

    name: Name | None = None
    """What the report calls it."""
    load: Load | None = None
    """Change the load."""
    wait: Wait | None = None
    """Let time pass."""
    lose_spot: LoseSpot | None = None
    """Interrupt nodes on spot."""
    return_spot: Nothing | None = None
    """Spot capacity is to be had again."""
    lose_zone: LoseZone | None = None
    """Lose a zone."""
    return_zone: LoseZone | None = None
    """A zone is back."""
    rollout: Rollout | None = None
    """Roll a new version of the gateways out."""
    kill: Part | None = None
    """Kill a part: ``prometheus``, ``autoscaler`` or ``keda``."""
    start: Part | None = None
    """Start a part that was killed."""
    expect: Expect | None = None
    """Assert."""

    @property
    def given(self) -> tuple[str, Any]:
        """What happens, by the name of its field, and its parameters."""
        return _only(self, {"name"})

    @model_validator(mode="after")
    def _check(self) -> "Step":
        _only(self, {"name"})
        return self


class Scenario(Block):
    """A scenario."""

    title: Name
    """What the report is headed with."""
    description: str = ""
    """What it shows, in a sentence or two."""
    traffic: Traffic = Traffic()
    """What requests mean to those who serve them."""
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]
    """What happens, one after the other."""


def _only(block: Block, beside: set[str]) -> tuple[str, Any]:
    """Return the one field that is given.

    Raises:
        ValueError: if there is none, or more than one.
    """
    fields = type(block).model_fields
    given = [(name, value) for name, value in block if name not in beside and value is not None]
    if len(given) != 1:
        known = ", ".join(str(field.alias) for name, field in fields.items() if name not in beside)
        found = " and ".join(str(fields[name].alias) for name, _ in given) or "none"
        raise ValueError(f"needs exactly one of {known}; given: {found}")
    return given[0]
