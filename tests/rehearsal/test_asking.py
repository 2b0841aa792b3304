"""What reactive triggers ask for, by hand-made truths."""

import pytest

from components import scaling
from rehearsal import asking
from rehearsal.asking import Asked, Truth, asked

CPU = {"name": "cpu", "metadata": {"value": "60"}}
WAIT = {"name": "slot-wait", "metadata": {"threshold": "100"}}
IN_FLIGHT = {"name": "in-flight", "metadata": {"threshold": "5.6"}}
REST = [{"name": "memory", "metadata": {"value": "70"}}, {"name": "forecast", "metadata": {"threshold": "1"}}]


@pytest.mark.parametrize(
    ("truth", "expected"),
    [
        (Truth(current=10, ready=10, cpu_percent=60), Asked(10, 0)),
        (Truth(current=10, ready=10, cpu_percent=90), Asked(15, 0)),
        (Truth(current=10, ready=10, cpu_percent=65), Asked(10, 0)),
        (Truth(current=10, ready=10, cpu_percent=6), Asked(1, 0)),
        (Truth(current=10, ready=10, cpu_percent=60, in_flight=112), Asked(10, 20)),
        (Truth(current=10, ready=10, cpu_percent=60, wait_ms=150), Asked(10, 15)),
        (Truth(current=10, ready=10, cpu_percent=60, wait_ms=9000), Asked(10, 20)),
        (Truth(current=10, ready=0, cpu_percent=0), Asked(0, 0)),
    ],
    ids=[
        "at its target",
        "above",
        "within the tolerance",
        "below",
        "in flight",
        "wait",
        "long wait",
        "none ready",
    ],
)
def test_the_largest_of_each_kind_is_asked_for(truth: Truth, expected: Asked) -> None:
    assert asked([CPU, WAIT, IN_FLIGHT, *REST], truth) == expected


def test_nothing_is_asked_for_without_triggers() -> None:
    assert asked(REST, Truth(current=10, ready=10, cpu_percent=99, in_flight=99)) == Asked(0, 0)


def test_a_wait_counts_no_more_than_the_stack_lets_it() -> None:
    assert asking.MOST_SLOT_WAIT == scaling.MOST_SLOT_WAIT
