"""The kinds of values that are sent one at a time: pictures, sounds, texts, tables, whatever TensorBoard has a page for.

Each is checked when it is made and frozen from then on. What fails raises `InvalidItem`, which names the field and the remedy.
How a kind travels is wire/'s, how it is written events/'s; a new one joins here, there, and in pipeline/ledger.py's `Kind`.

All share `step` and `wall_time` (left out: settled by the pipeline), and `display_name` and `description` (Markdown), which
TensorBoard shows for a tag as its first value had them.
"""

from __future__ import annotations

import copy
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, TypeVar

import numpy as np

from tbbridge import limits
from tbbridge.errors import InvalidItem
from tbbridge.foreign import checks
from tbbridge.media import read_picture, read_sound
from tbbridge.names import (
    Float32s,
    Float64s,
    Int32s,
    TagName,
    UInt8s,
    check_shown_names,
    check_step,
    check_wall_time,
    tag_name,
    utf8_length,
)


@dataclass(frozen=True, slots=True)
class Buckets:
    """A histogram ready to be drawn: float64[k] each; bucket i counts the values in [lefts[i], rights[i]). k may be 0.

    Edges are finite and do not descend, counts are finite and not negative. It is what TensorBoard's tensor form holds
    (tensorboard/plugins/histogram/summary_v2.py: rows of left edge, right edge, count).
    """

    lefts: Float64s
    rights: Float64s
    counts: Float64s

    def __post_init__(self) -> None:
        if not len(self.lefts) == len(self.rights) == len(self.counts):
            sizes = f"{len(self.lefts)} left edges, {len(self.rights)} right edges and {len(self.counts)} counts"
            raise InvalidItem("length", f"{sizes}; a histogram has one of each for every bucket", "buckets")
        if len(self.counts) > limits.HISTOGRAM_MAX_BUCKETS:
            message = f"{len(self.counts)} buckets, at most {limits.HISTOGRAM_MAX_BUCKETS} are taken; merge neighbours"
            raise InvalidItem("too-many", message, "buckets")
        if len(self.counts) == 0:
            return
        if not (np.isfinite(self.lefts).all() and np.isfinite(self.rights).all()):
            raise InvalidItem("bucket", "a bucket's edge is NaN or infinite; edges are finite numbers", "buckets")
        if (self.rights < self.lefts).any() or (self.lefts[1:] < self.rights[:-1]).any():
            raise InvalidItem("bucket", "bucket edges descend or overlap; sort the buckets by their left edge", "buckets")
        if not (np.isfinite(self.counts).all() and (self.counts >= 0).all()):
            raise InvalidItem(
                "bucket", "a bucket's count is negative, NaN or infinite; counts are numbers from 0 up", "buckets"
            )


@dataclass(frozen=True, slots=True)
class Text:
    """One text, Markdown, as TensorBoard's Text page shows it."""

    tag: TagName
    text: str
    step: int | None = None
    wall_time: float | None = None
    display_name: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        check_summary(self)
        size = utf8_length(self.text, "the text", "text")
        if size > limits.TEXT_MAX_BYTES:
            raise InvalidItem(
                "too-large", f"the text has {size} bytes, at most {limits.TEXT_MAX_BYTES} are taken; shorten it", "text"
            )

    @property
    def size_bytes(self) -> int:
        """About what the payload occupies in memory."""
        return sys.getsizeof(self.text)


