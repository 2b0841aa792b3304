"""What is asserted of a rehearsal, on invented records: once true and, for each reason, once not."""

import pytest

from rehearsal import scenario
from rehearsal.assertions import CLAIMS, Answer
from rehearsal.record import Count, Expected, Record, Sample
from stacks.block import Block
from tests.rehearsal.invented import bounds, count, event, joined, nodes, record, sample

UP = scenario.ScaleUp(within_s=120)
DOWN = scenario.ScaleDown(within_s=120)
BACK = scenario.CapacityBack(within_s=60)
BUDGETS = scenario.DisruptionBudgets()
TAKES_OVER = scenario.OnDemand(within_s=60)
RETURNS = scenario.SpotReturns(within_s=60)
FLOOR = scenario.ReactiveFloor(lag_s=10)


def asked(name: str, of: Record, given: Block, since: float = 10) -> Answer:
    return CLAIMS[name].holds(of, since, given)


def course(*counts: tuple[float, Count]) -> list[Sample]:
    return [sample(at, found) for at, found in counts]


def test_every_assertion_of_a_scenario_is_one_that_can_be_asked() -> None:
    assert set(CLAIMS) == set(scenario.Expect.model_fields) - {"since"}


def test_traffic_up_is_true_once_all_is_ready_on_nodes_of_the_pool() -> None:
    samples = course((9, count(3)), (30, count(50)))
    found = asked("scale_up", record(samples, [joined(20)]), UP)
    assert found == Answer("true", "worker-chat 3 → 50 of 50; joined: 1 nodes in pool chat; after 20 s")


@pytest.mark.parametrize(
    ("last", "says"),
    [
        (count(49, wanted=50), "has 49 of 50 ready (50 wanted)"),
        (count(50, waiting=2), "2 pods of worker-chat have no node"),
        (count(50, astray=1), "1 pods of worker-chat are on nodes of another pool than chat"),
    ],
)
def test_traffic_up_is_not_yet_true(last: Count, says: str) -> None:
    found = asked("scale_up", record(course((9, count(3)), (30, last)), [joined(20)]), UP)
    assert found.state == "not yet"
    assert says in found.text


def test_gateways_follow_as_far_as_their_cpu_asks() -> None:
    of = record(course((9, count(3)), (30, count(20, asked=33))), [joined(20)])
    of.expected = Expected(
        workloads={"worker-chat": bounds(slots=0, pool="general")}, consolidate_after_s={}, cost_most_hour=1
    )
    assert "has 20 of 33 ready" in asked("scale_up", of, UP).text
    of.samples[-1] = sample(30, count(33))
    assert asked("scale_up", of, UP).state == "true"


def test_traffic_up_needs_nodes_that_join_the_pool() -> None:
    samples = course((9, count(3)), (30, count(50)))
    found = asked("scale_up", record(samples, [joined(20, pool="other")]), UP)
    assert found.state == "not yet"
    assert "no node joined pool chat" in found.text


DOWNWARD = [
    sample(9, count(50), nodes(spot=50)),
    sample(32, count(50, wanted=3), nodes(spot=50)),
    sample(34, count(3), nodes(spot=50)),
    sample(55, count(3), nodes(spot=20)),
    sample(60, count(3), nodes(spot=3)),
]


def test_traffic_down_is_true_once_the_least_is_left() -> None:
    found = asked("scale_down", record(DOWNWARD), DOWN)
    assert found.state == "true"
    assert "worker-chat 50 → 3 after 22 s; 50 → 3 nodes in pool chat" in found.text


def test_traffic_down_is_not_yet_true_while_nodes_are_left() -> None:
    found = asked("scale_down", record(DOWNWARD[:-1]), DOWN)
    assert (found.state, "still has 20 nodes for 3 workers" in found.text) == ("not yet", True)


def test_traffic_down_is_not_yet_true_while_replicas_are_left() -> None:
    found = asked("scale_down", record(DOWNWARD[:2]), DOWN)
    assert (found.state, "still has 50 of 3 replicas (3 wanted)" in found.text) == ("not yet", True)


