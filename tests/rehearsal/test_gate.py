"""The gate of a rollout: what is kept, what is taken back, and for which reason."""

from collections.abc import Iterable

import pytest

from rehearsal.gate import Gate, roll_out

GATE = Gate(errors_percent=1.0, watch_s=20, every_s=5)


class NotReadyError(Exception):
    """What an engine raises."""


def rolled_out(measured: Iterable[float | None], fails: str = "") -> tuple[str | None, list[str]]:
    """Return why a version was taken back, and what was done."""
    done: list[str] = []
    values = iter(measured)

    def deploy() -> None:
        done.append("deploy")
        if fails:
            raise NotReadyError(fails)

    def back() -> None:
        done.append("back")

    def wait(_: float) -> None:
        done.append("wait")

    reason = roll_out(deploy, back, lambda _: next(values), GATE, NotReadyError, wait)
    return reason, done


def test_a_version_that_fails_no_more_than_it_may_is_kept() -> None:
    assert rolled_out([0.0, 0.2, 1.0, None]) == (None, ["deploy", *["wait"] * 4])


def test_a_version_that_fails_more_is_taken_back_at_once() -> None:
    reason, done = rolled_out([0.0, 1.2])
    assert reason == "1.2 % of requests failed, 1 % may"
    assert done == ["deploy", "wait", "wait", "back"]


def test_a_version_that_does_not_become_ready_is_taken_back() -> None:
    reason, done = rolled_out([], fails="2 of 3 replicas are ready")
    assert reason == "it did not become ready: 2 of 3 replicas are ready"
    assert done == ["deploy", "back"]


def test_a_version_of_which_nothing_was_measured_is_taken_back() -> None:
    reason, done = rolled_out([None] * 4)
    assert reason == "no request was measured in 20 s"
    assert done[-1] == "back"


def test_another_failure_is_nobodys_verdict() -> None:
    with pytest.raises(ZeroDivisionError):
        roll_out(lambda: print(1 / 0), lambda: None, lambda _: 0.0, GATE, NotReadyError)


def test_the_query_looks_back_as_far_as_the_gate_watches() -> None:
    assert GATE.query.count("[20s]") == 2
