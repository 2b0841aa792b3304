"""The autoscaler's rules, against counts reckoned by hand from Kubernetes' and KEDA's sources."""

import numpy as np
import pytest

from rehearsal.replay.rules import (
    DISABLED,
    INVALID,
    LEAST,
    MOST,
    PERCENT,
    PODS,
    Direction,
    Tolerance,
    average_replicas,
    combined,
    limit_down,
    limit_up,
    stabilised,
    utilisation_replicas,
    value_replicas,
)

SYNC_S = 15
TOLERANCE = Tolerance(0.1, 0.1)


@pytest.mark.parametrize(
    ("current", "measured", "unready", "used", "target", "wanted", "why"),
    [
        (3, 3, 0, 1_500, 30, 5, "50 / 30 × 3 = 5"),
        (3, 3, 0, 1_980, 60, 3, "66 / 60 = 1.1 is still tolerated"),
        (3, 3, 0, 2_010, 60, 4, "67 / 60 × 3 = 3.35, rounded up"),
        (3, 3, 0, 2_009, 60, 3, "66.97 % counts as 66: the autoscaler knows whole percent"),
        (5, 5, 0, 2_650, 60, 5, "53 / 60 = 0.88 × 5 = 4.4, rounded up"),
        (10, 10, 0, 4_000, 60, 7, "40 / 60 × 10 = 6.7"),
        (10, 10, 0, 5_400, 60, 10, "54 / 60 = 0.9 is still tolerated"),
        (20, 10, 10, 4_000, 60, 7, "what is not ready is set aside where less is wanted"),
        (20, 10, 10, 9_500, 60, 20, "95 / 60, but 47 / 60 with the others as idle: no change of direction"),
        (15, 10, 5, 9_500, 60, 15, "63 / 60 with the others as idle is tolerated"),
        (12, 10, 2, 9_500, 60, 16, "79 / 60 × 12 = 15.8 with the others as idle"),
        (4, 0, 4, 0, 60, INVALID, "nobody has been measured"),
    ],
)
def test_a_resource_asks_for_what_brings_its_mean_use_to_the_target(
    current: int, measured: int, unready: int, used: int, target: int, wanted: int, why: str
) -> None:
    assert utilisation_replicas(current, measured, unready, used, target, TOLERANCE) == wanted, why


@pytest.mark.parametrize(
    ("current", "ready", "usage", "wanted", "why"),
    [
        (10, 10, 100, 10, "on target"),
        (10, 10, 110, 10, "1.1 is tolerated"),
        (10, 10, 111, 12, "1.11 × 10 = 11.1"),
        (10, 4, 300, 12, "3 × the 4 that are ready"),
        (10, 10, 0, 0, "nothing at all"),
        (0, 0, 250, 3, "from zero the ratio itself"),
    ],
)
def test_a_value_multiplies_the_replicas_that_are_ready(
    current: int, ready: int, usage: int, wanted: int, why: str
) -> None:
    assert value_replicas(current, ready, usage, 100, TOLERANCE) == wanted, why


@pytest.mark.parametrize(
    ("current", "usage", "wanted", "why"),
    [
        (10, 28_000, 10, "2.8 each is the target"),
        (10, 30_800, 10, "1.1 times that is tolerated"),
        (10, 30_900, 12, "30.9 / 2.8 = 11.04"),
        (10, 25_200, 10, "0.9 times that is tolerated"),
        (10, 25_100, 9, "25.1 / 2.8 = 8.96"),
        (10, 0, 0, "nothing at all"),
        (0, 2_900, 2, "from zero"),
    ],
)
def test_an_average_value_is_shared_by_all_that_are_asked_for(
    current: int, usage: int, wanted: int, why: str
) -> None:
    assert average_replicas(current, usage, 2_800, TOLERANCE) == wanted, why


