"""Thinning out a series: what must survive, and how many points may remain."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tbbridge import limits
from tbbridge.store.series import Series


def series_of(values) -> Series:
    steps = np.arange(len(values)) * 10
    return Series(steps, np.array(values, np.float64), steps.astype(np.float64))


@given(st.lists(st.floats(allow_nan=True, width=32), min_size=1, max_size=300), st.integers(2, 50))
def test_ends_and_extremes_survive_within_the_count(values, max_points):
    whole = series_of(values)
    thin = whole.downsampled(max_points)
    assert 1 <= len(thin) <= max(max_points, 1)
    assert (thin.steps[0], thin.steps[-1]) == (whole.steps[0], whole.steps[-1])
    assert np.array_equal(thin.values, whole.values[thin.steps // 10], equal_nan=True)
    assert (np.diff(thin.steps) > 0).all()
    finite = whole.values[~np.isnan(whole.values)]
    if max_points >= 6 and len(finite):
        assert (np.nanmin(thin.values), np.nanmax(thin.values)) == (finite.min(), finite.max())
    if max_points >= 6:
        assert np.isnan(thin.values).any() == np.isnan(whole.values).any()


@pytest.mark.parametrize("again", [False, True], ids=["at once", "what was thinned out before"])
def test_an_average_of_what_was_taken_evenly_is_that_of_all(again):
    """Of the lowest and the highest it would be their middle: here 2.2 for 1."""
    values = np.random.default_rng(5).exponential(size=100_000)
    thin = series_of(values).downsampled(20_000) if again else series_of(values)
    thin = thin.downsampled(1000)
    assert thin.sampled is not None
    taken = thin.values[thin.sampled]
    assert len(taken) > 250
    assert taken.mean() == pytest.approx(1, abs=4 / np.sqrt(len(taken)))
    assert thin.values.mean() > 1.8
    assert np.ptp(np.diff(np.flatnonzero(np.isin(values, taken)))) <= (30 if again else 0), "at equal distances"


@pytest.mark.parametrize("max_points", [2, 3])
def test_too_few_for_a_stretch_keeps_the_ends(max_points):
    assert series_of(range(100)).downsampled(max_points).steps.tolist() == [0, 990]


def test_few_points_are_left_as_they_are():
    whole = series_of([1, 2, 3])
    assert whole.downsampled(3) is whole


@pytest.mark.parametrize(
    ("low", "high", "kept"), [(None, None, 5), (20, None, 3), (None, 20, 3), (20, 20, 1), (21, 29, 0), (-(2**63), 2**63 - 1, 5)]
)
def test_bounds_are_inclusive(low, high, kept):
    assert len(series_of(range(5)).between(low, high)) == kept


@given(
    st.lists(st.sampled_from([-1.0, -0.0, 0.0, 2.0, float("nan"), float("inf"), -float("inf")]), min_size=4, max_size=200),
    st.integers(2, 60),
    st.integers(1, 50),
)
def test_stretches_in_blocks_are_thinned_as_one_by_one(values, max_points, block):
    """One by one is the plain way, and takes ten seconds for the most points that may be asked for."""
    whole = series_of(values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "DOWNSAMPLE_BLOCK_POINTS", block)
        thin = whole.downsampled(max_points)
    if len(whole) <= max_points:
        assert thin is whole
        return
    chosen = {0, len(whole) - 1}
    stretches = (max_points - 2) // (4 if np.isnan(whole.values[1:-1]).any() else 3)
    edges = np.linspace(0, len(whole) - 2, stretches + 1).astype(int) + 1
    if stretches:
        chosen |= {*range(0, len(whole), -(-len(whole) // stretches))}
    for start, end in pairwise(edges.tolist()):
        stretch = whole.values[start:end]
        chosen |= {start + int(place) for place in np.flatnonzero(np.isnan(stretch))[:1]}
        chosen.add(start + int(np.where(np.isnan(stretch), np.inf, stretch).argmin()))
        chosen.add(start + int(np.where(np.isnan(stretch), -np.inf, stretch).argmax()))
    assert (thin.steps // 10).tolist() == sorted(chosen)
