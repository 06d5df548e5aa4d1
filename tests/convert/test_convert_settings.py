"""Hyperparameters, layouts, tensors and messages as kinds; what would be lost or unreadable is told."""

from __future__ import annotations

from pathlib import PurePosixPath

import numpy as np
import pytest
import torch
from tensorboard.compat.proto.config_pb2 import RunMetadata as TensorBoardsRunMetadata

from tbbridge import convert
from tbbridge.errors import InvalidItem
from tbbridge.kinds import Category, Chart


def test_no_hyperparameter_is_lost() -> None:
    given = {
        "lr": 0.1,
        "layers": 3,
        "biased": True,
        "name": "net",
        "activation": torch.relu,
        "optimizer": torch.optim.SGD,
        "numpy": np.float32(0.5),
        "flag": np.bool_(True),
        "tensor": torch.tensor([2.0], requires_grad=True),
        "betas": [0.9, 0.99],
        "data": PurePosixPath("a/b"),
        "seed": 10**400,
        "unset": None,
    }
    made = convert.hparams(given, {"accuracy": 0.5}, group_name="g", status="success")
    assert made.values == {
        "lr": 0.1,
        "layers": 3.0,
        "biased": True,
        "name": "net",
        "activation": "relu",
        "optimizer": "SGD",
        "numpy": 0.5,
        "flag": True,
        "tensor": 2.0,
        "betas": "[0.9, 0.99]",
        "data": "a/b",
        "seed": str(10**400),
    }
    assert (made.metrics, made.group_name, made.status) == (("accuracy",), "g", "success")


@pytest.mark.parametrize(
    ("values", "metrics", "said"),
    [
        ([("lr", 1)], None, "hyperparameters are a list"),
        ({"w": np.zeros(3)}, None, "'w' is an ndarray of shape \\(3,\\)"),
        ({"w": torch.zeros(2, 2)}, None, "'w' is a Tensor of shape \\(2, 2\\)"),
        ({"lr": 1}, "accuracy", "metrics are the text"),
        ({"lr": 1}, 3, "metrics are an int"),
    ],
)
def test_what_are_no_hyperparameters_is_told(values: object, metrics: object, said: str) -> None:
    with pytest.raises(InvalidItem, match=said):
        convert.hparams(values, metrics)


def test_a_layout_of_tensorboardx_is_one_of_ours() -> None:
    layout = {"A": {"many": ["Multiline", ["x", "y/.*"]]}, "B": {"band": ["Margin", ["v", "l", "u"]]}}
    expected = (Category("A", (Chart("many", ("x", "y/.*")),)), Category("B", (Chart("band", margin=(("v", "l", "u"),)),)))
    assert convert.custom_scalars(layout).categories == expected
    assert convert.multiline_chart(["x", "y/.*"], "A", "many").categories == expected[:1]
    assert convert.margin_chart(["v", "l", "u"], "B", "band").categories == expected[1:]
    assert convert.multiline_chart(["x"]).categories[0].title == "default"
    two = convert.custom_scalars({"B": {"bands": ["Margin", [["v", "l", "u"], ["w", "m", "n"]]]}})
    assert two.categories[0].charts[0].margin == (("v", "l", "u"), ("w", "m", "n"))


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        ([], "layout is a list"),
        ({"A": ["x"]}, "layout is a dict"),
        ({"A": {"many": ["x", "y"]}}, "chart 'many' .* give \\['Multiline'"),
        ({"A": {"many": ["Multiline", "x"]}}, "chart 'many'"),
        ({"A": {"band": ["Margin", ["v", "l"]]}}, "2 tags; give three"),
        ({"A": {"band": ["Margin", []]}}, "0 tags; give three"),
        ({"A": {"many": ["Multiline", []]}}, "either multiline or margin"),
    ],
)
def test_what_is_no_layout_is_told(layout: object, said: str) -> None:
    with pytest.raises(InvalidItem, match=said):
        convert.custom_scalars(layout)


@pytest.mark.parametrize(
    ("values", "dtype", "shape", "content"),
    [
        (np.array([[1, 2]], ">i4"), "int32", (1, 2), b"\1\0\0\0\2\0\0\0"),
        (np.asfortranarray(np.array([[1, 2], [3, 4]], np.uint8)), "uint8", (2, 2), b"\1\2\3\4"),
        (torch.tensor([1.0], dtype=torch.bfloat16, requires_grad=True), "float32", (1,), b"\0\0\x80\x3f"),
        (True, "bool", (), b"\1"),
        (1j, "complex128", (), np.complex128(1j).tobytes()),
        ([], "float64", (0,), b""),
    ],
)
def test_a_tensor_keeps_type_shape_and_elements(values: object, dtype: str, shape: tuple[int, ...], content: bytes) -> None:
    made = convert.tensor("t", values, "mine", b"x")
    assert (made.dtype, made.shape, made.content) == (dtype, shape, content)
    assert (made.plugin_name, made.plugin_content) == ("mine", b"x")


@pytest.mark.parametrize(
    ("values", "shape", "strings"),
    [
        ("a", (), (b"a",)),
        (b"\xff", (), (b"\xff",)),
        (["a", b"b"], (2,), (b"a", b"b")),
        ([["a", "é"], ["c", "d"]], (2, 2), (b"a", "é".encode(), b"c", b"d")),
        (np.array(["a", "bb"]), (2,), (b"a", b"bb")),
    ],
)
def test_text_of_any_depth_is_a_tensor_of_strings(values: object, shape: tuple[int, ...], strings: tuple[bytes, ...]) -> None:
    made = convert.tensor("t", values)
    assert (made.dtype, made.shape, made.strings) == ("string", shape, strings)


@pytest.mark.parametrize(
    ("values", "said"),
    [("\ud800", "lone surrogate"), (["a", 1], "tensor of tag 't'"), (np.longdouble([1]), "is of"), (None, "None")],
)
def test_what_is_no_tensor_is_told(values: object, said: str) -> None:
    with pytest.raises(InvalidItem, match=said):
        convert.tensor("t", values)


def test_run_metadata_is_a_message_or_its_bytes() -> None:
    message = TensorBoardsRunMetadata()
    message.step_stats.dev_stats.add(device="cpu")
    assert convert.run_metadata("t", message) == convert.run_metadata("t", message.SerializeToString())
    for wrong in ({"device": "cpu"}, b"\xff\xff"):
        with pytest.raises(InvalidItem, match="RunMetadata"):
            convert.run_metadata("t", wrong)