@pytest.mark.parametrize(
    ("proposals", "wanted"),
    [
        ([4, 7, 5], 7),
        ([0, 0], 0),
        ([INVALID, 9], 9),
        ([INVALID, 5], 5),
        ([INVALID, 4], INVALID),
        ([INVALID, INVALID], INVALID),
    ],
)
def test_the_largest_proposal_wins_and_without_a_metric_nothing_goes_down(
    proposals: list[int], wanted: int
) -> None:
    assert combined(np.array(proposals), 5) == wanted


def direction(select: int, *policies: tuple[int, int, int], window_s: int = 0) -> Direction:
    kinds, values, periods = (np.array(column) for column in zip(*policies, strict=True))
    return Direction(window_s, select, kinds, values, periods)


DOUBLE_OR_FOUR = ((PERCENT, 100, 30), (PODS, 4, 30))


@pytest.mark.parametrize(
    ("current", "select", "added", "limit", "why"),
    [
        (3, MOST, [0, 0, 0], 7, "four more are more than double"),
        (10, MOST, [0, 0, 0], 20, "double is more than four"),
        (10, LEAST, [0, 0, 0], 14, "the least of both"),
        (10, DISABLED, [0, 0, 0], 10, "none at all"),
        (20, MOST, [0, 0, 10], 20, "ten came 15 s ago: the period began with ten"),
        (14, MOST, [0, 0, 4], 20, "four came 15 s ago: the period began with ten"),
        (20, MOST, [0, 10, 0], 40, "what came 30 s ago is over"),
    ],
)
def test_a_step_up_is_limited_from_the_period_s_begin(
    current: int, select: int, added: list[int], limit: int, why: str
) -> None:
    up = direction(select, *DOUBLE_OR_FOUR)
    before = np.array([*added, 0])
    assert limit_up(current, up, before, np.zeros(4, dtype=np.int64), 3, SYNC_S) == limit, why


@pytest.mark.parametrize(
    ("current", "select", "removed", "limit", "why"),
    [
        (20, MOST, [0, 0, 0], 10, "half, which is more than four"),
        (20, LEAST, [0, 0, 0], 16, "four, which is less than half"),
        (20, DISABLED, [0, 0, 0], 20, "none at all"),
        (12, MOST, [0, 0, 8], 10, "eight went 15 s ago: the period began with twenty"),
        (5, MOST, [0, 0, 0], 1, "four, which is more than half"),
        (3, LEAST, [0, 0, 0], 1, "1.5 is cut off to 1, which is more than 3 − 4"),
    ],
)
def test_a_step_down_is_limited_from_the_period_s_begin(
    current: int, select: int, removed: list[int], limit: int, why: str
) -> None:
    down = direction(select, (PERCENT, 50, 60), (PODS, 4, 60))
    gone = np.array([*removed, 0])
    assert limit_down(current, down, np.zeros(4, dtype=np.int64), gone, 3, SYNC_S) == limit, why


@pytest.mark.parametrize(
    ("desired", "current", "said", "count", "why"),
    [
        (5, 10, [10, 6, 7], 10, "10 was asked for 45 s ago"),
        (5, 10, [10, INVALID, INVALID, INVALID, 6], 6, "10 was asked for 75 s ago, which is over"),
        (5, 10, [10, 6, 6, 6], 6, "10 was asked for a minute ago, which is just over"),
        (12, 10, [5, 5], 12, "up without delay"),
        (10, 10, [20, 20], 10, "a larger count of before does not raise it"),
    ],
)
def test_a_count_falls_to_the_most_that_was_asked_for_in_the_window(
    desired: int, current: int, said: list[int], count: int, why: str
) -> None:
    history = np.array([*said, INVALID])
    assert stabilised(desired, current, 0, 60, history, len(said), SYNC_S) == count, why


def test_a_count_rises_to_the_least_that_was_asked_for_in_its_window() -> None:
    said = np.array([12, 15, INVALID])
    assert stabilised(20, 10, 60, 60, said, 2, SYNC_S) == 12
