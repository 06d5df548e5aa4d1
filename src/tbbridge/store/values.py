"""Stored values of every kind but scalars, taken apart: from the serialized Summary.Value of an event file to plain fields.

Any writer's form of a kind is taken, the older ones with a field of their own and tensors. A value that does not hold what its
kind promises is `None` here: it is in the file, but TensorBoard shows nothing of it either. Bytes in, fields out; nothing is
opened. Which values belong to a tag is catalog.py's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from tbbridge import limits
from tbbridge.errors import InvalidItem
from tbbridge.events import event_pb2 as pb
from tbbridge.foreign import plugins_pb2
from tbbridge.media import read_picture, read_sound
from tbbridge.model import Float64s

Array: TypeAlias = NDArray[Any]

OCTETS: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class MeshPart:
    """What the values of one tag are to a mesh: `content` is MeshPluginData's ContentType. A mesh is one tag a part."""

    mesh: str
    content: int
    config: str


@dataclass(frozen=True, slots=True)
class StoredValue:
    """One value as it is in the file. `index` counts all the values of its tag in the order of writing, from 0."""

    index: int
    tag: str
    step: int
    wall_time: float
    value: bytes  # a serialized Summary.Value
    part: MeshPart | None = None  # of a mesh only

    def parsed(self) -> pb.Summary.Value:
        """The message; event files are parsed when they are read, so this does not fail."""
        return pb.Summary.Value.FromString(self.value)


@dataclass(frozen=True, slots=True)
class StoredHistogram:
    """A histogram's buckets: float64[n] each. `sum` and `sum_squares` are None where the file does not hold them.

    The older form has them, and only right edges: each left edge is then the right one before it, the first one `min`. The
    newer form, which tbbridge writes, has both edges and no sums; its `min` and `max` are the outer edges.
    """

    wall_time: float
    step: int
    min: float
    max: float
    num: float
    sum: float | None
    sum_squares: float | None
    lefts: Float64s
    rights: Float64s
    counts: Float64s


@dataclass(frozen=True, slots=True)
class StoredTexts:
    """Texts of one value: `shape` as in the file, [] for a single one; what is not UTF-8 is replaced by U+FFFD."""

    wall_time: float
    step: int
    shape: list[int]
    texts: list[str]


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes as they were stored; the content type is seen from themselves, never from what the file says of them."""

    content: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """An array: `dtype` is numpy's name or 'bfloat16' or 'string'. `content` is little-endian, row by row; texts have none."""

    wall_time: float
    step: int
    dtype: str
    shape: list[int]
    content: bytes
    texts: list[str] | None


@dataclass(frozen=True, slots=True)
class StoredMesh:
    """One mesh put together again; each part is a tensor [samples, n, 3]. `config` is JSON, "" if there is none."""

    wall_time: float
    step: int
    config: str
    vertices: StoredTensor | None
    faces: StoredTensor | None
    colors: StoredTensor | None


@dataclass(frozen=True, slots=True)
class StoredCurve:
    """A PR curve: float64[6, n], rows true and false positives, true and false negatives, precision, recall."""

    wall_time: float
    step: int
    table: Float64s


@dataclass(frozen=True, slots=True)
class StoredHParams:
    """What one value of the HParams page says; what it does not say is None."""

    wall_time: float
    step: int
    values: dict[str, bool | float | str | None] | None
    group_name: str | None
    status: str | None
    metrics: list[str] | None  # of an experiment: the tags that matter


def histogram(stored: StoredValue) -> StoredHistogram | None:
    """The buckets of either form."""
    value = stored.parsed()
    if value.HasField("histo"):
        histo = value.histo
        rights, counts = np.array(histo.bucket_limit, np.float64), np.array(histo.bucket, np.float64)
        if len(rights) != len(counts):
            return None
        lefts = np.concatenate(([histo.min], rights[:-1])) if len(rights) else rights
        said = histo.min, histo.max, histo.num, histo.sum, histo.sum_squares
        return StoredHistogram(stored.wall_time, stored.step, *said, lefts, rights, counts)
    rows = array_of(value.tensor)
    if rows is None or rows.ndim != 2 or rows.shape[1] != 3:
        return None
    lefts, rights, counts = rows.astype(np.float64).T
    ends = (float(lefts[0]), float(rights[-1])) if len(lefts) else (0.0, 0.0)
    return StoredHistogram(stored.wall_time, stored.step, *ends, float(counts.sum()), None, None, lefts, rights, counts)


