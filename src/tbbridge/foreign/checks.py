"""Whether bytes made elsewhere are what TensorBoard will take them for: graphs, plugin contents, whole values.

A content that does not parse takes down more than its own tag (one hyperparameter tag: the whole HParams page), so nothing
unparsed reaches a file. protobuf is loaded with the first check: most programs never send such bytes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final, TypeVar

from tbbridge import limits
from tbbridge.errors import InvalidItem

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from tbbridge.foreign import summary_pb2

M = TypeVar("M", bound="Message")

# As many of the largest elements, complex128, as numpy can address.
_MAX_ELEMENTS: Final = 2**59 - 1


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a TensorProto holds elements of one type: `size` bytes in tensor_content, `parts` numbers in `field`."""

    dtype: str
    field: str
    size: int
    parts: int = 1
    range: tuple[int, int] | None = None


_KINDS: Final = {
    "DT_FLOAT": _Kind("float32", "float_val", 4),
    "DT_DOUBLE": _Kind("float64", "double_val", 8),
    "DT_HALF": _Kind("float16", "half_val", 2, range=(0, 2**16 - 1)),
    "DT_BFLOAT16": _Kind("bfloat16", "half_val", 2, range=(0, 2**16 - 1)),
    "DT_INT8": _Kind("int8", "int_val", 1, range=(-(2**7), 2**7 - 1)),
    "DT_INT16": _Kind("int16", "int_val", 2, range=(-(2**15), 2**15 - 1)),
    "DT_INT32": _Kind("int32", "int_val", 4),
    "DT_INT64": _Kind("int64", "int64_val", 8),
    "DT_UINT8": _Kind("uint8", "int_val", 1, range=(0, 2**8 - 1)),
    "DT_UINT16": _Kind("uint16", "int_val", 2, range=(0, 2**16 - 1)),
    "DT_UINT32": _Kind("uint32", "uint32_val", 4),
    "DT_UINT64": _Kind("uint64", "uint64_val", 8),
    "DT_BOOL": _Kind("bool", "bool_val", 1),
    "DT_COMPLEX64": _Kind("complex64", "scomplex_val", 8, parts=2),
    "DT_COMPLEX128": _Kind("complex128", "dcomplex_val", 16, parts=2),
    "DT_STRING": _Kind("string", "string_val", 0),
}
_VALUE_FIELDS: Final = ("tensor_content", *sorted({kind.field for kind in _KINDS.values()}))

# Values without metadata, by their field: the plugin for which TensorBoard takes them.
_PLUGIN_OF_FIELD: Final = {"simple_value": "scalars", "image": "images", "audio": "audio", "histo": "histograms"}


@dataclass(frozen=True, slots=True)
class ForeignValue:
    """What a forwarded value says of itself; `plugin_name` may be empty."""

    tag: str
    plugin_name: str


def check_graph(raw: bytes, where: str) -> None:
    """`raw` is a GraphDef with at least one node, or `InvalidItem`."""
    from tbbridge.foreign import graph_pb2

    if not _parse(graph_pb2.GraphDef, raw, "a serialized GraphDef", where).node:
        raise InvalidItem("graph", "the graph has no nodes; send a GraphDef with some", where)


def check_run_metadata(raw: bytes, where: str) -> None:
    """`raw` is a RunMetadata, or `InvalidItem`."""
    from tbbridge.foreign import graph_pb2

    _parse(graph_pb2.RunMetadata, raw, "a serialized RunMetadata", where)


def check_tensor(plugin: str, content: bytes, dtype: str, shape: Sequence[int], strings: Sequence[bytes]) -> None:
    """A tensor fits the page of `plugin`; one for no page, or a page of somebody else's, fits."""
    _check_content(plugin, content, "plugin_content")
    _check_fits(plugin, dtype, list(shape), strings, "shape" if dtype != "string" else "strings")


def check_value(raw: bytes, where: str) -> ForeignValue:
    """`raw` is a Summary.Value that no dashboard stumbles over; what it says of itself."""
    from tbbridge.foreign import summary_pb2

    value = _parse(summary_pb2.Summary.Value, raw, "a serialized Summary.Value", where)
    field = value.WhichOneof("value")
    data = value.metadata.plugin_data
    plugin = data.plugin_name or _PLUGIN_OF_FIELD.get(field or "", "")
    if not value.tag:
        raise InvalidItem("tag", "the value has no tag inside; give the series a name such as 'loss'", where)
    if field is None and (plugin != "hparams" or value.metadata.data_class):
        message = "the value is empty, or of a kind that TensorBoard no longer shows; send a simple_value, image, audio, histo"
        raise InvalidItem("raw", message + " or tensor", where)
    _check_known(value, raw, where)
    _check_content(data.plugin_name, data.content, where)
    if field == "tensor":
        _check_foreign_tensor(plugin, value.tensor, where)
    return ForeignValue(value.tag, plugin)