@dataclass(frozen=True, slots=True)
class Histogram:
    """One histogram: either raw `values`, float64[n] (NaN and infinities are counted out and reported), or ready `buckets`."""

    tag: TagName
    values: Float64s | None = None
    buckets: Buckets | None = None
    step: int | None = None
    wall_time: float | None = None
    display_name: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        check_summary(self)
        if (self.values is None) == (self.buckets is None):
            raise InvalidItem("histogram", "a histogram has either values or buckets; send exactly one of the two", "values")
        if self.values is not None and len(self.values) > limits.HISTOGRAM_MAX_VALUES:
            message = f"{len(self.values)} values, at most {limits.HISTOGRAM_MAX_VALUES} are taken; send buckets instead"
            raise InvalidItem("too-large", message, "values")

    @property
    def size_bytes(self) -> int:
        """About what the payload occupies in memory."""
        if self.buckets is not None:
            return 24 * len(self.buckets.counts)
        return 0 if self.values is None else self.values.nbytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shared:
    """The fields that all newer kinds share, by keyword only."""

    step: int | None = None
    wall_time: float | None = None
    display_name: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Image(_Shared):
    """1 to 64 pictures, each an encoded PNG, JPEG or GIF; an animated GIF is a video."""

    tag: TagName
    images: tuple[bytes, ...]

    def __post_init__(self) -> None:
        check_summary(self)
        _check_count(len(self.images), limits.IMAGES_MAX, "images", "an image summary")
        for position, image in enumerate(self.images):
            read_picture(image, f"images[{position}]")
        _check_size(self.size_bytes, "images")

    @property
    def size_bytes(self) -> int:
        """About what the payload occupies in memory."""
        return sum(map(len, self.images))


@dataclass(frozen=True, slots=True)
class Audio(_Shared):
    """1 to 16 clips, each a WAV file; every browser plays PCM of 16 bits."""

    tag: TagName
    clips: tuple[bytes, ...]

    def __post_init__(self) -> None:
        check_summary(self)
        _check_count(len(self.clips), limits.AUDIO_CLIPS_MAX, "clips", "an audio summary")
        for position, clip in enumerate(self.clips):
            read_sound(clip, f"clips[{position}]")
        _check_size(self.size_bytes, "clips")

    @property
    def size_bytes(self) -> int:
        """About what the payload occupies in memory."""
        return sum(map(len, self.clips))


@dataclass(frozen=True, slots=True)
class PrCurve(_Shared):
    """One precision-recall curve. `table` is float64 [6, N]: true positives, false positives, true negatives, false negatives,
    precision and recall; its columns are the thresholds from 0 to 1, N >= 2 of them at equal distances, ascending.
    """

    tag: TagName
    table: Float64s

    def __post_init__(self) -> None:
        check_summary(self)
        shape = self.table.shape
        if self.table.ndim != 2 or shape[0] != 6:
            rows = "six rows (TP, FP, TN, FN, precision, recall), a column for each threshold"
            raise InvalidItem("pr-curve", f"the table has the shape {list(shape)}; it has {rows}", "table")
        if not 2 <= shape[1] <= limits.PR_CURVE_MAX_THRESHOLDS:
            message = f"the curve has {shape[1]} thresholds; give 2 to {limits.PR_CURVE_MAX_THRESHOLDS}"
            raise InvalidItem("pr-curve", message, "table")
        if not np.isfinite(self.table).all() or (self.table < 0).any():
            message = "the table holds a negative number, NaN or infinity; counts, precision and recall are numbers from 0 up"
            raise InvalidItem("pr-curve", message, "table")

    @property
    def size_bytes(self) -> int:
        """About what the payload occupies in memory."""
        return self.table.nbytes


