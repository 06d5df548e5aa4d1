"""Curves and histograms have the numbers that tensorboardX computes; impossible ones are told."""

from __future__ import annotations

import numpy as np
import pytest
import tensorboardX.summary
import torch
from hypothesis import given
from hypothesis import strategies as st

from tbbridge import convert
from tbbridge.errors import InvalidItem
from tbbridge.events.histograms import bucketize

RANDOM = np.random.default_rng(0)


@given(
    st.lists(st.tuples(st.booleans(), st.floats(0, 1), st.floats(0, 10)), min_size=1, max_size=60),
    st.integers(2, 127),
)
def test_a_pr_curve_has_the_numbers_of_tensorboardx(items: list[tuple[bool, float, float]], count: int) -> None:
    labels, predictions, weights = (np.array(column) for column in zip(*items, strict=True))
    expected = tensorboardX.summary.compute_curve(labels, predictions, count, weights)
    np.testing.assert_allclose(convert.pr_curve("t", labels, predictions, count, weights).table, expected, atol=1e-9)


def test_tensors_and_lists_make_a_curve_and_more_than_127_thresholds_stay() -> None:
    labels, predictions = RANDOM.integers(0, 2, 50), RANDOM.random(50)
    made = convert.pr_curve("t", torch.tensor(labels), torch.tensor(predictions, requires_grad=True), 201)
    assert made.table.shape == (6, 201)
    assert np.array_equal(convert.pr_curve("t", labels.tolist(), predictions.tolist(), 201, 1.0).table, made.table)
    raw = convert.pr_curve_raw("t", *made.table)
    assert np.array_equal(raw.table, made.table)


@pytest.mark.parametrize(
    ("labels", "predictions", "given", "said"),
    [
        ([1, 0], [0.5], {}, "2 labels and 1 predictions"),
        ([], [], {}, "0 labels and 0 predictions"),
        ([2, 0], [0.5, 0.5], {}, "labels .* from 0 to 2; give 1 or True"),
        ([1, 0], [3.0, -1.0], {}, "predictions .* from -1 to 3; .*sigmoid"),
        ([1, 0], [np.nan, 0], {}, "predictions .* NaN"),
        ([1, 0], [0.5, 0.5], {"weights": [1, 2, 3]}, "weights .* 3 numbers for 2"),
        ([1, 0], [0.5, 0.5], {"weights": -1}, "from 0 up"),
        ([1, 0], [0.5, 0.5], {"num_thresholds": 1}, "is 1; give a whole number from 2 to"),
        ([1, 0], [0.5, 0.5], {"num_thresholds": 10**9}, "is 1000000000; give"),
        ([1, 0], [0.5, 0.5], {"num_thresholds": None}, "is None; give"),
    ],
)
def test_what_is_no_curve_is_told(labels: list[int], predictions: list[float], given: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidItem, match=said):
        convert.pr_curve("t", labels, predictions, **given)  # type: ignore[arg-type]


def test_counts_of_different_length_are_told_by_name() -> None:
    with pytest.raises(
        InvalidItem, match="3 true_positives, 3 false_positives, 3 true_negatives, 3 false_negatives, 2 precision"
    ):
        convert.pr_curve_raw("t", [1, 2, 3], [1, 2, 3], [1, 2, 3], [1, 2, 3], [1, 2], [1, 2, 3])


def test_the_default_bins_are_those_that_tensorboard_draws() -> None:
    values = RANDOM.normal(size=1000)
    made = convert.histogram("t", torch.tensor(values))
    expected = bucketize(values).buckets
    assert made.buckets is not None
    assert np.array_equal(made.buckets.counts, expected.counts)
    assert np.array_equal(made.buckets.lefts, expected.lefts)


@pytest.mark.parametrize("bins", ["auto", "fd", "sqrt", 7, [-1.0, 0.0, 0.5, 1.0]])
def test_other_bins_are_numpys_without_the_empty_ends(bins: str | int | list[float]) -> None:
    values = RANDOM.normal(size=1000)
    counts, edges = np.histogram(values, bins)
    made = convert.histogram("t", values, bins).buckets
    assert made is not None
    occupied = counts > 0
    first, end = occupied.argmax(), len(occupied) - occupied[::-1].argmax()
    assert made.counts.tolist() == counts[first:end].tolist()
    assert made.lefts.tolist() == edges[first:end].tolist()
    assert made.rights.tolist() == edges[first + 1 : end + 1].tolist()


@given(st.integers(1, 50), st.integers(1, 60))
def test_max_bins_joins_neighbours_and_loses_no_value(bins: int, most: int) -> None:
    values = np.linspace(-1, 3, 500)
    made = convert.histogram("t", values, bins, most).buckets
    assert made is not None
    assert len(made.counts) <= min(bins, most)
    assert (made.counts.sum(), made.lefts[0], made.rights[-1]) == (500, -1, 3)


def test_a_rule_that_makes_too_many_bins_has_them_joined() -> None:
    """One outlier, and the rule of Freedman and Diaconis cuts its long way to the rest into narrow bins."""
    values = np.append(np.linspace(0, 1, 1000), 500.0)
    assert len(np.histogram(values, "fd")[0]) > 4096
    made = convert.histogram("t", values, "fd").buckets
    assert made is not None
    assert made.counts.sum() == 1001
    assert len(made.counts) <= 4096


@pytest.mark.parametrize("bins", ["tensorflow", "auto", 3])
def test_values_that_no_bucket_holds_are_left_out(bins: str | int) -> None:
    made = convert.histogram("t", [np.nan, 1.0, np.inf, 2.0], bins).buckets
    assert made is not None
    assert made.counts.sum() == 2
    empty = convert.histogram("t", [], bins).buckets
    assert empty is not None
    assert len(empty.counts) == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"bins": "fine"}, "bins .* is 'fine'; give 'tensorflow', one of auto"),
        ({"bins": 10**9}, "1000000000 are more than 4096"),
        ({"bins": 0}, "give a number from 1 up"),
        ({"bins": [3, 1]}, "ascending edges"),
        ({"bins": 5, "max_bins": 0}, "max_bins .* is 0"),
    ],
)
def test_what_are_no_bins_is_told(given: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidItem, match=said):
        convert.histogram("t", [1.0, 2.0], **given)  # type: ignore[arg-type]


def test_a_histogram_counted_elsewhere_keeps_its_counts() -> None:
    made = convert.histogram_raw("t", -1, 5, 10, 3, 3, [0, 2, 6], [4, 5, 1]).buckets
    assert made is not None
    assert (made.lefts.tolist(), made.rights.tolist(), made.counts.tolist()) == ([-1, 0, 2], [0, 2, 5], [4, 5, 1])