def test_traffic_down_is_false_where_replicas_go_before_the_window_is_over() -> None:
    samples = [DOWNWARD[0], sample(16, count(3), nodes(spot=50))]
    found = asked("scale_down", record(samples), DOWN)
    assert found == Answer("false", "worker-chat fell after 6 s, its window is 20 s")


@pytest.mark.parametrize(("goes_to", "state"), [(36, "not yet"), (35, "false")])
def test_traffic_down_may_go_at_once_to_what_was_asked_for_all_through_the_window_before(
    goes_to: int, state: str
) -> None:
    held = [sample(at, count(50, asked=asked), nodes(50)) for at, asked in ((-15, 20), (-5, 38), (9, 36))]
    samples = [*held, sample(13, count(goes_to), nodes(50)), sample(31, count(3), nodes(50))]
    found = asked("scale_down", record(samples), DOWN)
    assert (found.state, "fell after 3 s" in found.text) == (state, state == "false")


@pytest.mark.parametrize(("fell_at", "state"), [(22, "not yet"), (21, "false")])
def test_a_window_begins_with_the_last_look_of_the_autoscaler(fell_at: int, state: str) -> None:
    samples = [sample(-15, count(50)), sample(9, count(50), nodes(50)), sample(fell_at, count(20), nodes(50))]
    of = record(samples)
    of.expected = of.expected.model_copy(update={"sync_s": 6.0})
    assert asked("scale_down", of, DOWN).state == state


def test_traffic_down_is_false_where_a_count_turns_round() -> None:
    counts = ((9, 50), (31, 20), (36, 21), (41, 3))
    found = asked("scale_down", record([sample(at, count(ready), nodes(50)) for at, ready in counts]), DOWN)
    assert (found.state, "turned round 1 times, 0 allowed" in found.text) == ("false", True)


@pytest.mark.parametrize(
    ("at", "says"), [(20, "left before any worker"), (40, "left 6 s after the first worker")]
)
def test_traffic_down_is_false_where_a_node_goes_too_early(at: int, says: str) -> None:
    until = [one for one in DOWNWARD if one.at < at]
    early = sample(at, until[-1].workloads["worker-chat"], nodes(spot=49))
    found = asked("scale_down", record([*until, early]), DOWN)
    assert (found.state, says in found.text) == ("false", True)


def test_a_node_that_was_empty_before_the_load_fell_may_go_at_any_time() -> None:
    spare = [
        sample(one.at, one.workloads["worker-chat"], nodes(spot=52 if one.at < 20 else one.nodes[0].count))
        for one in DOWNWARD
    ]
    assert asked("scale_down", record(spare), DOWN).state == "true"


def test_a_node_that_is_replaced_has_not_gone_too_early() -> None:
    replaced = [sample(20, count(50), nodes(spot=51)), sample(21, count(50), nodes(spot=50))]
    samples = sorted([*DOWNWARD, *replaced], key=lambda one: one.at)
    assert asked("scale_down", record(samples), DOWN).state == "true"


@pytest.mark.parametrize(("peak", "state"), [(100.0, "true"), (100.1, "false")])
def test_the_cost_at_its_peak_is_within_the_most_of_the_estimate(peak: float, state: str) -> None:
    samples = [sample(at, count(3), cost=peak if at == 5 else 1.0) for at in range(10)]
    found = asked("cost", record(samples, most=100.0), scenario.Cost())
    assert found.state == state
    assert f"{peak:.2f} USD an hour, 5 s in" in found.text


def test_capacity_is_back_when_what_was_ready_is_ready_again() -> None:
    samples = course((9, count(30)), (12, count(20, wanted=30)), (20, count(30)))
    assert asked("capacity_back", record(samples), BACK).state == "true"
    short = asked("capacity_back", record(samples[:2]), BACK)
    assert (short.state, "has 20 of 30 ready" in short.text) == ("not yet", True)


def test_capacity_is_not_back_where_fewer_are_wanted_than_asked_for() -> None:
    samples = course((9, count(30)), (12, count(20, asked=30)))
    found = asked("capacity_back", record(samples), BACK)
    assert (found.state, "has 20 of 30 ready" in found.text) == ("not yet", True)


def test_capacity_is_not_back_before_anything_was_lost() -> None:
    found = asked("capacity_back", record(course((9, count(30)), (12, count(30)))), BACK)
    assert (found.state, "nothing was lost yet" in found.text) == ("not yet", True)


