"""Curves, meshes and embeddings: arrays of a fixed form."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

import numpy as np

from tbbridge import limits
from tbbridge.arrays import Float32s, Float64s, Int32s, UInt8s
from tbbridge.errors import InvalidItem
from tbbridge.kinds.shared import Shared, check_summary
from tbbridge.media import read_picture
from tbbridge.names import TagName, utf8_length

# What TensorBoard's file holds of a number in a table.
_FLOAT32_MAX: Final = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class PrCurve(Shared):
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
        if not (np.isfinite(self.table).all() and (self.table >= 0).all() and (self.table <= _FLOAT32_MAX).all()):
            message = "the table holds a negative number, NaN or infinity, or more than a 32-bit float can; counts start at 0"
            raise InvalidItem("pr-curve", message, "table")

    @property
    def size_bytes(self) -> int:
        """About what the payload occupies in memory."""
        return self.table.nbytes


@dataclass(frozen=True, slots=True)
class Mesh(Shared):
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
class Embedding(Shared):
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
