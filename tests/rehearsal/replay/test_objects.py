"""What a ScaledObject says is what the replay computes with: the very object that a stack deploys."""

import math
from typing import Any

import pytest

from rehearsal.replay.comparison import PLAIN, PREDICTING, REPORT
from rehearsal.replay.objects import (
    FORECAST,
    IN_FLIGHT,
    SLOT_WAIT,
    ObjectError,
    only,
    rules,
    scaled,
    without,
)
from rehearsal.replay.settings import ReplaySettings
from rehearsal.replay.stack import pool_of

PROD = pool_of("prod", None, ReplaySettings())


def test_the_object_of_production_is_read_whole() -> None:
    found = rules(PROD.objects[PREDICTING])
    assert (found.least, found.most, found.cpu_percent) == (3, 50, 60)
    assert found.series.tolist() == [SLOT_WAIT, IN_FLIGHT, FORECAST]
    assert found.averages.tolist() == [False, True, True]
    assert found.targets.tolist() == [100_000, 2_800, 1_000], "100 ms; 70 % of 4 slots; a replica a replica"
    assert found.windows_s.tolist() == [60, 0, 0]
    assert found.scales.tolist() == [1000, 1, 1]
    assert found.clamps.tolist() == [200, math.inf, math.inf]
    assert (found.failures, found.fallback, found.if_higher) == (8, 3, True)
    assert (found.down.window_s, found.up.periods_s.tolist()) == (300, [30, 30])
    assert found.tolerance == (0.1, 0.1)


def test_the_report_s_numbers_and_a_plain_autoscaler_are_objects_too() -> None:
    report, plain = rules(PROD.objects[REPORT]), rules(PROD.objects[PLAIN])
    assert (report.cpu_percent, report.series.tolist(), report.down.window_s) == (60, [SLOT_WAIT], 120)
    assert (plain.cpu_percent, plain.series.size) == (60, 0)
    assert (plain.up.periods_s.tolist(), plain.down.window_s) == ([15, 15], 300), "Kubernetes' defaults"


def test_targets_are_moved_together_and_waits_stay() -> None:
    found = scaled(rules(PROD.objects[PREDICTING]), 1.25)
    assert (found.cpu_percent, found.targets.tolist()) == (75, [100_000, 3_500, 1_000])


def test_triggers_can_be_left_out() -> None:
    found = rules(PROD.objects[PREDICTING])
    assert without(found, FORECAST).series.tolist() == [SLOT_WAIT, IN_FLIGHT]
    assert (only(found, FORECAST).series.tolist(), only(found, FORECAST).cpu_percent) == ([FORECAST], 0)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"minReplicaCount": 0}, "minReplicaCount 0: the replay does not know how a pool wakes up"),
        ({"triggers": [{"type": "kafka", "metadata": {}}]}, "trigger of type kafka: the replay knows cpu"),
        (
            {"triggers": [{"type": "prometheus", "name": "mood", "metadata": {}}]},
            "Prometheus trigger mood: the replay knows slot-wait, in-flight, forecast",
        ),
    ],
)
def test_what_the_replay_does_not_know_it_refuses(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ObjectError, match=message):
        rules({**PROD.objects[PREDICTING], **changed})


def test_a_pool_that_is_not_there_is_refused() -> None:
    with pytest.raises(ObjectError, match="stack prod has no pool chess: it has chat, code"):
        pool_of("prod", "chess", ReplaySettings())
    with pytest.raises(ObjectError, match="stack local has no pool : it has none"):
        pool_of("local", None, ReplaySettings())
