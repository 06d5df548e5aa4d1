"""Whether bytes made elsewhere are what TensorBoard will take them for: graphs, plugin contents, whole values.

A content that does not parse takes down more than its own tag (one hyperparameter tag: the whole HParams page), so nothing
unparsed reaches a file. protobuf is loaded with the first check: most programs never send such bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final, TypeVar

from tbbridge.errors import InvalidItem

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from tbbridge.foreign import summary_pb2

M = TypeVar("M", bound="Message")

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


def _check_foreign_tensor(plugin: str, tensor: summary_pb2.TensorProto, where: str) -> None:
    from tbbridge.foreign import summary_pb2

    name = summary_pb2.DataType.Name(tensor.dtype) if tensor.dtype in summary_pb2.DataType.values() else str(tensor.dtype)
    if plugin == "scalars" and not (tensor.tensor_content or tensor.float_val or tensor.double_val):
        raise InvalidItem("raw", "the scalar's tensor holds no number; send a float in float_val or tensor_content", where)
    dtype = "string" if tensor.dtype == summary_pb2.DT_STRING else name
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    if dtype == "string":
        _check_fits(plugin, dtype, shape, tensor.string_val, where)


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
