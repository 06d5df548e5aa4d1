"""Vectors with labels and pictures, for TensorBoard's Projector."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from tbbridge import limits
from tbbridge.convert.arrays import as_float32, as_numbers, described
from tbbridge.convert.pictures import as_bytes, grid, layout_of, png
from tbbridge.convert.tags import checked_tag
from tbbridge.errors import InvalidItem
from tbbridge.kinds import Embedding

# What separates cells and rows in the Projector's files.
_SEPARATORS = str.maketrans({"\t": " ", "\n": " ", "\r": " "})


def embedding(
    tag: str,
    matrix: object,
    metadata: Iterable[object] | None = None,
    label_img: object = None,
    metadata_header: Sequence[object] | None = None,
) -> Embedding:
    """Vectors [N, D]; `metadata` is a label for each, or with `metadata_header` a row of one cell for each name in it.

    Labels are turned into text, tabs and line breaks in them into spaces. `label_img` are square pictures [N, C, H, W] or
    [N, H, W, C], uint8 or floats in [0, 1], one for each vector; beyond [0, 1] they are brought in, as in tensorboardX.
    """
    name = checked_tag(tag)
    what = f"the embedding of tag {tag!a}"
    vectors = as_float32(as_numbers(matrix, what))
    if vectors.ndim != 2 or 0 in vectors.shape:
        message = f"{what} has shape {vectors.shape}; give one row for each vector: [how many, dimensions]"
        raise InvalidItem("shape", message, "matrix")
    rows, header = _table(metadata, metadata_header, what)
    if rows is not None and len(rows) != len(vectors):
        raise InvalidItem("length", f"{what} has {len(vectors)} vectors and {len(rows)} labels; give one each", "metadata")
    sprite, size = (None, None) if label_img is None else _sprite(label_img, len(vectors), f"label_img of {what}")
    return Embedding(name, vectors, rows, header, sprite, size)


def _table(
    metadata: Iterable[object] | None, metadata_header: Sequence[object] | None, what: str
) -> tuple[tuple[tuple[str, ...], ...] | None, tuple[str, ...] | None]:
    if metadata is None:
        return None, None
    labels = _listed(metadata, f"metadata of {what}", "one label a vector", "metadata")
    header: tuple[str, ...] = ()
    if metadata_header is not None:
        header = tuple(
            map(_cell, _listed(metadata_header, f"metadata_header of {what}", "one name a column", "metadata_header"))
        )
    if len(header) <= 1:  # the Projector takes the first row of a single column for a label, so no header is written
        alone = [label[0] if header and isinstance(label, list | tuple) and len(label) == 1 else label for label in labels]
        return tuple((_cell(label),) for label in alone), None
    rows: list[tuple[str, ...]] = []
    for position, label in enumerate(labels):
        row = tuple(map(_cell, _listed(label, f"row {position} of the metadata of {what}", "one cell a name", "metadata")))
        if len(row) != len(header):
            message = (
                f"row {position} of the metadata of {what} has {len(row)} cells for {len(header)} names in metadata_header"
            )
            raise InvalidItem("length", message + "; give each row, as a list, one cell a name", "metadata")
        rows.append(row)
    return tuple(rows), header


def _listed(values: object, what: str, wanted: str, where: str) -> list[object]:
    if not isinstance(values, str | bytes) and isinstance(values, Iterable):
        try:
            return list(values)
        except TypeError as error:  # an array of no dimensions
            raise InvalidItem("metadata", f"{what} is {described(values)} ({error}); give a list, {wanted}", where) from None
    raise InvalidItem("metadata", f"{what} is {described(values)}; give a list, {wanted}", where)


def _cell(value: object) -> str:
    item = getattr(value, "item", None)  # of a tensor only the number: str() shows tensor(3, device='cuda:0')
    if callable(item) and getattr(value, "shape", None) == ():
        value = item()
    return str(value).translate(_SEPARATORS)


def _sprite(label_img: object, count: int, what: str) -> tuple[bytes, tuple[int, int]]:
    array = as_numbers(label_img, what)
    if array.ndim != 4:
        message = f"{what} has shape {array.shape}; give one picture for each vector: [how many, channels, height, width]"
        raise InvalidItem("shape", message, "label_img")
    layout = layout_of(array.shape, None, what)
    array = array.transpose([layout.index(letter) for letter in "NHWC"])
    if array.shape[3] not in (1, 3, 4) or array.shape[1] != array.shape[2] or 0 in array.shape:
        message = f"{what} is {array.shape[1]} x {array.shape[2]} pixels with {array.shape[3]} channels; "
        raise InvalidItem("shape", message + "the Projector wants squares with 1, 3 or 4: pad or crop them", "label_img")
    if len(array) != count:
        raise InvalidItem("length", f"{what} has {len(array)} pictures for {count} vectors; give one each", "label_img")
    columns = math.ceil(math.sqrt(count))
    side = columns * array.shape[1]
    if side > limits.SPRITE_MAX_SIDE_PX:
        message = f"{what} would be {side} pixels wide side by side, and browsers show {limits.SPRITE_MAX_SIDE_PX}; "
        fits = f"scale the pictures down to {limits.SPRITE_MAX_SIDE_PX // columns} pixels, or show fewer"
        raise InvalidItem("too-large", message + fits, "label_img")
    sheet = grid(as_bytes(array, what, clip=True), columns)
    square = np.zeros((side, side, sheet.shape[2]), np.uint8)  # the Projector reads rows off a square
    square[: len(sheet)] = sheet
    return png(square), (array.shape[2], array.shape[1])
