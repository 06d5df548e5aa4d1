"""One summary as its protobuf message and back; the requests around them are protobuf_v1's.

The message is the twin in wire/columns.proto, in which texts are bytes (one that is not UTF-8 is an error of its item) and
packed columns are bytes (they become arrays without a loop). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, TypedDict, assert_never

import numpy as np
from numpy.typing import NDArray

from tbbridge.errors import InvalidItem
from tbbridge.model import (
    Audio,
    Buckets,
    Category,
    Chart,
    CustomScalars,
    Embedding,
    Graph,
    Histogram,
    HParams,
    Image,
    Mesh,
    PrCurve,
    RawValue,
    RunMetadata,
    Summary,
    TagName,
    Tensor,
    Text,
    check_step,
    check_wall_time,
    decode_utf8,
    tag_name,
)
from tbbridge.wire import columns_pb2 as pb
from tbbridge.wire.collect import ScalarRow

INT64: Final = np.dtype("<i8")
FLOAT64: Final = np.dtype("<f8")
_FLOAT32: Final = np.dtype("<f4")
_INT32: Final = np.dtype("<i4")

_KINDS: Final = tuple(field.name for field in pb.Summary.DESCRIPTOR.oneofs_by_name["kind"].fields)
_ROWS: Final = ("true_positives", "false_positives", "true_negatives", "false_negatives", "precision", "recall")
_Status = Literal["success", "failure", "running"]
_STATUS_NUMBERS: Final[dict[str, pb.HParams.Status]] = {
    "success": pb.HParams.SUCCESS,
    "failure": pb.HParams.FAILURE,
    "running": pb.HParams.RUNNING,
}
_STATUSES: Final[dict[int, _Status]] = {
    pb.HParams.SUCCESS: "success",
    pb.HParams.FAILURE: "failure",
    pb.HParams.RUNNING: "running",
}


# --- writing ----------------------------------------------------------------------------------------------------------


def summary_to_message(summary: Summary) -> pb.Summary:
    """`summary` as its message."""
    message = pb.Summary(step=summary.step, wall_time=summary.wall_time)
    if summary.display_name:
        message.display_name = summary.display_name.encode()
    if summary.description:
        message.description = summary.description.encode()
    if not isinstance(summary, Graph | HParams | CustomScalars | RawValue):
        message.tag = summary.tag.encode()
    match summary:
        case Text():
            message.text = summary.text.encode()
        case Histogram():
            _put_histogram(message.histogram, summary)
        case Image():
            message.image.encoded.extend(summary.images)
        case Audio():
            message.audio.wav.extend(summary.clips)
        case PrCurve():
            for name, row in zip(_ROWS, summary.table, strict=True):
                getattr(message.pr_curve, name).append(row.astype(FLOAT64, copy=False).tobytes())
        case Mesh():
            _put_mesh(message.mesh, summary)
        case Embedding():
            _put_embedding(message.embedding, summary)
        case Graph():
            message.graph_def = summary.graph_def
        case RunMetadata():
            message.run_metadata = summary.run_metadata
        case HParams():
            _put_hparams(message.hparams, summary)
        case CustomScalars():
            _put_layout(message.custom_scalars, summary)
        case Tensor():
            _put_tensor(message.tensor, summary)
        case RawValue():
            message.raw_value = summary.value
        case _:
            assert_never(summary)
    return message


def _put_histogram(message: pb.Histogram, histogram: Histogram) -> None:
    message.SetInParent()
    if histogram.buckets is not None:
        for name in ("lefts", "rights", "counts"):
            getattr(message, name).append(getattr(histogram.buckets, name).astype(FLOAT64, copy=False).tobytes())
    elif histogram.values is not None:
        message.values.append(histogram.values.astype(FLOAT64, copy=False).tobytes())


def _put_mesh(message: pb.Mesh, mesh: Mesh) -> None:
    message.samples = mesh.vertices.shape[0]
    message.vertices.append(mesh.vertices.astype(_FLOAT32, copy=False).tobytes())
    if mesh.colors is not None:
        message.colors = mesh.colors.tobytes()
    if mesh.faces is not None:
        message.faces.append(mesh.faces.astype(_INT32, copy=False).tobytes())
    message.config = mesh.config.encode()


def _put_embedding(message: pb.Embedding, embedding: Embedding) -> None:
    message.dimensions = embedding.matrix.shape[1]
    message.values.append(embedding.matrix.astype(_FLOAT32, copy=False).tobytes())
    for row in embedding.metadata or ():
        message.metadata.add(cells=[cell.encode() for cell in row])
    message.header.extend(name.encode() for name in embedding.header or ())
    if embedding.sprite is not None and embedding.sprite_size is not None:
        message.sprite = embedding.sprite
        message.sprite_width, message.sprite_height = embedding.sprite_size


def _put_hparams(message: pb.HParams, hparams: HParams) -> None:
    message.SetInParent()
    for name, value in hparams.values.items():
        added = message.values.add(name=name.encode())
        if isinstance(value, bool):
            added.flag = value
        elif isinstance(value, str):
            added.text = value.encode()
        else:
            added.number = value
    message.metrics.extend(metric.encode() for metric in hparams.metrics)
    message.group_name = hparams.group_name.encode()
    if hparams.status is not None:
        message.status = _STATUS_NUMBERS[hparams.status]


def _put_layout(message: pb.CustomScalars, layout: CustomScalars) -> None:
    message.SetInParent()
    for category in layout.categories:
        added = message.categories.add(title=category.title.encode(), closed=category.closed)
        for chart in category.charts:
            drawn = added.charts.add(title=chart.title.encode(), multiline=[pattern.encode() for pattern in chart.multiline])
            for value, lower, upper in chart.margin:
                drawn.margin.add(value=value.encode(), lower=lower.encode(), upper=upper.encode())


def _put_tensor(message: pb.Tensor, tensor: Tensor) -> None:
    message.dtype = tensor.dtype.encode()
    message.shape.extend(tensor.shape)
    message.content = tensor.content
    message.strings.extend(tensor.strings)
    message.plugin_name = tensor.plugin_name.encode()
    message.plugin_content = tensor.plugin_content


# --- reading ----------------------------------------------------------------------------------------------------------


class _Shared(TypedDict):
    step: int | None
    wall_time: float | None
    display_name: str
    description: str


def summary_from_message(message: pb.Summary, path: str) -> ScalarRow | Summary:
    """The message as what it says, `path` being its place in the body. Raises `InvalidItem`."""
    shared = _Shared(
        step=check_step(message.step) if message.HasField("step") else None,
        wall_time=check_wall_time(message.wall_time) if message.HasField("wall_time") else None,
        display_name=decode_utf8(message.display_name, "display_name", "display_name"),
        description=decode_utf8(message.description, "description", "description"),
    )
    kind = message.WhichOneof("kind")
    match kind:
        case "graph_def" | "hparams" | "custom_scalars" | "raw_value":
            if message.tag:
                raise InvalidItem("tag", f"{kind} has a tag of its own; leave the tag out", "tag")
            return _without_tag(message, kind, shared)
        case None:
            raise InvalidItem("kind", f"the summary has no kind this server knows; set one of {', '.join(_KINDS)}", "kind")
    tag = tag_name(decode_utf8(message.tag, "the tag", "tag"))
    match kind:
        case "scalar":
            return ScalarRow(path, tag, message.scalar, **shared)
        case "text":
            return Text(tag, decode_utf8(message.text, "the text", "text"), **shared)
        case "histogram":
            return _histogram(tag, message.histogram, shared)
        case "image":
            return Image(tag, tuple(message.image.encoded), **shared)
        case "audio":
            return Audio(tag, tuple(message.audio.wav), **shared)
        case "pr_curve":
            return _pr_curve(tag, message.pr_curve, shared)
        case "mesh":
            return _mesh(tag, message.mesh, shared)
        case "embedding":
            return _embedding(tag, message.embedding, shared)
        case "run_metadata":
            return RunMetadata(tag, message.run_metadata, **shared)
        case "tensor":
            return _tensor(tag, message.tensor, shared)
        case _:
            assert_never(kind)


def _without_tag(
    message: pb.Summary, kind: Literal["graph_def", "hparams", "custom_scalars", "raw_value"], shared: _Shared
) -> Summary:
    match kind:
        case "graph_def":
            return Graph(message.graph_def, **shared)
        case "hparams":
            return _hparams(message.hparams, shared)
        case "custom_scalars":
            return _layout(message.custom_scalars, shared)
        case "raw_value":
            return RawValue(message.raw_value, **shared)


def _histogram(tag: TagName, message: pb.Histogram, shared: _Shared) -> Histogram:
    if message.values:
        return Histogram(tag, array(message.values, FLOAT64, "values"), **shared)
    columns = (("lefts", message.lefts), ("rights", message.rights), ("counts", message.counts))
    lefts, rights, counts = (array(column, FLOAT64, name) for name, column in columns)
    return Histogram(tag, buckets=Buckets(lefts, rights, counts), **shared)


def _pr_curve(tag: TagName, message: pb.PrCurve, shared: _Shared) -> PrCurve:
    rows = [array(getattr(message, name), FLOAT64, name) for name in _ROWS]
    for name, row in zip(_ROWS, rows, strict=True):
        if len(row) != len(rows[0]):
            text = f"{len(row)} numbers, true_positives has {len(rows[0])}; send one a threshold in each of the six"
            raise InvalidItem("length", text, name)
    return PrCurve(tag, np.stack(rows), **shared)


def _mesh(tag: TagName, message: pb.Mesh, shared: _Shared) -> Mesh:
    samples = message.samples or 1
    colors = np.frombuffer(message.colors, np.uint8)
    faces = array(message.faces, _INT32, "faces")
    return Mesh(
        tag,
        _triples(array(message.vertices, _FLOAT32, "vertices"), samples, "vertices"),
        _triples(colors, samples, "colors") if len(colors) else None,
        _triples(faces, samples, "faces") if len(faces) else None,
        decode_utf8(message.config, "the config", "config") or "{}",
        **shared,
    )


def _triples(numbers: NDArray[Any], samples: int, where: str) -> NDArray[Any]:
    if len(numbers) % (3 * samples):
        text = f"{len(numbers)} numbers are no whole number of triples for each of {samples} samples"
        raise InvalidItem("length", text + "; send three for each vertex or face", where)
    return numbers.reshape(samples, -1, 3)


def _embedding(tag: TagName, message: pb.Embedding, shared: _Shared) -> Embedding:
    numbers = array(message.values, _FLOAT32, "values")
    if not message.dimensions or len(numbers) % message.dimensions:
        text = f"{len(numbers)} numbers are no whole number of points of {message.dimensions} dimensions"
        raise InvalidItem("length", text + "; send `dimensions` and as many numbers for each point", "values")
    metadata = tuple(_texts(row.cells, f"metadata[{position}]") for position, row in enumerate(message.metadata))
    has_sprite = bool(message.sprite or message.sprite_width or message.sprite_height)
    return Embedding(
        tag,
        numbers.reshape(-1, message.dimensions),
        metadata or None,
        _texts(message.header, "header") or None,
        message.sprite if has_sprite else None,
        (message.sprite_width, message.sprite_height) if has_sprite else None,
        **shared,
    )


def _hparams(message: pb.HParams, shared: _Shared) -> HParams:
    values: dict[str, bool | float | str] = {}
    for position, item in enumerate(message.values):
        place = f"values[{position}]"
        name = decode_utf8(item.name, "the name", place)
        if name in values:
            raise InvalidItem("hparams", f"{name!a:.60} stands twice; name each hyperparameter once", place)
        match item.WhichOneof("value"):
            case "number":
                values[name] = item.number
            case "flag":
                values[name] = item.flag
            case "text":
                values[name] = decode_utf8(item.text, "the value", place)
            case None:
                raise InvalidItem("hparams", f"{name!a:.60} has no value; set number, text or flag", place)
    group = decode_utf8(message.group_name, "group_name", "group_name")
    return HParams(values, _texts(message.metrics, "metrics"), group, _STATUSES.get(message.status), **shared)


def _layout(message: pb.CustomScalars, shared: _Shared) -> CustomScalars:
    categories = []
    for at, category in enumerate(message.categories):
        charts = []
        for position, chart in enumerate(category.charts):
            place = f"categories[{at}].charts[{position}]"
            margins = (_texts((one.value, one.lower, one.upper), f"{place}.margin") for one in chart.margin)
            charts.append(
                Chart(
                    decode_utf8(chart.title, "the title", place),
                    _texts(chart.multiline, f"{place}.multiline"),
                    tuple((value, lower, upper) for value, lower, upper in margins),
                )
            )
        title = decode_utf8(category.title, "the title", f"categories[{at}]")
        categories.append(Category(title, tuple(charts), category.closed))
    return CustomScalars(tuple(categories), **shared)


def _tensor(tag: TagName, message: pb.Tensor, shared: _Shared) -> Tensor:
    return Tensor(
        tag,
        decode_utf8(message.dtype, "dtype", "dtype"),
        tuple(message.shape),
        message.content,
        tuple(message.strings),
        decode_utf8(message.plugin_name, "plugin_name", "plugin_name"),
        message.plugin_content,
        **shared,
    )


def _texts(raw: Iterable[bytes], where: str) -> tuple[str, ...]:
    return tuple(decode_utf8(one, "the text", f"{where}[{position}]") for position, one in enumerate(raw))


def array(chunks: Sequence[bytes], dtype: np.dtype[Any], where: str) -> NDArray[Any]:
    """A packed column as an array, whose bytes may have come in pieces."""
    raw = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    if len(raw) % dtype.itemsize:
        message = f"{len(raw)} bytes are no whole number of {dtype.itemsize}-byte elements; send a packed fixed-width column"
        raise InvalidItem("length", message, where)
    return np.frombuffer(raw, dtype)
