"""Candlesticks: exact, in even bins of the steps, whatever the values and the order of the steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tbbridge.store.candles import candlesticks
from tbbridge.store.series import Series

INF, NAN = float("inf"), float("nan")


def series_of(steps, values) -> Series:
    steps = np.array(steps, np.int64)
    return Series(steps, np.array(values, np.float64), np.zeros(len(steps)))


def one_by_one(steps, values, bins):
    """The plain way: each point into its bin by arithmetic on whole numbers, then numpy's quantiles."""
    low, width = min(steps), max(steps) - min(steps) + 1
    found = {}
    for step, value in zip(steps, values, strict=True):
        found.setdefault((step - low) * bins // width, []).append((step, value))
    rows = []
    for _, points in sorted(found.items()):
        numbers = np.array([value for _, value in points if value == value])
        quantiles = np.quantile(numbers, [0, 0.25, 0.5, 0.75, 1]) if len(numbers) else [NAN] * 5
        inside = [step for step, _ in points]
        rows.append((min(inside), max(inside), len(numbers), len(points) - len(numbers), *quantiles))
    return rows


STEPS = st.integers(-50, 50) | st.integers(-(2**63), 2**63 - 1)
VALUES = st.floats(-1e6, 1e6, width=32) | st.just(NAN)


@given(st.lists(st.tuples(STEPS, VALUES), min_size=1, max_size=80), st.integers(1, 40))
def test_bins_hold_what_the_plain_way_finds(points, bins):
    steps, values = zip(*points, strict=True)
    found = candlesticks(series_of(steps, values), bins)
    columns = (found.first_steps, found.last_steps, found.counts, found.nans)
    expected = one_by_one(steps, values, bins)
    assert [tuple(row) for row in zip(*(column.tolist() for column in columns), strict=True)] == [row[:4] for row in expected]
    numbers = np.array([found.min, found.q1, found.median, found.q3, found.max]).T
    assert np.allclose(numbers, [row[4:] for row in expected], rtol=1e-12, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, 3, 4, 5], (1, 2, 3, 4, 5)),
        ([5], (5, 5, 5, 5, 5)),
        ([INF, 1, -INF], (-INF, -INF, 1, INF, INF)),
        ([INF, INF, 2], (2, INF, INF, INF, INF)),
        ([NAN, NAN], (NAN, NAN, NAN, NAN, NAN)),
        ([NAN, 7], (7, 7, 7, 7, 7)),
    ],
)
def test_one_bin(values, expected):
    found = candlesticks(series_of(range(len(values)), values), 1)
    assert np.array_equal([found.min[0], found.q1[0], found.median[0], found.q3[0], found.max[0]], expected, equal_nan=True)
    assert found.nans[0] == sum(value != value for value in values)


def test_gaps_between_steps_are_no_bins():
    found = candlesticks(series_of([0, 1, 999], [1, 2, 3]), 100)
    assert (found.first_steps.tolist(), found.last_steps.tolist()) == ([0, 999], [1, 999])


def test_no_points_are_no_bins():
    assert len(candlesticks(series_of([], []), 10)) == 0


def test_the_series_is_left_as_it_was():
    series = series_of(range(5), [5, 4, 3, 2, 1])
    candlesticks(series, 1)
    assert series.values.tolist() == [5, 4, 3, 2, 1]
