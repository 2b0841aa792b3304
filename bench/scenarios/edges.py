"""The edge before the gateway, over each version of HTTP, beside the gateway alone and Caddy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.fronts import Front, build_visit, caddy_before, edge_before, visit
from bench.machine import BenchError, usage
from bench.report import Column, Counted
from bench.stage import Stage, in_turns
from bench.workloads import GATEWAY
from tests.identity import certify

SECONDS, WARM = "3s", "500ms"
CASES: Mapping[str, Sequence[str]] = {
    "200 B in, 1 KB out, 64 clients": ("--clients", "64"),
    "8 streams, a token every 5 ms": ("--stream", "--model", "paced", "--clients", "8"),
}
COLUMNS = (
    Column("a second"),
    Column("CPU µs before the gateway", digits=1),
    Column("CPU µs of the gateway", digits=1),
    Column("p50 ms", digits=2),
    Column("p99 ms", digits=2),
    Column("a token's p99 ms", digits=2),
    Column("× the gateway's alone", digits=2, most=1.2),
    Column("errors", most=0),
)
VERSIONS = ("1.1", "2", "3")
EDGES = {f"edge, HTTP/{version}": version for version in VERSIONS}
CADDIES = {f"Caddy, HTTP/{version}": version for version in VERSIONS}
VERSION = {GATEWAY: "1.1", **EDGES, **CADDIES}


@dataclass(frozen=True)
class Row:
    """What one target gave in one round; costs are per request, or per token of a stream."""

    per_s: float
    front_us: float
    gateway_us: float
    p50_ms: float
    p99_ms: float
    token_p99_ms: float
    errors: int


def count(stage: Stage, rounds: int) -> Counted:
    """Measure all targets in each round, and compare each with the gateway alone in the same one."""
    counted = Counted(
        "edge", "the edge before the gateway; costs per request or token", COLUMNS, judged=tuple(EDGES)
    )
    program, identity = build_visit(stage.folder), certify("edge")
    with (
        stage.load.mocks(1) as backends,
        stage.gateway.beside("edge", backends).serve() as gateway,
        edge_before(stage.client, stage.mark, gateway, identity, stage.folder) as edge,
        caddy_before(gateway, identity, stage.folder) as caddy,
    ):
        fronts = {GATEWAY: Front(f"http://{gateway.address}", ())}
        fronts |= dict.fromkeys(EDGES, edge) | dict.fromkeys(CADDIES, caddy)

        def measure(target: str, options: Sequence[str], length: str = SECONDS) -> Row:
            front, before = fronts[target], usage(gateway.pid).cpu_s
            front_before = front.cpu_s
            words = ("--version", VERSION[target], "--key", gateway.key, "--length", length, *options)
            result = visit(program, front, "/api/generate", *words)
            units = result["tokens"] or result["requests"]
            if not units:
                raise BenchError(f"{target}: no request was answered: {result}")
            return Row(
                per_s=units / result["seconds"],
                front_us=(front.cpu_s - front_before) / units * 1e6,
                gateway_us=(usage(gateway.pid).cpu_s - before) / units * 1e6,
                p50_ms=result["p50_ms"],
                p99_ms=result["p99_ms"],
                token_p99_ms=result["token_p99_ms"],
                errors=result["failed"],
            )

        for case, options in CASES.items():
            for target in fronts:
                measure(target, options, WARM)
            found: dict[int, dict[str, Row]] = {}
            for number, target in in_turns(tuple(fronts), rounds):
                found.setdefault(number, {})[target] = measure(target, options)
            for rows in found.values():
                alone = rows[GATEWAY].token_p99_ms
                for target in fronts:
                    row = rows[target]
                    counted.add(
                        case,
                        target,
                        *(row.per_s, row.front_us, row.gateway_us, row.p50_ms, row.p99_ms, row.token_p99_ms),
                        *(row.token_p99_ms / alone if alone else 0, row.errors),
                    )
    return counted
