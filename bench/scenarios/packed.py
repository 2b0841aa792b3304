"""What answers and the console's files weigh as the edge packs them, and what packing them costs."""

import re
import ssl
from collections.abc import Mapping
from contextlib import ExitStack
from urllib.request import urlopen

from bench.fronts import Front, build_visit, edge_before, visit
from bench.machine import BenchError
from bench.report import Column, Counted
from bench.stage import Stage, in_turns
from tests.identity import certify

SECONDS, CLIENTS = "2s", "16"
API = ("/api/tags", "/v1/models", "/api/v1/nodes", "/api/v1/openapi.json", "/api/generate")
CONSOLE = "/console/"
PLAIN = "plain"
AS_ASKED = {"gzip": "gzip", "Brotli": "br"}
BEFOREHAND = {f"{name}, beforehand": encoding for name, encoding in AS_ASKED.items()}
ENCODINGS = {PLAIN: "identity", **AS_ASKED, **BEFOREHAND}
"""How answers are wanted, by what they then are: only files can have been packed beforehand."""
COLUMNS = (
    Column("bytes"),
    Column("of the plain ones, %"),
    Column("CPU µs at the edge", digits=1),
    Column("more than plain", digits=1),
    Column("errors"),
)


def count(stage: Stage, rounds: int) -> Counted:
    """Ask for answers of the gateway and for the console's files, in each encoding."""
    counted = Counted("packed", "answers as the edge packs them, over HTTP/1.1", COLUMNS)
    program, identity = build_visit(stage.folder), certify("edge")
    with ExitStack() as stack:
        backends = stack.enter_context(stage.load.mocks(1))
        gateway = stack.enter_context(stage.gateway.beside("packed", backends).serve())
        place = (stage.client, stage.mark, gateway, identity, stage.folder)
        usual = stack.enter_context(edge_before(*place))
        unprepared = stack.enter_context(edge_before(*place, prepared=False))
        fronts = {name: usual if name in BEFOREHAND else unprepared for name in ENCODINGS}
        cases = {path: (path, (PLAIN, *AS_ASKED)) for path in API}
        cases |= {case: (path, tuple(ENCODINGS)) for case, path in _files(usual).items()}
        for case, (path, names) in cases.items():
            found: dict[int, dict[str, tuple[int, float, int]]] = {}
            for number, name in in_turns(names, rounds):
                edge = fronts[name]
                before = edge.cpu_s
                words = ("--encoding", ENCODINGS[name], "--clients", CLIENTS, "--length", SECONDS)
                result = visit(program, edge, path, "--key", gateway.key, *words)
                cost = (edge.cpu_s - before) / max(1, result["requests"]) * 1e6
                found.setdefault(number, {})[name] = (result["bytes"], cost, result["failed"])
            for rows in found.values():
                plain, plain_cost, _ = rows[PLAIN]
                for name, (size, cost, errors) in rows.items():
                    counted.add(case, name, size, 100 * size / plain, cost, cost - plain_cost, errors)
    return counted


def _files(edge: Front) -> Mapping[str, str]:
    """Return the paths of the console's page and of what it names, by what they are."""
    trust = ssl.create_default_context(cafile=edge.authority)
    with urlopen(f"{edge.url}{CONSOLE}", context=trust) as answer:  # noqa: S310 - our own address
        page = answer.read().decode()
    named = {kind: re.search(rf'"\./(assets/[\w-]+\.{kind})"', page) for kind in ("js", "css")}
    if not all(named.values()):
        raise BenchError(f"{CONSOLE} names no program or no style sheet")
    files = {f"console's {kind}": f"{CONSOLE}{name[1]}" for kind, name in named.items() if name}
    return {"console's page": CONSOLE, **files}
