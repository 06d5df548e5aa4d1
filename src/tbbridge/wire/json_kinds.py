"""Summaries besides scalars, from what pydantic made of their JSON. Raises `InvalidItem` that names the JSON's own fields.

Arrays go the way that those of Python's users go (convert/), so one rule says what a picture is. Pure.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable
from itertools import chain
from typing import Any, Final, TypedDict, TypeVar, TypeVarTuple, assert_never

import numpy as np

from tbbridge.convert import curves, embeddings, meshes, pictures, sounds, tensors
from tbbridge.errors import InvalidItem
from tbbridge.kinds import DTYPE_BYTES
from tbbridge.model import (
    Audio,
    Buckets,
    Category,
    Chart,
    CustomScalars,
    Embedding,
    Float64s,
    Graph,
    Histogram,
    HParams,
    Image,
    Mesh,
    PrCurve,
    RawValue,
    RunMetadata,
    Summary,
    Tensor,
    Text,
    tag_name,
)
from tbbridge.wire import json_kinds_schema as kinds
from tbbridge.wire import json_v1_schema as schema
from tbbridge.wire.json_fields import Shared

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_COUNTS: Final = ("true_positives", "false_positives", "true_negatives", "false_negatives", "precision", "recall")

_NUMBERS: Final = frozenset((int, float, bool))
_JSON_NAMES: Final[dict[type, str]] = {str: "texts", dict: "objects", type(None): "null"}


class _Shared(TypedDict):
    step: int | None
    wall_time: float | None
    display_name: str
    description: str


def summary_of(item: schema.OneByOne) -> Summary:
    """`item` as the summary it describes."""
    match item["kind"]:
        case "text":
            return Text(tag_name(item["tag"]), item["text"], **_shared(item))
        case "histogram":
            return _histogram(item)
        case "image":
            return _image(item)
        case "audio":
            return _audio(item)
        case "pr_curve":
            return _pr_curve(item)
        case "mesh":
            return _mesh(item)
        case "embedding":
            return _embedding(item)
        case "graph":
            return Graph(_bytes(item["graph_def"], "graph_def"), **_shared(item))
        case "run_metadata":
            content = _bytes(item["run_metadata"], "run_metadata")
            return RunMetadata(tag_name(item["tag"]), content, **_shared(item))
        case "hparams":
            metrics = tuple(item.get("metrics", ()))
            return HParams(item["values"], metrics, item.get("group_name", ""), item.get("status"), **_shared(item))
        case "custom_scalars":
            return CustomScalars(tuple(map(_category, item["categories"])), **_shared(item))
        case "tensor":
            return _tensor(item)
        case "raw":
            return RawValue(_bytes(item["value"], "value"), **_shared(item))
        case _:
            assert_never(item)


def _shared(item: Shared) -> _Shared:
    return _Shared(
        step=item.get("step"),
        wall_time=item.get("wall_time"),
        display_name=item.get("display_name", ""),
        description=item.get("description", ""),
    )


def _bytes(text: str, where: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        message = f"the text is not base64 ({error}); encode the bytes with the standard alphabet and its padding"
        raise InvalidItem("base64", message, where) from None


def _converted(where: str, convert: Callable[[*Ts], T], *values: *Ts) -> T:
    """What `convert` makes; what it finds wrong is told under the JSON's name."""
    try:
        return convert(*values)
    except InvalidItem as error:
        raise InvalidItem(error.item_code, error.message, where) from None


def _leaves(values: list[Any]) -> set[type]:
    """The types of what is in the lists, level by level, so that a million rows take no longer than a million numbers."""
    found: set[type] = set()
    level = values
    while level:
        types = set(map(type, level))
        found |= types
        if list not in types:
            break
        level = list(chain.from_iterable(level if len(types) == 1 else [one for one in level if type(one) is list]))
    return found - {list}


