"""What travels through tbbridge: batches of runs, each with columns of scalars and single summaries.

Everything here is checked when it is made and frozen from then on, so nothing behind this file checks again. A check that
fails raises `InvalidItem`, which names the part that is wrong and the remedy. This file knows no wire format and no file.

A batch as sent may leave out steps and wall times; the pipeline settles them before the journal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NewType, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tbbridge import limits
from tbbridge.errors import InvalidItem

Int64s: TypeAlias = NDArray[np.int64]
Float64s: TypeAlias = NDArray[np.float64]

RunName = NewType("RunName", str)
TagName = NewType("TagName", str)

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1

# Our own folder inside the log folder: journal, checkpoint, lock. No run may take its name.
STATE_FOLDER = ".tbbridge"


def utf8_length(text: str, what: str, where: str) -> int:
    """Length of `text` in bytes of UTF-8; a lone surrogate, which no file or protobuf can hold, is an `InvalidItem`."""
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidItem(
            "not-utf8", f"{what} holds a lone surrogate at character {error.start}; send valid Unicode", where
        ) from None


def decode_utf8(raw: bytes, what: str, where: str) -> str:
    """`raw` as text, or an `InvalidItem` that says at which byte it stops being UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidItem("not-utf8", f"{what} is not UTF-8 at byte {error.start}; send UTF-8", where) from None


@lru_cache(maxsize=4096)
def run_name(name: str) -> RunName:
    """Check a run's name, which becomes a folder below the log folder: the one gate between senders and the file system."""
    size = utf8_length(name, "the run name", "run")
    if not 1 <= size <= limits.RUN_MAX_BYTES:
        raise InvalidItem("run-name", f"a run name has 1 to {limits.RUN_MAX_BYTES} bytes of UTF-8, this one has {size}", "run")
    shown = ascii(name)
    for character in name:
        if ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0:
            raise InvalidItem("run-name", f"run name {shown} holds the control character {character!a}; remove it", "run")
    if name.startswith("/"):
        raise InvalidItem("run-name", f"run name {shown} starts with '/'; name it relative to the log folder", "run")
    for part in name.split("/"):
        if part in ("", ".", ".."):
            raise InvalidItem(
                "run-name", f"run name {shown} has the part '{part}' between slashes; use plain names there", "run"
            )
        if utf8_length(part, "the run name", "run") > limits.RUN_PART_MAX_BYTES:
            message = (
                f"run name {shown} has a part of over {limits.RUN_PART_MAX_BYTES} bytes, longer than a folder's name can be"
            )
            raise InvalidItem("run-name", message + "; shorten it or split it with '/'", "run")
        if "tfevents" in part or part.casefold() == STATE_FOLDER:
            message = (
                f"run name {shown} has the part '{part}', which is kept for tbbridge's or TensorBoard's own files; rename it"
            )
            raise InvalidItem("run-name", message, "run")
    return RunName(name)


@lru_cache(maxsize=65536)
def tag_name(name: str) -> TagName:
    """Check a tag: any text of 1 to limits.TAG_MAX_BYTES bytes. TensorBoard groups charts by what is before its first '/'."""
    size = utf8_length(name, "the tag", "tag")
    if size == 0:
        raise InvalidItem("tag", "the tag is empty; give the series a name such as 'loss'", "tag")
    if size > limits.TAG_MAX_BYTES:
        raise InvalidItem(
            "tag", f"a tag has at most {limits.TAG_MAX_BYTES} bytes of UTF-8, this one has {size}; shorten it", "tag"
        )
    return TagName(name)


def check_step(step: int) -> int:
    """A step is a signed 64-bit number, in TensorBoard's files too."""
    if not INT64_MIN <= step <= INT64_MAX:
        raise InvalidItem("step", f"step {step} does not fit in 64 bits; steps go from -2^63 to 2^63-1", "step")
    return step


def check_wall_time(wall_time: float) -> float:
    """Wall time in seconds since 1970. Finite: one NaN makes TensorBoard's data server drop the rest of the file."""
    if not math.isfinite(wall_time):
        raise InvalidItem(
            "wall-time", f"wall_time is {wall_time}; give finite seconds since 1970, or leave it out", "wall_time"
        )
    return wall_time


def check_wall_time_at(wall_times: Float64s, position: int) -> None:
    """The same for one element of a column."""
    wall_time = float(wall_times[position])
    if not math.isfinite(wall_time):
        message = f"wall_time is {wall_time}; give finite seconds since 1970, or leave the column out"
        raise InvalidItem("wall-time", message, f"wall_times[{position}]")


