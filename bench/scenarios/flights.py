"""W5: identical requests at once, of which none has been answered before, are one for the worker."""

from bench.report import Column, Counted
from bench.stage import Stage, in_turns
from bench.traffic import Target, counts
from bench.workloads import DIRECT, GATEWAY, NGINX, PROXIES

CLIENTS = 100
COLUMNS = (
    Column("answered"),
    Column("requests at the backend", most=1),
    Column("p99 ms"),
)


def count(stage: Stage, rounds: int) -> Counted:
    """Send the same request from many clients, each round another."""
    counted = Counted("w5", f"{CLIENTS} identical misses", COLUMNS)
    with (
        stage.load.mocks(1) as backends,
        stage.nginx(backends) as nginx,
        stage.gateway.beside("w5", backends).serve() as gateway,
    ):
        targets = {DIRECT: Target(backends[0], 0), NGINX: nginx, GATEWAY: gateway}
        for _, target in in_turns(PROXIES, rounds):
            before = counts(backends)["asked"]
            result = stage.load.drive(
                targets[target],
                next(stage.seeds),
                *("--send", "same", "--model", "paced", "--clients", str(CLIENTS), "--each", "1"),
            )
            counted.add("", target, result["requests"], counts(backends)["asked"] - before, result["p99_ms"])
    return counted
