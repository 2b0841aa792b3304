"""W8: WebSockets that follow what goes on, some of which read nothing."""

from bench.machine import usage
from bench.report import Column, Counted
from bench.stage import Stage
from bench.traffic import finished
from bench.workloads import GATEWAY

RATE, SECONDS = 200, 10
CASES = ((0, 0), (1000, 0), (1000, 50))
"""Clients, and those of them that read nothing."""
COLUMNS = (
    Column("changes told, of those to tell %", digits=1),
    Column("told after ms: median", digits=1),
    Column("p99", digits=1),
    Column("longest", digits=1),
    Column("frames a second and client", digits=1),
    Column("most messages a frame"),
    Column("clients cut off", most=0),
    Column("core %", digits=1),
    Column("MiB"),
)


def count(stage: Stage, rounds: int) -> Counted:
    """Drain a node and take it in again, once a second, while requests come."""
    counted = Counted("w8", f"WebSockets, while {RATE} requests a second come", COLUMNS)
    with (
        stage.load.mocks(2) as backends,
        stage.gateway.beside("w8", backends).serve() as gateway,
    ):
        for _ in range(rounds):
            for clients, stalled in CASES:
                watching = stage.load.watch(
                    gateway,
                    *("--clients", str(clients), "--stalled", str(stalled), "--length", f"{SECONDS}s"),
                    *("--node", backends[0]),
                )
                before = usage(gateway.pid)
                driving = stage.load.start(
                    gateway, next(stage.seeds), "--rate", str(RATE), "--length", f"{SECONDS}s"
                )
                seen = finished(watching)
                after = usage(gateway.pid)
                finished(driving)
                reading = max(1, clients - stalled)
                counted.add(
                    f"{clients} clients, {stalled} stalled",
                    GATEWAY,
                    100 * seen["told"] / (reading * seen["changes"]),
                    *(seen["p50_ms"], seen["p99_ms"], seen["most_ms"]),
                    *(seen["frames"] / reading / seen["seconds"], seen["messages"], seen["ended"]),
                    100 * (after.cpu_s - before.cpu_s) / seen["seconds"],
                    after.resident_mib,
                )
    return counted