@pytest.mark.parametrize(("missing", "state"), [(4, "true"), (5, "false")])
def test_disruption_budgets_allow_a_tenth_rounded_up(missing: int, state: str) -> None:
    samples = course((9, count(31)), (12, count(31 - missing, wanted=31)), (20, count(31)))
    found = asked("disruption_budgets", record(samples), BUDGETS)
    assert found.state == state
    assert f"missed {missing}" in found.text


def test_a_replica_that_is_still_to_come_is_not_missed() -> None:
    samples = course((9, count(10)), (12, count(10, wanted=40)), (20, count(25, wanted=40)))
    assert asked("disruption_budgets", record(samples), BUDGETS).state == "true"


def test_on_demand_takes_over_from_spot() -> None:
    samples = [sample(9, count(30), nodes(spot=30)), sample(20, count(30), nodes(spot=20, on_demand=10))]
    assert asked("on_demand", record(samples), TAKES_OVER).state == "true"


@pytest.mark.parametrize(
    ("last", "says"),
    [
        (sample(20, count(30), nodes(spot=30, on_demand=1)), "no node on spot has gone"),
        (sample(20, count(30), nodes(spot=20)), "no node on demand has come"),
        (sample(20, count(25, wanted=30), nodes(spot=20, on_demand=5)), "has 25 of 30 ready"),
    ],
)
def test_on_demand_has_not_taken_over_yet(last: Sample, says: str) -> None:
    found = asked("on_demand", record([sample(9, count(30), nodes(spot=30)), last]), TAKES_OVER)
    assert (found.state, says in found.text) == ("not yet", True)


def test_spot_has_returned_with_the_first_gpu_node_that_is_on_spot() -> None:
    samples = course((9, count(3)), (20, count(3)))
    assert asked("spot_returns", record(samples, [joined(15, "on-demand")]), RETURNS).state == "not yet"
    assert asked("spot_returns", record(samples, [joined(15)]), RETURNS).state == "true"
    assert asked("spot_returns", record(samples, [joined(5)]), RETURNS).state == "not yet", "it came before"


@pytest.mark.parametrize(
    ("outcome", "kept"), [("kept", "true"), ("taken back", "false"), ("not everywhere", "false")]
)
def test_a_rollout_is_kept(outcome: str, kept: str) -> None:
    of = record(course((9, count(3))), [event(12, "rollout", "said why", {"outcome": outcome})])
    assert asked("rolled_out", of, scenario.RolledOut()) == Answer(kept, "said why")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("outcome", "back"), [("taken back", "true"), ("kept", "false"), ("not taken back", "false")]
)
def test_a_bad_rollout_is_taken_back(outcome: str, back: str) -> None:
    of = record(course((9, count(3))), [event(12, "rollout", "said why", {"outcome": outcome})])
    assert asked("taken_back", of, scenario.TakenBack()).state == back


def test_nothing_rolled_out_is_no_rollout() -> None:
    assert asked("taken_back", record(course((9, count(3)))), scenario.TakenBack()).state == "false"


def test_a_count_may_lag_behind_what_is_asked_for_but_not_stay_there() -> None:
    late = [(at, count(20, asked=30 if at > 25 else 20)) for at in range(9, 34)]
    assert asked("reactive_floor", record(course(*late)), FLOOR).state == "true"
    stuck = [(at, count(20, asked=30 if at > 20 else 20)) for at in range(9, 34)]
    found = asked("reactive_floor", record(course(*stuck)), FLOOR)
    assert (found.state, found.text) == ("false", "worker-chat had 20 wanted at 31 s, asked for were 30")


def test_a_floor_is_not_proven_by_a_moment() -> None:
    found = asked("reactive_floor", record(course((9, count(20)), (12, count(20)))), FLOOR)
    assert (found.state, "not seen long enough" in found.text) == ("false", True)


def test_no_more_is_asked_for_than_the_stack_allows() -> None:
    capped = [(at, count(50, asked=80)) for at in range(9, 34)]
    assert asked("reactive_floor", record(course(*capped)), FLOOR).state == "true"