@dataclass(frozen=True, slots=True)
class Mesh(_Shared):
    """Point clouds or meshes, B of them: `vertices` float32 [B, N, 3], `colors` uint8 [B, N, 3], `faces` int32 [B, M, 3] with
    positions in vertices. `config` is the text of a JSON object of THREE.js settings (camera, lights, material).
    """

    tag: TagName
    vertices: Float32s
    colors: UInt8s | None = None
    faces: Int32s | None = None
    config: str = "{}"

    def __post_init__(self) -> None:
        check_summary(self)
        batch, count = _check_triples(self.vertices.shape, "vertices")
        if batch * count > limits.MESH_MAX_VERTICES:
            message = f"{batch * count} vertices, at most {limits.MESH_MAX_VERTICES} are taken; send fewer"
            raise InvalidItem("too-large", message, "vertices")
        if not np.isfinite(self.vertices).all():
            raise InvalidItem("mesh", "a vertex is NaN or infinite; coordinates are finite numbers", "vertices")
        if self.colors is not None and _check_triples(self.colors.shape, "colors") != (batch, count):
            message = f"colors have the shape {list(self.colors.shape)}; give three numbers of 0 to 255 for each vertex"
            raise InvalidItem("mesh", message + f", {[batch, count, 3]}", "colors")
        if self.faces is not None:
            self._check_faces(self.faces, batch, count)
        size = utf8_length(self.config, "the config", "config")
        if size > limits.MESH_CONFIG_MAX_BYTES:
            message = f"the config has {size} bytes, at most {limits.MESH_CONFIG_MAX_BYTES} are taken"
            raise InvalidItem("too-large", message, "config")
        try:
            is_object = isinstance(json.loads(self.config), dict)
        except (ValueError, RecursionError):
            is_object = False
        if not is_object:
            raise InvalidItem("mesh", 'the config is no JSON object; send text such as {"camera": {...}}', "config")

    def _check_faces(self, faces: Int32s, batch: int, count: int) -> None:
        samples, triangles = _check_triples(faces.shape, "faces")
        if samples != batch:
            message = f"faces are there for {samples} samples, vertices for {batch}; give as many"
            raise InvalidItem("mesh", message, "faces")
        if samples * triangles > limits.MESH_MAX_FACES:
            message = f"{samples * triangles} faces, at most {limits.MESH_MAX_FACES} are taken; send fewer"
            raise InvalidItem("too-large", message, "faces")
        if int(faces.min()) < 0 or int(faces.max()) >= count:
            message = f"faces name the vertices {faces.min()} to {faces.max()}; there are those from 0 to {count - 1}"
            raise InvalidItem("mesh", message, "faces")

    @property
    def size_bytes(self) -> int:
        """About what the payload occupies in memory."""
        return sum(array.nbytes for array in (self.vertices, self.colors, self.faces) if array is not None) + len(self.config)


def _check_triples(shape: tuple[int, ...], where: str) -> tuple[int, int]:
    if len(shape) != 3 or shape[2] != 3 or not (shape[0] and shape[1]):
        message = f"{where} have the shape {list(shape)}; give [samples, how many, 3], none of them empty"
        raise InvalidItem("mesh", message, where)
    return shape[0], shape[1]


