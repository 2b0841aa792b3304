"""What is remembered of a load: its steps, and by blocks of these how far it rose after each.

What is not known is NaN. Nothing here says what load will do.
"""

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEAST_KNOWN = 0.5
"""Share of the steps of a horizon, or of a block, that must be known for it to count."""


class History:
    """The newest steps of a load, in blocks of ``per_block``: ``kept`` blocks, or a few more.

    Positions are steps since the start of the oldest block that is there.
    """

    def __init__(self, per_block: int, kept: int) -> None:
        self._per_block = per_block
        self._kept = kept
        # Room for twice what is kept: so the oldest rarely have to go.
        steps, blocks = 2 * kept * per_block, 2 * kept
        self.roots, self.levels = unknown(steps), unknown(steps)
        self.means, self.slows = unknown(steps), unknown(steps)
        self.last: int | None = None
        """Position of the last known load."""
        self.rises = np.full((blocks, per_block), np.nan)
        """By block, how far the load stood above the level of each step within the horizon after it."""
        self.plain = np.full((blocks, per_block), np.nan)
        """The same above the load itself."""
        self.risen = 0
        """Blocks whose rises are known, the oldest."""
        self.revision = 0
        """How often something was forgotten or has moved: what was learned before then counts no more."""
        self._typical = unknown(blocks)  # the mean of a block's rises
        self._horizon = 0
        self._first = 0  # block at position 0
        self._length = 0

    @property
    def start(self) -> int:
        """The step that is at position 0."""
        return self._first * self._per_block

    @property
    def block(self) -> int:
        """The block that the newest step is in."""
        return (self._length - 1) // self._per_block

    @property
    def highest(self) -> float:
        """The highest root of a load in the blocks before, as far as they are to be kept."""
        start = max(0, self.block - self._kept) * self._per_block
        return float(np.fmax.reduce(self.roots[start : self.block * self._per_block], initial=0.0))

    def advance(self, index: int) -> int:
        """Make room for the step ``index``, unknown as yet, as the newest one; return its position.

        What was noted for it or later ones is forgotten.
        """
        block = index // self._per_block
        position = index - self.start
        if not 0 <= position < self._length + self._kept * self._per_block:
            # Nothing that is known lies before it, or so near that it still counts.
            self._first, self._length, self.risen, self.last = block, 0, 0, None
            self.revision += 1
            position = index - self.start
        if position < self._length:
            self._forget(position)
        if position >= len(self.roots):
            position -= self._shift(block - self._first + 1 - self._kept)
        self.roots[self._length : position + 1] = np.nan
        self.levels[self._length : position + 1] = np.nan
        self._length = position + 1
        return position

    def measure(self, horizon: int) -> None:
        """Bring what is known of rises within so many steps up to the start of the present block.

        Of the present block nothing is used: what is measured depends on no later moment in it.
        """
        if horizon != self._horizon:
            self._horizon, self.risen = horizon, 0
        start, stop = self.risen, max(0, self.block * self._per_block - horizon) // self._per_block
        if stop <= start:
            return
        first, last = start * self._per_block, stop * self._per_block
        futures = sliding_window_view(self.roots[first + 1 : last + horizon], horizon)
        known = np.isfinite(futures).sum(axis=1) >= LEAST_KNOWN * horizon
        most = np.where(known, np.fmax.reduce(futures, axis=1), np.nan)
        self.rises[start:stop] = (most - self.levels[first:last]).reshape(-1, self._per_block)
        self.plain[start:stop] = (most - self.roots[first:last]).reshape(-1, self._per_block)
        self._typical[start:stop] = mean_of_known(self.rises[start:stop].T, LEAST_KNOWN * self._per_block)
        self.risen = stop

    def typical(self, start: int, stop: int) -> Floats:
        """Return the mean rise of each block from ``start`` to ``stop``, which may be any."""
        found = unknown(stop - start)
        low, high = max(start, 0), min(stop, self.risen)
        if low < high:
            found[low - start : high - start] = self._typical[low:high]
        return found

    def _forget(self, position: int) -> None:
        """Forget what is known of ``position`` and later."""
        known = np.flatnonzero(np.isfinite(self.levels[:position]))
        self.last = int(known[-1]) if known.size else None
        self._length = position
        self.risen = min(self.risen, max(0, position - self._horizon) // self._per_block)
        self.revision += 1

    def _shift(self, blocks: int) -> int:
        """Drop so many of the oldest blocks; return by how many steps positions move."""
        steps = blocks * self._per_block
        for series, by in (
            (self.roots, steps),
            (self.levels, steps),
            (self.means, steps),
            (self.slows, steps),
            (self.rises, blocks),
            (self.plain, blocks),
            (self._typical, blocks),
        ):
            series[: len(series) - by] = series[by:].copy()
        self._first += blocks
        self._length = max(0, self._length - steps)
        self.risen = max(0, self.risen - blocks)
        self.revision += 1
        if self.last is not None:
            self.last = self.last - steps if self.last >= steps else None
        return steps


def unknown(length: int) -> Floats:
    """Return so many values that are not known."""
    return np.full(length, np.nan)


def mean_of_known(rows: NDArray[Any], least: float) -> Floats:
    """Return the mean of each column's known values, NaN where fewer than ``least`` are known."""
    known = np.isfinite(rows)
    count = known.sum(axis=0)
    total = np.where(known, rows, 0.0).sum(axis=0)
    return np.where(count >= max(least, 1), total / np.maximum(count, 1), np.nan)
