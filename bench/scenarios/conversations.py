"""W7: conversations, whose turns are cheaper where the turn before was answered."""

from bench.report import Column, Counted
from bench.stage import Stage, in_turns
from bench.traffic import counts
from bench.workloads import GATEWAY, NGINX

NODES, SECONDS = 4, 3
CLIENTS = (8, 64)
COLUMNS = (
    Column("later turns"),
    Column("at the node of the turn before %", digits=1),
    Column("p99 ms", digits=1),
)


def count(stage: Stage, rounds: int) -> Counted:
    """Hold conversations of ten turns, at each of the clients one at a time."""
    counted = Counted("w7", f"conversations of ten turns on {NODES} nodes", COLUMNS)
    with (
        stage.load.mocks(NODES) as backends,
        stage.nginx(backends) as nginx,
        stage.gateway.beside("w7", backends).serve() as gateway,
    ):
        for clients in CLIENTS:
            for _, target in in_turns((NGINX, GATEWAY), rounds):
                before = counts(backends)
                result = stage.load.drive(
                    nginx if target == NGINX else gateway,
                    next(stage.seeds),
                    *("--send", "conversations", "--model", "slow"),
                    *("--clients", str(clients), "--length", f"{SECONDS}s"),
                )
                after = counts(backends)
                turns = after["turns"] - before["turns"]
                share = 100 * (after["warm"] - before["warm"]) / max(1, turns)
                counted.add(f"{clients} at once", target, turns, share, result["p99_ms"])
    return counted
