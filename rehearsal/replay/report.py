"""What a replay found, as a table and as a chart."""

from collections.abc import Mapping
from dataclasses import asdict
from html import escape
from typing import Any

from ollamamax_autoscaler.forecast import Parameters
from rehearsal.replay.comparison import Comparison
from rehearsal.replay.objects import Object
from rehearsal.replay.policies import Outcome
from rehearsal.replay.settings import ReplaySettings

WIDTH, LABEL, BAR, ROW, GAP, TOP = 900, 200, 560, 22, 34, 56
TOO_LATE = " (too late to be compared)"
COLOURS = ("#9aa5b1", "#2f6f9f")


def as_json(
    found: Comparison,
    inputs: Mapping[str, Any],
    settings: ReplaySettings,
    parameters: Parameters,
    objects: Mapping[str, Object],
) -> dict[str, Any]:
    """Return all figures, and what they rest on."""
    days, node_hour_usd = inputs["scored_days"], inputs["node_hour_usd"]

    def outcome(one: Outcome | None) -> dict[str, Any] | None:
        return {**asdict(one), "usd_a_day": one.node_hours * node_hour_usd / days} if one else None

    return {
        "simulated": "requests, workers, nodes, metrics; objects and forecaster are the stack's own",
        "inputs": dict(inputs),
        "settings": asdict(settings),
        "forecaster": asdict(parameters),
        "objects": dict(objects),
        "policies": {
            policy: {
                "as_set": outcome(one.as_set),
                "at_equal_lateness": outcome(one.equal),
                "replica_hours_over_oracle": found.over_oracle(policy),
                "comparable": one.equal.late_share <= settings.late_share,
            }
            for policy, one in found.results.items()
        },
        "prediction": {
            "never_later_than_its_twin": found.never_later,
            "twin_with_its_targets": outcome(found.twin_at_same_targets),
            "no_more_flaps_than_its_twin": found.no_more_flaps,
            "share_of_the_gap_to_a_perfect_forecast_closed": found.gap_closed,
        },
    }


def table(found: Comparison, late_share: float, node_hour_usd: float, days: float) -> str:
    """Return the results as Markdown."""
    lines = [
        "| Simulated | as set: late | replica-hours | flaps a day | at equal lateness: targets ×, forecast ÷ "
        "| late | replica-hours | × oracle | flaps a day | USD a day |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for policy, one in found.results.items():
        own = one.as_set
        set_cells = (
            (f"{own.late_share:.3%}", f"{own.replica_hours:.1f}", f"{own.flaps_a_day:.1f}")
            if own
            else ("–", "–", "–")
        )
        equal = one.equal
        cells = (
            policy,
            *set_cells,
            _factors(equal),
            f"{equal.late_share:.3%}{TOO_LATE * (equal.late_share > late_share)}",
            f"{equal.replica_hours:.1f}",
            f"{found.over_oracle(policy):.3f}",
            f"{equal.flaps_a_day:.1f}",
            f"{equal.node_hours * node_hour_usd / days:.0f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _factors(outcome: Outcome) -> str:
    known = (one for one in (outcome.factor, outcome.forecast_factor) if one is not None)
    return ", ".join(f"{one:.2f}" for one in known) or "–"


def chart(title: str, found: Comparison, node_hour_usd: float, days: float) -> str:
    """Return replica-hours over the oracle's, flaps and cost at equal lateness as bars, SVG."""
    equal = {policy: one.equal for policy, one in found.results.items()}
    panels: Mapping[str, tuple[str, Mapping[str, float]]] = {
        "Replica-hours over the oracle's": (".2f", {policy: found.over_oracle(policy) for policy in equal}),
        "Flaps a day": (".1f", {policy: one.flaps_a_day for policy, one in equal.items()}),
        "Cost of nodes, US dollars a day": (
            ".0f",
            {policy: one.node_hours * node_hour_usd / days for policy, one in equal.items()},
        ),
    }
    drawn: list[str] = []
    y = TOP
    for name, (form, bars) in panels.items():
        drawn.append(f'<text x="8" y="{y}" font-weight="bold">{escape(name)}</text>')
        most = max(bars.values()) or 1
        for policy, value in bars.items():
            y += ROW
            drawn += [
                f'<text x="{LABEL - 8}" y="{y}" text-anchor="end">{escape(policy)}</text>',
                f'<rect x="{LABEL}" y="{y - 13}" width="{value / most * BAR:.1f}" height="{ROW - 5}" '
                f'fill="{COLOURS[policy.startswith("this stack")]}"/>',
                f'<text x="{LABEL + value / most * BAR + 6:.1f}" y="{y}">{value:{form}}</text>',
            ]
        y += GAP
    height = y - GAP + ROW
    begin = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="8" y="18" font-weight="bold" font-size="14">Simulated: {escape(title)}</text>',
        '<text x="8" y="35">At equal lateness. Requests, workers and nodes are simulated; replicas move by '
        "Kubernetes&#8217; own rules.</text>",
    )
    return "\n".join([*begin, *drawn, "</svg>"]) + "\n"
