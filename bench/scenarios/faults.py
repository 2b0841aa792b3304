"""W9: what clients get while one of three backends fails."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench.machine import free_port
from bench.report import Column, Counted
from bench.stage import Stage, in_turns
from bench.traffic import Load, ask, finished
from bench.workloads import GATEWAY, NGINX

NODES, RATE, CLIENTS = 3, 100, 256
BEFORE_S, FAULT_S, AFTER_S = 1, 4, 1
SILENCE_S = 2
"""After it a worker that says nothing counts as dead, for gateway and nginx."""
FAULTS = ("killed", "stopped", "slow", "500", "429", "cut")
COLUMNS = (
    Column("good"),
    Column("refused before the first byte"),
    Column("cut, and said so"),
    Column("cut, and not said", most=0),
    Column("p99 ms"),
)


def count(stage: Stage, rounds: int) -> Counted:
    """Send streams at a steady rate while a backend fails and recovers."""
    counted = Counted(
        "w9", f"one of {NODES} backends fails for {FAULT_S} s, {RATE} streams a second", COLUMNS
    )
    for fault in FAULTS:
        for number, target in in_turns((NGINX, GATEWAY), rounds):
            with ExitStack() as stack:
                backends = stack.enter_context(stage.load.mocks(NODES - 1))
                failing = f"127.0.0.1:{free_port()}"
                running = stack.enter_context(ExitStack())
                pid = running.enter_context(stage.load.mock(failing))
                backends = [failing, *backends]
                # A fresh proxy each time: what one has learnt from the fault before is not to count.
                if target == NGINX:
                    proxy = stack.enter_context(stage.nginx(backends, SILENCE_S))
                else:
                    ours = stage.gateway.beside(f"w9-{fault}-{number}", backends, silence_s=SILENCE_S)
                    proxy = stack.enter_context(ours.serve())
                driving = stage.load.start(
                    proxy,
                    next(stage.seeds),
                    *("--model", "paced", "--stream", "--rate", str(RATE), "--clients", str(CLIENTS)),
                    *("--length", f"{BEFORE_S + FAULT_S + AFTER_S}s"),
                )
                time.sleep(BEFORE_S)
                with _failing(stage.load, running, failing, pid, fault):
                    time.sleep(FAULT_S)
                result = finished(driving)
                refused = sum(result["statuses"].values()) + result["failed"]
                ends = (result["requests"], refused, result["reported"], result["silent"])
                counted.add(fault, target, *ends, result["p99_ms"])
    return counted


@contextmanager
def _failing(load: Load, running: ExitStack, address: str, pid: int, fault: str) -> Iterator[None]:
    match fault:
        case "killed":
            running.close()
            yield
            running.enter_context(load.mock(address))
        case "stopped":
            os.kill(pid, signal.SIGSTOP)
            yield
            os.kill(pid, signal.SIGCONT)
        case _:
            ask(address, f"/fault/{fault}")
            yield
            ask(address, "/fault/none")
