"""W10: clients leave before their answer's end, and the backend is to stop."""

import statistics

from bench.report import Column, Counted
from bench.stage import Stage, in_turns
from bench.traffic import ended
from bench.workloads import GATEWAY, NGINX

CLIENTS, SECONDS, AFTER_MS = 16, 3, 100
"""Clients stay for this long, or up to twice as long: an answer takes 320 ms."""
CASES = {"streams": ("--stream",), "whole answers": (), "shared answers": ("--send", "repeated", "--stream")}
COLUMNS = (
    Column("left"),
    Column("the backend goes on, ms", digits=1),
    Column("at most, ms", digits=1, most=100),
)


def count(stage: Stage, rounds: int) -> Counted:
    """Compare when clients leave with when the backend sees that."""
    counted = Counted("w10", "clients leave in the middle of an answer", COLUMNS)
    with (
        stage.load.mocks(1) as backends,
        stage.nginx(backends) as nginx,
        stage.gateway.beside("w10", backends).serve() as gateway,
    ):
        for case, options in CASES.items():
            for _, target in in_turns((NGINX, GATEWAY), rounds):
                gone = stage.load.drive(
                    nginx if target == NGINX else gateway,
                    next(stage.seeds),
                    *("--model", "paced", "--leave", f"{AFTER_MS}ms", *options),
                    *("--clients", str(CLIENTS), "--length", f"{SECONDS}s"),
                )["left"]
                ends = ended(backends)
                times = sorted(max(0, ends[int(n)] - gone[n]) / 1e6 for n in gone if int(n) in ends)
                counted.add(case, target, len(gone), statistics.median(times), times[-1])
    return counted
