"""Scalars as event records, a whole batch at a time: the same bytes as protobuf and a plain CRC would give, without the loop.

Two records of one *shape* (length of the tag, of the step's varint, wall time present, described or not) have their parts at
the same places. So the points are grouped by shape, the rows of a group are laid out as one array (template rows, the variable
bytes stored as columns), and each row's CRC is its template's CRC xor one table lookup for each variable byte (crc32c.py says
why that is right). A few points, or points of too many shapes, are made one by one. Which way was taken never shows: the bytes
follow from (columns, described) alone. Pure: no files, no clock. The other kinds are in summaries.py, encode.py joins them.

The order of the records: first those that describe their tag, then by (generation, shape). A point's generation counts how
often the step's length has gone down so far within its tag. Along one tag the pair never descends, so a stable sort keeps each
tag's points in the order in which they came, whatever their steps do; and well-behaved columns are a few large groups.
"""

from __future__ import annotations

import struct
from collections.abc import Container, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from operator import itemgetter
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tbbridge import limits
from tbbridge.arrays import Float32s, Float64s, Int64s, UInt8s
from tbbridge.events import event_pb2 as pb
from tbbridge.events.crc32c import UInt32s, crc32c, effect_table, mask_rows, masked
from tbbridge.events.tfrecord import FOOTER_BYTES, HEADER_BYTES, frame, frame_header
from tbbridge.model import ScalarColumns, join_columns

UInt64s: TypeAlias = NDArray[np.uint64]
Positions: TypeAlias = NDArray[np.intp]
Rows: TypeAlias = NDArray[np.void]

# Below this many points, records made one by one (about 1.5 us each) come out ahead of setting up arrays. Likewise a group must
# have this many points on average to be worth its own setting up (about 30 us).
_FEW_POINTS: Final = 60
_POINTS_A_GROUP: Final = 30
# Rows made at a time: the temporary columns then stay in the processor's cache.
_ROWS_AT_A_TIME: Final = 16384

# The rows' tag bytes: field number and wire type of Event.wall_time, .step, .summary, of Summary.value, and of Value's fields.
WALL_TIME: Final = b"\x09"
STEP: Final = b"\x10"
_SUMMARY: Final = b"\x2a"
_VALUE: Final = b"\x0a"
_TAG: Final = b"\x0a"
_SIMPLE_VALUE: Final = b"\x15"
# Value.metadata: plugin_data { plugin_name: "scalars" } data_class: DATA_CLASS_SCALAR. With the class given, TensorBoard's data
# server also keeps what a metadata says about a plain simple_value.
_METADATA: Final = b"\x4a\x0d\x0a\x09\x0a\x07scalars\x20\x01"

# A step of 0 and a wall time of +0.0 are left out, as proto3 does; -0.0 is not.
_NO_WALL_TIME = 16  # added to the number of bytes of the step's varint: together a point's code
_FLOAT32_MAX: Final = float(np.finfo(np.float32).max)
_DOUBLE = struct.Struct("<d")
_FLOAT = struct.Struct("<f")
_UINT32 = struct.Struct("<I")


def encode_scalars(columns: Sequence[ScalarColumns], described: Container[str]) -> bytes | bytearray:
    """The points of `columns` as framed records, in each column's order; `steps` and `wall_times` must be filled in.

    The first point of a tag that is not in `described` carries the metadata that TensorBoard wants once a tag and file. Values
    are narrowed to float32, as TensorBoard's files hold them: what is too large becomes infinite. A bytearray is returned where
    making bytes would copy it all. Raises ValueError if a column is not settled.
    """
    if len(columns) > 1:
        columns = join_columns(columns)
    points = 0
    named: list[ScalarColumns] = []
    for column in columns:
        if (column.display_name or column.description) and column.tag not in described:
            named.append(column)
        if column.steps is None or column.wall_times is None:
            raise ValueError(f"column {column.tag!a} has no steps or no wall_times; settle the batch before encoding it")
        points += len(column.values)
    if named:
        return _encode_named(columns, named, described)
    if points < _FEW_POINTS:
        return _encode_one_by_one(columns, described)
    return _encode_in_groups(columns, described)