@dataclass(frozen=True, slots=True)
class Embedding(_Shared):
    """N points of D dimensions for the Projector, which reads files beside the event file.

    `matrix` is float32 [N, D]. `metadata` has N rows, all of as many cells; `header` names the columns, and is there exactly
    if there are several. `sprite` is a PNG of small pictures, one a point, row by row, each `sprite_size` (width, height).
    """

    tag: TagName
    matrix: Float32s
    metadata: tuple[tuple[str, ...], ...] | None = None
    header: tuple[str, ...] | None = None
    sprite: bytes | None = None
    sprite_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        check_summary(self)
        if self.matrix.ndim != 2 or not self.matrix.size:
            message = f"the matrix has the shape {list(self.matrix.shape)}; give a row for each point, [N, D]"
            raise InvalidItem("embedding", message, "matrix")
        if self.matrix.size > limits.EMBEDDING_MAX_VALUES:
            message = f"{self.matrix.size} numbers, at most {limits.EMBEDDING_MAX_VALUES} are taken; send fewer points"
            raise InvalidItem("too-large", message, "matrix")
        if not np.isfinite(self.matrix).all():
            raise InvalidItem("embedding", "the matrix holds NaN or infinity, which the Projector cannot place", "matrix")
        self._check_metadata(len(self.matrix))
        self._check_sprite(len(self.matrix))

    def _check_metadata(self, points: int) -> None:
        if self.metadata is None:
            if self.header is not None:
                raise InvalidItem("embedding", "a header without metadata; send the metadata too, or neither", "header")
            return
        if len(self.metadata) != points:
            message = f"{len(self.metadata)} rows of metadata for {points} points; send one row a point"
            raise InvalidItem("length", message, "metadata")
        columns = len(self.metadata[0])
        for position, row in enumerate(self.metadata):
            if len(row) != columns or not row:
                message = f"the row has {len(row)} cells, the first has {columns}; give all rows as many, at least one"
                raise InvalidItem("length", message, f"metadata[{position}]")
            _check_cells(row, f"metadata[{position}]")
        if (columns > 1) != (self.header is not None):
            message = "metadata of several columns needs a header, of one column takes none"
            raise InvalidItem("embedding", f"{message}; there are {columns}", "header")
        if self.header is not None:
            if len(self.header) != columns:
                message = f"{len(self.header)} names for {columns} columns of metadata; give one a column"
                raise InvalidItem("length", message, "header")
            _check_cells(self.header, "header")
        size = sum(len(cell) for row in self.metadata for cell in row)
        if size > limits.EMBEDDING_METADATA_MAX_BYTES:
            message = f"the metadata has {size} characters, at most {limits.EMBEDDING_METADATA_MAX_BYTES} are taken"
            raise InvalidItem("too-large", message, "metadata")

    def _check_sprite(self, points: int) -> None:
        if (self.sprite is None) != (self.sprite_size is None):
            raise InvalidItem("embedding", "sprite and sprite_size go together; send both or neither", "sprite_size")
        if self.sprite is None or self.sprite_size is None:
            return
        picture = read_picture(self.sprite, "sprite")
        if picture.mime != "image/png" or max(picture.width, picture.height) > limits.SPRITE_MAX_SIDE_PX:
            came = f"the sprite is {picture.mime} of {picture.width} x {picture.height} pixels"
            raise InvalidItem("embedding", f"{came}; send a PNG of at most {limits.SPRITE_MAX_SIDE_PX} a side", "sprite")
        width, height = self.sprite_size
        if width < 1 or height < 1 or (picture.width // width) * (picture.height // height) < points:
            came = (
                f"the sprite of {picture.width} x {picture.height} pixels has no room for {points} cells of {width} x {height}"
            )
            raise InvalidItem("embedding", f"{came}; make it larger or the cells smaller", "sprite_size")

    @property
    def size_bytes(self) -> int:
        """About what the payload occupies in memory."""
        texts = 0 if self.metadata is None else sum(len(cell) + 50 for row in self.metadata for cell in row)
        return self.matrix.nbytes + texts + len(self.sprite or b"")


def _check_cells(cells: tuple[str, ...], where: str) -> None:
    for position, cell in enumerate(cells):
        place = f"{where}[{position}]"
        utf8_length(cell, "the cell", place)
        if any(character in cell for character in "\t\n\r"):
            message = "the cell holds a tab or a line break, which separate cells and rows in the Projector's file; replace it"
            raise InvalidItem("embedding", message, place)


@dataclass(frozen=True, slots=True)
class Graph(_Shared):
    """A run's model as a serialized GraphDef, for the Graphs page. One a run: TensorBoard keeps the latest."""

    graph_def: bytes

    def __post_init__(self) -> None:
        check_summary(self)
        _check_size(len(self.graph_def), "graph_def")
        checks.check_graph(self.graph_def, "graph_def")

    @property
    def tag(self) -> TagName:
        """TensorBoard's own name for it."""
        return TagName("__run_graph__")

    @property
    def size_bytes(self) -> int:
        """About what the payload occupies in memory."""
        return len(self.graph_def)


@dataclass(frozen=True, slots=True)
class RunMetadata(_Shared):
    """What one step of a graph used, as a serialized RunMetadata; the Graphs page lists it by tag."""

    tag: TagName
    run_metadata: bytes

    def __post_init__(self) -> None:
        check_summary(self)
        _check_size(len(self.run_metadata), "run_metadata")
        checks.check_run_metadata(self.run_metadata, "run_metadata")

    @property
    def size_bytes(self) -> int:
        """About what the payload occupies in memory."""
        return len(self.run_metadata)


@dataclass(frozen=True, slots=True)
class HParams(_Shared):
    """A run's hyperparameters, a row of the HParams page. The first of a run counts; `status` ends the session, and may come
    with a later one whose values are then not looked at. `metrics` names the run's scalar tags that matter: TensorBoard takes
    all of them as long as nobody writes an experiment, which tbbridge does not; it is there for other readers.
    """

    values: Mapping[str, bool | float | str]
    metrics: tuple[str, ...] = ()
    group_name: str = ""
    status: Literal["success", "failure", "running"] | None = None

    def __post_init__(self) -> None:
        check_summary(self)
        if len(self.values) > limits.HPARAMS_MAX or len(self.metrics) > limits.HPARAMS_MAX:
            count = max(len(self.values), len(self.metrics))
            raise InvalidItem(
                "too-many", f"{count} hyperparameters or metrics, at most {limits.HPARAMS_MAX} are taken", "values"
            )
        given: Mapping[str, object] = self.values  # what the annotations promise is what is checked
        for name, value in given.items():
            if not isinstance(name, str) or not 1 <= utf8_length(name, "the name", "values") <= limits.HPARAM_NAME_MAX_BYTES:
                message = f"a hyperparameter's name has 1 to {limits.HPARAM_NAME_MAX_BYTES} bytes; this is {name!a:.50}"
                raise InvalidItem("hparams", message, "values")
            if isinstance(value, str):
                if utf8_length(value, "the value", f"values.{name}") > limits.HPARAM_TEXT_MAX_BYTES:
                    message = f"the value has over {limits.HPARAM_TEXT_MAX_BYTES} bytes; shorten it"
                    raise InvalidItem("too-large", message, f"values.{name}")
            elif not isinstance(value, bool | int | float):
                came = f"{value!a:.60} is a {type(value).__name__}"
                raise InvalidItem(
                    "hparams", f"{came}; a hyperparameter is a number, a text, or true or false", f"values.{name}"
                )
        for position, metric in enumerate(self.metrics):
            _check_tag_at(metric, f"metrics[{position}]")
        if utf8_length(self.group_name, "group_name", "group_name") > limits.HPARAM_NAME_MAX_BYTES:
            message = f"group_name has over {limits.HPARAM_NAME_MAX_BYTES} bytes; shorten it"
            raise InvalidItem("too-large", message, "group_name")
        if self.status not in (None, "success", "failure", "running"):
            raise InvalidItem("hparams", f"status is {self.status!a}; it is success, failure, running or left out", "status")
        kept = {name: _plain(name, value) for name, value in self.values.items()}
        object.__setattr__(self, "values", MappingProxyType(kept))

    @property
    def tag(self) -> TagName:
        """TensorBoard's own name for it."""
        return TagName("_hparams_/session_start_info")

    @property
    def size_bytes(self) -> int:
        """About what the payload occupies in memory."""
        texts = sum(len(value) for value in self.values.values() if isinstance(value, str))
        return texts + sum(len(name) + 50 for name in (*self.values, *self.metrics))


def _plain(name: str, value: bool | float | str) -> bool | float | str:
    if isinstance(value, bool | str):
        return value
    try:
        return float(value)
    except OverflowError:
        message = "the number is too large for a 64-bit float; send it as text"
        raise InvalidItem("hparams", message, f"values.{name}") from None


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart of a layout: either `multiline`, regular expressions that match the start of tags; or `margin`, a line with a
    band, as the tags of (value, lower, upper), whose steps must be equal.
    """

    title: str
    multiline: tuple[str, ...] = ()
    margin: tuple[tuple[str, str, str], ...] = ()

    def __post_init__(self) -> None:
        _check_tag_at(self.title, "title")
        if bool(self.multiline) == bool(self.margin):
            raise InvalidItem("layout", "a chart has either multiline or margin; send exactly one of the two", "multiline")
        for position, pattern in enumerate(self.multiline):
            _check_tag_at(pattern, f"multiline[{position}]")
        margins: tuple[tuple[str, ...], ...] = self.margin  # three tags each is what is checked
        for position, series in enumerate(margins):
            if len(series) != 3:
                message = f"a margin names three tags (value, lower, upper), this one {len(series)}"
                raise InvalidItem("layout", message, f"margin[{position}]")
            for tag in series:
                _check_tag_at(tag, f"margin[{position}]")


@dataclass(frozen=True, slots=True)
class Category:
    """Charts under one title, which the Custom Scalars page opens or, with `closed`, leaves closed."""

    title: str
    charts: tuple[Chart, ...]
    closed: bool = False

    def __post_init__(self) -> None:
        _check_tag_at(self.title, "title")


@dataclass(frozen=True, slots=True)
class CustomScalars(_Shared):
    """A run's layout of the Custom Scalars page; the latest counts. Categories of all runs are joined by title."""

    categories: tuple[Category, ...]

    def __post_init__(self) -> None:
        check_summary(self)
        charts = sum(len(category.charts) for category in self.categories)
        if charts > limits.LAYOUT_MAX_CHARTS or len(self.categories) > limits.LAYOUT_MAX_CHARTS:
            message = f"the layout has {charts} charts, at most {limits.LAYOUT_MAX_CHARTS} are taken"
            raise InvalidItem("too-many", message, "categories")
        _check_size(self.size_bytes, "categories")

    @property
    def tag(self) -> TagName:
        """TensorBoard's own name for it."""
        return TagName("custom_scalars__config__")

    @property
    def size_bytes(self) -> int:
        """About what the payload occupies in memory."""
        charts = [chart for category in self.categories for chart in category.charts]
        patterns = sum(len(pattern) + 50 for chart in charts for pattern in chart.multiline)
        tags = sum(len(tag) + 50 for chart in charts for series in chart.margin for tag in series)
        return patterns + tags + 200 * (len(charts) + len(self.categories))


# What a tensor may hold, and the bytes of one element (text: none that are fixed).
DTYPE_BYTES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "float32": 4,
        "float64": 8,
        "float16": 2,
        "bfloat16": 2,
        "int8": 1,
        "int16": 2,
        "int32": 4,
        "int64": 8,
        "uint8": 1,
        "uint16": 2,
        "uint32": 4,
        "uint64": 8,
        "bool": 1,
        "complex64": 8,
        "complex128": 16,
        "string": 0,
    }
)