@dataclass(frozen=True, slots=True)
class ScalarColumns:
    """Points of one tag in the order in which they were made.

    `values` is float64[n]; `steps` int64[n] or None (they go on from the tag's last step + 1); `wall_times` float64[n] in
    seconds since 1970, finite, or None (the time of receipt). n >= 1. TensorBoard's files hold values as float32.
    """

    tag: TagName
    values: Float64s
    steps: Int64s | None = None
    wall_times: Float64s | None = None

    def __post_init__(self) -> None:
        tag_name(self.tag)
        count = len(self.values)
        if count == 0:
            raise InvalidItem("empty", "the column has no values; send at least one or leave it out", "values")
        if self.steps is not None and len(self.steps) != count:
            raise InvalidItem(
                "length", f"{len(self.steps)} steps for {count} values; send one step a value, or no steps", "steps"
            )
        if self.wall_times is not None:
            if len(self.wall_times) != count:
                message = f"{len(self.wall_times)} wall_times for {count} values; send one a value, or none"
                raise InvalidItem("length", message, "wall_times")
            if count == 1:  # the commonest column; numpy takes 3 us to look at one number
                check_wall_time_at(self.wall_times, 0)
            elif not (finite := np.isfinite(self.wall_times)).all():
                check_wall_time_at(self.wall_times, int(np.argmin(finite)))


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

    def __post_init__(self) -> None:
        check_summary(self)
        size = utf8_length(self.text, "the text", "text")
        if size > limits.TEXT_MAX_BYTES:
            raise InvalidItem(
                "too-large", f"the text has {size} bytes, at most {limits.TEXT_MAX_BYTES} are taken; shorten it", "text"
            )


@dataclass(frozen=True, slots=True)
class Histogram:
    """One histogram: either raw `values`, float64[n] (NaN and infinities are counted out and reported), or ready `buckets`."""

    tag: TagName
    values: Float64s | None = None
    buckets: Buckets | None = None
    step: int | None = None
    wall_time: float | None = None

    def __post_init__(self) -> None:
        check_summary(self)
        if (self.values is None) == (self.buckets is None):
            raise InvalidItem("histogram", "a histogram has either values or buckets; send exactly one of the two", "values")
        if self.values is not None and len(self.values) > limits.HISTOGRAM_MAX_VALUES:
            message = f"{len(self.values)} values, at most {limits.HISTOGRAM_MAX_VALUES} are taken; send buckets instead"
            raise InvalidItem("too-large", message, "values")


# The kinds that are sent one value at a time. A new kind joins here, in wire/ and in events/.
Summary: TypeAlias = Text | Histogram


def check_summary(summary: Summary) -> None:
    """The part that all kinds share: tag, step and wall time."""
    tag_name(summary.tag)
    if summary.step is not None:
        check_step(summary.step)
    if summary.wall_time is not None:
        check_wall_time(summary.wall_time)


@dataclass(frozen=True, slots=True)
class RunBatch:
    """What one request holds for one run. Columns of the same tag are joined by the maker (`join_columns`)."""

    run: RunName
    scalars: tuple[ScalarColumns, ...] = ()
    summaries: tuple[Summary, ...] = ()

    @property
    def points(self) -> int:
        """Values in this batch, of any kind."""
        return sum(len(column.values) for column in self.scalars) + len(self.summaries)


@dataclass(frozen=True, slots=True)
class Batch:
    """One request: `writer` and `seq` (both or neither) make a retry free. Each run stands once."""

    runs: tuple[RunBatch, ...]
    writer: str = ""
    seq: int = 0

    def __post_init__(self) -> None:
        if bool(self.writer) != bool(self.seq):
            missing = "seq" if self.writer else "writer"
            raise InvalidItem(
                "writer", f"'{missing}' is missing; a batch has both writer and seq (from 1), or neither", missing
            )
        if not 0 <= self.seq < 2**63:
            raise InvalidItem("writer", f"seq {self.seq} is out of range; it counts requests from 1", "seq")
        if utf8_length(self.writer, "the writer", "writer") > limits.WRITER_MAX_BYTES:
            raise InvalidItem("writer", f"writer has over {limits.WRITER_MAX_BYTES} bytes; a UUID is enough", "writer")

    @property
    def points(self) -> int:
        """Values in all its runs."""
        return sum(run.points for run in self.runs)

    @property
    def size_bytes(self) -> int:
        """About what it occupies in memory, for the bounds of queues."""
        return limits.BATCH_OVERHEAD_BYTES + sum(map(_run_size, self.runs))


def _run_size(run: RunBatch) -> int:
    size = limits.ITEM_OVERHEAD_BYTES * (1 + len(run.scalars) + len(run.summaries))
    for column in run.scalars:
        size += 24 * len(column.values)
    for summary in run.summaries:
        if isinstance(summary, Text):
            size += len(summary.text)
        elif summary.buckets is not None:
            size += 24 * len(summary.buckets.counts)
        elif summary.values is not None:
            size += summary.values.nbytes
    return size


def join_columns(columns: Sequence[ScalarColumns]) -> tuple[ScalarColumns, ...]:
    """Columns of the same tag as one, in order. Columns with and without steps (or wall_times) of one tag do not join."""
    by_tag: dict[str, list[ScalarColumns]] = {}
    for column in columns:
        by_tag.setdefault(column.tag, []).append(column)
    if len(by_tag) == len(columns):
        return tuple(columns)
    return tuple(_joined(same) for same in by_tag.values())


def _joined(columns: list[ScalarColumns]) -> ScalarColumns:
    first = columns[0]
    if len(columns) == 1:
        return first

    def joined(name: str) -> Any:
        parts = [getattr(column, name) for column in columns]
        given = [part for part in parts if part is not None]
        if len(given) not in (0, len(parts)):
            message = f"tag {first.tag!a} stands several times, with and without {name}; give them to all its points or none"
            raise InvalidItem("length", message, name)
        return np.concatenate(given) if given else None

    return ScalarColumns(first.tag, joined("values"), joined("steps"), joined("wall_times"))
