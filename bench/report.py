"""What a benchmark found, as a table and as a chart."""

import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from bench.workloads import DIRECT, GATEWAY, GOGC, NGINX, PLAIN, UNCACHED, Workload

WIDTH, TITLE, LABEL, BAR, ROW, GAP = 900, 330, 410, 420, 20, 10
COLOURS = {NGINX: "#9aa5b1", GATEWAY: "#2f6f9f", **dict.fromkeys((*GOGC, PLAIN), "#7fb0d0")}


@dataclass(frozen=True)
class Round:
    """One target's figures of one round."""

    cost_us: float
    """CPU per request or token; 0 where no process stands between client and backend."""
    busy: float
    """Share of its core that the process used."""
    per_s: float
    """Requests or tokens a second."""
    p50_ms: float
    p99_ms: float
    resident_mib: float
    errors: int


Rounds = Mapping[str, Sequence[Round]]
"""By target."""


@dataclass(frozen=True)
class Found:
    """What the rounds of one workload gave."""

    workload: Workload
    rounds: Rounds

    def median(self, target: str, field: str) -> float:
        """Return the middle of the rounds."""
        return float(statistics.median(getattr(one, field) for one in self.rounds[target]))

    @property
    def ratios(self) -> list[float]:
        """The gateway's cost over nginx's, round by round; empty where the two were not both measured."""
        if not {NGINX, GATEWAY} <= self.rounds.keys():
            return []
        pairs = zip(self.rounds[GATEWAY], self.rounds[NGINX], strict=True)
        return [ours.cost_us / theirs.cost_us for ours, theirs in pairs if theirs.cost_us]


def table(found: Sequence[Found]) -> str:
    """Return the results as Markdown."""
    lines = [
        "| Workload | Target | CPU µs | per | core % | a second | p50 ms | p99 ms | MiB | errors "
        "| × nginx (min–max) | aim |",
        "|---|---|--:|---|--:|--:|--:|--:|--:|--:|---|---|",
    ]
    for one in found:
        lines += [_line(one, target, found) for target in one.rounds]
    return "\n".join(lines) + "\n"


def _line(one: Found, target: str, found: Sequence[Found]) -> str:
    workload = one.workload
    ratio = ""
    if target == GATEWAY and one.ratios:
        ratio = f"**{statistics.median(one.ratios):.2f}** ({min(one.ratios):.2f}–{max(one.ratios):.2f})"
    cost = one.median(target, "cost_us")
    cells = (
        f"{workload.name.upper()} {workload.title}",
        target,
        f"{cost:.1f}" if cost else "–",
        "token" if workload.per_token else "request",
        f"{100 * one.median(target, 'busy'):.0f}" if cost else "–",
        f"{one.median(target, 'per_s'):.0f}",
        f"{one.median(target, 'p50_ms'):.2f}",
        f"{one.median(target, 'p99_ms'):.2f}",
        f"{max(r.resident_mib for r in one.rounds[target]):.0f}" if cost else "–",
        f"{sum(r.errors for r in one.rounds[target])}",
        ratio,
        _verdict(one, found) if target == GATEWAY else "",
    )
    return f"| {' | '.join(cells)} |"


def _verdict(one: Found, found: Sequence[Found]) -> str:
    """Say whether the gateway does what is aimed at."""
    verdicts = []

    def most(unit: str, value: float, limit: float) -> None:
        verdicts.append(f"≤ {limit:g} {unit}: {'met' if value <= limit else 'missed'} ({value:.2f})")

    workload = one.workload
    if workload.share_of_peak and (direct := one.median(DIRECT, "p99_ms")) > workload.direct_p99_ms:
        limit = workload.direct_p99_ms
        return f"not measured: p99 without a proxy is {direct:.2f} ms, and may be {limit:g} ms"
    if workload.aim is not None:
        most("× nginx", statistics.median(one.ratios), workload.aim)
    if workload.p99_ms is not None:
        most("ms p99", one.median(GATEWAY, "p99_ms"), workload.p99_ms)
    if workload.added_p99_ms is not None:
        added = one.median(GATEWAY, "p99_ms") - one.median(DIRECT, "p99_ms")
        most("ms added to p99", added, workload.added_p99_ms)
    if workload.cpu_percent is not None:
        most("% of two cores", one.median(GATEWAY, "busy") * 100 / 2, workload.cpu_percent)
    for other in found:
        if workload.cheaper is not None and other.workload == UNCACHED:
            times = other.median(GATEWAY, "cost_us") / one.median(GATEWAY, "cost_us")
            met = "met" if times >= workload.cheaper else "missed"
            verdicts.append(f"≥ {workload.cheaper:g} × as many as uncached: {met} ({times:.2f})")
    return ", ".join(verdicts)