def texts(stored: StoredValue) -> StoredTexts | None:
    """The strings of a text value."""
    tensor = stored.parsed().tensor
    if tensor.dtype != pb.DT_STRING:
        return None
    found = [raw.decode(errors="replace") for raw in tensor.string_val]
    return StoredTexts(stored.wall_time, stored.step, [dim.size for dim in tensor.tensor_shape.dim], found)


def blobs(stored: StoredValue) -> list[Blob]:
    """The pictures, clips or serialized messages of one value, in order."""
    value = stored.parsed()
    match value.WhichOneof("value"):
        case "image":
            return [_blob(value.image.encoded_image_string)]
        case "audio":
            return [_blob(value.audio.encoded_audio_string)]
        case "tensor" if value.tensor.dtype == pb.DT_STRING:
            return [_blob(raw) for raw in _samples(value.tensor)]
        case _:
            return []


def _samples(tensor: pb.TensorProto) -> list[bytes]:
    held = list(tensor.string_val)
    dims = [dim.size for dim in tensor.tensor_shape.dim]
    if len(dims) == 2 and dims[1] == 2:  # clips with a label each (tensorboard/plugins/audio/summary.py)
        return held[::2]
    # Pictures have their width and height in front, as text (tensorboard/plugins/image/summary.py).
    return held[2:] if len(held) > 2 and all(one.isdigit() and len(one) < 12 for one in held[:2]) else held


def _blob(content: bytes) -> Blob:
    return Blob(content, content_type(content))


def content_type(content: bytes) -> str:
    """image/png, image/jpeg, image/gif or audio/wav if the bytes are that, else application/octet-stream.

    Nothing else, whatever the file says: markup (SVG among it) would run as a page of this server.
    """
    try:
        if content[:4] == b"RIFF":
            read_sound(content, "")
            return "audio/wav"
        return read_picture(content, "").mime
    except InvalidItem:
        return OCTETS


def curve(stored: StoredValue) -> StoredCurve | None:
    """The six rows of a PR curve."""
    table = array_of(stored.parsed().tensor)
    if table is None or table.ndim != 2 or len(table) != 6:
        return None
    return StoredCurve(stored.wall_time, stored.step, table.astype(np.float64))


def tensor(stored: StoredValue) -> StoredTensor | None:
    """Whatever array the value holds."""
    found = stored.parsed().tensor
    shape = [dim.size for dim in found.tensor_shape.dim]
    if found.dtype == pb.DT_STRING:
        strings = [raw.decode(errors="replace") for raw in found.string_val]
        return StoredTensor(stored.wall_time, stored.step, "string", shape, b"", strings)
    if found.dtype == pb.DT_BFLOAT16:  # numpy has no such type
        raw = found.tensor_content or _halves(found).tobytes()
        return StoredTensor(stored.wall_time, stored.step, "bfloat16", shape, raw, None)
    array = array_of(found)
    if array is None:
        return None
    return StoredTensor(stored.wall_time, stored.step, array.dtype.name, list(array.shape), array.tobytes(), None)


def mesh_part(stored: StoredValue) -> tuple[MeshPart, StoredTensor] | None:
    """What `meshes` puts together."""
    found = tensor(stored)
    return None if found is None or stored.part is None else (stored.part, found)


def meshes(parts: Sequence[tuple[MeshPart, StoredTensor]]) -> list[StoredMesh]:
    """The meshes whose parts these are, in the order of writing; neighbouring parts of one step are one mesh."""
    found: list[dict[int, StoredTensor]] = []
    configs: list[str] = []
    for part, array in parts:
        last = found[-1] if found else {}
        if not last or part.content in last or next(iter(last.values())).step != array.step:
            found.append({})
            configs.append(part.config)
        found[-1][part.content] = array
    kinds = plugins_pb2.MeshPluginData
    made = []
    for arrays, config in zip(found, configs, strict=True):
        first = next(iter(arrays.values()))
        own = (arrays.get(kind) for kind in (kinds.VERTEX, kinds.FACE, kinds.COLOR))
        made.append(StoredMesh(first.wall_time, first.step, config, *own))
    return made


