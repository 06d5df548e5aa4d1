"""How numbers are distributed, counted here or elsewhere, as the buckets that TensorBoard draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tbbridge import limits
from tbbridge.arrays import Float64s
from tbbridge.convert.arrays import as_numbers, described
from tbbridge.convert.numbers import as_float
from tbbridge.convert.tags import checked_tag
from tbbridge.errors import InvalidItem
from tbbridge.events.histograms import bucketize
from tbbridge.kinds import Buckets, Histogram

# HistogramProto as a dictionary: min, max, num, sum, sum_squares, bucket_limit, bucket.
HistogramDict: TypeAlias = Mapping[str, float | Sequence[float] | NDArray[np.float64]]

_HISTO_KEYS: Final = ("min", "max", "bucket_limit", "bucket")
_BINS: Final = ("auto", "fd", "doane", "scott", "stone", "rice", "sturges", "sqrt")


def histogram(
    tag: str, values: object, bins: str | int | Sequence[float] = "tensorflow", max_bins: int | None = None
) -> Histogram:
    """How numbers are distributed. NaN and infinities are left out.

    `bins` is "tensorflow" for the buckets that TensorBoard's pages draw exactly (events/histograms.py), or what
    numpy.histogram takes: a rule's name, a number of bins, or their edges. `max_bins` joins neighbours beyond it.
    """
    name = checked_tag(tag)
    what = f"the histogram of tag {tag!a}"
    numbers = as_numbers(values, what).astype(np.float64).ravel()
    if isinstance(bins, str) and bins == "tensorflow" and max_bins is None:
        return Histogram(name, buckets=bucketize(numbers).buckets)
    finite = numbers[np.isfinite(numbers)]
    if isinstance(bins, str) and bins not in ("tensorflow", *_BINS):
        message = f"bins of {what} is {bins!a}; give 'tensorflow', one of {', '.join(_BINS)}, a number or the edges"
        raise InvalidItem("bins", message, "bins")
    try:
        chosen = 30 if isinstance(bins, str) and bins == "tensorflow" else bins
        if isinstance(chosen, int) and chosen > limits.HISTOGRAM_MAX_BUCKETS:
            raise ValueError(f"{chosen} are more than {limits.HISTOGRAM_MAX_BUCKETS}")  # noqa: TRY301 - told with the others
        counts, edges = np.histogram(finite, bins=chosen)
    except (ValueError, TypeError, MemoryError) as error:
        message = f"bins of {what} cannot be used ({error}); give a number from 1 up, or ascending edges"
        raise InvalidItem("bins", message, "bins") from None
    return Histogram(name, buckets=_occupied(*_joined(counts, edges.astype(np.float64), max_bins, what)))


def _joined(counts: NDArray[Any], edges: Float64s, max_bins: int | None, what: str) -> tuple[NDArray[Any], Float64s]:
    """Neighbouring bins added up, so that at most `max_bins` are left, and no more than one histogram may have."""
    if max_bins is not None and max_bins < 1:
        raise InvalidItem("bins", f"max_bins of {what} is {max_bins}; give 1 or more", "max_bins")
    most = min(max_bins or limits.HISTOGRAM_MAX_BUCKETS, limits.HISTOGRAM_MAX_BUCKETS)
    if len(counts) <= most:
        return counts, edges
    together = -(-len(counts) // most)
    firsts = np.arange(0, len(counts), together)
    return np.add.reduceat(counts, firsts), np.append(edges[firsts], edges[-1])


def _occupied(counts: NDArray[Any], edges: Float64s) -> Buckets:
    """Without the empty buckets at both ends, which would flatten the chart."""
    used = np.flatnonzero(counts)
    if len(used) == 0:
        return Buckets(np.zeros(0), np.zeros(0), np.zeros(0))
    first, end = int(used[0]), int(used[-1]) + 1
    return Buckets(edges[first:end], edges[first + 1 : end + 1], counts[first:end].astype(np.float64))


def histogram_raw(
    tag: str,
    min: object,  # noqa: A002 - tensorboardX's names
    max: object,  # noqa: A002
    num: object,
    sum: object,  # noqa: A002
    sum_squares: object,
    bucket_limits: object,
    bucket_counts: object,
) -> Histogram:
    """A histogram counted elsewhere, as TensorFlow's HistogramProto has it; num, sum and sum_squares are not shown anywhere."""
    del num, sum, sum_squares
    histo: dict[str, Any] = {"min": min, "max": max, "bucket_limit": bucket_limits, "bucket": bucket_counts}
    return Histogram(checked_tag(tag), buckets=as_buckets(histo, tag))


def as_buckets(histo: Buckets | HistogramDict, tag: object) -> Buckets:
    """A HistogramProto dictionary as buckets: each starts at the limit before it, the first at `min`, the last ends at `max`.

    Empty buckets at both ends are dropped: TensorFlow's own reach to the largest double and would flatten every chart.
    """
    if isinstance(histo, Buckets):
        return histo
    if not isinstance(histo, Mapping):
        raise InvalidItem("histogram", f"histo of tag {tag!a} is {described(histo)}; give a HistogramProto dictionary", "histo")
    missing = [key for key in _HISTO_KEYS if histo.get(key) is None]
    if missing:
        message = f"histo of tag {tag!a} lacks {', '.join(missing)}; it needs {', '.join(_HISTO_KEYS)}"
        raise InvalidItem("histogram", message, "histo")
    limits, counts = (
        as_numbers(histo[key], f"{key} in histo of tag {tag!a}").astype(np.float64).ravel()
        for key in ("bucket_limit", "bucket")
    )
    if len(limits) != len(counts):
        message = f"histo of tag {tag!a} has {len(limits)} bucket_limit for {len(counts)} bucket; give one limit a bucket"
        raise InvalidItem("length", message, "histo")
    occupied = np.flatnonzero(counts)
    if len(occupied) == 0:
        nothing = np.empty(0)
        return Buckets(nothing, nothing, nothing)
    first, last = int(occupied[0]), int(occupied[-1])
    low, high = (as_float(histo[key], tag) for key in ("min", "max"))
    rights = limits[first : last + 1].copy()
    # An edge that contradicts the limits is not believed: the buckets would overlap or run backwards.
    lefts = np.concatenate(([limits[first - 1] if first else min(low, rights[0])], rights[:-1]))
    if lefts[0] <= low <= rights[0]:
        lefts[0] = low
    if lefts[-1] <= high <= rights[-1]:
        rights[-1] = high
    return Buckets(lefts, rights, counts[first : last + 1].copy())
