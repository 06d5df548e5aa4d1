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
    firsts = np.searchsorted(ordered, edges[:-1], side="left")
    counts = np.diff(firsts, append=count).astype(np.float64)
    return Buckets(edges[:-1], edges[1:], counts)


def _edges(ordered: Float64s) -> Float64s:
    least, greatest = ordered[0], ordered[-1]
    # greatest - least may exceed float64, so large numbers are quartered in between; for them that is exact.
    scale = 0.25 if max(abs(least), abs(greatest)) > _LARGE else 1.0
    equal_widths = np.linspace(least * scale, greatest * scale, _EQUAL_WIDTH_BUCKETS + 1) / scale
    # The value at which the cumulated count passes the basis point, as the page interpolates. Integers: n * p is then exact.
    quantiles = ordered[[len(ordered) * basis_point // 10_000 for basis_point in _BASIS_POINTS]]
    # A bucket just for the values equal to the quantile: [q, next number after q), and for the maximum (number before q, q].
    other_sides = np.nextafter(quantiles, np.where(quantiles < greatest, np.inf, -np.inf))
    edges = np.unique(np.concatenate([equal_widths, quantiles, other_sides]).clip(least, greatest))
    return edges + 0.0