@dataclass(frozen=True, slots=True)
class Tensor(_Shared):
    """Any array, for the page of `plugin_name` (with its `plugin_content`) or, without, for programs that read event files.

    `dtype` is one of DTYPE_BYTES; `content` holds the elements little-endian, row by row; if dtype is string, `strings` does.
    """

    tag: TagName
    dtype: str
    shape: tuple[int, ...]
    content: bytes = b""
    strings: tuple[bytes, ...] = ()
    plugin_name: str = ""
    plugin_content: bytes = b""

    def __post_init__(self) -> None:
        check_summary(self)
        if self.dtype not in DTYPE_BYTES:
            raise InvalidItem("tensor", f"dtype is {self.dtype!a:.60}; send one of {', '.join(DTYPE_BYTES)}", "dtype")
        if len(self.shape) > limits.TENSOR_MAX_RANK or not all(0 <= size < 2**63 for size in self.shape):
            message = f"the shape is {list(self.shape)}; give at most {limits.TENSOR_MAX_RANK} dimensions, none negative"
            raise InvalidItem("tensor", message, "shape")
        elements = math.prod(self.shape)
        if self.dtype == "string":
            came, wanted, where = len(self.strings), elements, "strings"
            other = len(self.content)
        else:
            came, wanted, where = len(self.content), elements * DTYPE_BYTES[self.dtype], "content"
            other = len(self.strings)
        if came != wanted or other:
            unit = "strings and no content" if where == "strings" else "bytes of content and no strings"
            message = f"a {self.dtype} tensor of the shape {list(self.shape)} has {wanted} {unit}, this one {came}"
            raise InvalidItem("length", message + (" and both" if other else ""), where)
        _check_size(self.size_bytes, where)
        if utf8_length(self.plugin_name, "plugin_name", "plugin_name") > limits.TAG_MAX_BYTES:
            message = f"plugin_name has over {limits.TAG_MAX_BYTES} bytes; it is a short word such as text"
            raise InvalidItem("too-large", message, "plugin_name")
        checks.check_tensor(self.plugin_name, self.plugin_content, self.dtype, self.shape, self.strings)

    @property
    def size_bytes(self) -> int:
        """About what the payload occupies in memory."""
        return len(self.content) + sum(len(text) + 50 for text in self.strings) + len(self.plugin_content)


