"""Buckets: nothing is lost or counted twice, and both of TensorBoard's pages draw from them what the values say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tensorboard.plugins.distribution import compressor
from tensorboard.plugins.histogram import summary_v2
from tensorboard.util import tensor_util

from tbbridge.events.histograms import bucketize
from tbbridge.model import Buckets

LARGEST = float(np.finfo(np.float64).max)
INNER_BASIS_POINTS = compressor.NORMAL_HISTOGRAM_BPS[1:-1]


def rows(buckets: Buckets) -> NDArray[np.float64]:
    return np.column_stack((buckets.lefts, buckets.rights, buckets.counts))


def drawn_quantiles(buckets: Buckets) -> NDArray[np.float64]:
    """The seven inner lines of the Distributions page, as TensorBoard's own code computes them."""
    return np.array([value for _, value in compressor.compress_histogram(rows(buckets))[1:-1]])


@given(st.lists(st.floats(), max_size=60))
@example([-LARGEST, LARGEST])
@example([5e-324, 1e-323, 0.0, -5e-324])
@example([1.0, float(np.nextafter(1, 2))])
@example([0.0, -0.0])
@example([LARGEST] * 3)
@example([-LARGEST, -LARGEST, 1.0, float("nan"), float("inf"), float("-inf")])
def test_every_finite_value_is_counted_once_where_it_lies(given_values: list[float]) -> None:
    values = np.array(given_values, np.float64)
    binned = bucketize(values)
    buckets = binned.buckets  # its own checks say that edges are finite and do not overlap

    finite = values[np.isfinite(values)]
    assert binned.nan == np.isnan(values).sum()
    assert binned.infinite == np.isinf(values).sum()
    assert buckets.counts.sum() == len(finite)
    if len(finite) == 0:
        assert rows(buckets).shape == (0, 3)
    elif finite.min() != finite.max():
        assert (buckets.lefts < buckets.rights).all()
        assert (buckets.lefts[1:] == buckets.rights[:-1]).all()
        assert (buckets.lefts[0], buckets.rights[-1]) == (finite.min(), finite.max())
        inside = (finite >= buckets.lefts[:, None]) & (finite < buckets.rights[:, None])
        inside[-1] |= finite == buckets.rights[-1]
        assert (inside.sum(axis=1) == buckets.counts).all()


def test_all_equal_values_take_tensorflows_form() -> None:
    ours = rows(bucketize(np.full(7, 2.5)).buckets)
    theirs = summary_v2.histogram_pb("h", np.full(7, 2.5)).value[0].tensor
    assert (ours == tensor_util.make_ndarray(theirs)).all()


def test_equal_width_edges_are_tensorflows() -> None:
    """All of its edges are among ours, so its bars can be made from our buckets by adding."""
    values = np.random.default_rng(3).normal(size=5000)
    buckets = bucketize(values).buckets
    theirs = tensor_util.make_ndarray(summary_v2.histogram_pb("h", values).value[0].tensor)
    assert np.isin(theirs[:, 0], buckets.lefts).all()
    bars = np.add.reduceat(buckets.counts, np.searchsorted(buckets.lefts, theirs[:, 0]))
    # TensorFlow finds a value's bar by division, we by comparing with the edges: a value on an edge may differ by one bar.
    assert np.abs(bars - theirs[:, 2]).max() <= 1


NORMAL = np.random.default_rng(4).normal(size=9_999)
WITH_OUTLIERS = {
    "one far above": np.append(NORMAL, 1e6),
    "one far below": np.append(NORMAL, -1e6),
    "both ends": np.concatenate([NORMAL, [-1e9, 1e9]]),
    "few values": np.append(NORMAL[:30], 1e6),
    "a ReLU's zeros": np.append(np.maximum(NORMAL, 0.0), 1e6),
    "only two numbers": np.append(np.repeat([0.0, 1.0], [400, 600]), 1e6),
}


@pytest.mark.parametrize("values", WITH_OUTLIERS.values(), ids=WITH_OUTLIERS.keys())
def test_outliers_do_not_smear_the_distributions_page(values: NDArray[np.float64]) -> None:
    """Its lines are values of the data; from thirty equal widths alone they are off by thousands."""
    ordered = np.sort(values)
    expected = np.array([ordered[len(ordered) * basis_point // 10_000] for basis_point in INNER_BASIS_POINTS])
    edges = np.linspace(ordered[0], ordered[-1], 31)
    plain = Buckets(edges[:-1], edges[1:], np.histogram(values, edges)[0].astype(np.float64))

    assert drawn_quantiles(bucketize(values).buckets) == pytest.approx(expected, abs=1e-5)
    assert np.abs(drawn_quantiles(plain) - expected).max() > 1_000


def test_without_outliers_the_lines_are_numpys_quantiles() -> None:
    lines = drawn_quantiles(bucketize(NORMAL).buckets)
    quantiles = np.quantile(NORMAL, np.array(INNER_BASIS_POINTS) / 10_000, method="inverted_cdf")
    assert lines == pytest.approx(quantiles, abs=1e-9)