def _only_numbers(values: list[Any], where: str) -> list[Any]:
    """`values`, if numpy may see them: of one long text among many short ones it makes as many long ones."""
    strange = _leaves(values) - _NUMBERS
    if strange:
        came = " and ".join(sorted(_JSON_NAMES.get(kind, kind.__name__) for kind in strange))
        raise InvalidItem("values", f"{came} came among the values; give an array of numbers", where)
    return values


def _one_of(item: object, *names: str) -> str:
    """Which of the fields `names` is there; exactly one must be."""
    assert isinstance(item, dict)  # noqa: S101 - a TypedDict
    given = [name for name in names if name in item]
    if len(given) != 1:
        came = "both came" if given else "neither came"
        raise InvalidItem("missing", f"{' or '.join(names)} is wanted and {came}; send exactly one of them", names[0])
    return given[0]


def _histogram(item: schema.HistogramSummary) -> Histogram:
    values, buckets = item.get("values"), item.get("buckets")
    return Histogram(
        tag_name(item["tag"]),
        None if values is None else np.array(values, dtype=np.float64),
        None if buckets is None else _buckets(buckets),
        **_shared(item),
    )


def _buckets(rows: list[list[float]]) -> Buckets:
    table: Float64s = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return Buckets(*np.ascontiguousarray(table.T))


def _image(item: kinds.ImageSummary) -> Image:
    tag = tag_name(item["tag"])
    if _one_of(item, "images", "array") == "images":
        images = tuple(_bytes(one, f"images[{position}]") for position, one in enumerate(item["images"]))
    else:
        array = _pixels(_only_numbers(item["array"], "array"))
        images = _converted("array", pictures.image, tag, array, item.get("dataformats")).images
    return Image(tag, images, **_shared(item))


def _pixels(values: list[Any]) -> object:
    """Whole numbers up to 255 as bytes; those up to 1, which may be floats that happen to be whole, are left as they are."""
    try:
        array = np.array(values)
    except ValueError:
        return values  # told by whoever converts it
    if array.dtype.kind == "i" and array.size and array.min() >= 0 and 1 < array.max() <= 255:
        return array.astype(np.uint8)
    return values


def _audio(item: kinds.AudioSummary) -> Audio:
    tag = tag_name(item["tag"])
    if _one_of(item, "clips", "samples") == "clips":
        clips = tuple(_bytes(one, f"clips[{position}]") for position, one in enumerate(item["clips"]))
    else:
        if "sample_rate" not in item:
            raise InvalidItem("missing", "'sample_rate' is missing; add it, such as 44100", "sample_rate")
        samples = _converted("samples", _numbers, item["samples"])
        clips = _converted("samples", sounds.audio, tag, samples, item["sample_rate"]).clips
    return Audio(tag, clips, **_shared(item))


def _numbers(values: list[Any]) -> Float64s:
    """Samples that happen to be whole (0, 1) are floats all the same: JSON does not tell them apart."""
    if _leaves(values) - _NUMBERS:
        raise InvalidItem("type", "something else than numbers came; send numbers in lists of equal length")
    try:
        array = np.array(values)
    except ValueError:
        raise InvalidItem("type", "the lists are of different lengths; give all of them as many numbers") from None
    if array.dtype.kind not in "fiu":
        raise InvalidItem("type", "something else than numbers came; send numbers in lists of equal length")
    return array.astype(np.float64)


def _pr_curve(item: kinds.PrCurveSummary) -> PrCurve:
    tag = tag_name(item["tag"])
    if "labels" in item or "predictions" in item:
        for name in ("labels", "predictions"):
            if name not in item:
                raise InvalidItem("missing", f"'{name}' is missing; send one for each of the others", name)
        mixed = [name for name in _COUNTS if name in item]
        if mixed:
            raise InvalidItem("pr-curve", "labels came, and counts too; send one of the two forms", mixed[0])
        labels = _only_numbers(item["labels"], "labels")
        given = tag, labels, item["predictions"], item.get("num_thresholds", 127), item.get("weights")
        table = _converted("predictions", curves.pr_curve, *given).table
    else:
        rows = [item.get(name) for name in _COUNTS]
        for name, row in zip(_COUNTS, rows, strict=True):
            if row is None:
                raise InvalidItem("missing", f"'{name}' is missing; send it, or labels and predictions", name)
        table = _converted("true_positives", _counted, tag, rows).table
    return PrCurve(tag, table, **_shared(item))


