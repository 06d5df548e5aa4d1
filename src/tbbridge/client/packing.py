"""A load of logged values as request bodies: points grouped into columns, raw histograms sorted into buckets, all encoded.

Pure apart from reading the series table. A point costs about 0.1 us here, nearly all of it for turning Python numbers into
arrays, and one in a row a tenth of that; it is paid in the sender's thread. The path continues in outbox.py, which numbers and
sends the bodies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

import numpy as np

from tbbridge.client.backlog import Load, Note
from tbbridge.client.points import Points
from tbbridge.errors import InvalidItem
from tbbridge.events.histograms import Binned, bucketize
from tbbridge.groups import MemberName
from tbbridge.model import (
    Batch,
    Buckets,
    Histogram,
    LogRecord,
    RunBatch,
    RunName,
    RunStatus,
    ScalarColumns,
    Summary,
    TagName,
    Text,
)
from tbbridge.wire.protobuf_v1 import encode_batch

# What a point costs in a body: step, value and wall time at 8 bytes each, and a little for the names of its series.
POINT_BYTES: Final = 26
NO_POINTS: Final = Points((), 0)


@dataclass(frozen=True, slots=True)
class Series:
    """One (run, tag) pair, and what TensorBoard shows for it; points carry its position in the client's table."""

    run: RunName
    tag: TagName
    display_name: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Parcel:
    """Values that will travel in one request, unless that turns out too large. Order within a tag or a log is the order logged.

    `summaries` holds everything but points: log records too. `ends`: what was said of runs; it is no value, and goes last.
    """

    points: Points
    summaries: Sequence[tuple[RunName, Summary | LogRecord]]
    ends: Mapping[RunName, RunStatus] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.points) + len(self.summaries)

    def halves(self) -> tuple[Parcel, Parcel]:
        """The same in two parts, to be sent one after the other."""
        if self.points and self.summaries:
            return Parcel(self.points, ()), Parcel(NO_POINTS, self.summaries, self.ends)
        first, second = self.points.halves() if self.points else (NO_POINTS, NO_POINTS)
        middle = len(self.summaries) // 2
        return Parcel(first, self.summaries[:middle]), Parcel(second, self.summaries[middle:], self.ends)


@dataclass(frozen=True, slots=True)
class Body:
    """One numbered request, kept until it is answered: a retry sends the same bytes under the same number."""

    raw: bytes
    parcel: Parcel
    runs: tuple[RunBatch, ...] = field(repr=False)
    purges: Mapping[RunName, int] = field(default_factory=dict)
    seq: int = 0

    def __len__(self) -> int:
        return len(self.parcel)


@dataclass(frozen=True, slots=True)
class NotFinite:
    """Values of a histogram that no bucket can hold."""

    run: RunName
    tag: TagName
    nan: int
    infinite: int


def prepare(load: Load) -> tuple[Parcel, list[NotFinite], list[InvalidItem]]:
    """`load` ready for `pack`, with what was found in its histograms on the way."""
    summaries: list[tuple[RunName, Summary | LogRecord]] = []
    found: list[NotFinite] = []
    wrong: list[InvalidItem] = []
    ends: dict[RunName, RunStatus] = {}
    for note in load.notes:
        if isinstance(note.content, RunStatus):
            ends[note.run] = note.content
            continue
        try:
            summaries.append((note.run, _summary(note, found)))
        except InvalidItem as error:
            wrong.append(error)
    return Parcel(load.points, summaries, ends), found, wrong


def _summary(note: Note, found: list[NotFinite]) -> Summary | LogRecord:
    content = note.content
    if isinstance(content, LogRecord):
        return content
    assert not isinstance(content, RunStatus)  # noqa: S101 - `prepare` has taken them out
    names = note.display_name, note.description
    if isinstance(content, str):
        return Text(note.tag, content, note.step, note.wall_time, *names)
    if not isinstance(content, np.ndarray | Binned | Buckets):
        own = content.display_name, content.description
        shown, described = own if any(own) else names
        return replace(content, step=note.step, wall_time=note.wall_time, display_name=shown, description=described)
    if not isinstance(content, Buckets):
        binned = content if isinstance(content, Binned) else bucketize(content.astype(np.float64, copy=False))
        if binned.nan or binned.infinite:
            found.append(NotFinite(note.run, note.tag, binned.nan, binned.infinite))
        content = binned.buckets
    return Histogram(note.tag, None, content, note.step, note.wall_time, *names)


def pack(
    parcel: Parcel,
    table: Sequence[Series],
    writer: str,
    seq: int,
    purges: Mapping[RunName, int] = MappingProxyType({}),
    statuses: Callable[[RunName], RunStatus | None] = lambda _: None,
    beats: Iterable[RunName] = (),
) -> Body:
    """`parcel` as the request number `seq` of `writer`; `purges`: runs that go on from a step, which hides what they had.

    `statuses` says how a run is that has values here. `beats` are runs that have none, and are only to show that they live.
    """
    by_run: dict[RunName, tuple[list[ScalarColumns], list[Summary], list[LogRecord]]] = {
        run: ([], [], []) for run in (*purges, *parcel.ends, *beats)
    }
    for run, column in columns(parcel.points, table):
        by_run.setdefault(run, ([], [], []))[0].append(column)
    for run, summary in parcel.summaries:
        _, summaries, logs = by_run.setdefault(run, ([], [], []))
        if isinstance(summary, LogRecord):
            logs.append(summary)
        else:
            summaries.append(summary)
    runs = tuple(
        RunBatch(
            run,
            tuple(scalars),
            tuple(summaries),
            purges.get(run),
            logs=tuple(logs),
            # Members share runs, which one of them cannot speak for; and logs alone make no run
            status=None
            if isinstance(run, MemberName) or (logs and not (scalars or summaries) and run not in parcel.ends)
            else parcel.ends.get(run) or statuses(run),
        )
        for run, (scalars, summaries, logs) in by_run.items()
    )
    return Body(encode_batch(Batch(runs, writer, seq)), parcel, runs, purges, seq)


def columns(points: Points, table: Sequence[Series]) -> Iterator[tuple[RunName, ScalarColumns]]:
    """The points as one column a series, each in the order logged."""
    for series, values, steps, wall_times in points.columns():
        name = table[series]
        yield name.run, ScalarColumns(name.tag, values, steps, wall_times, name.display_name, name.description)
