"""Every kind of summary: what is refused when it is made, where, and with what remedy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from one_of_each import COLORS, FACES, MATRIX, VERTICES, curve_table, graph_def, one_of_each, picture, sound
from tensorboard.compat.proto.summary_pb2 import Summary as Theirs
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.plugins.mesh.plugin_data_pb2 import MeshPluginData

from tbbridge import limits
from tbbridge.errors import InvalidItem
from tbbridge.kinds import settled
from tbbridge.model import (
    Audio,
    Category,
    Chart,
    CustomScalars,
    Embedding,
    Graph,
    HParams,
    Image,
    Mesh,
    PrCurve,
    RawValue,
    RunMetadata,
    Summary,
    Tensor,
    Text,
)

PNG = picture("red")


def changed(table: np.ndarray, value: float) -> np.ndarray:
    table = table.copy()
    table[1, 1] = value
    return table


def layout(*charts: Chart, title: str = "losses") -> CustomScalars:
    return CustomScalars((Category(title, charts),))


def raw(plugin: str = "", content: bytes = b"", data_class: int = 0, **fields: object) -> RawValue:
    value = Theirs.Value(**{"tag": "t", **fields})  # type: ignore[arg-type]
    if plugin:
        value.metadata.plugin_data.plugin_name = plugin
        value.metadata.plugin_data.content = content
        value.metadata.data_class = data_class
    return RawValue(value.SerializeToString())


def tensor(plugin: str, dtype: int, shape: tuple[int, ...] = (), content: bytes = b"", **fields: object) -> RawValue:
    value = Theirs.Value(tag="t")
    value.metadata.plugin_data.plugin_name = plugin
    value.metadata.plugin_data.content = content
    value.tensor.dtype = dtype
    for size in shape:
        value.tensor.tensor_shape.dim.add(size=size)
    for name, numbers in fields.items():
        if isinstance(numbers, bytes):
            value.tensor.tensor_content = numbers
        else:
            getattr(value.tensor, name).extend(numbers)
    return RawValue(value.SerializeToString())


HPARAMS = plugin_data_pb2.HParamsPluginData(session_start_info=plugin_data_pb2.SessionStartInfo()).SerializeToString()
BAD: list[tuple[Callable[[], object], str, str]] = [
    (lambda: Text("t", "x", display_name="x" * 2000), "display_name", "shorten it"),
    (lambda: Text("t", "x", description="\ud800"), "description", "lone surrogate"),
    (lambda: Image("t", ()), "images", "1 to 64"),
    (lambda: Image("t", (PNG,) * 65), "images", "1 to 64"),
    (lambda: Image("t", (PNG, b"webp")), "images[1]", "encode it as PNG"),
    (lambda: Image("t", (PNG + bytes(limits.SUMMARY_MAX_BYTES // 2),) * 2), "images", "send less at a time"),
    (lambda: Image("t", (PNG,), step=2**63), "step", "64 bits"),
    (lambda: Image("t", (PNG,), wall_time=float("nan")), "wall_time", "finite"),
    (lambda: Image("", (PNG,)), "tag", "empty"),
    (lambda: Audio("t", ()), "clips", "1 to 16"),
    (lambda: Audio("t", (sound(), b"mp3")), "clips[1]", "encode it as WAV"),
    (lambda: PrCurve("t", np.zeros((5, 10))), "table", "six rows"),
    (lambda: PrCurve("t", np.zeros(6)), "table", "six rows"),
    (lambda: PrCurve("t", np.zeros((6, 1))), "table", "2 to"),
    (lambda: PrCurve("t", np.zeros((6, limits.PR_CURVE_MAX_THRESHOLDS + 1))), "table", "2 to"),
    (lambda: PrCurve("t", changed(curve_table(), float("nan"))), "table", "NaN"),
    (lambda: PrCurve("t", changed(curve_table(), -1)), "table", "negative"),
    (lambda: Mesh("t", VERTICES[0]), "vertices", "[4, 3]"),
    (lambda: Mesh("t", VERTICES[:, :0]), "vertices", "empty"),
    (lambda: Mesh("t", VERTICES + np.float32("inf")), "vertices", "finite"),
    (lambda: Mesh("t", np.zeros((1, limits.MESH_MAX_VERTICES + 1, 3), np.float32)), "vertices", "send fewer"),
    (lambda: Mesh("t", VERTICES, COLORS[:, :2]), "colors", "for each vertex"),
    (lambda: Mesh("t", VERTICES, faces=FACES + 2), "faces", "0 to 3"),
    (lambda: Mesh("t", VERTICES, faces=FACES - 1), "faces", "0 to 3"),
    (lambda: Mesh("t", VERTICES, faces=np.concatenate([FACES, FACES])), "faces", "give as many"),
    (lambda: Mesh("t", VERTICES, config="[]"), "config", "JSON object"),
    (lambda: Mesh("t", VERTICES, config="{"), "config", "JSON object"),
    (lambda: Mesh("t", VERTICES, config="[" * 5000), "config", "JSON object"),
    (lambda: Embedding("t", MATRIX[0]), "matrix", "[2]"),
    (lambda: Embedding("t", MATRIX[:0]), "matrix", "[0, 2]"),
    (lambda: Embedding("t", MATRIX * np.float32("nan")), "matrix", "cannot place"),
    (lambda: Embedding("t", MATRIX, (("a",),)), "metadata", "3 points"),
    (lambda: Embedding("t", MATRIX, (("a",), ("b",), ("c", "d"))), "metadata[2]", "as many"),
    (lambda: Embedding("t", MATRIX, ((), (), ())), "metadata[0]", "at least one"),
    (lambda: Embedding("t", MATRIX, (("a",), ("b\tc",), ("d",))), "metadata[1][0]", "replace it"),
    (lambda: Embedding("t", MATRIX, (("a", "b"),) * 3), "header", "needs a header"),
    (lambda: Embedding("t", MATRIX, (("a",),) * 3, ("word",)), "header", "takes none"),
    (lambda: Embedding("t", MATRIX, (("a", "b"),) * 3, ("word",)), "header", "2 columns"),
    (lambda: Embedding("t", MATRIX, header=("word",)), "header", "without metadata"),
    (lambda: Embedding("t", MATRIX, sprite=PNG), "sprite_size", "go together"),
    (lambda: Embedding("t", MATRIX, sprite=PNG, sprite_size=(4, 3)), "sprite_size", "no room for 3"),
    (lambda: Embedding("t", MATRIX, sprite=PNG, sprite_size=(0, 3)), "sprite_size", "no room"),
    (lambda: Embedding("t", MATRIX, sprite=picture("red", kind="JPEG"), sprite_size=(1, 1)), "sprite", "a PNG"),
    (lambda: Embedding("t", MATRIX, sprite=picture("red", (8200, 1)), sprite_size=(1, 1)), "sprite", "8192"),
    (lambda: Graph(b""), "graph_def", "no nodes"),
    (lambda: Graph(b"\xff\xff"), "graph_def", "not a serialized GraphDef"),
    (lambda: Graph(graph_def().SerializeToString().replace(b"Const", b"Con\xffs")), "graph_def", "not a serialized"),
    (lambda: RunMetadata("t", b"\x0a\x05"), "run_metadata", "not a serialized RunMetadata"),
    (lambda: HParams({"": 1.0}), "values", "1 to 1024"),
    (lambda: HParams({3: 1.0}), "values", "name"),  # type: ignore[dict-item]
    (lambda: HParams({"a": None}), "values.a", "NoneType"),  # type: ignore[dict-item]
    (lambda: HParams({"a": [1]}), "values.a", "list"),  # type: ignore[dict-item]
    (lambda: HParams({"a": 10**400}), "values.a", "too large"),
    (lambda: HParams({"a": "x" * 20000}), "values.a", "shorten it"),
    (lambda: HParams({str(n): 1.0 for n in range(1001)}), "values", "at most 1000"),
    (lambda: HParams({}, metrics=("",)), "metrics[0]", "1 to"),
    (lambda: HParams({}, status="done"), "status", "success, failure"),  # type: ignore[arg-type]
    (lambda: layout(Chart("c")), "multiline", "exactly one"),
    (lambda: layout(Chart("c", ("a",), (("a", "b", "c"),))), "multiline", "exactly one"),
    (lambda: layout(Chart("c", margin=(("a", "b"),))), "margin[0]", "three tags"),  # type: ignore[arg-type]
    (lambda: layout(Chart("", ("a",))), "title", "1 to"),
    (lambda: layout(Chart("c", ("a",)), title=""), "title", "1 to"),
    (lambda: layout(*[Chart("c", ("a",))] * 1001), "categories", "at most 1000"),
    (lambda: Tensor("t", "float8", (1,), b"\0"), "dtype", "send one of"),
    (lambda: Tensor("t", "float32", (2,), bytes(7)), "content", "has 8 bytes"),
    (lambda: Tensor("t", "float32", (0, 2**63), b""), "shape", "none negative"),
    (lambda: Tensor("t", "float32", (-1,), b""), "shape", "none negative"),
    (lambda: Tensor("t", "float32", (1,) * 33, bytes(4)), "shape", "at most 32"),
    (lambda: Tensor("t", "string", (2,), strings=(b"a",)), "strings", "has 2 strings"),
    (lambda: Tensor("t", "int8", (1,), b"\0", (b"a",)), "content", "and both"),
    (lambda: Tensor("t", "string", (), strings=(b"\xff",), plugin_name="text"), "strings", "not UTF-8"),
    (lambda: Tensor("t", "int8", (), b"\0", plugin_name="text"), "shape", "shows strings"),
    (lambda: Tensor("t", "float64", (), bytes(8), plugin_name="scalars"), "shape", "shows float32"),
    (lambda: Tensor("t", "float32", (1,), bytes(4), plugin_name="scalars"), "shape", "without dimensions"),
    (lambda: Tensor("t", "float32", (5, 2), bytes(40), plugin_name="pr_curves"), "shape", "[6, N]"),
    (lambda: Tensor("t", "float32", (2, 2), bytes(16), plugin_name="histograms"), "shape", "[k, 3]"),
    (lambda: Tensor("t", "string", (1,), strings=(b"4",), plugin_name="images"), "strings", "width, height"),
    (lambda: Tensor("t", "string", (), strings=(b"\xff",), plugin_name="custom_scalars"), "strings", "Layout"),
    (lambda: Tensor("t", "int8", (), b"\0", plugin_name="hparams", plugin_content=b"\xff"), "plugin_content", "hparams"),
    (lambda: RawValue(b"\xff"), "value", "not a serialized Summary.Value"),
    (lambda: RawValue(b""), "value", "no tag inside"),
    (raw, "value", "is empty"),
    (lambda: raw("scalars", b"\x08\x01", simple_value=1.0), "value", "another version"),
    (lambda: raw("audio", b"\xff", simple_value=1.0), "value", "audio plugin's data"),
    (lambda: raw("mesh", b"", simple_value=1.0), "value", "no shape"),
    (lambda: raw("hparams", b"", simple_value=1.0), "value", "is empty"),
    (lambda: raw("hparams", plugin_data_pb2.HParamsPluginData().SerializeToString(), 2), "value", "is empty"),
    (lambda: Tensor("t", "float32", (0, 2**40, 2**40), b""), "shape", "no array can have"),
    (lambda: tensor("custom_scalars", 7, (2**50,), string_val=[b""]), "value", "this one 1"),
    (lambda: tensor("scalars", 1, (2**29,), float_val=[1.0]), "value", "this one 1"),
    (lambda: tensor("scalars", 1, float_val=[1.0, 2.0]), "value", "this one 2"),
    (lambda: tensor("scalars", 1, (1,), float_val=[1.0]), "value", "without dimensions"),
    (lambda: tensor("scalars", 2, double_val=[1.0]), "value", "shows float32"),
    (lambda: tensor("scalars", 1, tensor_content=b"ab"), "value", "this one 2"),
    (lambda: tensor("", 99, float_val=[1.0]), "value", "dtype is 99"),
    (lambda: tensor("", 0), "value", "dtype is 0"),
    (lambda: tensor("", 11, int_val=[1]), "value", "dtype is 11"),
    (lambda: tensor("", 3, float_val=[1.0]), "value", "int_val"),
    (lambda: tensor("", 3, int_val=[1], tensor_content=bytes(4)), "value", "and more"),
    (lambda: tensor("", 3, (-1,)), "value", "none negative"),
    (lambda: tensor("", 3, (0, 2**40, 2**40)), "value", "no array can have"),
    (lambda: tensor("", 3, (1,) * 33, int_val=[1]), "value", "at most 32"),
    (lambda: tensor("", 4, int_val=[256]), "value", "0 to 255"),
    (lambda: tensor("", 19, half_val=[-1]), "value", "0 to 65535"),
    (lambda: tensor("", 8, scomplex_val=[1.0]), "value", "has 2"),
    (lambda: tensor("", 7, tensor_content=b"a"), "value", "string_val"),
    (lambda: tensor("audio", 1, (1,), float_val=[1.0]), "value", "audio page"),
    (lambda: tensor("histograms", 2, (2, 2), double_val=[1.0] * 4), "value", "[k, 3]"),
    (lambda: tensor("hparams", 22, content=HPARAMS, uint32_val=[1]), "value", "cannot read uint32"),
    (lambda: tensor("scalars", 1), "value", "holds no number"),
    (lambda: tensor("text", 7, string_val=[b"\xff"]), "value", "not UTF-8"),
    (lambda: tensor("custom_scalars", 7, string_val=[b"\xff"]), "value", "Layout"),
    (lambda: tensor("mesh", 1, content=MeshPluginData(name="m").SerializeToString()), "value", "no shape"),
]


@pytest.mark.parametrize(("make", "where", "says"), BAD, ids=[f"{where}: {says}" for _, where, says in BAD])
def test_refused_when_made(make: Callable[[], object], where: str, says: str) -> None:
    with pytest.raises(InvalidItem) as raised:
        make()
    assert raised.value.where == where
    assert says in raised.value.message


SCALAR = b"\n\x01t\x15\0\0\x80?"


def inside(number: int, content: bytes) -> bytes:
    """A field of bytes, as protobuf writes it."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(number: int) -> bytes:
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + varint(number >> 7)


