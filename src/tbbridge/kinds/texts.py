"""Texts and histograms: the kinds that were there first."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from tbbridge import limits
from tbbridge.arrays import Float64s
from tbbridge.errors import InvalidItem
from tbbridge.kinds.shared import check_summary
from tbbridge.names import TagName, utf8_length


@dataclass(frozen=True, slots=True)
class Buckets:
    """A histogram ready to be drawn: float64[k] each; bucket i counts the values in [lefts[i], rights[i]). k may be 0.

    Edges are finite and do not descend, counts are finite and not negative. It is what TensorBoard's tensor form holds
    (tensorboard/plugins/histogram/summary_v2.py: rows of left edge, right edge, count).
    """

    lefts: Float64s
    rights: Float64s
    counts: Float64s

    def __post_init__(self) -> None:
        if not len(self.lefts) == len(self.rights) == len(self.counts):
            sizes = f"{len(self.lefts)} left edges, {len(self.rights)} right edges and {len(self.counts)} counts"
            raise InvalidItem("length", f"{sizes}; a histogram has one of each for every bucket", "buckets")
        if len(self.counts) > limits.HISTOGRAM_MAX_BUCKETS:
            message = f"{len(self.counts)} buckets, at most {limits.HISTOGRAM_MAX_BUCKETS} are taken; merge neighbours"
            raise InvalidItem("too-many", message, "buckets")
        if len(self.counts) == 0:
            return
        if not (np.isfinite(self.lefts).all() and np.isfinite(self.rights).all()):
            raise InvalidItem("bucket", "a bucket's edge is NaN or infinite; edges are finite numbers", "buckets")
        if (self.rights < self.lefts).any() or (self.lefts[1:] < self.rights[:-1]).any():
            raise InvalidItem("bucket", "bucket edges descend or overlap; sort the buckets by their left edge", "buckets")
        if not (np.isfinite(self.counts).all() and (self.counts >= 0).all()):
            raise InvalidItem(
                "bucket", "a bucket's count is negative, NaN or infinite; counts are numbers from 0 up", "buckets"
            )


@dataclass(frozen=True, slots=True)
class Text:
    """One text, Markdown, as TensorBoard's Text page shows it."""

    tag: TagName
    text: str
    step: int | None = None
    wall_time: float | None = None
    display_name: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        check_summary(self)
        size = utf8_length(self.text, "the text", "text")
        if size > limits.TEXT_MAX_BYTES:
            raise InvalidItem(
                "too-large", f"the text has {size} bytes, at most {limits.TEXT_MAX_BYTES} are taken; shorten it", "text"
            )

    @property
    def size_bytes(self) -> int:
        """About what the payload occupies in memory."""
        return sys.getsizeof(self.text)


@dataclass(frozen=True, slots=True)
class Histogram:
    """One histogram: either raw `values`, float64[n] (NaN and infinities are counted out and reported), or ready `buckets`."""

    tag: TagName
    values: Float64s | None = None
    buckets: Buckets | None = None
    step: int | None = None
    wall_time: float | None = None
    display_name: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        check_summary(self)
        if (self.values is None) == (self.buckets is None):
            raise InvalidItem("histogram", "a histogram has either values or buckets; send exactly one of the two", "values")
        if self.values is not None and len(self.values) > limits.HISTOGRAM_MAX_VALUES:
            message = f"{len(self.values)} values, at most {limits.HISTOGRAM_MAX_VALUES} are taken; send buckets instead"
            raise InvalidItem("too-large", message, "values")

    @property
    def size_bytes(self) -> int:
        """About what the payload occupies in memory."""
        if self.buckets is not None:
            return 24 * len(self.buckets.counts)
        return 0 if self.values is None else self.values.nbytes