class _AlsoDescribed(Container[str]):
    def __init__(self, described: Container[str], tags: Container[str]) -> None:
        self._described = described
        self._tags = tags

    def __contains__(self, tag: object) -> bool:
        return tag in self._tags or tag in self._described


def _encode_named(columns: Sequence[ScalarColumns], named: Sequence[ScalarColumns], described: Container[str]) -> bytes:
    """Before all others, the first points of tags that get a display name or a description; rare, so made by protobuf."""
    parts: list[bytes | bytearray] = []
    for column in named:
        assert column.steps is not None and column.wall_times is not None  # noqa: S101, PT018 - checked by the caller
        event = pb.Event(wall_time=column.wall_times[0], step=int(column.steps[0]))
        value = event.summary.value.add(tag=column.tag, simple_value=float(_narrowed(column.values[:1])[0]))
        metadata = value.metadata
        metadata.plugin_data.plugin_name = "scalars"
        metadata.display_name = column.display_name
        metadata.summary_description = column.description
        metadata.data_class = pb.DATA_CLASS_SCALAR
        parts.append(frame(event.SerializeToString()))
    tags = {column.tag for column in named}
    rest = [_without_first(column) if column.tag in tags else column for column in columns]
    left = [column for column in rest if column is not None]
    if left:
        parts.append(encode_scalars(left, _AlsoDescribed(described, tags)))
    return b"".join(parts)


def _without_first(column: ScalarColumns) -> ScalarColumns | None:
    if len(column.values) == 1 or column.steps is None or column.wall_times is None:
        return None
    return ScalarColumns(column.tag, column.values[1:], column.steps[1:], column.wall_times[1:])


# --- one record at a time ---------------------------------------------------------------------------------------------


def varint(number: int) -> bytes:
    """A signed 64-bit `number` as protobuf writes an int64: 7 bits a byte, negative ones in two's complement (10 bytes)."""
    if 0 <= number < 0x80:
        return bytes((number,))
    number &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _encode_one_by_one(columns: Sequence[ScalarColumns], described: Container[str]) -> bytes:
    keyed: list[tuple[int, int, int, bytes]] = []
    for column in columns:
        assert column.steps is not None and column.wall_times is not None  # noqa: S101, PT018 - checked by the caller
        tag = column.tag
        is_described = tag in described
        before, after, tag_bytes = _around_value(tag, is_described)
        generation = 0
        last_code = -1
        points = zip(column.values.tolist(), column.steps.tolist(), column.wall_times.tolist(), strict=True)
        for value, step, wall_time in points:
            packed_time = _DOUBLE.pack(wall_time)
            if packed_time == _NO_TIME:
                code = _NO_WALL_TIME
                payload = b""
            else:
                code = 0
                payload = WALL_TIME + packed_time
            if step:
                packed_step = varint(step)
                code += len(packed_step)
                payload += STEP + packed_step
            payload = b"".join((payload, before, _float32_bytes(value), after))
            record = b"".join((_frame_header(len(payload)), payload, _UINT32.pack(masked(payload))))
            if is_described:
                if code < last_code:
                    generation += 1
                last_code = code
                keyed.append((generation + 1, code, tag_bytes, record))
            else:
                keyed.append((0, code, tag_bytes, record))
                is_described = True
                before, after, tag_bytes = _around_value(tag, True)
    if len(keyed) == 1:
        return keyed[0][3]
    keyed.sort(key=_ORDER)
    return b"".join([record for _, _, _, record in keyed])


_NO_TIME: Final = bytes(8)
_ORDER = itemgetter(0, 1, 2)
_frame_header = lru_cache(maxsize=limits.ENCODER_SHAPES_KEPT)(frame_header)


