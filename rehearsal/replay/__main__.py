"""Score how a worker pool scales, with and without prediction, against a trace; see docs/replay.md.

All that it says is simulated: requests, workers, nodes. The ScaledObject and the forecaster are the stack's
own, and replica counts are computed as Kubernetes computes them.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from math import ceil
from pathlib import Path

import numpy as np

from ollamamax_autoscaler.forecast import Parameters
from rehearsal.replay.comparison import compare
from rehearsal.replay.demand import Demand, demand
from rehearsal.replay.forecasts import forecasts
from rehearsal.replay.objects import ObjectError
from rehearsal.replay.policies import Stage
from rehearsal.replay.report import as_json, chart, table
from rehearsal.replay.settings import DAY_S, TICK_S, ReplaySettings
from rehearsal.replay.stack import pool_of
from rehearsal.replay.traces import Bins, Flags, Requests, TraceError, read
from stacks.loading import SettingsError

TRACES = Path(__file__).parents[1] / "traces"
TRACE = TRACES / "azure-llm-2024-coding-10s-days1-3.csv"
SIZES = TRACES / "azure-llm-2023-conv-requests.csv"
LONGEST_S = 3600
MOST_REPLICAS = 1000


def main(arguments: Sequence[str]) -> int:
    """Return the exit status."""
    options = _options(arguments)
    began = time.monotonic()

    def progress(text: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {text}", file=sys.stderr, flush=True)

    try:
        print(run(options, progress))
    except (TraceError, ObjectError, SettingsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: --out: cannot write {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    progress(f"written to {options.out} and {options.out.with_suffix('.svg')}")
    return 0


def run(options: argparse.Namespace, progress: Callable[[str], None]) -> str:
    """Play a trace with every policy, write what came of it, and return the table."""
    settings = ReplaySettings(node_delay_s=options.node_delay)
    pool = pool_of(options.stack, options.pool, settings)
    settings = replace(settings, node_linger_s=pool.node_linger_s)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    progress(f"reading {options.trace}")
    trace, sizes = read(options.trace), read(SIZES)
    if not isinstance(sizes, Requests):
        raise TraceError(f"{SIZES}: one request a row is wanted")
    asked = demand(trace, sizes, settings, options.seed)
    most = int(asked.peak.max())
    if (replicas := ceil(most / settings.slots)) > MOST_REPLICAS:
        raise TraceError(
            f"{options.trace}: its busiest moment wants {most:,} slots, {replicas:,} replicas: the replay "
            f"goes up to {MOST_REPLICAS:,}; share the requests between several pools"
        )
    stage = Stage(settings, asked, _scored(options, asked), options.startup)
    if not stage.requests:
        raise TraceError(f"{options.trace}: not one request counts, so there is nothing to score")
    progress(f"{asked.arrivals.size:,} requests, of which {stage.requests:,} count; forecasting")
    parameters, horizon_s = Parameters(), options.startup + settings.delay_s
    said = forecasts(stage, parameters, horizon_s)
    found = compare(stage, pool.objects, said, progress)
    days = float(stage.scored.sum()) * TICK_S / DAY_S
    inputs = {
        "trace": options.trace.name,
        "bin_s": trace.width_s if isinstance(trace, Bins) else None,
        "missing_bins": int((~trace.known).sum()) if isinstance(trace, Bins) else 0,
        "scored_from": datetime.fromtimestamp(
            asked.start + np.argmax(stage.scored) * TICK_S, UTC
        ).isoformat(),
        "scored_days": days,
        "requests": asked.arrivals.size,
        "scored_requests": stage.requests,
        "mean_service_s": float(asked.services.mean()),
        "most_slots_busy": most,
        "startup_s": options.startup,
        "seed": options.seed,
        "stack": options.stack,
        "pool": pool.name,
        "node_hour_usd": pool.node_hour_usd,
        "forecast_horizon_s": horizon_s,
    }
    title = f"{options.trace.name}, start-up {options.startup} s, stack {options.stack}"
    options.out.write_text(
        json.dumps(as_json(found, inputs, settings, parameters, pool.objects), indent=2) + "\n"
    )
    options.out.with_suffix(".svg").write_text(chart(title, found, pool.node_hour_usd, days))
    return table(found, settings.late_share, pool.node_hour_usd, days)


def _scored(options: argparse.Namespace, asked: Demand) -> Flags:
    if options.score_from is None:
        return asked.known
    begin = options.score_from.replace(tzinfo=options.score_from.tzinfo or UTC).timestamp() - asked.start
    if not 0 <= begin < asked.ticks * TICK_S:
        raise TraceError(
            f"--score-from: {options.score_from} is not within {options.trace}, which begins at "
            f"{datetime.fromtimestamp(asked.start, UTC)} and lasts {asked.ticks * TICK_S} s"
        )
    after: Flags = np.arange(asked.ticks) * TICK_S >= begin
    return asked.known & after


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m rehearsal.replay", description=__doc__)
    add = parser.add_argument
    add(
        "--trace",
        type=Path,
        default=TRACE,
        help="CSV with the columns bin_start_utc,requests or TIMESTAMP,ContextTokens,GeneratedTokens "
        "(default: %(default)s)",
    )
    add(
        "--startup",
        type=int,
        default=120,
        metavar="S",
        help="time until a replica that was asked for serves, seconds (default: %(default)s)",
    )
    add(
        "--out",
        type=Path,
        default=Path(".state/replay/replay.json"),
        help="where to write all figures; the chart is written beside them (default: %(default)s)",
    )
    add(
        "--score-from",
        type=datetime.fromisoformat,
        metavar="TIME",
        help="count only from this time on, UTC, such as 2024-05-12; what was before is history",
    )
    add("--stack", default="prod", help="whose pool scales (default: %(default)s)")
    add("--pool", help="which of its pools (default: the first)")
    add(
        "--node-delay",
        type=int,
        default=ReplaySettings.node_delay_s,
        metavar="S",
        help="time until a replica that finds no node has one, seconds; its start comes on top "
        "(default: %(default)s)",
    )
    add("--seed", type=int, default=1, help="of what is drawn (default: %(default)s)")
    options = parser.parse_args(arguments)
    for name, least in (("startup", 1), ("node_delay", 0), ("seed", 0)):
        value, most = getattr(options, name), LONGEST_S if name != "seed" else 2**32
        if not least <= value <= most:
            parser.error(f"--{name.replace('_', '-')}: {value} is not from {least} to {most}")
    if options.out.suffix != ".json":
        parser.error(f"--out: {options.out} does not end in .json")
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
