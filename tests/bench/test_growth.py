"""Half an hour at half of what the gateway manages: nothing of it grows."""

import http.client
import os
import re
import statistics
import subprocess
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from bench.machine import usage
from bench.stage import Stage, staged
from bench.traffic import Target, finished

LENGTH_S = 30 * 60
WARM_UP_S = 3 * 60
"""Until the memory for answers is full, all kinds of requests have come, and Go's heap has its size."""
ROUND_S = 60
"""Connections live for so long: a gateway that forgets some of them shows it many times."""
SAMPLE_S = 10
QUIET_S = 120
"""More than what connections stay open without work: 60 s to clients, 30 s to workers."""
GROWTH = {"goroutines": 1.2, "descriptors": 1.2, "resident_mib": 1.05}
"""The most that the last third's median may be of the first's. How many requests are there at once depends on
what else the machine does, so the exact test is what is left when they have ended."""


@dataclass(frozen=True)
class Sample:
    """What the gateway holds at one moment."""

    goroutines: int
    descriptors: int
    resident_mib: float


@dataclass(frozen=True)
class Running:
    """A gateway before two backends."""

    stage: Stage
    backends: Sequence[str]
    gateway: Target
    admin: str
    """The address of its metrics."""

    def sample(self) -> Sample:
        """Return what it holds now."""
        with urllib.request.urlopen(f"http://{self.admin}/metrics") as answer:
            text = answer.read().decode()
        found = re.search(r"^go_goroutines (\d+)$", text, re.MULTILINE)
        assert found, "the gateway counts its goroutines"
        descriptors = len(list(Path(f"/proc/{self.gateway.pid}/fd").iterdir()))
        return Sample(int(found[1]), descriptors, usage(self.gateway.pid).resident_mib)

    def ask(self, path: str, key: str) -> None:
        """Ask for something that takes no model."""
        connection = http.client.HTTPConnection(self.gateway.address, timeout=10)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
            connection.getresponse().read()
        finally:
            connection.close()


@contextmanager
def repeating(work: Callable[[], object], pause_s: float) -> Iterator[None]:
    """Do some work again and again; what it raises is raised at the end."""
    stop, errors = threading.Event(), []

    def repeat() -> None:
        try:
            while not stop.wait(pause_s):
                work()
        except Exception as error:  # in its own thread it would be lost
            errors.append(error)

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if errors:
        raise errors[0]


def work(running: Running, peak: float, length_s: float) -> int:
    """Send all kinds of requests; return how many were answered whole."""
    answered = broken = gone = 0
    until = time.monotonic() + length_s

    def others() -> None:
        for path in (
            "/api/tags",
            "/api/ps",
            "/v1/models",
            "/api/v1/nodes",
            "/api/v1/models/bench",
            "/nowhere",
        ):
            running.ask(path, running.gateway.key)
        running.ask("/api/tags", f"unknown-{uuid.uuid4()}")

    with repeating(others, 0.5):
        while (remaining := until - time.monotonic()) > 1:
            length = ("--length", f"{min(ROUND_S, remaining)}s")

            def start(*options: str, length: Sequence[str] = length) -> "subprocess.Popen[str]":
                return running.stage.load.start(running.gateway, next(running.stage.seeds), *options, *length)

            watching = running.stage.load.watch(
                running.gateway, "--clients", "50", "--stalled", "5", "--node", running.backends[0], *length
            )
            good = [
                start(
                    "--clients", "64", "--rate", f"{peak * 0.4:.0f}", "--send", "repeated", "--share", "0.5"
                ),
                start("--clients", "16", "--rate", f"{peak * 0.01:.0f}", "--stream"),
                start("--clients", "64", "--rate", "100", "--model", "slow"),
                start("--clients", "4", "--rate", "5", "--send", "large", "--share", "1"),
            ]
            cut = start("--clients", "4", "--rate", "5", "--model", "cut", "--stream")
            left = start("--clients", "8", "--rate", "20", "--model", "paced", "--stream", "--leave", "100ms")
            for result in map(finished, good):
                answered += result["requests"]
                ended_badly = {what: result[what] for what in ("failed", "silent", "reported", "statuses")}
                assert not any(ended_badly.values()), result
            broken += finished(cut)["reported"]
            gone += len(finished(left)["left"])
            finished(watching)
    assert broken, "streams broke off"
    assert gone, "clients left"
    return answered


@pytest.fixture
def running() -> Iterator[Running]:
    cores = os.sched_getaffinity(0)
    try:
        with staged() as stage, stage.load.mocks(2) as backends:
            ours = stage.gateway.beside("growth", backends)
            with ours.serve() as gateway:
                config = yaml.safe_load((ours.folder / "gateway.yaml").read_text())
                yield Running(stage, backends, gateway, config["adminListen"])
    finally:
        os.sched_setaffinity(0, cores)


def quiet(running: Running) -> Sample:
    """Return what the gateway holds once it has nothing to do and its connections have ended."""
    time.sleep(QUIET_S)  # nothing tells from outside that no connection is idle any more
    return running.sample()


@pytest.mark.long
@pytest.mark.timeout(LENGTH_S + WARM_UP_S + 2 * QUIET_S + 600)
def test_nothing_of_a_gateway_grows_in_half_an_hour_at_half_load(running: Running) -> None:
    closed = ("--clients", "64", "--length", "10s")
    peak = running.stage.load.drive(running.gateway, next(running.stage.seeds), *closed)["requests"] / 10
    work(running, peak, WARM_UP_S)
    before = quiet(running)
    samples: list[Sample] = []
    with repeating(lambda: samples.append(running.sample()), SAMPLE_S):
        answered = work(running, peak, LENGTH_S)
    after = quiet(running)
    third = len(samples) // 3
    first, last = samples[:third], samples[-third:]
    print(f"peak {peak:.0f}/s; {answered} answers; idle before {before}, and after {after}")
    grown, at_work = {}, {}
    for field, most in GROWTH.items():
        early, late = (statistics.median(getattr(one, field) for one in part) for part in (first, last))
        at_work[field] = early
        print(f"{field}: {early:.1f} in the first third, {late:.1f} in the last")
        if late > early * most:
            grown[field] = f"{early:.1f} → {late:.1f}"
    assert grown == {}
    assert answered > peak * LENGTH_S / 4, "it was at work"
    assert after.goroutines <= before.goroutines + 2
    assert after.descriptors <= before.descriptors + 5, "connections to the database come and go"
    # Go gives memory back to the system when it likes: no more is asked than that less is held than at work.
    assert after.resident_mib <= at_work["resident_mib"]
