"""A real Ollama behind it all: what a proxy adds to its first token, and takes from its pace."""

from bench import parts
from bench.report import Column, Counted
from bench.stage import Stage, in_turns
from bench.traffic import Target
from bench.workloads import DIRECT, GATEWAY, NGINX, PROXIES

SECONDS = 3
COLUMNS = (
    Column("streams"),
    Column("first token ms", digits=2),
    Column("its p99 ms", digits=2),
    Column("tokens a second", digits=0),
)


def count(stage: Stage, rounds: int) -> Counted:
    """Ask for streams one after the other."""
    counted = Counted("ollama", "streams of a real Ollama, one client", COLUMNS)
    with (
        parts.ollama(stage.client, stage.mark) as worker,
        stage.nginx([worker]) as nginx,
        stage.gateway.beside("ollama", [worker]).serve() as gateway,
    ):
        targets = {DIRECT: Target(worker, 0), NGINX: nginx, GATEWAY: gateway}
        for _, target in in_turns(PROXIES, rounds):
            result = stage.load.drive(
                targets[target],
                next(stage.seeds),
                *("--send", "words", "--model", "tiny", "--stream", "--clients", "1"),
                *("--length", f"{SECONDS}s"),
            )
            counted.add(
                "", target, result["requests"], result["first_p50_ms"], result["first_p99_ms"], result["pace"]
            )
    return counted