@lru_cache(maxsize=limits.ENCODER_TAGS_KEPT)
def _around_value(tag: str, described: bool) -> tuple[bytes, bytes, int]:
    """What stands before and behind the four bytes of the value, from the summary's field on; and the tag's length."""
    raw = tag.encode()
    before_tag, before_value, after = around_tag(len(raw), described=described)
    return before_tag + raw + before_value, after, len(raw)


def around_tag(tag_bytes: int, *, described: bool) -> tuple[bytes, bytes, bytes]:
    """What stands before the tag, between tag and value, and behind the value, from the summary's field on."""
    after = b"" if described else _METADATA
    before_tag = _TAG + varint(tag_bytes)
    value_bytes = len(before_tag) + tag_bytes + len(_SIMPLE_VALUE) + 4 + len(after)
    value_head = _VALUE + varint(value_bytes)
    return _SUMMARY + varint(len(value_head) + value_bytes) + value_head + before_tag, _SIMPLE_VALUE, after


def _float32_bytes(value: float) -> bytes:
    if -_FLOAT32_MAX <= value <= _FLOAT32_MAX:
        return _FLOAT.pack(value)
    # NaN, infinite or too large: the processor's own conversion decides, as in the other path (struct would raise).
    return _narrowed(np.array([value])).tobytes()


def _narrowed(values: Float64s) -> Float32s:
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype("<f4")


# --- many records at a time -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Points:
    """All points of a batch behind each other, column after column."""

    values: Float32s
    steps: Int64s
    wall_times: Float64s
    codes: UInt8s  # bytes of the step's varint (0..10), plus _NO_WALL_TIME if that is left out


@dataclass(frozen=True, slots=True)
class _Segments:
    """Stretches of neighbouring points of one column and one shape; one element of each array a segment."""

    starts: Positions
    counts: Positions
    columns: Positions  # which column
    describing: NDArray[np.bool_]
    keys: Int64s  # segments of one key are one group, groups stand in the order of their keys


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the variable parts of a record of one shape start, in bytes from the record's start; None if left out."""

    record_bytes: int
    wall_time_at: int | None
    step_at: int | None
    step_bytes: int
    value_at: int


def _encode_in_groups(columns: Sequence[ScalarColumns], described: Container[str]) -> bytes | bytearray:
    points = _behind_each_other(columns)
    tags = [column.tag.encode() for column in columns]
    segments = _segments(columns, tags, points.codes, described)
    order = segments.keys.argsort(kind="stable")
    sorted_keys = segments.keys[order]
    bounds = [0, *((sorted_keys[1:] != sorted_keys[:-1]).nonzero()[0] + 1).tolist(), len(order)]
    groups = [order[start:end] for start, end in pairwise(bounds)]
    if len(points.values) < _POINTS_A_GROUP * len(groups):
        return _encode_one_by_one(columns, described)
    if (order[1:] < order[:-1]).any():
        points = _in_order(points, segments.starts[order], segments.counts[order])

    parts = []
    size = 0
    first = 0
    for group in groups:
        counts = segments.counts[group]
        last = first + int(counts.sum())
        group_tags = [tags[column] for column in segments.columns[group].tolist()]
        templates, layout = _templates(group_tags, int(points.codes[first]), bool(segments.describing[group[0]]))
        parts.append((slice(first, last), templates, counts, layout))
        size += (last - first) * layout.record_bytes
        first = last

    out = bytearray(size)  # the only large allocation: touching new memory costs more than the work
    at = 0
    for part, templates, counts, layout in parts:
        rows = np.frombuffer(out, np.dtype((np.void, layout.record_bytes)), part.stop - part.start, at)
        _write_rows(rows, points.values[part], points.steps[part], points.wall_times[part], templates, counts, layout)
        at += rows.nbytes
    return out


