"""Arrays of every library come out as numpy's; what holds no numbers is told at the call."""

from __future__ import annotations

import logging
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import torch

from tbbridge.convert.arrays import as_numbers, in_range
from tbbridge.errors import InvalidItem


class OnlyDlpack:
    """An array of a library without `__array__`."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __dlpack__(self, **given: Any) -> Any:
        return self._array.__dlpack__(**given)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()


class Kept(np.ndarray):
    """A subclass such as numpy's matrix, whose rules are its own."""


class HasArray:
    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        return np.float32([1, 2])


class Void:
    """JAX's bfloat16 is a type of kind V to numpy; here one that can only be refused."""

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        return np.zeros(2, "V2")


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.float32([1, 2]), "float32"),
        ([1, 2], "int64"),
        ((1.0, 2.0), "float64"),
        ([True, False], "bool"),
        ([Decimal(1), Decimal(2)], "float64"),
        (np.float32([1, 2]).view(Kept), "float32"),
        (OnlyDlpack(np.int16([1, 2])), "int16"),
        (HasArray(), "float32"),
        (torch.tensor([1.0, 2.0], requires_grad=True), "float32"),
        (torch.tensor([1.0, 2.0], requires_grad=True) * 1, "float32"),
        (torch.tensor([1, 2], dtype=torch.uint8), "uint8"),
        (torch.tensor([1.0, 2.0], dtype=torch.bfloat16, requires_grad=True), "float32"),
        (torch.tensor([1.0, 2.0], dtype=torch.float16), "float16"),
        (torch.tensor([1.0, 2.0]).to(torch.float8_e4m3fn), "float32"),
        ([torch.tensor(1.0, requires_grad=True), torch.tensor(2.0)], "float32"),
        (torch.nn.Parameter(torch.tensor([1.0, 2.0])), "float32"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_an_array_of_any_library_keeps_its_numbers(values: object, dtype: str) -> None:
    array = as_numbers(values, "it")
    assert type(array) is np.ndarray
    assert array.dtype == dtype
    assert array.shape == (2,)
    if dtype != "bool":
        assert array.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ("0.5", "it is the text '0.5'"),
        (None, "it is None"),
        ([[1, 2], [3]], "it is a list"),
        ({"a": 1}, "it is a dict"),
        (np.array([1j]), "its type is complex128"),
        (np.array(["2026-01-01"], "M8[D]"), "its type is datetime64"),
        (np.zeros(2, [("a", "f4")]), "it is an ndarray of shape \\(2,\\)"),
        (Void(), "it is a Void"),
        (torch.zeros(3, device="meta"), "a Tensor of shape \\(3,\\)"),
        ([object()], "it is a list"),
    ],
)
def test_what_holds_no_numbers_is_told(values: object, said: str) -> None:
    with pytest.raises(InvalidItem, match=said + ".*give an array of numbers"):
        as_numbers(values, "it")


@pytest.mark.parametrize(
    ("values", "within"),
    [([0.0, 1.0], [0, 1]), ([-0.05, 1.09], [0, 1]), ([], []), ([0.25], [0.25])],
)
def test_what_resampling_overshoots_is_brought_in(values: list[float], within: list[float]) -> None:
    assert in_range(np.array(values), 0, 1, "it", "divide").tolist() == within


def test_what_is_cut_is_said_in_the_log_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "tbbridge.convert"):
        for _ in range(3):
            in_range(np.array([0.0, 255.0]), 0, 1, "the image of tag 'loud'", "divide", clip=True)
            in_range(np.array([0.0, 1.05]), 0, 1, "the image of tag 'quiet'", "divide", clip=True)
    assert [record.getMessage() for record in caplog.records] == [
        "the image of tag 'loud' is out of range, and was cut to fit; divide"
    ]


@pytest.mark.parametrize(
    ("values", "said"),
    [([0, 2], "from 0 to 2"), ([-0.2, 0], "from -0.2 to 0"), ([np.nan, 1], "NaN"), ([np.inf, 0], "from 0 to inf")],
)
def test_what_is_far_out_of_range_is_told_unless_clipped(values: list[float], said: str) -> None:
    with pytest.raises(InvalidItem, match=f"it .*{said}; divide"):
        in_range(np.array(values), 0, 1, "it", "divide")
    clipped = in_range(np.array(values), 0, 1, "it", "divide", clip=True)
    assert ((clipped >= 0) & (clipped <= 1)).all()
