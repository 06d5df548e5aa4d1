"""From raw values to the buckets of a histogram, chosen for the two pages on which TensorBoard draws them.

Pure arrays in and out. The record that holds the buckets is made in summaries.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tbbridge.model import Buckets, Float64s

# tensorboard/plugins/histogram/summary_v2.py: DEFAULT_BUCKET_COUNT; the Histograms page redraws in as many.
_EQUAL_WIDTH_BUCKETS: Final = 30
# tensorboard/plugins/distribution/compressor.py: NORMAL_HISTOGRAM_BPS without 0 and 10000, which are the two outer edges.
_BASIS_POINTS: Final = (668, 1587, 3085, 5000, 6915, 8413, 9332)
_LARGE: Final = 1e300
_POSITIONS: Final = np.arange(_EQUAL_WIDTH_BUCKETS + 1, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Binned:
    """The buckets of the finite values, and how many values were counted out because they are not."""

    buckets: Buckets
    nan: int
    infinite: int


def bucketize(values: Float64s) -> Binned:
    """Sort `values`, float64[n], into at most 44 buckets whose counts add up to the number of finite values.

    Two pages show the result, and each wants its own edges. Histograms redraws whatever it gets as 30 bars of equal width, so
    30 equal widths from the least to the greatest value, as TensorFlow writes them, lose nothing there. Distributions draws
    nine quantiles, interpolating inside the bucket in which each falls: one outlier stretches thirty equal buckets until all
    other values share one of them, and seven of the nine lines become fiction. So each of those seven quantiles also gets a
    bucket as narrow as float64 allows, just for the values equal to it; the lines are then exact, whatever the outliers and
    however many values are the same (the zeros behind a ReLU).

    The last bucket includes the maximum. All values equal: TensorFlow's form, 30 buckets with both edges at the value and
    everything counted in the last. No finite value: no buckets.
    """
    is_finite = np.isfinite(values)
    chosen, nan = values, 0
    if not is_finite.all():  # rare, and choosing costs as much as sorting
        chosen = values[is_finite]
        nan = int(np.isnan(values).sum())
    finite = np.sort(chosen)
    finite += 0.0  # -0.0 becomes 0.0: which of the two a sort puts first is not fixed
    return Binned(_buckets(finite), nan, len(values) - len(finite) - nan)


def _buckets(ordered: Float64s) -> Buckets:
    count = len(ordered)
    if count == 0:
        return Buckets(np.zeros(0), np.zeros(0), np.zeros(0))
    if ordered[0] == ordered[-1]:
        edges = np.full(_EQUAL_WIDTH_BUCKETS, ordered[0])
        counts = np.zeros(_EQUAL_WIDTH_BUCKETS)
        counts[-1] = count
        return Buckets(edges, edges.copy(), counts)
    edges = _edges(ordered)
    ends = np.empty(len(edges), np.intp)
    ends[:-1] = ordered.searchsorted(edges[:-1], side="left")
    ends[-1] = count
    return Buckets(edges[:-1], edges[1:], (ends[1:] - ends[:-1]).astype(np.float64))


def _edges(ordered: Float64s) -> Float64s:
    least, greatest = ordered[0], ordered[-1]
    # The value at which the cumulated count passes the basis point, as the page interpolates. Integers: n * p is then exact.
    quantiles = ordered[[len(ordered) * basis_point // 10_000 for basis_point in _BASIS_POINTS]]
    # A bucket just for the values equal to the quantile: [q, next number after q), and for the maximum (number before q, q].
    other_sides = np.nextafter(
        quantiles, np.inf if quantiles[-1] < greatest else np.where(quantiles < greatest, np.inf, -np.inf)
    )
    edges = np.concatenate((_equal_widths(least, greatest), quantiles, other_sides))
    np.minimum(np.maximum(edges, least, out=edges), greatest, out=edges)
    edges.sort()
    is_new = np.ones(len(edges), np.bool_)
    np.not_equal(edges[1:], edges[:-1], out=is_new[1:])
    return edges[is_new] + 0.0


def _equal_widths(least: np.float64, greatest: np.float64) -> Float64s:
    """The edges of buckets of equal width: numpy.linspace, whose own preparations take longer than the numbers."""
    if max(abs(least), abs(greatest)) > _LARGE:
        # greatest - least may exceed float64, so large numbers are quartered in between; for them that is exact.
        return np.linspace(least * 0.25, greatest * 0.25, _EQUAL_WIDTH_BUCKETS + 1) / 0.25
    width = (greatest - least) / _EQUAL_WIDTH_BUCKETS
    if width == 0:  # neighbours among the smallest numbers there are
        return np.linspace(least, greatest, _EQUAL_WIDTH_BUCKETS + 1)
    edges = _POSITIONS * width
    edges += least
    edges[-1] = greatest
    return edges
