"""One tag's points read back, and how they are thinned out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbbridge import limits
from tbbridge.events.reader import Series as StoredSeries
from tbbridge.model import Float32s, Float64s, Int64s


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one scalar tag in the order in which they were written: int64[n], float64[n], float64[n] seconds since 1970.

    `sampled`, bool[n]: where points were left out, those that were taken evenly, whatever their value. The others are there
    because they are low or high, and would bend an average. None: nothing was left out.
    """

    steps: Int64s
    values: Float64s
    wall_times: Float64s
    sampled: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.values)

    def between(self, min_step: int | None, max_step: int | None) -> Series:
        """The points with min_step <= step <= max_step; None: no such bound."""
        if min_step is None and max_step is None:
            return self
        kept = np.ones(len(self), dtype=np.bool_)
        if min_step is not None:
            kept &= self.steps >= min_step
        if max_step is not None:
            kept &= self.steps <= max_step
        return self._at(kept)

    def below(self, step: int) -> Series:
        """The points before this step."""
        return self._at(self.steps < step)

    def downsampled(self, max_points: int) -> Series:
        """At most `max_points` (2 or more) points: the first, the last, and of equal stretches between the lowest, the highest,
        a NaN if there is any, and one that is taken whatever it is.

        So a spike and a NaN survive, which a mean or every n-th point would lose, and an average is still possible.
        """
        if len(self) <= max_points:
            return self
        inner = self.values[1:-1]
        nans = np.flatnonzero(np.isnan(inner))
        stretches = (max_points - 2) // (4 if len(nans) else 3)
        edges = np.linspace(0, len(inner), stretches + 1).astype(np.intp)
        even = self._evenly(stretches)
        chosen = [np.array([0, len(self) - 1]), even, *([1 + firsts(nans, edges)] if stretches else [])]
        together = max(1, limits.DOWNSAMPLE_BLOCK_POINTS * stretches // len(inner))
        for first in range(0, stretches, together):
            some = edges[first : first + together + 1]
            chosen.append(1 + some[0] + extremes(inner[some[0] : some[-1]], some[:-1] - some[0]))
        places = np.unique(np.concatenate(chosen))
        found = self._at(places)
        return Series(found.steps, found.values, found.wall_times, np.isin(places, even))

    def _evenly(self, most: int) -> NDArray[np.intp]:
        """Where about `most` points stand that are taken whatever their value, at equal distances."""
        samples = None if self.sampled is None else np.flatnonzero(self.sampled)
        count = len(self) if samples is None else len(samples)
        places = np.arange(0, count, -(-count // most)) if most and count else np.empty(0, np.intp)
        return places if samples is None else samples[places]

    def part(self, start: int, end: int) -> Series:
        """The points from position `start` up to `end`."""
        return self._at(slice(start, end))

    def owned(self) -> Series:
        """The same in arrays that are no part of larger ones."""
        if self.steps.base is None and self.values.base is None and self.wall_times.base is None:
            return self
        return Series(self.steps.copy(), self.values.copy(), self.wall_times.copy(), self.sampled)

    def _at(self, chosen: NDArray[Any] | slice) -> Series:
        sampled = None if self.sampled is None else self.sampled[chosen]
        return Series(self.steps[chosen], self.values[chosen], self.wall_times[chosen], sampled)


def widened(stored: StoredSeries) -> Series:
    """What a file holds, in the types that are handed on."""
    return Series(stored.steps, stored.values.astype(np.float64), stored.wall_times)


def joined(parts: Sequence[Series]) -> Series:
    """Series behind each other."""
    if len(parts) == 1:
        return parts[0]
    return Series(
        np.concatenate([np.empty(0, np.int64), *(part.steps for part in parts)]),
        np.concatenate([np.empty(0, np.float64), *(part.values for part in parts)]),
        np.concatenate([np.empty(0, np.float64), *(part.wall_times for part in parts)]),
        _joined_samples(parts) if any(part.sampled is not None for part in parts) else None,
    )


def _joined_samples(parts: Sequence[Series]) -> NDArray[np.bool_]:
    return np.concatenate([np.ones(len(part), np.bool_) if part.sampled is None else part.sampled for part in parts])


def firsts(places: NDArray[np.intp], edges: NDArray[np.intp]) -> NDArray[np.intp]:
    """Of ascending `places` the first in each stretch; a stretch goes from its edge to the next one."""
    if not len(places):
        return places
    return places[np.flatnonzero(np.diff(np.searchsorted(edges, places, side="right"), prepend=-1))]


def extremes(values: Float32s | Float64s, starts: NDArray[np.intp]) -> NDArray[np.intp]:
    """Where the lowest and the highest number of each stretch stand; a stretch goes from its start to the next one's."""
    both = [_lowest(np.where(np.isnan(numbers), np.inf, numbers), starts) for numbers in (values, -values)]
    return np.concatenate(both)


def _lowest(values: Float32s | Float64s, starts: NDArray[np.intp]) -> NDArray[np.intp]:
    """Where the lowest value (the first of several) of each stretch stands; a stretch goes from its start to the next one's."""
    lowest = np.minimum.reduceat(values, starts)
    places = np.flatnonzero(values == np.repeat(lowest, np.diff(starts, append=len(values))))
    found: NDArray[np.intp] = places[np.searchsorted(places, starts)]
    return found