@pytest.mark.parametrize(
    "value",
    [
        SCALAR + inside(7, b"\xff"),
        *[b"\n\x01t" + inside(8, inside(number, b"\x80")) for number in (9, 12, 13, 14, 15, 16, 17)],
        b"\n\x01t" + inside(8, inside(15, inside(3, inside(2, inside(2, inside(2, b"\xff")))))),
        b"\n\x01t" + inside(8, inside(15, b"\xff")) + SCALAR[3:],
        b"\n\x01t" + SCALAR[3:] + inside(3, b""),
        SCALAR + inside(9, inside(3, b"\xff")),
    ],
)
def test_what_tensorboards_own_proto_cannot_parse_or_ours_does_not_know_does_not_reach_a_file(value: bytes) -> None:
    with pytest.raises(InvalidItem) as raised:
        RawValue(value)
    assert raised.value.where == "value"


def test_a_second_value_does_not_hide_an_unknown_field_in_the_first() -> None:
    with pytest.raises(InvalidItem, match="twice"):
        RawValue(b"\n\x01t" + inside(8, inside(15, b"\xff")) + SCALAR[3:])
    with pytest.raises(InvalidItem, match="does not know"):
        RawValue(b"\n\x01t" + inside(8, inside(15, b"")))


def test_a_node_name_passes() -> None:
    assert raw(simple_value=1.0, node_name="grün").tag == "t"


