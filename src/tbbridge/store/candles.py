"""Many points as candlesticks: for each bin of steps the lowest, the highest and the quartiles, all exact.

Bins divide the range of the steps evenly, as pastalog's viewer does, so they are as wide as they look; those without points are
left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tbbridge.model import Float64s, Int64s
from tbbridge.store.series import Series


@dataclass(frozen=True, slots=True)
class Candlesticks:
    """One element a bin: int64[n] steps and counts, float64[n] values.

    `counts` are the points that are numbers, `nans` those that are not; a bin without numbers has NaN in every value.
    Quartiles between two points are interpolated linearly, as numpy.quantile does unless told otherwise.
    """

    first_steps: Int64s
    last_steps: Int64s
    counts: Int64s
    nans: Int64s
    min: Float64s
    q1: Float64s
    median: Float64s
    q3: Float64s
    max: Float64s

    def __len__(self) -> int:
        return len(self.counts)


def candlesticks(series: Series, bins: int) -> Candlesticks:
    """`series` in at most `bins` bins of equal width between its lowest and highest step; steps may be in any order."""
    steps, values = series.steps, series.values.copy()
    if (steps[1:] < steps[:-1]).any():
        order = np.argsort(steps, kind="stable")
        steps, values = steps[order], values[order]
    bounds = _bounds(steps, bins)
    starts, ends = bounds[:-1], bounds[1:]
    filled = ends > starts
    starts, ends = starts[filled], ends[filled]
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        values[start:end].sort()  # in place; NaN goes to the end
    nans = np.zeros(len(starts), np.int64)
    if len(values):
        nans = np.add.reduceat(np.isnan(values), starts, dtype=np.int64)
    counts = ends - starts - nans
    return Candlesticks(
        steps[starts],
        steps[ends - 1],
        counts,
        nans,
        values[starts],  # NaN if there is nothing else
        _quantile(values, starts, counts, 0.25),
        _quantile(values, starts, counts, 0.5),
        _quantile(values, starts, counts, 0.75),
        values[starts + np.maximum(counts - 1, 0)],
    )


def _bounds(steps: Int64s, bins: int) -> Int64s:
    """Where each bin of the sorted `steps` begins, and the end of the last."""
    if len(steps) == 0:
        return np.zeros(1, np.int64)
    first, width = int(steps[0]), int(steps[-1]) - int(steps[0]) + 1
    # In Python's integers: the range of steps may exceed 64 bits. Rounded up, so that no bin gets a step below its edge.
    edges = np.array([first - (-number * width // bins) for number in range(1, bins)], np.int64)
    return np.concatenate(([0], np.searchsorted(steps, edges), [len(steps)])).astype(np.int64)


def _quantile(values: Float64s, starts: Int64s, counts: Int64s, portion: float) -> Float64s:
    """The quantile of each bin, whose `counts` numbers stand sorted from `starts` on."""
    places = portion * np.maximum(counts - 1, 0)
    below = places.astype(np.int64)
    part = places - below
    low = values[starts + below]
    high = values[starts + np.minimum(below + 1, np.maximum(counts - 1, 0))]
    with np.errstate(invalid="ignore"):  # halfway from -Infinity to Infinity there is no number
        between = np.where(np.isfinite(low) & np.isfinite(high), low + (high - low) * part, low * (1 - part) + high * part)
    found: Float64s = np.where((part == 0) | (low == high), low, between)
    return found