@dataclass(frozen=True)
class Column:
    """What is counted in every round."""

    title: str
    digits: int = 0
    most: float | None = None
    """The most that what is judged may have in any round."""


@dataclass(frozen=True)
class Counted:
    """What happened in the rounds of one scenario."""

    workload: str
    title: str
    columns: Sequence[Column]
    judged: Sequence[str] = (GATEWAY,)
    """The targets that aims are for."""
    rows: dict[tuple[str, str], list[Sequence[float]]] = field(default_factory=dict)
    """By case and target."""

    def add(self, case: str, target: str, *values: float) -> None:
        """Note a round: a value for each column."""
        self.rows.setdefault((case, target), []).append(values)
        said = ", ".join(
            f"{column.title} {value:.{column.digits}f}"
            for column, value in zip(self.columns, values, strict=True)
        )
        print(f"  {case} {target}: {said}", file=sys.stderr, flush=True)


def counted_table(counted: Counted) -> str:
    """Return what a scenario counted as Markdown: medians, and least and most where rounds differ."""
    titles = " | ".join(column.title for column in counted.columns)
    lines = [
        f"**{counted.workload.upper()}** {counted.title}",
        "",
        f"| | Target | {titles} | aim |",
        f"|---|---|{'--:|' * len(counted.columns)}---|",
    ]
    for (case, target), rounds in counted.rows.items():
        by_column = list(zip(counted.columns, zip(*rounds, strict=True), strict=True))
        cells = [_cell(column, values) for column, values in by_column]
        aims = [
            f"{column.title} ≤ {column.most:g}: {'met' if max(values) <= column.most else 'missed'}"
            for column, values in by_column
            if column.most is not None and target in counted.judged
        ]
        lines.append(f"| {case} | {target} | {' | '.join(cells)} | {', '.join(aims)} |")
    return "\n".join(lines) + "\n"


def _cell(column: Column, values: Sequence[float]) -> str:
    least, middle, most = (
        f"{value:.{column.digits}f}" for value in (min(values), statistics.median(values), max(values))
    )
    return middle if least == most else f"{middle} ({least}–{most})"


def chart(found: Sequence[Found]) -> str:
    """Return CPU per request or token as bars, SVG; each workload has a scale of its own."""
    most: dict[tuple[str, bool], float] = {}
    for one in found:
        most[_scale(one)] = max(most.get(_scale(one), 0), _most(one))
    drawn: list[str] = []
    y = 48
    for one in found:
        drawn += _bars(one, y, most[_scale(one)])
        y += ROW * len(_measured(one)) + GAP
    begin = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" '
        f'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{y}" fill="white"/>',
        '<text x="8" y="18" font-weight="bold">CPU per request or token, µs</text>',
        '<text x="8" y="35">Bars: medians of the rounds; lines: least and most; dashes: what is aimed at. '
        "Each workload has a scale of its own.</text>",
    )
    return "\n".join([*begin, *drawn, "</svg>"]) + "\n"


def _measured(one: Found) -> Sequence[str]:
    return [target for target in one.rounds if one.median(target, "cost_us")]


def _scale(one: Found) -> tuple[str, bool]:
    return one.workload.name, one.workload.per_token


def _aim(one: Found) -> float:
    return one.workload.aim * one.median(NGINX, "cost_us") if one.workload.aim is not None else 0


def _most(one: Found) -> float:
    return max(_aim(one), *(r.cost_us for target in _measured(one) for r in one.rounds[target]))


def _bars(one: Found, top: int, most: float) -> Sequence[str]:
    workload, targets = one.workload, _measured(one)
    unit = " (a token)" if workload.per_token else ""
    title = escape(f"{workload.name.upper()} {workload.title}{unit}")
    drawn = [f'<text x="{TITLE}" y="{top + 13}" text-anchor="end">{title}</text>']
    for number, target in enumerate(targets):
        costs = [r.cost_us for r in one.rounds[target]]
        y = top + number * ROW
        least, middle, highest = (v / most * BAR for v in (min(costs), statistics.median(costs), max(costs)))
        drawn += [
            f'<text x="{LABEL - 8}" y="{y + 13}" text-anchor="end">{escape(target)}</text>',
            f'<rect x="{LABEL}" y="{y}" width="{middle:.1f}" height="{ROW - 3}" fill="{COLOURS[target]}"/>',
            f'<line x1="{LABEL + least:.1f}" x2="{LABEL + highest:.1f}" '
            f'y1="{y + 9}" y2="{y + 9}" stroke="black"/>',
            f'<text x="{LABEL + BAR + 8}" y="{y + 13}">{statistics.median(costs):.1f}</text>',
        ]
    if aim := _aim(one):
        x = LABEL + aim / most * BAR
        drawn.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top - 3}" y2="{top + ROW * len(targets)}" '
            'stroke="#b03a2e" stroke-dasharray="3 3"/>'
        )
    return drawn