def _behind_each_other(columns: Sequence[ScalarColumns]) -> _Points:
    steps = np.concatenate([column.steps for column in columns if column.steps is not None]).astype("<i8", copy=False)
    wall_times = np.concatenate([column.wall_times for column in columns if column.wall_times is not None])
    wall_times = wall_times.astype("<f8", copy=False)
    codes = _varint_sizes(steps)
    codes[wall_times.view("<u8") == 0] += _NO_WALL_TIME
    return _Points(_narrowed(np.concatenate([column.values for column in columns])), steps, wall_times, codes)


def _varint_sizes(steps: Int64s) -> UInt8s:
    """Bytes that each step's varint takes; 0 for the step 0, which is left out."""
    unsigned = steps.view("<u8")
    largest = int(unsigned.max())
    sizes: UInt8s = (unsigned != 0).astype(np.uint8)
    for bits in range(7, 64, 7):
        if largest < 1 << bits:
            break
        sizes += unsigned >= np.uint64(1 << bits)
    return sizes


def _segments(columns: Sequence[ScalarColumns], tags: list[bytes], codes: UInt8s, described: Container[str]) -> _Segments:
    undescribed = np.array([column.tag not in described for column in columns])
    tag_bytes = np.array(list(map(len, tags)))
    counts = np.array([len(column.values) for column in columns])
    firsts = counts.cumsum() - counts
    is_start = np.empty(len(codes), np.bool_)
    np.not_equal(codes[1:], codes[:-1], out=is_start[1:])
    is_start[firsts] = True
    is_start[firsts[undescribed & (counts > 1)] + 1] = True  # the describing point is a segment of its own
    starts = is_start.nonzero()[0]
    of_column = firsts.searchsorted(starts, side="right") - 1
    describing = undescribed[of_column] & (starts == firsts[of_column])

    segment_codes = codes[starts].astype(np.int64)
    falls = np.zeros(len(starts), np.int64)
    same_column = of_column[1:] == of_column[:-1]
    falls[1:] = (segment_codes[1:] < segment_codes[:-1]) & same_column & ~describing[:-1]
    generations = falls.cumsum()
    generations -= generations[starts.searchsorted(firsts)][of_column]
    keys = (generations + ~describing) * (2 * _NO_WALL_TIME) + segment_codes
    keys = keys * (int(tag_bytes.max()) + 1) + tag_bytes[of_column]
    ends = np.empty_like(starts)
    ends[:-1] = starts[1:]
    ends[-1] = len(codes)
    return _Segments(starts, ends - starts, of_column, describing, keys)


def _in_order(points: _Points, starts: Positions, counts: Positions) -> _Points:
    """The points of these segments, one segment behind the other."""
    ends = counts.cumsum()
    positions = (starts - (ends - counts)).repeat(counts)
    positions += np.arange(len(positions))
    return _Points(points.values[positions], points.steps[positions], points.wall_times[positions], points.codes[positions])


def _templates(tags: Sequence[bytes], code: int, describing: bool) -> tuple[list[bytes], _Layout]:
    """A record for each tag, all of one shape, with zeros for wall time, step, value and the payload's CRC; and the layout."""
    step_bytes = code % _NO_WALL_TIME
    head = b"" if code >= _NO_WALL_TIME else WALL_TIME + bytes(8)
    wall_time_at = HEADER_BYTES + 1 if head else None
    step_at = HEADER_BYTES + len(head) + 1 if step_bytes else None
    head += STEP + bytes(step_bytes) if step_bytes else b""
    before_tag, before_value, after = around_tag(len(tags[0]), described=not describing)
    value_at = HEADER_BYTES + len(head) + len(before_tag) + len(tags[0]) + len(before_value)
    record_bytes = value_at + 4 + len(after) + FOOTER_BYTES
    head = _frame_header(record_bytes - HEADER_BYTES - FOOTER_BYTES) + head + before_tag
    tail = before_value + bytes(4) + after + bytes(FOOTER_BYTES)
    layout = _Layout(record_bytes, wall_time_at, step_at, step_bytes, value_at)
    return [b"".join((head, tag, tail)) for tag in tags], layout


