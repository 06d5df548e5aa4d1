"""The kinds of summaries besides scalar, text and histogram as JSON, each with an example that can be sent as it is.

Types only: what they become, and what is wrong with them, is json_kinds.py's.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, NotRequired

from pydantic import ConfigDict, Field, WithJsonSchema, with_config
from typing_extensions import TypedDict

from tbbridge.wire.json_fields import Bytes, Nested, Numbers, Shared, Tagged, named, shape

# One red pixel; eight samples of silence at 8 kHz; a graph of one node named "input" with the operation Placeholder.
_PNG: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
_WAV: Final = "UklGRjQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YRAAAAAAAAAAAAAAAAAAAAAAAAAA"
_GRAPH: Final = "ChQKBWlucHV0EgtQbGFjZWhvbGRlcg=="
_RUN_METADATA: Final = "ChUKEwoEL2NwdRILCgVpbnB1dBABKAI="
_VALUE: Final = "Cgdmb3JlaWduFQAAYEA="

IMAGE_EXAMPLE: Final[dict[str, Any]] = {"kind": "image", "tag": "sample", "step": 3, "images": [_PNG]}
PIXELS_EXAMPLE: Final[dict[str, Any]] = {
    "kind": "image",
    "tag": "pixels",
    "array": [[0, 0.5, 1], [1, 0.5, 0]],
    "dataformats": "HW",
}
AUDIO_EXAMPLE: Final[dict[str, Any]] = {"kind": "audio", "tag": "voice", "step": 3, "clips": [_WAV]}
SAMPLES_EXAMPLE: Final[dict[str, Any]] = {"kind": "audio", "tag": "tone", "samples": [0, 0.7, 1, 0.7, 0], "sample_rate": 8000}
PR_CURVE_EXAMPLE: Final[dict[str, Any]] = {
    "kind": "pr_curve",
    "tag": "validation",
    "labels": [1, 0, 1, 0],
    "predictions": [0.9, 0.2, 0.6, 0.7],
}
COUNTS_EXAMPLE: Final[dict[str, Any]] = {
    "kind": "pr_curve",
    "tag": "counted",
    "true_positives": [2, 1, 0],
    "false_positives": [2, 1, 0],
    "true_negatives": [0, 1, 2],
    "false_negatives": [0, 1, 2],
    "precision": [0.5, 0.5, 0],
    "recall": [1, 0.5, 0],
}
MESH_EXAMPLE: Final[dict[str, Any]] = {
    "kind": "mesh",
    "tag": "triangle",
    "vertices": [[0, 0, 0], [1, 0, 0], [0, 1, 0]],
    "colors": [[255, 0, 0], [0, 255, 0], [0, 0, 255]],
    "faces": [[0, 1, 2]],
}
EMBEDDING_EXAMPLE: Final[dict[str, Any]] = {
    "kind": "embedding",
    "tag": "words",
    "matrix": [[0.1, 0.9, 0.2], [0.2, 0.8, 0.1], [0.9, 0.1, 0.7]],
    "metadata": [["cat", "animal"], ["dog", "animal"], ["oak", "tree"]],
    "header": ["word", "class"],
}
GRAPH_EXAMPLE: Final[dict[str, Any]] = {"kind": "graph", "graph_def": _GRAPH}
RUN_METADATA_EXAMPLE: Final[dict[str, Any]] = {"kind": "run_metadata", "tag": "step 3", "run_metadata": _RUN_METADATA}
HPARAMS_EXAMPLE: Final[dict[str, Any]] = {
    "kind": "hparams",
    "values": {"learning_rate": 0.001, "optimizer": "adam", "augment": True},
    "status": "success",
}
LAYOUT_EXAMPLE: Final[dict[str, Any]] = {
    "kind": "custom_scalars",
    "categories": [{"title": "losses", "charts": [{"title": "both", "multiline": ["loss/train", "loss/valid"]}]}],
}
TENSOR_EXAMPLE: Final[dict[str, Any]] = {"kind": "tensor", "tag": "confusion", "values": [[5, 1], [0, 7]]}
RAW_EXAMPLE: Final[dict[str, Any]] = {"kind": "raw", "value": _VALUE}
EXAMPLES: Final = [
    IMAGE_EXAMPLE,
    PIXELS_EXAMPLE,
    AUDIO_EXAMPLE,
    SAMPLES_EXAMPLE,
    PR_CURVE_EXAMPLE,
    COUNTS_EXAMPLE,
    MESH_EXAMPLE,
    EMBEDDING_EXAMPLE,
    GRAPH_EXAMPLE,
    RUN_METADATA_EXAMPLE,
    HPARAMS_EXAMPLE,
    LAYOUT_EXAMPLE,
    TENSOR_EXAMPLE,
    RAW_EXAMPLE,
]

_LETTERS: Final = "One letter a dimension: N image, H row, W column, C channel. Left out: seen from the shape."


@with_config(shape(IMAGE_EXAMPLE))
class ImageSummary(Tagged):
    """Pictures: either `images`, encoded, or `array`, which the server encodes as one PNG. An animated GIF is a video."""

    kind: Literal["image"]
    images: NotRequired[Annotated[list[Bytes], Field(description="1 to 64 PNG, JPEG or GIF files.")]]
    array: NotRequired[Annotated[Nested, Field(description="Whole numbers from 0 to 255, or numbers from 0 to 1.")]]
    dataformats: NotRequired[Annotated[str, Field(description=_LETTERS, examples=["HWC"])]]


# A float, since some send 44100.0; the document says what is meant.
_SAMPLE_RATE: Final[dict[str, Any]] = {"type": "integer", "description": "Samples a second.", "examples": [44100], "minimum": 1}


@with_config(shape(AUDIO_EXAMPLE))
class AudioSummary(Tagged):
    """Sound: either `clips`, encoded, or `samples` and `sample_rate`, which the server encodes as one WAV file."""

    kind: Literal["audio"]
    clips: NotRequired[Annotated[list[Bytes], Field(description="1 to 16 WAV files, PCM of 16 bits.")]]
    samples: NotRequired[
        Annotated[Nested, Field(description="Numbers from -1 to 1, [L], [L, channels] or [channels, L], 1 or 2 channels.")]
    ]
    sample_rate: NotRequired[Annotated[float, WithJsonSchema(_SAMPLE_RATE)]]


@with_config(shape(PR_CURVE_EXAMPLE))
class PrCurveSummary(Tagged):
    """Precision and recall over thresholds from 0 to 1: either `labels` and `predictions`, or the six lists."""

    kind: Literal["pr_curve"]
    labels: NotRequired[Annotated[Nested, Field(description="1 or true where positive, else 0.")]]
    predictions: NotRequired[Annotated[Numbers, Field(description="From 0 to 1, one a label.")]]
    weights: NotRequired[Annotated[Numbers, Field(description="What each prediction counts for; left out: 1.")]]
    num_thresholds: NotRequired[Annotated[int, Field(description="Left out: 127.")]]
    true_positives: NotRequired[Numbers]
    false_positives: NotRequired[Numbers]
    true_negatives: NotRequired[Numbers]
    false_negatives: NotRequired[Numbers]
    precision: NotRequired[Numbers]
    recall: NotRequired[Numbers]


@with_config(shape(MESH_EXAMPLE))
class MeshSummary(Tagged):
    """Points in space, or with `faces` triangles; several samples have one dimension more in front."""

    kind: Literal["mesh"]
    vertices: Annotated[Nested, Field(description="x, y, z of each.")]
    colors: NotRequired[Annotated[Nested, Field(description="Red, green, blue of each vertex, 0 to 255.")]]
    faces: NotRequired[Annotated[Nested, Field(description="Three positions in `vertices` for each, counted from 0.")]]
    config: NotRequired[Annotated[dict[str, Any], Field(description="Camera, lights, material, as THREE.js knows them.")]]


# The document has one form only: no language but those without types has a list of texts and lists of texts.
_CELLS: Final[dict[str, Any]] = {"type": "array", "items": {"type": "array", "items": {"type": "string"}}}


@with_config(shape(EMBEDDING_EXAMPLE))
class EmbeddingSummary(Tagged):
    """Vectors for the Projector, with a label or a row of cells for each."""

    kind: Literal["embedding"]
    matrix: Annotated[Nested, Field(description="A list of numbers for each vector.")]
    metadata: NotRequired[
        Annotated[
            list[str | list[str]],
            WithJsonSchema(_CELLS),
            Field(description="A row of texts for each vector. A plain text is taken too, and is a row of one."),
        ]
    ]
    header: NotRequired[Annotated[list[str], Field(description="Names of the cells, if a row has more than one.")]]
    sprite: NotRequired[Annotated[Bytes, Field(description="A PNG of small pictures, one a vector, row by row.")]]
    sprite_size: NotRequired[
        Annotated[list[int], Field(min_length=2, max_length=2, description="Width and height of one of them.")]
    ]


@with_config(shape(GRAPH_EXAMPLE))
class GraphSummary(Shared):
    """The run's graph."""

    kind: Literal["graph"]
    graph_def: Annotated[Bytes, Field(description="A serialized tensorflow.GraphDef.")]


