"""W6: more models than a node has room for, each of which takes seconds to load."""

from collections.abc import Sequence

from bench.report import Column, Counted
from bench.stage import Stage, in_turns
from bench.traffic import Target, counts
from bench.workloads import GATEWAY, NGINX

NODES, MODELS, ROOM, LOADING_S = 4, 20, 6, 5
RATE, SECONDS, CLIENTS = 40, 45, 2048
COLUMNS = (
    Column("answered"),
    Column("errors"),
    Column("loads"),
    Column("waited for one"),
    Column("at a node with the model %", digits=1),
    Column("p50 ms", digits=1),
    Column("p99 ms"),
)


def count(stage: Stage, rounds: int) -> Counted:
    """Send requests for all models, from when no node has one in memory."""
    title = f"{MODELS} models on {NODES} nodes with room for {ROOM}, {LOADING_S} s to load, {RATE} a second"
    counted = Counted("w6", title, COLUMNS)
    mocks = ("--models", str(MODELS), "--room", str(ROOM), "--loading", f"{LOADING_S}s")
    for number, target in in_turns((NGINX, GATEWAY), rounds):
        # Everything anew each time: what was loaded before is not to count.
        with stage.load.mocks(NODES, *mocks) as backends:
            ours = stage.gateway.beside(f"w6-{number}-{target}", backends, loaded_models=ROOM)
            with stage.nginx(backends) if target == NGINX else ours.serve() as proxy:
                counted.add("", target, *_one(stage, proxy, backends))
    return counted


def _one(stage: Stage, proxy: Target, backends: Sequence[str]) -> tuple[float, ...]:
    result = stage.load.drive(
        proxy,
        next(stage.seeds),
        *("--models", str(MODELS), "--rate", str(RATE), "--clients", str(CLIENTS), "--length", f"{SECONDS}s"),
    )
    seen = counts(backends)
    errors = result["failed"] + result["silent"] + result["reported"] + sum(result["statuses"].values())
    resident = 100 * (1 - seen["waited"] / seen["asked"])
    return (
        *(result["requests"], errors, seen["loads"], seen["waited"], resident),
        *(result["p50_ms"], result["p99_ms"]),
    )