def _write_rows(
    rows: Rows,
    values: Float32s,
    steps: Int64s,
    wall_times: Float64s,
    templates: Sequence[bytes],
    counts: Positions,
    layout: _Layout,
) -> None:
    """The records of one group: `counts[i]` rows of `templates[i]`, with the points' bytes and the CRCs filled in."""
    template_rows = np.frombuffer(b"".join(templates), rows.dtype)
    template_crcs = np.array([crc32c(template[HEADER_BYTES:-FOOTER_BYTES]) for template in templates], np.uint32)
    template_of_row = np.arange(len(templates)).repeat(counts) if len(templates) > 1 else None
    for start in range(0, len(rows), _ROWS_AT_A_TIME):
        some = slice(start, start + _ROWS_AT_A_TIME)
        if template_of_row is None:
            rows[some] = template_rows[0]
            crcs = np.full(len(rows[some]), template_crcs[0])
        else:
            rows[some] = template_rows[template_of_row[some]]
            crcs = template_crcs[template_of_row[some]]
        _fill(rows[some], crcs, values[some], steps[some], wall_times[some], layout)


def _fill(
    rows: NDArray[np.void], crcs: UInt32s, values: Float32s, steps: Int64s, wall_times: Float64s, layout: _Layout
) -> None:
    """Write values, steps and wall times into `rows`, and their CRCs, which start from the templates' in `crcs`.

    A byte that is the same in all rows, as the upper ones of wall times and steps are, needs no look-up for each of them.
    """
    payload_end = layout.record_bytes - FOOTER_BYTES
    same_in_all = 0

    def add(column: UInt8s, at: int, *, varies: bool = True) -> None:
        nonlocal same_in_all
        effects = effect_table(payload_end - 1 - at)
        if varies:
            np.bitwise_xor(crcs, effects.take(column), out=crcs)
        else:
            same_in_all ^= int(effects[column[0]])

    def store(column: NDArray[np.generic], at: int) -> None:
        rows.view(_part(column.dtype, at, layout.record_bytes))["f"] = column

    if layout.wall_time_at is not None:
        store(wall_times, layout.wall_time_at)
        varying = _varying_bits(wall_times.view("<u8"))
        for position, column in enumerate(wall_times.view(np.uint8).reshape(-1, 8).T):
            add(column, layout.wall_time_at + position, varies=bool(varying >> 8 * position & 0xFF))
    if layout.step_at is not None:
        unsigned = steps.view("<u8")
        varying = _varying_bits(unsigned)
        for position in range(layout.step_bytes):
            column = (unsigned >> np.uint64(7 * position)).astype(np.uint8)
            if position < layout.step_bytes - 1:
                column |= np.uint8(0x80)
            store(column, layout.step_at + position)
            add(column, layout.step_at + position, varies=bool(varying >> 7 * position & 0x7F))
    store(values, layout.value_at)
    for position, column in enumerate(values.view(np.uint8).reshape(-1, 4).T):
        add(column, layout.value_at + position)
    if same_in_all:
        np.bitwise_xor(crcs, np.uint32(same_in_all), out=crcs)
    store(mask_rows(crcs), payload_end)


@lru_cache(maxsize=limits.ENCODER_SHAPES_KEPT)
def _part(of: np.dtype[np.generic], at: int, record_bytes: int) -> np.dtype[np.void]:
    """Rows of which only what stands `at` bytes from their start is seen. Kept: making one takes 2 us, and a record has ten."""
    return np.dtype({"names": ["f"], "formats": [of], "offsets": [at], "itemsize": record_bytes})


def _varying_bits(column: UInt64s) -> int:
    """The bits that are not the same in all elements."""
    return int(np.bitwise_or.reduce(column ^ column[0]))
