"""Measure the gateway against nginx and against no proxy at all; see docs/bench.md."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import docker

from bench import parts
from bench.report import Found, Round, chart, table
from bench.workloads import DIRECT, GATEWAY, GOGC, NGINX, WORKLOADS, Workload
from tests.containers import build

FIRST_SEED = 1000
SEEDS = 10_000_000
"""Between two runs, so that none sends what another has sent."""


@dataclass(frozen=True)
class Target:
    """What requests are sent to."""

    port: int
    pid: int | None
    """The process that is measured; None where the requests go to the backend itself."""
    key: str = ""


def measure(load: Path, target: Target, workload: Workload, seconds: float, seed: int) -> Round:
    """Return what one round of a workload cost."""
    before = parts.usage(target.pid) if target.pid else None
    done = subprocess.run(
        [
            *("taskset", "--cpu-list", str(parts.OTHER_CORE), str(load), "drive", *workload.drive),
            *("--address", f"127.0.0.1:{target.port}", "--key", target.key),
            *("--length", f"{seconds}s", "--seed", str(seed)),
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    after = parts.usage(target.pid) if target.pid else None
    result = json.loads(done.stdout)
    errors = result["failed"] + result["cut"] + sum(result["statuses"].values())
    if errors:
        print(f"  {errors} errors: {result['reason']} {result['statuses']}", file=sys.stderr)
    units = result["tokens"] if workload.per_token else result["requests"]
    if not units:
        raise parts.BenchError(f"{workload.name} {workload.title}: no request was answered: {result}")
    return Round(
        cost_us=(after.cpu_s - before.cpu_s) / units * 1e6 if after and before else 0,
        per_s=units / result["seconds"],
        p50_ms=result["p50_ms"],
        p99_ms=result["p99_ms"],
        resident_mib=after.resident_mib if after else 0,
        errors=errors,
    )


def interleaved(
    workload: Workload, rounds: int, one: Callable[[str, int], Round], say: Callable[[str], None]
) -> Found:
    """Measure all targets in each round, each time in another order."""
    results: dict[str, list[Round]] = {target: [] for target in workload.targets}
    for number in range(rounds):
        turn = number % len(workload.targets)
        for target in (*workload.targets[turn:], *workload.targets[:turn]):
            result = one(target, number)
            results[target].append(result)
            say(f"  {number + 1}/{rounds} {target:8} {result.cost_us:7.1f} µs  p99 {result.p99_ms:.2f} ms")
    return Found(workload, results)


def run(workloads: Sequence[Workload], rounds: int, seconds: float, out: Path) -> Sequence[Found]:
    """Run workloads and write what they gave to a folder."""
    os.sched_setaffinity(0, {parts.OTHER_CORE})
    client = docker.from_env()
    mark = f"ollamamax-bench-{uuid.uuid4().hex[:8]}"
    found: list[Found] = []
    seeds = iter(range(FIRST_SEED, sys.maxsize, SEEDS))
    with ExitStack() as stack:
        stack.callback(client.close)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ollamamax-bench-")))
        load = parts.build_load(folder)
        backend = parts.free_port()
        mock = [str(load), "mock", "--listen", f"127.0.0.1:{backend}"]
        stack.enter_context(parts.process(mock, parts.OTHER_CORE, folder / "mock.log"))
        parts.wait_for(backend, "/", folder / "mock.log")
        stores = stack.enter_context(parts.stores(client, mark))
        ours = parts.prepare_gateway(client, stores, [backend], folder, build("gateway"))
        nginx_port, nginx_pid = stack.enter_context(parts.nginx(client, mark, backend))
        pid = stack.enter_context(ours.serve())
        targets = {
            DIRECT: Target(backend, None),
            NGINX: Target(nginx_port, nginx_pid),
            GATEWAY: Target(ours.port, pid, ours.key),
        }
        for name in GOGC.keys() & {target for workload in workloads for target in workload.targets}:
            other = ours.beside(name.replace(" ", "-").lower())
            other_pid = stack.enter_context(other.serve(GOGC=str(GOGC[name])))
            targets[name] = Target(other.port, other_pid, other.key)
        print(f"gateway idle: {parts.usage(pid).resident_mib:.0f} MiB", file=sys.stderr)
        for workload in workloads:
            print(f"{workload.name}: {workload.title}", file=sys.stderr)
            if workload.share_of_peak:
                closed = replace(workload, drive=("--clients", "64"))
                peak = measure(load, targets[GATEWAY], closed, seconds, next(seeds)).per_s
                rate = ("--rate", f"{peak * workload.share_of_peak:.0f}")
                workload = replace(workload, drive=(*workload.drive, *rate))
            for target in workload.targets:  # connections and models are known when it counts
                measure(load, targets[target], workload, 0.5, next(seeds))

            def one(target: str, _: int, workload: Workload = workload) -> Round:
                return measure(load, targets[target], workload, seconds, next(seeds))

            found.append(
                interleaved(workload, rounds, one, lambda line: print(line, file=sys.stderr, flush=True))
            )
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.md").write_text(table(found))
    (out / "results.svg").write_text(chart(found))
    return found


def main(arguments: Sequence[str]) -> int:
    """Return the exit status."""
    names = sorted({workload.name for workload in WORKLOADS})
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--workloads", default=",".join(names), help=f"some of {','.join(names)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3, help="length of a round")
    parser.add_argument(
        "--out", type=Path, default=Path(".state/bench"), help="folder of results.md, results.svg"
    )
    options = parser.parse_args(arguments)
    wanted = options.workloads.split(",")
    if unknown := sorted(set(wanted) - set(names)):
        parser.error(f"--workloads: {', '.join(unknown)}: there are {', '.join(names)}")
    if options.rounds < 1:
        parser.error(f"--rounds: {options.rounds} is less than 1")
    if (os.cpu_count() or 1) < 2:
        parser.error("a benchmark needs two cores: one for what is measured, one for what sends and answers")
    chosen = [workload for workload in WORKLOADS if workload.name in wanted]
    try:
        found = run(chosen, options.rounds, options.seconds, options.out)
    except parts.BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(table(found))
    print(f"table and chart: {options.out}/results.md, {options.out}/results.svg", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