@with_config(shape(RUN_METADATA_EXAMPLE))
class RunMetadataSummary(Tagged):
    """What one step of the graph used."""

    kind: Literal["run_metadata"]
    run_metadata: Annotated[Bytes, Field(description="A serialized tensorflow.RunMetadata.")]


# Any, since a union would tell of one wrong value once for each of its members.
HPARAM_SCHEMA: Final[dict[str, Any]] = {
    **named("HParamValue", "A setting: true or false, a number, or a text."),
    "anyOf": [{"type": "boolean"}, {"type": "number", "format": "double"}, {"type": "string"}],
}
HParam = Annotated[Any, WithJsonSchema(HPARAM_SCHEMA)]


@with_config(shape(HPARAMS_EXAMPLE))
class HParamsSummary(Shared):
    """The run's hyperparameters; the first of a run counts."""

    kind: Literal["hparams"]
    values: Annotated[dict[str, HParam], Field(description="Numbers, texts, true or false, by name.")]
    metrics: NotRequired[Annotated[list[str], Field(description="Scalar tags that matter.")]]
    group_name: NotRequired[Annotated[str, Field(description="Runs of one group are repeats of one another.")]]
    status: NotRequired[
        Annotated[
            Literal["success", "failure", "running"],
            Field(description="Given: how the session has ended.", json_schema_extra=named("SessionStatus")),
        ]
    ]


