"""What users log, in whatever type they hold it; and the mistakes that are told at the call."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from tbbridge.client.values import as_array, as_buckets, as_float, as_step, as_wall_time
from tbbridge.errors import InvalidItem
from tbbridge.model import Buckets


class Tensor:
    """What torch and JAX tensors have in common; `shape` and `item` as theirs."""

    def __init__(self, *values: float) -> None:
        self.values = np.array(values)
        self.shape = self.values.shape

    def item(self) -> float:
        if self.values.size != 1:
            raise RuntimeError("a Tensor with 3 elements cannot be converted to Scalar")
        return float(self.values[0])

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> np.ndarray:
        return self.values


class Bfloat16Tensor(Tensor):
    """A type that numpy has no name for, until it is widened."""

    def cpu(self) -> Bfloat16Tensor:  # type: ignore[override]
        return self

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        raise TypeError("Got unsupported ScalarType BFloat16")

    def float(self) -> np.ndarray:
        return self.values


class HasFloat:
    def __float__(self) -> float:
        return 2.5


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1.5, 1.5),
        (3, 3.0),
        (True, 1.0),
        (False, 0.0),
        (np.float32(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.int8(-3), -3.0),
        (np.uint64(2**63), float(2**63)),
        (np.bool_(True), 1.0),
        (np.array(0.25), 0.25),
        (np.array([0.25]), 0.25),
        (np.array([[7]]), 7.0),
        (Tensor(4.5), 4.5),
        (HasFloat(), 2.5),
        (Decimal("0.5"), 0.5),
        (Fraction(1, 4), 0.25),
        (math.inf, math.inf),
    ],
)
def test_a_number_of_any_type_is_a_float(value: object, number: float) -> None:
    made = as_float(value, "loss")
    assert type(made) is float
    assert made == number


def test_nan_stays_nan() -> None:
    assert math.isnan(as_float(np.float32("nan"), "loss"))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("0.5", "the text '0.5'"),
        (b"0.5", "the text b'0.5'"),
        (np.str_("0.5"), "the text"),
        (None, "None"),
        ([0.5], "a list"),
        ({"a": 1}, "a dict"),
        (1j, "a complex"),
        (np.array([1.0, 2.0]), "an ndarray of shape (2,)"),
        (Tensor(1, 2, 3), "a Tensor of shape (3,)"),
        (np.array("x"), "an ndarray"),
        (10**400, "too large"),
        (object(), "an object"),
    ],
)
def test_what_is_no_number_is_told_with_its_tag(value: object, said: str) -> None:
    with pytest.raises(InvalidItem, match="tag 'loss'") as caught:
        as_float(value, "loss")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("step", "number"),
    [(3, 3), (np.int64(4), 4), (np.array(5), 5), (3.0, 3), (np.float32(2.0), 2), (Tensor(6.0), 6), (-(2**63), -(2**63))],
)
def test_a_step_of_any_type_is_an_int(step: object, number: int) -> None:
    made = as_step(step)
    assert type(made) is int
    assert made == number


@pytest.mark.parametrize("step", [2**63, -(2**63) - 1, 1.5, "3", None, True, np.array([1, 2]), math.nan, math.inf])
def test_a_step_that_is_none_is_refused(step: object) -> None:
    with pytest.raises(InvalidItem, match="step"):
        as_step(step)


@pytest.mark.parametrize("wall_time", [math.nan, math.inf, -math.inf, "now", None])
def test_a_wall_time_that_would_ruin_the_file_is_refused(wall_time: object) -> None:
    with pytest.raises(InvalidItem):
        as_wall_time(wall_time)


@pytest.mark.parametrize(
    ("values", "flat"),
    [
        ([1, 2.5, 3], [1.0, 2.5, 3.0]),
        (np.array([[1.0, 2.5], [3.0, 4.0]]), [1.0, 2.5, 3.0, 4.0]),
        (np.array([[1, 2], [3, 4]]).T, [1, 3, 2, 4]),
        ((1, 2.5), [1.0, 2.5]),
        (np.float32([1, 2.5]), [1.0, 2.5]),
        (Tensor(1.0, 2.5), [1.0, 2.5]),
        (Bfloat16Tensor(1.0, 2.5), [1.0, 2.5]),
        ([10**30, 1], [1e30, 1.0]),
        ([True, False], [True, False]),
        (3.0, [3.0]),
        ([], []),
    ],
)
def test_numbers_in_any_container_become_a_flat_copy(values: object, flat: list[float]) -> None:
    made = as_array(values, "it")
    assert made.tolist() == flat
    assert made.dtype.kind in "fiub"


def test_the_copy_is_ours() -> None:
    weights = np.zeros(3)
    made = as_array(weights, "it")
    weights[:] = 7
    assert made.tolist() == [0, 0, 0]


@pytest.mark.parametrize("values", ["text", ["a", "b"], [[1], [2, 3]], object(), np.array([1j]), {"a": 1}])
def test_what_holds_no_numbers_is_refused(values: object) -> None:
    with pytest.raises(InvalidItem, match="give an array of numbers"):
        as_array(values, "it")


# TensorFlow's default limits reach from -1.8e308 to 1.8e308; only those around the values are of use.
LARGEST = 1.7976931348623157e308


@pytest.mark.parametrize(
    ("histo", "rows"),
    [
        (
            {"min": 0.5, "max": 2.5, "num": 3, "sum": 4, "sum_squares": 8, "bucket_limit": [1, 2, 3], "bucket": [1, 0, 2]},
            [(0.5, 1, 1), (1, 2, 0), (2, 2.5, 2)],
        ),
        ({"min": 1, "max": 1, "bucket_limit": [0, 2, LARGEST], "bucket": [0, 5, 0]}, [(1, 1, 5)]),
        ({"min": -3, "max": 9, "bucket_limit": [-LARGEST, 0, LARGEST], "bucket": [0, 1, 1]}, [(-3, 0, 1), (0, 9, 1)]),
        ({"min": 0, "max": 0, "bucket_limit": [1, 2], "bucket": [0, 0]}, []),
        ({"min": 0, "max": 0, "bucket_limit": [], "bucket": []}, []),
        # min and max that contradict the limits are not believed
        ({"min": 9, "max": -9, "bucket_limit": [1, 2], "bucket": [1, 1]}, [(1, 1, 1), (1, 2, 1)]),
    ],
)
def test_a_histogram_proto_becomes_buckets(histo: dict[str, object], rows: list[tuple[float, float, float]]) -> None:
    made = as_buckets(histo, "w")  # type: ignore[arg-type]
    assert list(zip(made.lefts.tolist(), made.rights.tolist(), made.counts.tolist(), strict=True)) == rows


def test_ready_buckets_pass_through() -> None:
    edge = np.array([1.0])
    ready = Buckets(edge, edge, edge)
    assert as_buckets(ready, "w") is ready


@pytest.mark.parametrize(
    ("histo", "said"),
    [
        ({"min": 0, "max": 1}, "lacks bucket_limit, bucket"),
        ({"min": 0, "max": 1, "bucket_limit": [1, 2], "bucket": [1]}, "2 bucket_limit for 1 bucket"),
        ({"min": 0, "max": 1, "bucket_limit": [2, 1], "bucket": [1, 1]}, "descend"),
        ({"min": 0, "max": 1, "bucket_limit": [1], "bucket": [-1]}, "negative"),
        ({"min": "a", "max": 1, "bucket_limit": [1], "bucket": [1]}, "the text 'a'"),
        ({"min": math.nan, "max": 1, "bucket_limit": [1], "bucket": [1]}, "NaN"),
        ([1, 2], "a list"),
    ],
)
def test_a_wrong_histogram_proto_is_refused(histo: object, said: str) -> None:
    with pytest.raises(InvalidItem) as caught:
        as_buckets(histo, "w")  # type: ignore[arg-type]
    assert said in str(caught.value)