def hparams(stored: StoredValue) -> StoredHParams | None:
    """The start of a session, its end, or an experiment."""
    try:
        data = plugins_pb2.HParamsPluginData.FromString(stored.parsed().metadata.plugin_data.content)
    except DecodeError:
        return None
    match data.WhichOneof("data"):
        case "session_start_info":
            start = data.session_start_info
            values = {name: _number_or_text(start.hparams[name]) for name in sorted(start.hparams)}
            return StoredHParams(stored.wall_time, stored.step, values, start.group_name, None, None)
        case "session_end_info":
            status = _STATUS.get(data.session_end_info.status, "unknown")
            return StoredHParams(stored.wall_time, stored.step, None, None, status, None)
        case "experiment":
            metrics = [info.name.tag for info in data.experiment.metric_infos]
            return StoredHParams(stored.wall_time, stored.step, None, None, None, metrics)
        case _:
            return None


_STATUS: Final = {
    plugins_pb2.STATUS_SUCCESS: "success",
    plugins_pb2.STATUS_FAILURE: "failure",
    plugins_pb2.STATUS_RUNNING: "running",
}


def _number_or_text(value: Any) -> bool | float | str | None:
    match value.WhichOneof("kind"):
        case "bool_value":
            return bool(value.bool_value)
        case "number_value":
            return float(value.number_value)
        case "string_value":
            return str(value.string_value)
        case _:
            return None


def layout(stored: StoredValue) -> plugins_pb2.Layout | None:
    """The layout of the Custom Scalars page."""
    strings = stored.parsed().tensor.string_val
    try:
        return plugins_pb2.Layout.FromString(strings[0]) if len(strings) == 1 else None
    except DecodeError:
        return None


# --- arrays ---------------------------------------------------------------------------------------------------------------

# numpy's type, and the field that holds the numbers if `tensor_content` does not.
_TYPES: Final = {
    pb.DT_FLOAT: ("<f4", "float_val"),
    pb.DT_DOUBLE: ("<f8", "double_val"),
    pb.DT_HALF: ("<f2", "half_val"),
    pb.DT_INT8: ("i1", "int_val"),
    pb.DT_INT16: ("<i2", "int_val"),
    pb.DT_INT32: ("<i4", "int_val"),
    pb.DT_INT64: ("<i8", "int64_val"),
    pb.DT_UINT8: ("u1", "int_val"),
    pb.DT_UINT16: ("<u2", "int_val"),
    pb.DT_UINT32: ("<u4", "uint32_val"),
    pb.DT_UINT64: ("<u8", "uint64_val"),
    pb.DT_BOOL: ("?", "bool_val"),
    pb.DT_COMPLEX64: ("<c8", "scomplex_val"),
    pb.DT_COMPLEX128: ("<c16", "dcomplex_val"),
}


def array_of(tensor: pb.TensorProto) -> Array | None:
    """The numbers of a tensor in its shape; None if they do not fill it, or are none."""
    if tensor.dtype not in _TYPES:
        return None
    kind, name = _TYPES[tensor.dtype]
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    if min(shape, default=0) < 0:
        return None
    count = math.prod(shape)
    if tensor.tensor_content:
        if len(tensor.tensor_content) != count * np.dtype(kind).itemsize:
            return None
        return _shaped(np.frombuffer(tensor.tensor_content, kind), shape)
    given = getattr(tensor, name)
    if name == "half_val":
        flat = _halves(tensor).view("<f2")
    elif name in ("scomplex_val", "dcomplex_val"):
        flat = np.array(given[: len(given) // 2 * 2], "<f4" if name == "scomplex_val" else "<f8").view(kind)
    else:
        flat = np.array(given, np.int64 if name == "int_val" else kind).astype(kind)
    if len(flat) == 1 and 1 < count <= limits.TENSOR_REPEATED_MAX:
        flat = np.repeat(flat, count)  # TensorFlow's short form of an array whose elements are all the same
    return _shaped(flat, shape) if len(flat) == count else None


def _shaped(flat: Array, shape: tuple[int, ...]) -> Array | None:
    try:
        return flat.reshape(shape)
    except ValueError:  # 0 elements, but too many in one dimension, or more dimensions than numpy has
        return None


def _halves(tensor: pb.TensorProto) -> NDArray[np.uint16]:
    """Numbers of 16 bits as their bits, which stand in a field of 32."""
    return np.array(tensor.half_val, np.int64).astype("<u2")