_NESTED: Final = ConfigDict(extra="forbid", strict=True)


@with_config(_NESTED)
class Margin(TypedDict):
    """The tags of a line and of the band around it; their steps must be equal."""

    value: str
    lower: str
    upper: str


@with_config(_NESTED)
class Chart(TypedDict):
    """One chart: either `multiline` or `margin`."""

    title: str
    multiline: NotRequired[Annotated[list[str], Field(description="Regular expressions that match the start of tags.")]]
    margin: NotRequired[list[Margin]]


@with_config(_NESTED)
class Category(TypedDict):
    """Charts under one title."""

    title: str
    charts: list[Chart]
    closed: NotRequired[bool]


@with_config(shape(LAYOUT_EXAMPLE))
class CustomScalarsSummary(Shared):
    """The run's layout of the Custom Scalars page; the latest counts."""

    kind: Literal["custom_scalars"]
    categories: list[Category]


@with_config(shape(TENSOR_EXAMPLE))
class TensorSummary(Tagged):
    """Any array: either `values`, or `content` with `dtype` and `shape`."""

    kind: Literal["tensor"]
    values: NotRequired[Annotated[Nested, Field(description="Numbers, texts, true or false, all of one kind.")]]
    dtype: NotRequired[Annotated[str, Field(description="What `values` become, or what `content` holds.", examples=["int64"])]]
    shape: NotRequired[list[int]]
    content: NotRequired[Annotated[Bytes, Field(description="Little-endian, row by row.")]]
    plugin_name: NotRequired[Annotated[str, Field(description="Whose page shows it.")]]
    plugin_content: NotRequired[Bytes]


@with_config(shape(RAW_EXAMPLE))
class RawSummary(Shared):
    """A value made elsewhere, its tag and metadata in it, forwarded as it is."""

    kind: Literal["raw"]
    value: Annotated[Bytes, Field(description="A serialized tensorboard.Summary.Value.")]
