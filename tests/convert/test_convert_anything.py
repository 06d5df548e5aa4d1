"""Whatever is given: a kind, or an `InvalidItem` that says so. No other error, no warning, nothing changed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tbbridge import convert
from tbbridge.errors import InvalidItem
from tbbridge.kinds import Summary

NUMBERS = arrays.arrays(
    st.sampled_from([np.uint8, np.int16, np.int64, np.float16, np.float32, np.float64, np.bool_, np.complex64]),
    arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4),
)
ANYTHING = st.one_of(
    NUMBERS,
    NUMBERS.filter(lambda array: array.dtype != np.complex64).map(torch.from_numpy),
    st.none(),
    st.booleans(),
    st.integers(-3, 300),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.lists(st.one_of(st.floats(), st.integers(-1, 2), st.text(max_size=2), st.none()), max_size=4),
    st.lists(NUMBERS, max_size=3),
    st.dictionaries(st.text(max_size=3), st.one_of(st.integers(), st.text(max_size=2), st.lists(st.integers(), max_size=2))),
    st.just(object()),
)
CALLS: dict[str, tuple[Callable[..., Summary], int]] = {
    "image": (convert.image, 1),
    "images": (convert.images, 1),
    "image_with_boxes": (convert.image_with_boxes, 2),
    "figure": (convert.figure, 1),
    "video": (convert.video, 1),
    "audio": (convert.audio, 1),
    "histogram": (convert.histogram, 1),
    "histogram_raw": (convert.histogram_raw, 7),
    "pr_curve": (convert.pr_curve, 2),
    "pr_curve_raw": (convert.pr_curve_raw, 6),
    "mesh": (convert.mesh, 4),
    "embedding": (convert.embedding, 4),
    "tensor": (convert.tensor, 1),
    "run_metadata": (convert.run_metadata, 1),
    "graph": (lambda _, model: convert.graph(model), 1),
    "hparams": (lambda _, *values: convert.hparams(*values), 2),
    "custom_scalars": (lambda _, layout: convert.custom_scalars(layout), 1),
}


def test_every_conversion_is_in_the_table() -> None:
    """But those that read files, and the two that call custom_scalars."""
    assert set(CALLS) == set(convert.__all__) - {"onnx_graph", "openvino_graph", "multiline_chart", "margin_chart"}


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_anything_is_a_kind_or_an_invalid_item(name: str, data: st.DataObject) -> None:
    call, count = CALLS[name]
    values: list[Any] = [data.draw(ANYTHING) for _ in range(count)]
    before = [value.tobytes() if isinstance(value, np.ndarray) else None for value in values]
    with contextlib.suppress(InvalidItem):
        assert call("t", *values).size_bytes >= 0
    assert [value.tobytes() if isinstance(value, np.ndarray) else None for value in values] == before
