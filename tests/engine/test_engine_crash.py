"""`kill -9` at any moment, then `up`: converges, nothing doubled, nothing orphaned."""

from __future__ import annotations

import json
import os
import threading

import pytest

from tests.engine.bench import Bench

BEFORE = """
a = Thing("a", kind="one", solo=True)
b = Thing("b", kind=a.link)
c = Thing("c", kind="one")
d = Thing("d", size=1)
e = Thing("e")
"""
AFTER = """
a = Thing("a", kind="two", solo=True)
b = Thing("b", kind=a.link)
c = Thing("c", kind="two")
d = Thing("d", size=c.link)
f = Thing("f", size=b.link)
"""
OPERATIONS = 10
"""Creations a, b, c, f; deletions b, a, c, e; the update of d; one more is none: the run ends by itself."""


def _kill_at(bench: Bench, number: int, moment: str) -> bool:
    """Run `up` and kill it before or after the numbered operation; tell whether it came to that."""
    count = 0
    lock, known = threading.Lock(), threading.Event()
    holder: list[int] = []

    def hook(operation: str, name: str) -> None:
        nonlocal count
        with lock:
            count += operation != "read"
            mine = count
        if mine == number:
            known.wait(20)
            os.kill(holder[0], 9)

    setattr(bench.cloud, moment, hook)
    running = bench.start("up", "--yes", "--parallel", "1")
    holder.append(running.pid)
    known.set()
    status = running.wait().status
    setattr(bench.cloud, moment, lambda operation, name: None)
    assert status in (0, -9)
    return status == -9


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", range(1, OPERATIONS + 1))
def test_a_killed_up_converges_when_it_is_run_again(bench: Bench, moment: str, number: int) -> None:
    bench.program(BEFORE)
    bench.up()
    bench.program(AFTER)
    killed = _kill_at(bench, number, moment)
    assert killed == (number < OPERATIONS), "every operation was tried"
    json.loads(bench.state_file.read_text())
    bench.up()
    things = bench.cloud.things()
    assert sorted(name[0] for name in things) == ["a", "b", "c", "d", "f"], (
        "nothing doubled, nothing orphaned"
    )
    assert {one["id"] for one in bench.resources.values()} == set(things)
    assert "pending_operations" not in bench.latest
    assert things[bench.resources["f"]["id"]]["size"] == bench.resources["b"]["outputs"]["link"]
    bench.up("--expect-no-changes")


def test_what_bears_a_chosen_name_is_told_from_somebody_else_s(bench: Bench) -> None:
    bench.program('Thing("a", name="taken")')
    _kill_at(bench, 1, "after")
    file = bench.cloud.folder / "taken.json"
    ours = file.read_text()
    file.write_text('{"name": "taken", "owner": "them"}')
    assert "taken exists and is not this stack's" in bench.up(status=1).stdout
    assert file.exists()
    file.write_text(ours)
    bench.up()
    assert bench.cloud.order("delete") == []
    assert bench.resources["a"]["id"] == "taken"


def test_a_killed_destroy_converges_too(bench: Bench) -> None:
    bench.program(BEFORE)
    bench.up()
    stop = threading.Event()
    holder: list[int] = []

    def after(operation: str, name: str) -> None:
        stop.wait(20)
        os.kill(holder[0], 9)

    bench.cloud.after = after
    running = bench.start("destroy", "--yes")
    holder.append(running.pid)
    stop.set()
    assert running.wait().status == -9
    bench.cloud.after = lambda operation, name: None
    bench.run("destroy", "--yes")
    assert bench.cloud.things() == {}
    assert bench.resources == {}
