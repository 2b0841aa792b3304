"""Measure the gateway against nginx and against no proxy at all; see docs/bench.md."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import cost
from bench.machine import BenchError
from bench.report import chart, counted_table, table
from bench.scenarios import SCENARIOS
from bench.stage import staged
from bench.workloads import WORKLOADS


def run(wanted: Sequence[str], rounds: int, seconds: float, out: Path) -> str:
    """Run workloads, write what they gave to a folder, and return the tables."""
    out.mkdir(parents=True, exist_ok=True)
    workloads = [workload for workload in WORKLOADS if workload.name in wanted]
    tables = []
    with staged() as stage:
        if workloads:
            found = cost.run(stage, workloads, rounds, seconds)
            tables.append(table(found))
            (out / "results.svg").write_text(chart(found))
        for name, count in SCENARIOS.items():
            if name in wanted:
                tables.append(counted_table(count(stage, rounds)))
    text = "\n".join(tables)
    (out / "results.md").write_text(text)
    return text


def main(arguments: Sequence[str]) -> int:
    """Return the exit status."""
    names = sorted({workload.name for workload in WORKLOADS} | SCENARIOS.keys())
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--workloads", default=",".join(names), help=f"some of {','.join(names)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3, help="length of a round whose cost is measured")
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
    try:
        print(run(wanted, options.rounds, options.seconds, options.out))
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"written to {options.out}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
