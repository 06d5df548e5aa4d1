"""What travels through tbbridge: batches of runs, each with columns of scalars and single summaries.

Everything here is checked when it is made and frozen from then on, so nothing behind this file checks again. A check that
fails raises `InvalidItem`, which names the part that is wrong and the remedy. This file knows no wire format and no file.
Names and their checks are in names.py, the kinds of summaries in kinds.py; both can be had from here.

A batch as sent may leave out steps and wall times; the pipeline settles them before the journal.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

import numpy as np

from tbbridge import limits
from tbbridge.arrays import Float32s, Float64s, Int32s, Int64s, UInt8s
from tbbridge.errors import InvalidItem
from tbbridge.kinds import (
    Audio,
    Buckets,
    Category,
    Chart,
    CustomScalars,
    Embedding,
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
)
from tbbridge.names import (
    EMBEDDINGS_FOLDER,
    INT64_MAX,
    INT64_MIN,
    PROJECTOR_CONFIG,
    STATE_FOLDER,
    RunName,
    TagName,
    check_shown_names,
    check_step,
    check_wall_time,
    check_wall_time_at,
    decode_utf8,
    run_name,
    tag_name,
    utf8_length,
)

__all__ = [
    "EMBEDDINGS_FOLDER",
    "INT64_MAX",
    "INT64_MIN",
    "PROJECTOR_CONFIG",
    "STATE_FOLDER",
    "Audio",
    "Batch",
    "Buckets",
    "Category",
    "Chart",
    "CustomScalars",
    "Embedding",
    "Float32s",
    "Float64s",
    "Graph",
    "HParams",
    "Histogram",
    "Image",
    "Int32s",
    "Int64s",
    "LogRecord",
    "Mesh",
    "PrCurve",
    "RawValue",
    "RunBatch",
    "RunMetadata",
    "RunName",
    "RunStatus",
    "ScalarColumns",
    "Summary",
    "TagName",
    "Tensor",
    "Text",
    "UInt8s",
    "check_shown_names",
    "check_step",
    "check_wall_time",
    "check_wall_time_at",
    "decode_utf8",
    "join_columns",
    "run_name",
    "tag_name",
    "utf8_length",
]


# Columns up to this length are looked at as lists, at 20 ns a number; numpy takes 4 us for a look at however many of them.
SHORT_COLUMN: Final = 128


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
    display_name: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        tag_name(self.tag)
        if self.display_name or self.description:
            check_shown_names(self.display_name, self.description)
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
            if count <= SHORT_COLUMN and isfinite(sum(self.wall_times.tolist())):
                return
            if not (finite := np.isfinite(self.wall_times)).all():
                check_wall_time_at(self.wall_times, int(np.argmin(finite)))


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record of a program's log. `level` as in Python's logging: 10 debug, 20 info, 30 warning, 40 error, 50 critical.

    `message` may have many lines. `wall_time`: seconds since 1970, kept to the microsecond; None: the time of receipt.
    """

    message: str
    level: int = 20
    logger: str = ""
    wall_time: float | None = None

    def __post_init__(self) -> None:
        size = utf8_length(self.message, "the message", "message")
        if size > limits.LOG_MESSAGE_MAX_BYTES:
            message = f"the message has {size} bytes, at most {limits.LOG_MESSAGE_MAX_BYTES} are taken; shorten or split it"
            raise InvalidItem("too-large", message, "message")
        if not 0 <= self.level <= limits.LOG_LEVEL_MAX:
            message = f"level {self.level} is none; give 10 (debug), 20 (info), 30, 40 or 50, or a number between"
            raise InvalidItem("level", message, "level")
        if utf8_length(self.logger, "the logger's name", "logger") > limits.LOGGER_MAX_BYTES:
            message = f"the logger's name has over {limits.LOGGER_MAX_BYTES} bytes; shorten it"
            raise InvalidItem("too-large", message, "logger")
        if not self.logger.isprintable():
            raise InvalidItem("logger", "the logger's name holds a control character; remove it", "logger")
        if self.wall_time is not None and not limits.LOG_TIME_MIN_S <= self.wall_time <= limits.LOG_TIME_MAX_S:  # also NaN
            message = f"wall_time is {self.wall_time}; give seconds since 1970, in the years 1 to 9999, or leave it out"
            raise InvalidItem("wall-time", message, "wall_time")


class RunStatus(enum.StrEnum):
    """How the program that makes a run is, by its own word."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"

    @property
    def number(self) -> int:
        """Its number in the binary form."""
        return _STATUSES.index(self) + 1

    @staticmethod
    def of_number(number: int) -> RunStatus | None:
        """The status of that number, None for 0; raises `InvalidItem` for one that this version does not know."""
        if number == 0:
            return None
        if not 0 < number <= len(_STATUSES):
            raise InvalidItem(
                "status", f"status {number} is not known here; send 1 (running), 2 (finished) or 3 (failed)", "status"
            )
        return _STATUSES[number - 1]


_STATUSES = tuple(RunStatus)


@dataclass(frozen=True, slots=True)
class RunBatch:
    """What one request holds for one run. Columns of the same tag are joined by the maker (`join_columns`).

    `purge_step`: before all else, hide what the run holds from this step on, for a training that goes on from there.
    `logs` go to the run's log file; they alone do not make a run. `create` makes it even if there is nothing to write yet.
    `status` is how the run is once all else is written; it makes no run either.
    """

    run: RunName
    scalars: tuple[ScalarColumns, ...] = ()
    summaries: tuple[Summary, ...] = ()
    purge_step: int | None = None
    purge_wall_time: float | None = None
    logs: tuple[LogRecord, ...] = ()
    create: bool = False
    status: RunStatus | None = None

    def __post_init__(self) -> None:
        if self.purge_step is not None:
            check_step(self.purge_step, "purge_step")
        if self.purge_wall_time is not None:
            check_wall_time(self.purge_wall_time, "purge_wall_time")

    @property
    def is_empty(self) -> bool:
        """True if there is nothing to write."""
        nothing = not (self.scalars or self.summaries or self.logs or self.create)
        return nothing and self.purge_step is None and self.status is None

    @property
    def points(self) -> int:
        """Values in this batch, of any kind; a log record is one."""
        return sum(len(column.values) for column in self.scalars) + len(self.summaries) + len(self.logs)


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
                "writer", f"'{missing}' is missing or 0; a batch has both writer and seq (from 1), or neither", missing
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
        size += 24 * len(column.values) + len(column.tag)
    for summary in run.summaries:
        size += summary.size_bytes
    for record in run.logs:
        size += limits.ITEM_OVERHEAD_BYTES + len(record.message)
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

    shown = next((column for column in columns if column.display_name or column.description), first)

    arrays = joined("values"), joined("steps"), joined("wall_times")
    return ScalarColumns(first.tag, *arrays, shown.display_name, shown.description)
