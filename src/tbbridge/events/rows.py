"""Many records of one length, read at once: their CRCs checked and their plain scalars decoded, column by column.

The reading half of scalars.py. A *plain scalar* is what every common writer makes of a point: an Event with wall time, step and
one Value of tag and simple_value, in this order. Its parts stand at places that follow from the record's length and the length
of the step's varint, so a handful of byte comparisons over all rows find them. Whatever is anything else is handed back, for
reader.py to read one by one. Arrays in and out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tbbridge import limits
from tbbridge.arrays import Float32s, Float64s, Int64s, UInt8s
from tbbridge.events.crc32c import crc32c, effect_table, mask_rows
from tbbridge.events.scalars import STEP, WALL_TIME, around_tag
from tbbridge.events.tfrecord import FOOTER_BYTES, HEADER_BYTES, OVERHEAD_BYTES, frame_header

Booleans: TypeAlias = NDArray[np.bool_]
Positions: TypeAlias = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class PlainScalars:
    """Plain scalars among the rows: `rows` says which ones, the arrays have one element for each."""

    rows: Positions
    tags: list[bytes]  # the different ones, in order of appearance; not known to be UTF-8
    tag_of_row: Positions
    steps: Int64s
    values: Float32s
    wall_times: Float64s


@dataclass(frozen=True, slots=True)
class _Place:
    """A byte of the payload that a plain scalar has at `at`: equal to `expected` in the bits of `mask`."""

    at: int
    mask: int
    expected: int


@dataclass(frozen=True, slots=True)
class _Layout:
    step_bytes: int
    tag_at: int
    tag_bytes: int
    value_at: int
    places: tuple[_Place, ...]


def is_worth_rows(count: int, length: int) -> bool:
    """Whether `count` records with payloads of `length` bytes are read faster as rows: setting up costs about 1.5 us a byte."""
    return count >= length and length <= limits.READER_ROW_MAX_BYTES


def damaged_rows(rows: UInt8s) -> Booleans:
    """Which of `rows`, uint8[n, record length] with the record's length in each, have a wrong CRC."""
    length = rows.shape[1] - OVERHEAD_BYTES
    crcs = np.full(len(rows), crc32c(bytes(length)), np.uint32)
    for at in range(length):
        crcs ^= effect_table(length - 1 - at).take(rows[:, HEADER_BYTES + at])
    wrong: Booleans = _column(rows, HEADER_BYTES + length, "<u4") != mask_rows(crcs)
    wrong |= _column(rows, 8, "<u4") != np.uint32(int.from_bytes(frame_header(length)[8:], "little"))
    return wrong


def plain_scalars(rows: UInt8s) -> Iterator[PlainScalars]:
    """The plain scalars among `rows`, which are as in `damaged_rows`; each row is given at most once."""
    payloads = rows[:, HEADER_BYTES:-FOOTER_BYTES]
    left = np.arange(len(rows))
    for layout in _layouts(payloads.shape[1]):
        if len(left) == 0:
            return
        fits = _fits(payloads if len(left) == len(rows) else payloads[left], layout)
        if fits is None:
            continue
        found = left[fits]
        yield _decoded(payloads if len(found) == len(rows) else payloads[found], found, layout)
        left = left[~fits]


@lru_cache(maxsize=limits.ENCODER_SHAPES_KEPT)
def _layouts(length: int) -> tuple[_Layout, ...]:
    """Every way in which a plain scalar can fill `length` bytes: one for each number of bytes in the step's varint."""
    return tuple(layout for step_bytes in range(11) if (layout := _layout(length, step_bytes)) is not None)


def _layout(length: int, step_bytes: int) -> _Layout | None:
    summary_at = 9 + (1 + step_bytes if step_bytes else 0)  # 9: wall_time's tag byte and double
    for head_bytes in range(6, 10):  # three tag bytes and three lengths, which take one byte each for all but very long tags
        tag_bytes = length - summary_at - head_bytes - 5
        if tag_bytes < 1:
            return None
        head, before_value, _ = around_tag(tag_bytes, described=True)
        if len(head) == head_bytes:
            break
    else:
        return None
    tag_at = summary_at + head_bytes
    value_at = tag_at + tag_bytes + len(before_value)
    places = [_Place(0, 0xFF, WALL_TIME[0])]
    if step_bytes:
        places.append(_Place(9, 0xFF, STEP[0]))
        places.extend(_Place(10 + i, 0x80, 0x80) for i in range(step_bytes - 1))
        places.append(_Place(9 + step_bytes, 0x80, 0))
    places.extend(_Place(summary_at + i, 0xFF, byte) for i, byte in enumerate(head))
    places.append(_Place(value_at - 1, 0xFF, before_value[0]))
    return _Layout(step_bytes, tag_at, tag_bytes, value_at, tuple(places))


def _fits(payloads: UInt8s, layout: _Layout) -> Booleans | None:
    """Which of `payloads` are laid out like this; None if not one is."""
    fits = np.ones(len(payloads), np.bool_)
    for place in reversed(layout.places):  # the last ones differ most between layouts
        column = payloads[:, place.at]
        fits &= (column if place.mask == 0xFF else column & np.uint8(place.mask)) == place.expected
        if place.mask == 0xFF and not fits.any():
            return None
    return fits if fits.any() else None


def _decoded(payloads: UInt8s, rows: Positions, layout: _Layout) -> PlainScalars:
    steps = np.zeros(len(rows), np.uint64)  # bits above the 64th fall off, as they do in protobuf
    for i in range(layout.step_bytes):
        steps |= (payloads[:, 10 + i] & np.uint8(0x7F)).astype(np.uint64) << np.uint64(7 * i)
    tags, tag_of_row = _tags(payloads[:, layout.tag_at : layout.tag_at + layout.tag_bytes])
    return PlainScalars(
        rows,
        tags,
        tag_of_row,
        steps.view(np.int64),
        _column(payloads, layout.value_at, "<f4").astype(np.float32),
        _column(payloads, 1, "<f8").astype(np.float64),
    )


def _tags(cells: UInt8s) -> tuple[list[bytes], Positions]:
    """The distinct rows of `cells`, in order of appearance, and which of them each row is."""
    width = cells.shape[1]
    strings = np.ascontiguousarray(cells).view(f"S{width}")[:, 0]
    changes = np.flatnonzero(strings[1:] != strings[:-1]) + 1
    starts = np.concatenate(([0], changes))
    # numpy strips zero bytes from the end of what it hands out (comparing, it does not mind: all are of one width).
    found = [raw.ljust(width, b"\0") for raw in strings[starts].tolist()]
    numbers = {raw: number for number, raw in enumerate(dict.fromkeys(found))}
    return list(numbers), np.repeat([numbers[raw] for raw in found], np.diff(starts, append=len(strings)))


def _column(rows: UInt8s, at: int, kind: str) -> NDArray[Any]:
    """The field of numpy type `kind` that starts at byte `at` of each row, as a view."""
    return rows[:, at : at + np.dtype(kind).itemsize].view(kind)[:, 0]
