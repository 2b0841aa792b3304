"""The journal: nothing begins before a checkpoint says so, and those who wait for one share it."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from engine.errors import EngineError
from engine.state import Journal, Operation, Resource, Snapshot
from tests.e2e.waiting import eventually

OTHERS = 10
WAIT_S = 30


class Disk:
    """Holds the first checkpoint up until it may go on; a full one writes none."""

    def __init__(self, full: bool) -> None:
        self.full = full
        self.checkpoints: list[set[str]] = []
        self.begun, self.may_go_on = threading.Event(), threading.Event()

    def save(self, snapshot: Snapshot) -> None:
        self.begun.set()
        assert self.may_go_on.wait(WAIT_S)
        if self.full:
            raise EngineError("the disk is full")
        self.checkpoints.append({one.resource.urn for one in snapshot.pending})


def all_at_once(disk: Disk) -> list[Future[bool]]:
    """Begin one operation, and the others while its checkpoint is written; tell whether each is in one."""
    journal = Journal(Snapshot(), disk.save)

    def begin(urn: str) -> bool:
        journal.begin(Operation(Resource(urn), "creating"))
        return any(urn in checkpoint for checkpoint in disk.checkpoints)

    with ThreadPoolExecutor(1 + OTHERS) as pool:
        began = [pool.submit(begin, "first")]
        assert disk.begun.wait(WAIT_S)
        began += [pool.submit(begin, f"other {number}") for number in range(OTHERS)]
        eventually(lambda: len(journal.snapshot().pending) == 1 + OTHERS, WAIT_S, "all are recorded")
        disk.may_go_on.set()
    return began


def test_each_operation_begins_once_a_checkpoint_has_it_and_few_are_written() -> None:
    disk = Disk(full=False)
    assert all(one.result() for one in all_at_once(disk))
    assert len(disk.checkpoints) < OTHERS


def test_a_checkpoint_that_fails_is_nobodys() -> None:
    for one in all_at_once(Disk(full=True)):
        with pytest.raises(EngineError, match="full"):
            one.result()
