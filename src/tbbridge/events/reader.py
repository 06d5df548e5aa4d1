"""Reading event files back, from any writer, as far as they are whole and right.

A buffer is walked a block of records at a time. Records of one length are read together as rows (rows.py): that checks their
CRCs and decodes plain scalars, by far the most common records. All others are parsed by protobuf one at a time. What is damaged
ends the reading and is told apart as in tfrecord.py; nothing behind it is reported. Bytes in, values out: nothing is opened.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from tbbridge import limits
from tbbridge.arrays import Float32s, Float64s, Int64s, UInt8s
from tbbridge.events import event_pb2 as pb
from tbbridge.events.crc32c import Buffer
from tbbridge.events.rows import PlainScalars, damaged_rows, is_worth_rows, plain_scalars
from tbbridge.events.tfrecord import OVERHEAD_BYTES, Corrupt, End, Frame, Torn, read_frame

Positions: TypeAlias = NDArray[np.int64]

SCALARS: Final = "scalars"
# What a value without metadata is shown as.
_PLUGIN_OF_FIELD: Final = {"simple_value": SCALARS, "histo": "histograms", "image": "images", "audio": "audio"}

# Rows decoded at a time, so that they stay in the processor's cache; and records of one length that must follow each other
# before the walk looks ahead for more of them with numpy.
_ROWS_AT_A_TIME: Final = 8192
_ALIKE_BEFORE_LOOKING_AHEAD: Final = 8

_LENGTH = struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class Series:
    """The scalars of one tag in file order: int64[n], float32[n], float64[n]."""

    steps: Int64s
    values: Float32s
    wall_times: Float64s


@dataclass(frozen=True, slots=True)
class StoredSummary:
    """A value that is no scalar. `value` is the Summary.Value as stored, whatever its kind."""

    tag: str
    plugin: str  # the tag's plugin name: 'histograms', 'text' ...; '' if the file has not said
    step: int
    wall_time: float
    value: bytes


@dataclass(frozen=True, slots=True)
class Restart:
    """A training that began, or went on from `step`: what a reader of TensorBoard's takes as a purge. `start`: its record."""

    start: int
    end: int
    step: int
    wall_time: float


@dataclass(frozen=True, slots=True)
class Chunk:
    """What `read_events` found. `end` is where to go on when the file has grown; `stopped` says why it ends there."""

    scalars: dict[str, Series]  # in order of appearance
    summaries: list[StoredSummary]
    plugins: dict[str, str]  # plugin name of each tag, as given and as found; hand it to the next call
    records: int
    end: int
    stopped: End | Torn | Corrupt
    shown: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # display name and description of scalars that have one
    restarts: Sequence[Restart] = ()


def read_events(buffer: Buffer | mmap.mmap, offset: int = 0, plugins: Mapping[str, str] | None = None) -> Chunk:
    """All records of `buffer` from `offset`, where one starts, up to its end or to the first that is torn or corrupt.

    `plugins` is what an earlier call on the same file found: a tag says its plugin only once. A scalar is a simple_value, or a
    float tensor of rank 0 whose tag belongs to the plugin 'scalars'. Besides the reasons of `read_frame`, a record is corrupt
    for 'not-an-event'. Never raises for what the bytes hold.
    """
    reading = _Reading(dict(plugins or {}))
    position = offset
    while True:
        walk = _walk(buffer, position)
        damage = reading.take(buffer, walk)
        if damage is not None:
            return reading.chunk(damage)
        position = walk.end
        if len(walk.starts) == 0:
            end = read_frame(buffer, position)
            if not isinstance(end, Frame):  # it could only be one if a mapped file changed since the walk: then walk on
                return reading.chunk(end)


def record_starts(buffer: Buffer) -> list[int]:
    """Where the records of `buffer` start, which holds whole ones only; nothing of them is checked."""
    starts: list[int] = []
    offset = 0
    while len((walk := _walk(buffer, offset)).starts):
        starts += walk.starts.tolist()
        offset = walk.end
    return starts


# --- where the records are --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Walk:
    """Where the next records start and how long their payloads say they are; nothing of it is checked yet."""

    starts: Positions
    lengths: Positions
    end: int


