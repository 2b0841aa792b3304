"""What answers weigh as the edge packs them, and what packing them costs."""

from bench.fronts import build_visit, edge_before, visit
from bench.report import Column, Counted
from bench.stage import Stage, in_turns
from tests.identity import certify

SECONDS, CLIENTS = "2s", "16"
API = ("/api/tags", "/v1/models", "/api/v1/nodes", "/api/v1/openapi.json", "/api/generate")
IDENTITY = "identity"
ENCODINGS = {IDENTITY: IDENTITY, "gzip": "gzip", "Brotli": "br"}
COLUMNS = (
    Column("bytes"),
    Column("of the plain ones, %"),
    Column("CPU µs at the edge", digits=1),
    Column("more than plain", digits=1),
    Column("errors"),
)


def count(stage: Stage, rounds: int) -> Counted:
    """Ask for answers of the gateway in each encoding."""
    counted = Counted("packed", "answers as the edge packs them, over HTTP/1.1", COLUMNS)
    program, identity = build_visit(stage.folder), certify("edge")
    with (
        stage.load.mocks(1) as backends,
        stage.gateway.beside("packed", backends).serve() as gateway,
        edge_before(stage.client, stage.mark, gateway, identity, stage.folder) as edge,
    ):
        for path in API:
            found: dict[int, dict[str, tuple[int, float, int]]] = {}
            for number, name in in_turns(tuple(ENCODINGS), rounds):
                before = edge.cpu_s
                words = ("--encoding", ENCODINGS[name], "--clients", CLIENTS, "--length", SECONDS)
                result = visit(program, edge, path, "--key", gateway.key, *words)
                cost = (edge.cpu_s - before) / max(1, result["requests"]) * 1e6
                found.setdefault(number, {})[name] = (result["bytes"], cost, result["failed"])
            for rows in found.values():
                plain, plain_cost, _ = rows[IDENTITY]
                for name, (size, cost, errors) in rows.items():
                    counted.add(path, name, size, 100 * size / plain, cost, cost - plain_cost, errors)
    return counted
