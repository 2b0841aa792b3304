"""Traces of requests: counts a bin, or one request a row."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

BINS = ("bin_start_utc", "requests")
REQUESTS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
MOST_A_BIN = 10_000_000
MOST_TOKENS = 10_000_000
MOST_DAYS = 31
MOST_REQUESTS = 50_000_000
SIDE = 30
"""Bins on either side of a gap whose mean bridges it."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


class TraceError(Exception):
    """A trace that cannot be read, with file, line, column and value, and what would be right."""


@dataclass(frozen=True)
class Requests:
    """A trace with one request a row."""

    start: float
    """Time of the first one, seconds since 1970."""
    at: Floats
    """When each came, seconds after the first."""
    context: Integers
    """Tokens of its prompt."""
    generated: Integers
    """Tokens of its answer."""


@dataclass(frozen=True)
class Bins:
    """A trace of counts. A bin that the trace lacks is bridged, so that a load is there, and is not known."""

    start: float
    """When the first bin starts, seconds since 1970."""
    width_s: float
    counts: Integers
    known: Flags
    """Which bins the trace has."""


def read(path: Path) -> Bins | Requests:
    """Return a trace.

    Raises:
        TraceError: if it has other columns than those of a trace, or a value that makes no sense.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            header = tuple(name.strip() for name in next(rows, []))
            for columns in (BINS, REQUESTS):
                if set(columns) <= set(header):
                    places = [header.index(column) for column in columns]
                    shape = np.dtype((np.float64, 1 + len(columns)))
                    table: Floats = np.fromiter(_values(path, rows, columns, places), shape)
                    break
            else:
                raise TraceError(
                    f"{path}, line 1: columns {', '.join(header) or '(none)'}: a trace has either "
                    f"{', '.join(BINS)} or {', '.join(REQUESTS)}"
                )
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror}") from None
    except csv.Error as error:
        raise TraceError(f"{path}, line {rows.line_num}: {error}: is a quotation mark not closed?") from None
    except UnicodeDecodeError as error:
        raise TraceError(f"{path}: not a text in UTF-8: {error.reason} at byte {error.start}") from None
    if len(table) < 2:
        raise TraceError(f"{path}: {len(table)} rows: a trace has at least two")
    return _bins(path, table) if columns == BINS else _requests(path, table)


def _values(
    path: Path, rows: Iterator[Sequence[str]], columns: Sequence[str], places: Sequence[int]
) -> Iterator[tuple[float, ...]]:
    """Yield each row: its line, its time, and whole numbers."""
    for line, row in enumerate(rows, start=2):
        if not any(row):
            continue
        if len(row) <= max(places):
            raise TraceError(f"{path}, line {line}: {len(row)} columns, {', '.join(columns)} were announced")
        when, *numbers = (row[place].strip() for place in places)
        most = MOST_A_BIN if len(columns) == len(BINS) else MOST_TOKENS
        yield (
            line,
            _time(f"{path}, line {line}, column {columns[0]}", when),
            *(
                _count(f"{path}, line {line}, column {name}", number, most)
                for name, number in zip(columns[1:], numbers, strict=True)
            ),
        )


def _time(where: str, text: str) -> float:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise TraceError(f"{where}: {text!r}: a time in UTC is written 2024-05-10 00:00:00") from None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _count(where: str, text: str, most: int) -> int:
    try:
        number = float(text)
        count = int(number)
    except (ValueError, OverflowError):
        raise TraceError(f"{where}: {text!r}: a whole number is wanted") from None
    if count != number or not 0 <= count <= most:
        raise TraceError(f"{where}: {text!r}: a whole number from 0 to {most} is wanted")
    return count


def _bins(path: Path, table: Floats) -> Bins:
    lines, times, counts = table.T
    steps = np.diff(times)
    if (late := np.flatnonzero(steps <= 0)).size:
        line, when = int(lines[late[0] + 1]), datetime.fromtimestamp(times[late[0] + 1], UTC)
        raise TraceError(
            f"{path}, line {line}, column {BINS[0]}: {when:%Y-%m-%d %H:%M:%S} is not after the line before: "
            "each bin comes once, in the order of time"
        )
    _short_enough(path, times)
    if counts.sum() > MOST_REQUESTS:
        raise TraceError(
            f"{path}: {counts.sum():,.0f} requests: a trace has at most {MOST_REQUESTS:,}; "
            "replay a part of it"
        )
    width = float(np.median(steps))
    places = (times - times[0]) / width
    if (odd := np.flatnonzero(np.abs(places - np.rint(places)) > 0.01)).size:
        line, when = int(lines[odd[0]]), datetime.fromtimestamp(times[odd[0]], UTC)
        raise TraceError(
            f"{path}, line {line}, column {BINS[0]}: {when:%Y-%m-%d %H:%M:%S.%f}: most bins are "
            f"{width:g} s wide, and this one does not start at a multiple of that after the first"
        )
    known_at = np.rint(places).astype(np.int64)
    known = np.zeros(known_at[-1] + 1, dtype=np.bool_)
    known[known_at] = True
    all_counts = np.interp(np.arange(known.size), known_at, _smooth(counts))
    all_counts[known_at] = counts
    return Bins(float(times[0]), width, np.rint(all_counts).astype(np.int64), known)


def _short_enough(path: Path, times: Floats) -> None:
    first, last = (datetime.fromtimestamp(time, UTC) for time in (times[0], times[-1]))
    if (days := (last - first).days) >= MOST_DAYS:
        raise TraceError(
            f"{path}: from {first:%Y-%m-%d} to {last:%Y-%m-%d} are {days:,} days: a trace has at most "
            f"{MOST_DAYS}; replay a part of it, or mend a time that is mistyped"
        )


def _smooth(counts: Floats) -> Floats:
    """Return each bin's mean with its neighbours: a gap is bridged between levels, not between two bins."""
    window = min(SIDE, counts.size)
    return np.convolve(counts, np.ones(window), "same") / np.convolve(
        np.ones(counts.size), np.ones(window), "same"
    )


def _requests(path: Path, table: Floats) -> Requests:
    lines, times, context, generated = table.T
    if (early := np.flatnonzero(np.diff(times) < 0)).size:
        line, when = int(lines[early[0] + 1]), datetime.fromtimestamp(times[early[0] + 1], UTC)
        raise TraceError(
            f"{path}, line {line}, column {REQUESTS[0]}: {when:%Y-%m-%d %H:%M:%S.%f} is before the line "
            "before: requests come in the order of time"
        )
    _short_enough(path, times)
    return Requests(float(times[0]), times - times[0], context.astype(np.int64), generated.astype(np.int64))