def hparams_without_value(data_class: int) -> RawValue:
    data = plugin_data_pb2.HParamsPluginData(session_start_info=plugin_data_pb2.SessionStartInfo())
    return raw("hparams", data.SerializeToString(), data_class)


def test_hyperparameters_forwarded_without_a_value_pass_only_in_the_form_that_tensorboard_survives() -> None:
    assert hparams_without_value(0).plugin_name == "hparams"
    with pytest.raises(InvalidItem, match="is empty"):
        hparams_without_value(2)


@pytest.mark.parametrize(
    ("value", "plugin"),
    [
        (raw(simple_value=1.0), "scalars"),
        (raw("scalars", simple_value=1.0), "scalars"),
        (raw(image=Theirs.Image(encoded_image_string=b"anything")), "images"),
        (raw("of-somebody", b"\xff\xff", simple_value=1.0), "of-somebody"),
        (tensor("scalars", 1, float_val=[2.0]), "scalars"),
        (tensor("scalars", 1, tensor_content=bytes(4)), "scalars"),
        (tensor("", 3, (0, 3)), ""),
        (tensor("", 18, (1,), dcomplex_val=[1.0, 2.0]), ""),
        (tensor("", 14, (2,), half_val=[1, 2]), ""),
        (tensor("audio", 7, (1, 2), string_val=[b"wav", b"about"]), "audio"),
        (tensor("text", 7, string_val=["grün".encode()]), "text"),
    ],
)
def test_a_forwarded_value_says_whose_it_is(value: RawValue, plugin: str) -> None:
    assert (value.tag, value.plugin_name) == ("t", plugin)


def test_hyperparameters_are_a_copy_and_numbers_are_floats() -> None:
    values = {"lr": 1, "flag": True}
    made = HParams(values)
    values["lr"] = 2
    assert dict(made.values) == {"lr": 1.0, "flag": True}
    assert [type(value) for value in made.values.values()] == [float, bool]
    with pytest.raises(TypeError):
        made.values["lr"] = 3  # type: ignore[index]


@pytest.mark.parametrize("name", list(one_of_each()))
def test_settling_changes_step_and_time_and_nothing_else(name: str) -> None:
    summary: Summary = one_of_each(None, None)[name]
    made = settled(summary, 7, 8.0)
    assert (summary.step, summary.wall_time) == (None, None)
    assert (made.step, made.wall_time, made.tag, made.display_name) == (7, 8.0, summary.tag, summary.display_name)
    assert made.size_bytes == summary.size_bytes > 0


def test_importing_the_kinds_loads_no_protobuf() -> None:
    """Most programs never make a graph; the client starts without it."""
    import subprocess
    import sys

    code = "import sys, tbbridge.kinds; sys.exit('google.protobuf' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
