"""What a request costs: CPU, time and memory, of the gateway beside nginx and no proxy at all."""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

from bench.gateway import program_of
from bench.machine import BenchError, usage
from bench.report import Found, Round
from bench.stage import Stage, in_turns
from bench.traffic import Load, Target
from bench.workloads import DIRECT, GATEWAY, GOGC, NGINX, PLAIN, Workload
from tests.containers import build

WARM_S = 0.5
"""After it, connections and models are known."""
PROBE_S = 1
SLOWER, SLOWEST = 0.7, 0.05
"""From one rate that is tried to the next, and the least of them: shares of the first."""


def measure(load: Load, target: Target, workload: Workload, seconds: float, seed: int) -> Round:
    """Return what one round of a workload cost."""
    before = usage(target.pid) if target.pid else None
    result = load.drive(target, seed, *workload.drive, "--length", f"{seconds}s")
    after = usage(target.pid) if target.pid else None
    errors = result["failed"] + result["silent"] + result["reported"] + sum(result["statuses"].values())
    if errors:
        print(f"  {errors} errors: {result['reason']} {result['statuses']}", file=sys.stderr)
    units = result["tokens"] if workload.per_token else result["requests"]
    if not units:
        raise BenchError(f"{workload.name} {workload.title}: no request was answered: {result}")
    cpu_s = after.cpu_s - before.cpu_s if after and before else 0
    return Round(
        cost_us=cpu_s / units * 1e6,
        busy=cpu_s / result["seconds"],
        per_s=units / result["seconds"],
        p50_ms=result["p50_ms"],
        p99_ms=result["p99_ms"],
        resident_mib=after.resident_mib if after else 0,
        errors=errors,
    )


def carried(peak: float, p99_ms: Callable[[float], float], most_ms: float) -> float:
    """Return the first of ever lower rates at which p99 is no more than it may be, or the least."""
    rate = peak
    while p99_ms(rate) > most_ms and rate * SLOWER >= peak * SLOWEST:
        rate *= SLOWER
    return rate


def run(stage: Stage, workloads: Sequence[Workload], rounds: int, seconds: float) -> Sequence[Found]:
    """Measure workloads, each with all of its targets in every round."""
    with ExitStack() as stack:
        backends = stack.enter_context(stage.load.mocks(1))
        targets = _targets(stage, stack, backends, {name for one in workloads for name in one.targets})
        peaks: dict[Sequence[str], float] = {}
        found = []
        for workload in workloads:
            print(f"{workload.name}: {workload.title}", file=sys.stderr)
            if workload.share_of_peak:
                if workload.drive not in peaks:
                    peaks[workload.drive] = _peak(stage, targets, workload, seconds)
                workload = _paced(workload, workload.share_of_peak * peaks[workload.drive])
            found.append(_found(stage, targets, workload, rounds, seconds))
        return found


def _targets(stage: Stage, stack: ExitStack, backends: Sequence[str], wanted: set[str]) -> dict[str, Target]:
    ours = stage.gateway.beside("gateway", backends)
    targets = {
        DIRECT: Target(backends[0], 0),
        NGINX: stack.enter_context(stage.nginx(backends)),
        GATEWAY: stack.enter_context(ours.serve()),
    }
    print(f"gateway idle: {usage(targets[GATEWAY].pid).resident_mib:.0f} MiB", file=sys.stderr)
    for name in sorted(GOGC.keys() & wanted):
        other = stage.gateway.beside(name, backends)
        targets[name] = stack.enter_context(other.serve(GOGC=str(GOGC[name])))
    if PLAIN in wanted:
        plain = stage.gateway.beside(PLAIN, backends)
        image = build("gateway", "--build-arg", "PGO=off")
        plain = replace(plain, program=program_of(stage.client, image, plain.folder))
        targets[PLAIN] = stack.enter_context(plain.serve())
    return targets


def _found(
    stage: Stage, targets: Mapping[str, Target], workload: Workload, rounds: int, seconds: float
) -> Found:
    for target in workload.targets:
        measure(stage.load, targets[target], workload, WARM_S, next(stage.seeds))
    results: dict[str, list[Round]] = {target: [] for target in workload.targets}
    for number, target in in_turns(workload.targets, rounds):
        result = measure(stage.load, targets[target], workload, seconds, next(stage.seeds))
        results[target].append(result)
        print(
            f"  {number + 1}/{rounds} {target:8} {result.cost_us:7.1f} µs  p99 {result.p99_ms:.2f} ms",
            file=sys.stderr,
            flush=True,
        )
    return Found(workload, results)


def _peak(stage: Stage, targets: Mapping[str, Target], workload: Workload, seconds: float) -> float:
    """Return how many requests a second the gateway manages, and generator and backend are in time for."""

    def direct_p99_ms(rate: float) -> float:
        paced = _paced(workload, rate)
        return measure(stage.load, targets[DIRECT], paced, PROBE_S, next(stage.seeds)).p99_ms

    closed = replace(workload, drive=workload.peak)
    managed = measure(stage.load, targets[GATEWAY], closed, seconds, next(stage.seeds)).per_s
    rate = carried(managed, direct_p99_ms, workload.direct_p99_ms)
    print(f"  the gateway manages {managed:.0f} a second, of which {rate:.0f} are carried", file=sys.stderr)
    return rate


def _paced(workload: Workload, rate: float) -> Workload:
    return replace(workload, drive=(*workload.drive, "--rate", f"{rate:.0f}"))