def _check_known(value: summary_pb2.Summary.Value, raw: bytes, where: str) -> None:
    """Nothing in the value is left to TensorBoard's parser alone: what ours skips, its own may fail at, for good."""
    size = value.ByteSize()
    value.DiscardUnknownFields()  # those of the messages inside too
    if value.ByteSize() != size:
        message = "the value has fields that tbbridge does not know, such as a tensor's variants or resources; leave them out"
        raise InvalidItem("raw", message, where)
    # A second field of the oneof would replace the first one, and what was unknown in it.
    seen: set[int] = set()
    at = 0
    while at < len(raw):
        key, at = _varint(raw, at)
        number = 0 if key >> 3 in (2, 3, 4, 5, 6, 8) else key >> 3
        if number in seen:
            message = "the value has a field twice, or values of two kinds; send what SerializeToString of one Value gave"
            raise InvalidItem("raw", message, where)
        seen.add(number)
        wire_type = key & 7
        if wire_type == 2:
            length, at = _varint(raw, at)
            at += length
        else:
            at += 4  # simple_value, the only field that is of another type


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """The number at `at`, of bytes that protobuf could parse, and where the next thing begins."""
    number = shift = 0
    while raw[at] & 0x80:
        number |= (raw[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return number | raw[at] << shift, at + 1


def check_shape(shape: Sequence[int], where: str) -> None:
    """Numpy, and so TensorBoard, can make an array of this shape, be it an empty one; `InvalidItem` if not."""
    if len(shape) > limits.TENSOR_MAX_RANK or not all(0 <= size < 2**63 for size in shape):
        message = f"the shape is {list(shape[:40])}; give at most {limits.TENSOR_MAX_RANK} dimensions, none negative"
        raise InvalidItem("tensor", message, where)
    # Numpy leaves out a 0 when it counts; of a shape without one, as many elements have to come.
    if 0 in shape and math.prod(size for size in shape if size) > _MAX_ELEMENTS:
        raise InvalidItem("tensor", f"the shape is {list(shape)}, which no array can have; give a smaller one", where)


def _check_foreign_tensor(plugin: str, tensor: summary_pb2.TensorProto, where: str) -> None:
    """TensorBoard reads the tensor without an error, and without making more of it than came."""
    from tbbridge.foreign import summary_pb2

    known = summary_pb2.DataType.values()
    kind = _KINDS.get(summary_pb2.DataType.Name(tensor.dtype)) if tensor.dtype in known else None
    if kind is None:
        raise InvalidItem("tensor", f"the tensor's dtype is {tensor.dtype}, which TensorBoard's pages do not read", where)
    shape = [dim.size for dim in itertools.islice(tensor.tensor_shape.dim, limits.TENSOR_MAX_RANK + 1)]
    check_shape(shape, where)
    elements, shown = math.prod(shape), f"a {kind.dtype} tensor of the shape {shape}"
    filled = [name for name in _VALUE_FIELDS if len(getattr(tensor, name))]
    if plugin == "scalars" and not filled:
        raise InvalidItem("raw", "the scalar's tensor holds no number; send a float in float_val or tensor_content", where)
    strange = [name for name in filled if name != kind.field and (name != "tensor_content" or not kind.size)]
    if strange or len(filled) > 1:
        name = (strange or filled)[0]
        message = f"{shown} has {name}{'' if strange else ' and more'}; its elements belong in {kind.field}"
        raise InvalidItem("tensor", message + (" or, all of them, in tensor_content" if kind.size else ""), where)
    field = filled[0] if filled else kind.field
    each = kind.size if field == "tensor_content" else kind.parts
    values = getattr(tensor, field)
    if len(values) != elements * each:
        raise InvalidItem("length", f"{shown} has {elements * each} in {field}, this one {len(values)}", where)
    if kind.range is not None and field != "tensor_content" and values:
        low, high = kind.range
        if min(values) < low or max(values) > high:
            raise InvalidItem("tensor", f"{shown} has values in {field} beyond {low} to {high}", where)
    _check_fits(plugin, kind.dtype, shape, tensor.string_val, where)


def _check_fits(plugin: str, dtype: str, shape: Sequence[int], strings: Sequence[bytes], where: str) -> None:
    """The rules that TensorBoard's pages rely on without looking."""
    shown = f"a {dtype} tensor of the shape {list(shape)}"
    if plugin == "scalars" and (dtype != "float32" or list(shape)):
        raise InvalidItem("tensor", f"{shown} came for the scalars page, which shows float32 without dimensions", where)
    if plugin == "pr_curves" and (dtype not in ("float32", "float64") or len(shape) != 2 or shape[0] != 6):
        raise InvalidItem("tensor", f"{shown} came for the PR curves page, which shows float32 of the shape [6, N]", where)
    if plugin == "histograms" and (dtype not in ("float32", "float64") or len(shape) != 2 or shape[1] != 3):
        raise InvalidItem("tensor", f"{shown} came for the histograms page, which shows float64 of the shape [k, 3]", where)
    if plugin == "images" and (dtype != "string" or len(shape) != 1 or len(strings) < 2):
        message = f"{shown} came for the images page, which shows strings [width, height, image, ...]"
        raise InvalidItem("tensor", message, where)
    if plugin in _contents() and dtype in ("bfloat16", "uint32", "uint64"):  # tensor_util.make_ndarray raises
        raise InvalidItem("tensor", f"{shown} came for the {plugin} page, which cannot read {dtype}; send another dtype", where)
    if plugin == "audio" and (dtype != "string" or len(shape) not in (1, 2)):
        raise InvalidItem("tensor", f"{shown} came for the audio page, which shows strings [clip, ...]", where)
    if plugin == "text":
        _check_strings(strings, shown, dtype, where)
    if plugin == "custom_scalars":
        from tbbridge.foreign import plugins_pb2

        if dtype != "string" or len(strings) != 1:
            raise InvalidItem("tensor", f"{shown} came for a layout, which is one string", where)
        _parse(plugins_pb2.Layout, strings[0], "a serialized Layout", where)


def _check_strings(strings: Sequence[bytes], shown: str, dtype: str, where: str) -> None:
    if dtype != "string":
        raise InvalidItem("tensor", f"{shown} came for the text page, which shows strings", where)
    for text in strings:
        try:
            text.decode()
        except UnicodeDecodeError as error:
            message = f"a text is not UTF-8 at byte {error.start}, which TensorBoard's text page does not survive; send UTF-8"
            raise InvalidItem("not-utf8", message, where) from None


@cache
def _contents() -> dict[str, Callable[[], Message]]:
    from tbbridge.foreign import plugins_pb2 as pb

    version_only = dict.fromkeys(("scalars", "histograms", "text", "custom_scalars"), pb.VersionOnly)
    return {
        **version_only,
        "images": pb.ImagePluginData,
        "audio": pb.AudioPluginData,
        "pr_curves": pb.PrCurvePluginData,
        "mesh": pb.MeshPluginData,
        "hparams": pb.HParamsPluginData,
    }


def _check_content(plugin: str, content: bytes, where: str) -> None:
    """Raise `InvalidItem` if TensorBoard's plugin `plugin` would stumble over this content."""
    if not plugin:
        return
    kind = _contents().get(plugin)
    if kind is None:
        return
    from tbbridge.foreign import plugins_pb2

    message = _parse(type(kind()), content, f"the {plugin} plugin's data", where)
    if getattr(message, "version", 0) != 0:
        raise InvalidItem("plugin", f"the {plugin} plugin's data is of another version than 0, which hides the tag", where)
    if isinstance(message, plugins_pb2.MeshPluginData) and not message.shape:
        raise InvalidItem("plugin", "the mesh plugin's data has no shape, which TensorBoard's mesh page relies on", where)
    if isinstance(message, plugins_pb2.HParamsPluginData) and message.WhichOneof("data") is None:
        raise InvalidItem("plugin", "the hparams plugin's data is empty; it holds an experiment, a session start or end", where)


def _parse(kind: type[M], raw: bytes, what: str, where: str) -> M:
    from google.protobuf.message import DecodeError

    try:
        return kind.FromString(raw)
    except DecodeError:
        message = f"the {len(raw)} bytes are not {what}; send what SerializeToString gave"
        raise InvalidItem("not-parseable", message, where) from None