def _counted(tag: str, rows: list[Any]) -> PrCurve:
    return curves.pr_curve_raw(tag, *rows)


def _mesh(item: kinds.MeshSummary) -> Mesh:
    tag = tag_name(item["tag"])
    for name in ("vertices", "colors", "faces"):
        if name in item:
            _only_numbers(item[name], name)
    made = meshes.mesh(tag, item["vertices"], item.get("colors"), item.get("faces"), item.get("config"))
    return Mesh(tag, made.vertices, made.colors, made.faces, made.config, **_shared(item))


def _embedding(item: kinds.EmbeddingSummary) -> Embedding:
    tag = tag_name(item["tag"])
    matrix = _converted("matrix", embeddings.embedding, tag, _only_numbers(item["matrix"], "matrix")).matrix
    metadata = item.get("metadata")
    rows = None if metadata is None else tuple((row,) if isinstance(row, str) else tuple(row) for row in metadata)
    header, sprite, size = item.get("header"), item.get("sprite"), item.get("sprite_size")
    return Embedding(
        tag,
        matrix,
        rows or None,
        tuple(header) if header else None,
        None if sprite is None else _bytes(sprite, "sprite"),
        None if size is None else (size[0], size[1]),
        **_shared(item),
    )


def _category(item: kinds.Category) -> Category:
    return Category(item["title"], tuple(map(_chart, item["charts"])), item.get("closed", False))


def _chart(item: kinds.Chart) -> Chart:
    margin = tuple((one["value"], one["lower"], one["upper"]) for one in item.get("margin", ()))
    return Chart(item["title"], tuple(item.get("multiline", ())), margin)


def _tensor(item: kinds.TensorSummary) -> Tensor:
    tag = tag_name(item["tag"])
    plugin = item.get("plugin_name", "")
    plugin_content = _bytes(item.get("plugin_content", ""), "plugin_content")
    if _one_of(item, "values", "content") == "values":
        if item.get("dtype", "string") != "string" or _leaves(item["values"]) != {
            str
        }:  # texts only: numpy keeps them as they are
            _only_numbers(item["values"], "values")
        values = _converted("values", _typed, item["values"], item.get("dtype"))
        made = _converted("values", tensors.tensor, tag, values, "", b"")
        dtype, shape, content, strings = made.dtype, made.shape, made.content, made.strings
    else:
        for name in ("dtype", "shape"):
            if name not in item:
                raise InvalidItem("missing", f"'{name}' is missing; `content` needs dtype and shape", name)
        dtype, shape, strings = item["dtype"], tuple(item["shape"]), ()
        content = _bytes(item["content"], "content")
    return Tensor(tag, dtype, shape, content, strings, plugin, plugin_content, **_shared(item))


def _typed(values: list[Any], dtype: str | None) -> object:
    """`values` as an array of `dtype`, if one is asked for that numpy has and that holds them."""
    if dtype is None or dtype == "string":
        return values
    if dtype not in DTYPE_BYTES or dtype == "bfloat16":
        known = ", ".join(name for name in DTYPE_BYTES if name != "bfloat16")
        raise InvalidItem("tensor", f"dtype is {dtype!a:.60}; `values` may become one of {known}")
    try:
        came = np.array(values)
        with np.errstate(over="ignore", invalid="ignore"):
            array = came.astype(dtype)
    except (ValueError, TypeError, OverflowError):
        raise InvalidItem("tensor", f"the values are no {dtype}; send numbers in lists of equal length") from None
    if came.dtype.kind not in "fiub" or (array.dtype.kind in "iub" and (array != came).any()):
        raise InvalidItem("tensor", f"not all values are {dtype}; send numbers that are, or another dtype")
    return array
