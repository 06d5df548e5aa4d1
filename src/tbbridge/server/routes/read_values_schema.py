"""What the routes of read_values.py answer, as types: the OpenAPI document is made from them. Types only.

Every value has `step` and `wall_time`, and then the fields of its kind. Bytes are base64 text; numbers that JSON has not are
the strings of the interface.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field
from typing_extensions import TypedDict

from tbbridge.wire.json_fields import Bytes, Finite, Int64, Number, Numbers
from tbbridge.wire.json_kinds_schema import HParam

# The rows of a PR curve's table (tensorboard/plugins/pr_curve/summary.py).
CURVE_ROWS: Final = ("true_positives", "false_positives", "true_negatives", "false_negatives", "precision", "recall")


class Stored(TypedDict):
    """One value."""

    step: Int64
    wall_time: Annotated[Finite, Field(description="Seconds since 1970.")]


class ListedStored(Stored):
    """One value whose bytes GET /api/v1/blob gives."""

    index: Annotated[int, Field(description="Counts all the values of the tag, from 0; `index` of GET /api/v1/blob.")]


class Answer(TypedDict):
    """The values of one tag."""

    run: str
    tag: Annotated[str | None, Field(description="null: all tags of the kind.")]


class StoredHistogram(Stored):
    """A histogram as its buckets."""

    min: Number
    max: Number
    num: Number
    sum: Annotated[Number | None, Field(description="null: this form does not hold it.")]
    sum_squares: Number | None
    lefts: Numbers
    rights: Numbers
    counts: Numbers


class HistogramValues(Answer):
    """Histograms in the order of writing."""

    values: list[StoredHistogram]


class StoredTexts(Stored):
    """One text, or a table of them."""

    shape: Annotated[list[int], Field(description="Empty for one text, else the dimensions, row by row.")]
    texts: Annotated[list[str], Field(description="Markdown as written; bytes that are not UTF-8 are U+FFFD.")]


class TextValues(Answer):
    """Texts in the order of writing."""

    values: list[StoredTexts]


class Sample(TypedDict):
    """One picture, clip or serialized message."""

    content_type: Annotated[str, Field(examples=["image/png"])]
    size_bytes: int


class StoredBlobs(ListedStored):
    """What there is of one value."""

    samples: list[Sample]


class BlobValues(Answer):
    """Values in the order of writing; GET /api/v1/blob gives their bytes."""

    values: list[StoredBlobs]


class StoredCurve(Stored):
    """One precision-recall curve: a number for each threshold, thresholds evenly from 0 to 1."""

    true_positives: Numbers
    false_positives: Numbers
    true_negatives: Numbers
    false_negatives: Numbers
    precision: Numbers
    recall: Numbers


class CurveValues(Answer):
    """Curves in the order of writing."""

    values: list[StoredCurve]


class StoredArray(TypedDict):
    """An array: `content`, or for strings `texts`."""

    dtype: Annotated[str, Field(examples=["float32"])]
    shape: list[int]
    content: Annotated[Bytes | None, Field(description="Little-endian, row by row.")]
    texts: Annotated[list[str] | None, Field(description="Of dtype `string`; bytes that are not UTF-8 are U+FFFD.")]


class StoredTensor(StoredArray, Stored):
    """One tensor."""


class TensorValues(Answer):
    """Tensors in the order of writing."""

    values: list[StoredTensor]


class StoredMesh(Stored):
    """One mesh, its parts together. Arrays are [samples, n, 3]."""

    config: Annotated[dict[str, Any] | None, Field(description="Camera, lights, material, as THREE.js knows them.")]
    vertices: StoredArray | None
    faces: StoredArray | None
    colors: StoredArray | None


class MeshValues(Answer):
    """Meshes in the order of writing."""

    values: list[StoredMesh]


class StoredEmbedding(ListedStored):
    """One embedding's files."""

    parts: Annotated[list[str], Field(description="`part` of GET /api/v1/blob.", examples=[["metadata", "tensors"]])]
    size_bytes: Annotated[int, Field(description="Of all parts together.")]


class EmbeddingValues(Answer):
    """Embeddings in the order of the run's projector_config.pbtxt."""

    values: list[StoredEmbedding]


class StoredHParams(Stored):
    """Of a session's start `values` and `group_name`, of its end `status`, of an experiment `metrics`."""

    tag: str
    values: dict[str, HParam | None] | None
    group_name: str | None
    status: Annotated[str | None, Field(examples=["success"])]
    metrics: list[str] | None


class HParamsValues(Answer):
    """Hyperparameters in the order of writing."""

    values: list[StoredHParams]


class StoredMargin(TypedDict):
    """The tags of a line and of the band around it."""

    value: str
    lower: str
    upper: str


class StoredChart(TypedDict):
    """One chart: either `multiline` or `margin`."""

    title: str
    multiline: list[str] | None
    margin: list[StoredMargin] | None


class StoredCategory(TypedDict):
    """Charts under one title."""

    title: str
    closed: bool
    charts: list[StoredChart]


class StoredLayout(Stored):
    """One layout of the Custom Scalars page."""

    categories: list[StoredCategory]


class LayoutValues(Answer):
    """Layouts in the order of writing; TensorBoard shows the last."""

    values: list[StoredLayout]


class StoredRaw(Stored):
    """One value as it is in the file."""

    value: Annotated[Bytes, Field(description="A serialized tensorboard.Summary.Value.")]


class RawValues(Answer):
    """Values in the order of writing."""

    values: list[StoredRaw]
