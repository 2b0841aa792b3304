"""The timeline of a report: panels of lines and areas over one axis of time, as SVG that the page colours."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape

WIDTH, HEIGHT, LEFT, RIGHT, GAP, HEAD, FOOT = 1000, 112, 44, 12, 44, 34, 12
LEVELS = 3
"""Lines on which the numbers of marks stand, so that neighbours do not hide each other."""
TICKS = (10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
MOST_TICKS = 12
ROUND = (1, 2, 4, 5, 8, 10)


@dataclass(frozen=True)
class Series:
    """Values over time."""

    label: str
    points: Sequence[tuple[float, float]]
    look: str
    """Class of the page's style sheet that colours it: ``c1`` to ``c6``, ``load``, ``most``."""
    stacked: bool = False
    """Whether it is an area upon the ones before it."""


@dataclass(frozen=True)
class Panel:
    """A diagram."""

    title: str
    series: Sequence[Series]


@dataclass(frozen=True)
class Mark:
    """Something that happened."""

    at: float
    number: int
    failed: bool = False


def draw(panels: Sequence[Panel], marks: Sequence[Mark], until: float) -> Markup:
    """Return all panels, one below the other, with the marks across them."""
    height = HEAD + len(panels) * (HEIGHT + GAP) + FOOT
    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="Timeline of the rehearsal">']
    bottom = height - FOOT - 12
    for mark, level in zip(marks, _levels(marks, until), strict=True):
        x = _x(mark.at, until)
        parts.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{18 + 14 * level}" y2="{bottom}"/>')
        look = "number failed" if mark.failed else "number"
        parts.append(f'<text class="{look}" x="{x:.1f}" y="{14 + 14 * level}">{mark.number}</text>')
    for index, panel in enumerate(panels):
        parts += _panel(panel, HEAD + index * (HEIGHT + GAP) + GAP - 12, until)
    return Markup("".join([*parts, "</svg>"]))  # noqa: S704 - every text in it is escaped


def _panel(panel: Panel, top: float, until: float) -> list[str]:
    stacks = _stacked(panel.series)
    most = _rounded(max((high for _, band in stacks for _, _, high in band), default=1.0))
    bottom = top + HEIGHT

    def y(value: float) -> float:
        return bottom - HEIGHT * value / most

    parts = [f'<text class="title" x="{LEFT}" y="{top - 8}">{escape(panel.title)}</text>']
    for part in (0.0, 0.5, 1.0):
        level, label = y(most * part), f"{most * part:g}"
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{level:.1f}" y2="{level:.1f}"/>'
        )
        parts.append(f'<text class="tick left" x="{LEFT - 6}" y="{level + 4:.1f}">{label}</text>')
    step = next((step for step in TICKS if until / step <= MOST_TICKS), TICKS[-1])
    for second in range(0, int(until) + 1, step):
        x = _x(second, until)
        parts.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 15}">{clock(second)}</text>')
    for series, band in stacks:
        parts.append(_shape(series, [(_x(at, until), y(low), y(high)) for at, low, high in band]))
    return parts + _legend(panel.series, top - 8)


def _shape(series: Series, band: Sequence[tuple[float, float, float]]) -> str:
    upper = _steps([(x, high) for x, _, high in band])
    if series.stacked:
        lower = _steps([(x, low) for x, low, _ in band])
        return f'<polygon class="area {series.look}" points="{_points([*upper, *reversed(lower)])}"/>'
    return f'<polyline class="line {series.look}" points="{_points(upper)}"/>'


def _legend(series: Sequence[Series], y: float) -> list[str]:
    parts, x = [], float(WIDTH - RIGHT)
    for one in reversed(series):
        x -= 7.2 * len(one.label) + 26
        shape = (
            f'<rect class="area {one.look}" x="{x}" y="{y - 9}" width="14" height="9"/>'
            if one.stacked
            else f'<line class="line {one.look}" x1="{x}" x2="{x + 14}" y1="{y - 4}" y2="{y - 4}"/>'
        )
        parts += [shape, f'<text class="key" x="{x + 19}" y="{y}">{escape(one.label)}</text>']
    return parts


def _stacked(series: Sequence[Series]) -> list[tuple[Series, list[tuple[float, float, float]]]]:
    """Return each series with its lower and upper bounds: those that are stacked stand on each other."""
    found, ground = [], dict[float, float]()
    for one in series:
        band = []
        for at, value in one.points:
            low = ground.get(at, 0.0) if one.stacked else 0.0
            band.append((at, low, low + value))
            if one.stacked:
                ground[at] = low + value
        found.append((one, band))
    return found


def _levels(marks: Sequence[Mark], until: float) -> list[int]:
    """Return on which line each mark's number stands: the first on which it hides none."""
    levels, ends = [], [-math.inf] * LEVELS
    for mark in marks:
        x = _x(mark.at, until)
        level = next((level for level, end in enumerate(ends) if x - end > 16), LEVELS - 1)
        ends[level] = x
        levels.append(level)
    return levels


def clock(seconds: float) -> str:
    """Return minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _x(at: float, until: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * min(at, until) / max(until, 1)


def _steps(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the corners of a line that keeps each value until the next."""
    corners = list(points[:1])
    for (_, before), (x, value) in pairwise(points):
        if value != before:
            corners += [(x, before), (x, value)]
    return [*corners, *points[-1:]]


def _points(corners: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)


def _rounded(value: float) -> float:
    """Return a round number that is no less."""
    size = 1.0
    while size * 10 < value:
        size *= 10
    while size >= value and size > 1e-3:
        size /= 10
    return next((factor * size for factor in ROUND if factor * size >= value), 10 * size)