def _walk(buffer: Buffer | mmap.mmap, offset: int) -> _Walk:
    """The next records that lie wholly in the buffer, limits.READER_BLOCK_RECORDS at most."""
    view = memoryview(buffer)
    size = len(view)
    stretches: list[tuple[int, int, int]] = []  # start, payload length, records alike
    room = limits.READER_BLOCK_RECORDS
    alike = 0
    previous = -1
    while room and size - offset >= OVERHEAD_BYTES:
        (length,) = _LENGTH.unpack_from(view, offset)
        stride = length + OVERHEAD_BYTES
        if stride > size - offset:
            break
        count = 1
        alike = alike + 1 if length == previous else 0
        if alike >= _ALIKE_BEFORE_LOOKING_AHEAD:
            alike = 0
            count = _count_alike(view, offset, length, min(room, (size - offset) // stride))
        stretches.append((offset, length, count))
        previous = length
        offset += count * stride
        room -= count
    starts, lengths, counts = np.array(stretches, np.int64).reshape(-1, 3).T
    within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    lengths_of_all = np.repeat(lengths, counts)
    return _Walk(np.repeat(starts, counts) + within * (lengths_of_all + OVERHEAD_BYTES), lengths_of_all, offset)


def _count_alike(view: memoryview, offset: int, length: int, most: int) -> int:
    """How many of at most `most` records from `offset` on say this same length, if each has it."""
    stride = length + OVERHEAD_BYTES
    count = 1
    window = 64
    while count < most:
        window = min(4 * window, most - count)
        lengths = np.ndarray((window,), "<u8", view, offset + count * stride, (stride,))
        others = np.flatnonzero(lengths != length)
        if len(others):
            return count + int(others[0])
        count += window
    return count


# --- what they hold ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Points:
    """Scalars of many tags; `records` are the numbers of their records, by which they are put in order."""

    tags: Positions
    records: Positions
    steps: Int64s
    values: Float32s
    wall_times: Float64s

    def before(self, record: int) -> _Points:
        """Those of records in front of this one."""
        kept = self.records < record
        return self if kept.all() else self.at(np.flatnonzero(kept))

    def at(self, positions: Positions) -> _Points:
        """Those at these positions, in their order."""
        return _Points(
            self.tags[positions],
            self.records[positions],
            self.steps[positions],
            self.values[positions],
            self.wall_times[positions],
        )


@dataclass(slots=True)
class _Reading:
    """All that was found so far."""

    plugins: dict[str, str]
    records: int = 0
    numbers: dict[str, int] = field(default_factory=dict)  # of the tags of scalars
    plain_since: dict[str, int] = field(
        default_factory=dict
    )  # record of each tag's first plain scalar; rows run ahead of order
    points: list[_Points] = field(default_factory=list)
    summaries: list[StoredSummary] = field(default_factory=list)
    shown: dict[str, tuple[str, str]] = field(default_factory=dict)
    restarts: list[Restart] = field(default_factory=list)

    def take(self, buffer: Buffer | mmap.mmap, walk: _Walk) -> Corrupt | None:
        """Read the records of `walk`, up to the first that is damaged, which is returned."""
        if len(walk.starts) == 0:
            return None
        before = len(self.points)
        good = len(walk.starts)  # records before the first that is known to be damaged
        others = []
        for length in np.unique(walk.lengths).tolist():
            positions = np.flatnonzero(walk.lengths == length)
            if not is_worth_rows(len(positions), length):
                others.append(positions)
                continue
            for start in range(0, len(positions), _ROWS_AT_A_TIME):
                some = positions[start : start + _ROWS_AT_A_TIME]
                good = min(good, self._take_rows(buffer, walk, some, others))
        damage = self._take_singly(buffer, walk, np.sort(np.concatenate(others)) if others else np.array([], np.int64), good)
        if damage is None and good < len(walk.starts):
            found = read_frame(buffer, int(walk.starts[good]))
            damage = found if isinstance(found, Corrupt) else Corrupt(int(walk.starts[good]), "payload-crc")
        if damage is not None:
            good = int(np.searchsorted(walk.starts, damage.start))
            self.points[before:] = [points.before(self.records + good) for points in self.points[before:]]
        self.records += good
        return damage

    def _take_rows(self, buffer: Buffer | mmap.mmap, walk: _Walk, positions: Positions, others: list[Positions]) -> int:
        """Read these records, which are of one length; what is no plain scalar joins `others`. First damaged one, if any."""
        rows = _rows(buffer, walk.starts[positions], int(walk.lengths[positions[0]]) + OVERHEAD_BYTES)
        damaged = damaged_rows(rows)
        first_damaged = len(walk.starts)
        if damaged.any():
            whole = int(np.argmax(damaged))
            first_damaged = int(positions[whole])
            rows, positions = rows[:whole], positions[:whole]
        unread = np.ones(len(rows), np.bool_)
        for found in plain_scalars(rows):
            records = self.records + positions[found.rows]
            numbers = self._numbers(found, records)
            if numbers is None:
                continue  # a tag is not UTF-8: protobuf finds out which record it is
            self.points.append(_Points(numbers[found.tag_of_row], records, found.steps, found.values, found.wall_times))
            unread[found.rows] = False
        others.append(positions[unread])
        return first_damaged

    def _numbers(self, found: PlainScalars, records: Positions) -> Positions | None:
        """The numbers of the tags, in their order; None if one is not UTF-8."""
        try:
            tags = [raw.decode() for raw in found.tags]
        except UnicodeDecodeError:
            return None
        first_records = np.empty(len(tags), np.int64)
        first_records[found.tag_of_row[::-1]] = records[
            ::-1
        ]  # of several for one tag the last assigned stays: its first record
        for tag, record in zip(tags, first_records.tolist(), strict=True):
            self.plain_since[tag] = min(record, self.plain_since.get(tag, record))
        return np.array([self.numbers.setdefault(tag, len(self.numbers)) for tag in tags], np.int64)

    def _take_singly(self, buffer: Buffer | mmap.mmap, walk: _Walk, positions: Positions, good: int) -> Corrupt | None:
        """Parse these records one by one, as far as they stand before `good`; the first damaged one ends it."""
        points: list[tuple[int, int, int, float, float]] = []
        damage = None
        for position in positions.tolist():
            if position >= good:
                break
            damage = self._parse(buffer, int(walk.starts[position]), self.records + position, points)
            if damage is not None:
                break
        if points:
            tags, records, steps, values, wall_times = zip(*points, strict=True)
            with np.errstate(over="ignore", invalid="ignore"):
                narrow = np.array(values).astype(np.float32)
            self.points.append(
                _Points(
                    np.array(tags, np.int64),
                    np.array(records, np.int64),
                    np.array(steps, np.int64),
                    narrow,
                    np.array(wall_times),
                )
            )
        return damage

    def _parse(
        self, buffer: Buffer | mmap.mmap, start: int, record: int, points: list[tuple[int, int, int, float, float]]
    ) -> Corrupt | None:
        read = read_frame(buffer, start)
        if not isinstance(read, Frame):
            return read if isinstance(read, Corrupt) else Corrupt(start, "length-crc")
        try:
            event = pb.Event.FromString(read.payload.tobytes())
        except DecodeError:
            return Corrupt(start, "not-an-event")
        if event.session_log.status == pb.SessionLog.START:
            self.restarts.append(Restart(start, read.end, event.step, event.wall_time))
        for value in event.summary.value or _outside_summary(event):
            plugin = self.plugins.get(value.tag)
            if plugin is None:
                plugin = SCALARS if self.plain_since.get(value.tag, record) < record else _plugin_of(value)
                if plugin:
                    self.plugins[value.tag] = plugin
            number = _scalar_of(value, plugin)
            if number is None:
                stored = value.SerializeToString()
                self.summaries.append(StoredSummary(value.tag, plugin, event.step, event.wall_time, stored))
            else:
                said = value.metadata
                if said.display_name or said.summary_description:
                    self.shown.setdefault(value.tag, (said.display_name, said.summary_description))
                tag = self.numbers.setdefault(value.tag, len(self.numbers))
                points.append((tag, record, event.step, number, event.wall_time))
        return None

    def chunk(self, stopped: End | Torn | Corrupt) -> Chunk:
        """All of it, with each tag's scalars in file order."""
        scalars = _series(list(self.numbers), self.points)
        for tag in scalars:
            self.plugins.setdefault(tag, SCALARS)
        ends = self.records, stopped.start, stopped
        return Chunk(scalars, self.summaries, self.plugins, *ends, self.shown, self.restarts)


def _rows(buffer: Buffer | mmap.mmap, starts: Positions, record_bytes: int) -> UInt8s:
    """The records at `starts` as rows; a view if they stand behind each other."""
    first = int(starts[0])
    if int(starts[-1]) - first == record_bytes * (len(starts) - 1):
        return np.frombuffer(buffer, np.uint8, len(starts) * record_bytes, first).reshape(-1, record_bytes)
    # One element for each byte at which a record could start, overlapping; indexing copies only those asked for.
    anywhere = np.ndarray((len(buffer) - record_bytes + 1,), f"V{record_bytes}", buffer, 0, (1,))
    return anywhere[starts].view(np.uint8).reshape(-1, record_bytes)


def _plugin_of(value: pb.Summary.Value) -> str:
    """The plugin that `value` says its tag belongs to, or that its form implies; '' if neither."""
    named = value.metadata.plugin_data.plugin_name
    if named:
        return named
    return _PLUGIN_OF_FIELD.get(value.WhichOneof("value") or "", "")


def _outside_summary(event: pb.Event) -> list[pb.Summary.Value]:
    """What stands in fields of the event itself, as the values that TensorBoard makes of them (data_compat.py)."""
    match event.WhichOneof("what"):
        case "graph_def":
            value = pb.Summary.Value(tag="__run_graph__")
            value.metadata.plugin_data.plugin_name = "graphs"
            content = event.graph_def
        case "tagged_run_metadata":
            value = pb.Summary.Value(tag=event.tagged_run_metadata.tag)
            value.metadata.plugin_data.plugin_name = "graph_tagged_run_metadata"
            content = event.tagged_run_metadata.run_metadata
        case _:
            return []
    value.metadata.data_class = pb.DATA_CLASS_BLOB_SEQUENCE
    value.tensor.dtype = pb.DT_STRING
    value.tensor.tensor_shape.dim.add(size=1)
    value.tensor.string_val.append(content)
    return [value]


def _scalar_of(value: pb.Summary.Value, plugin: str) -> float | None:
    """The number, if `value` is a scalar that both of TensorBoard's readers show."""
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        return value.simple_value
    tensor = value.tensor
    if kind != "tensor" or plugin != SCALARS or tensor.dtype != pb.DT_FLOAT or tensor.tensor_shape.dim:
        return None
    if len(tensor.tensor_content) == 4:
        return float(np.frombuffer(tensor.tensor_content, "<f4")[0])
    return tensor.float_val[0] if len(tensor.float_val) == 1 else None


def _series(tags: list[str], points: list[_Points]) -> dict[str, Series]:
    if not points:
        return {}
    all_points = _Points(
        np.concatenate([some.tags for some in points]),
        np.concatenate([some.records for some in points]),
        np.concatenate([some.steps for some in points]),
        np.concatenate([some.values for some in points]),
        np.concatenate([some.wall_times for some in points]),
    )
    if (all_points.records[1:] < all_points.records[:-1]).any():
        all_points = all_points.at(np.argsort(all_points.records, kind="stable"))
    places = np.arange(len(all_points.tags))  # in file order
    if (all_points.tags[1:] < all_points.tags[:-1]).any():
        # numpy sorts 16 bits stably by counting, several times faster than 64 by comparing.
        numbers = all_points.tags.astype(np.uint16) if len(tags) <= 1 << 16 else all_points.tags
        places = np.argsort(numbers, kind="stable")
        all_points = all_points.at(places)
    bounds = np.flatnonzero(np.diff(all_points.tags, prepend=-1, append=-1))
    stretches = zip(places[bounds[:-1]].tolist(), bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
    return {
        tags[all_points.tags[start]]: Series(
            all_points.steps[start:end], all_points.values[start:end], all_points.wall_times[start:end]
        )
        for _, start, end in sorted(stretches)
    }