@dataclass(frozen=True, slots=True)
class RawValue(_Shared):
    """A serialized Summary.Value of TensorBoard's, forwarded as it is.

    Its tag is inside, and so is the metadata that the first value of a tag needs; a display_name or description given here
    replaces those inside.
    """

    value: bytes
    tag: TagName = field(init=False)
    plugin_name: str = field(init=False)

    def __post_init__(self) -> None:
        _check_size(len(self.value), "value")
        found = checks.check_value(self.value, "value")
        object.__setattr__(self, "tag", TagName(found.tag))
        object.__setattr__(self, "plugin_name", found.plugin_name)
        check_summary(self)

    @property
    def size_bytes(self) -> int:
        """About what the payload occupies in memory."""
        return len(self.value)


Summary: TypeAlias = (
    Text
    | Histogram
    | Image
    | Audio
    | PrCurve
    | Mesh
    | Embedding
    | Graph
    | RunMetadata
    | HParams
    | CustomScalars
    | Tensor
    | RawValue
)


S = TypeVar("S", bound=Summary)


def settled(summary: S, step: int, wall_time: float) -> S:
    """The same value at this step and time. Both are taken as checked, and the rest is not checked again."""
    made = copy.copy(summary)
    object.__setattr__(made, "step", step)
    object.__setattr__(made, "wall_time", wall_time)
    return made


def check_summary(summary: Summary) -> None:
    """The part that all kinds share: tag, step, wall time, display name and description."""
    tag_name(summary.tag)
    if summary.step is not None:
        check_step(summary.step)
    if summary.wall_time is not None:
        check_wall_time(summary.wall_time)
    if summary.display_name or summary.description:
        check_shown_names(summary.display_name, summary.description)


def _check_count(count: int, most: int, where: str, what: str) -> None:
    if not 1 <= count <= most:
        raise InvalidItem("too-many" if count else "empty", f"{what} has 1 to {most} {where}, this one {count}", where)


def _check_size(size: int, where: str) -> None:
    if size > limits.SUMMARY_MAX_BYTES:
        message = f"the value has {size} bytes, at most {limits.SUMMARY_MAX_BYTES} are taken; send less at a time"
        raise InvalidItem("too-large", message, where)


def _check_tag_at(name: str, where: str) -> None:
    size = utf8_length(name, "the name", where)
    if not 1 <= size <= limits.TAG_MAX_BYTES:
        message = f"a name here has 1 to {limits.TAG_MAX_BYTES} bytes of UTF-8, this one has {size}"
        raise InvalidItem("tag", message, where)
