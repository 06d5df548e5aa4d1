"""The event files of a log folder, cut into batches: which files, which run each becomes, and the values of a window of one.

Where a file is cut depends on its bytes alone, not on where the reading began: windows end at the last whole record before a
multiple of limits.IMPORT_WINDOW_BYTES. So a repeat cuts the same batches and numbers them alike, and a bridge that has them
answers that it has them. Reads files; sends nothing, which import_folder.py does.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from tbbridge import limits
from tbbridge.errors import InvalidItem
from tbbridge.events import event_pb2 as pb
from tbbridge.events.reader import Chunk, Restart, Series, StoredSummary, read_events
from tbbridge.events.tfrecord import OVERHEAD_BYTES, Corrupt, Torn
from tbbridge.layout import is_event_file
from tbbridge.model import (
    PROJECTOR_CONFIG,
    STATE_FOLDER,
    Graph,
    RawValue,
    RunBatch,
    RunMetadata,
    RunName,
    ScalarColumns,
    Summary,
    run_name,
    tag_name,
)

_LENGTH: Final = struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """An event file, or a table of embeddings, and the run it belongs to; `size` is what it had when it was found."""

    path: Path
    run: RunName
    size: int


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that cannot be imported: where it is, and why."""

    place: str
    reason: str
    values: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """What there is to import: files by run and name, and folders that cannot be."""

    files: tuple[SourceFile, ...]
    left_out: tuple[LeftOut, ...]
    projectors: tuple[SourceFile, ...]  # tables of embeddings


def find_files(folder: Path, prefix: str = "") -> Found:
    """Every event file and table of embeddings below `folder`, in the order in which TensorBoard reads those of a run.

    A folder's path is its run's name, behind `prefix` and a slash if it is given; event files in `folder` itself become the run
    `prefix`, or one with the folder's own name. Links are not followed. Raises OSError if `folder` cannot be read.
    """
    files: list[SourceFile] = []
    left_out: list[LeftOut] = []
    projectors: list[SourceFile] = []
    with os.scandir(folder):  # so that a folder that is not there is an error
        pass
    for at, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name.casefold() != STATE_FOLDER)
        place = Path(at)
        events = sorted(name for name in names if is_event_file(name) and not (place / name).is_symlink())
        has_projector = PROJECTOR_CONFIG in names and not (place / PROJECTOR_CONFIG).is_symlink()
        if not events and not has_projector:
            continue
        relative = place.relative_to(folder).as_posix()
        name = "/".join(part for part in (prefix, "" if relative == "." else relative) if part) or folder.resolve().name
        try:
            run = run_name(name)
        except InvalidItem as error:
            left_out.append(LeftOut(str(place), error.message))
            continue
        if has_projector:
            projectors.append(_source(place / PROJECTOR_CONFIG, run))
        files += [_source(place / name, run) for name in events]
    return Found(tuple(sorted(files, key=lambda file: (file.run, file.path.name))), tuple(left_out), tuple(projectors))


def _source(path: Path, run: RunName) -> SourceFile:
    return SourceFile(path, run, path.stat().st_size)


# --- windows ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Window:
    """Whole records of a file from `start` to `end`; with `restart` they begin with a training that went on from a step."""

    start: int
    end: int
    chunk: Chunk
    restart: Restart | None = None


@dataclass(frozen=True, slots=True)
class TooLong:
    """A record that is not read."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """Where a file stops making sense before its end: `damage` is '' for a record that is only not complete."""

    start: int
    size: int
    damage: str


Part: TypeAlias = Window | TooLong | Stopped


def windows(path: Path, cuts: Sequence[int] = (), plugins: Mapping[str, str] | None = None) -> Iterator[Part]:
    """The file's records, window by window, and at last why it stops, if that is not its end. Raises OSError.

    It is also cut at `cuts`, between records where an earlier import was cut: at what then was the end of the file.
    `plugins`: what the run's files before this one say of its tags.
    """
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size  # what is appended while it is read comes with the next import
        offset = 0
        plugins = plugins or {}
        while offset < size:
            # Room for the head of a record at least, which says how long it is.
            end = min(_boundary(offset + OVERHEAD_BYTES), size, *(cut for cut in cuts if cut > offset))
            piece = _read(file.fileno(), offset, end)
            chunk = read_events(piece, 0, plugins)
            if chunk.end == 0 and isinstance(chunk.stopped, Torn) and len(piece) >= _LENGTH.size:
                record_end = offset + int(_LENGTH.unpack_from(piece)[0]) + OVERHEAD_BYTES
                if record_end <= size and record_end - offset > limits.IMPORT_RECORD_MAX_BYTES:
                    yield TooLong(offset, record_end)
                    offset = record_end
                    continue
                if record_end <= size:
                    end = min(_boundary(record_end - 1), size, *(cut for cut in cuts if cut >= record_end))
                    piece = _read(file.fileno(), offset, end)
                    chunk = read_events(piece, 0, plugins)
            if chunk.end:
                yield from _at_restarts(offset, piece, chunk, plugins)
                offset += chunk.end
                plugins = chunk.plugins
            if isinstance(chunk.stopped, Corrupt):
                yield Stopped(offset, size, chunk.stopped.reason)
                return
            if not chunk.end:
                yield Stopped(offset, size, "")
                return


def _boundary(offset: int) -> int:
    """The first multiple of the window behind `offset`."""
    return (offset // limits.IMPORT_WINDOW_BYTES + 1) * limits.IMPORT_WINDOW_BYTES


def _read(fd: int, start: int, end: int) -> bytes:
    pieces = []
    while start < end and (piece := os.pread(fd, end - start, start)):
        pieces.append(piece)
        start += len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _at_restarts(offset: int, piece: bytes, chunk: Chunk, plugins: Mapping[str, str]) -> Iterator[Window]:
    """`chunk` in parts, of which each but the first begins with a restart: what came before is purged, what follows is not."""
    if not chunk.restarts:
        yield Window(offset, offset + chunk.end, chunk)
        return
    edges = [0, *(restart.start for restart in chunk.restarts), chunk.end]
    restarts: list[Restart | None] = [None, *chunk.restarts]
    for restart, start, end in zip(restarts, edges[:-1], edges[1:], strict=True):
        if start < end:
            part = read_events(piece[start:end], 0, plugins)
            plugins = part.plugins
            yield Window(offset + start, offset + end, part, restart)


# --- batches ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Memory:
    """What the files of one run said of its tags so far. They say it once: the second file need not repeat it, and readers,
    who take all files of a folder for one run, show the second one's values all the same.
    """

    plugins: Mapping[str, str] = field(default_factory=dict)
    metadata: dict[str, pb.SummaryMetadata] = field(default_factory=dict)
    shown: dict[str, tuple[str, str]] = field(default_factory=dict)  # names and descriptions of scalars
    unread: list[SourceFile] = field(default_factory=list)  # imported before; looked into only if a later file needs it

    def catch_up(self) -> None:
        """Learn from the files that were passed over. Raises OSError."""
        while self.unread:
            file = self.unread[0]
            made = Cutter(file, self)
            for part in windows(file.path, (), self.plugins):
                if isinstance(part, Window):
                    made.learn(part)
            self.unread.pop(0)


@dataclass(slots=True)
class Cutter:
    """Makes batches of one file's windows. What it says of a tag only once goes into `memory`, so it must see all of them."""

    file: SourceFile
    memory: Memory
    left_out: list[LeftOut] = field(default_factory=list)

    def batches(self, window: Window, *, purges: bool) -> list[RunBatch]:
        """The window's values, a request's worth each. `purges`: its restart hides what the run has from its step on."""
        self._note(window.chunk)
        columns = [column for tag, series in window.chunk.scalars.items() for column in self._columns(tag, series)]
        summaries = [made for one in window.chunk.summaries if (made := self._summary(one)) is not None]
        first, *rest = _parts(summaries)
        purge = window.restart if purges else None
        step = None if purge is None else purge.step
        wall_time = None if purge is None or not np.isfinite(purge.wall_time) else purge.wall_time
        run = self.file.run
        batches = [
            RunBatch(run, tuple(columns), tuple(first), step, wall_time),
            *(RunBatch(run, (), tuple(one)) for one in rest),
        ]
        return [batch for batch in batches if not batch.is_empty]

    def learn(self, window: Window) -> None:
        """Only remember what the window says of tags; its values are on the bridge already."""
        self._note(window.chunk)
        for one in window.chunk.summaries:
            self._described(one)

    def _note(self, chunk: Chunk) -> None:
        self.memory.plugins = chunk.plugins
        for tag, said in chunk.shown.items():
            self.memory.shown.setdefault(tag, said)

    def _columns(self, tag: str, series: Series) -> list[ScalarColumns]:
        try:
            name = tag_name(tag)
        except InvalidItem as error:
            self._leave_out(f"tag {tag[:60]!a}", error.message, len(series.steps))
            return []
        finite = np.isfinite(series.wall_times)
        steps, values, wall_times = series.steps, series.values.astype(np.float64), series.wall_times
        if not finite.all():
            reason = "their wall time is no finite number"
            self._leave_out(f"points of tag {tag[:60]!a}", reason, int(np.count_nonzero(~finite)))
            steps, values, wall_times = steps[finite], values[finite], wall_times[finite]
            if not len(steps):
                return []
        display_name, description = self.memory.shown.get(tag, ("", ""))
        try:
            return [ScalarColumns(name, values, steps, wall_times, display_name, description)]
        except InvalidItem:  # the names shown are too long: the points matter more
            return [ScalarColumns(name, values, steps, wall_times)]

    def _summary(self, one: StoredSummary) -> Summary | None:
        value = self._described(one)
        try:
            if one.plugin == "graphs" and len(value.tensor.string_val) == 1:
                return Graph(value.tensor.string_val[0], step=one.step, wall_time=one.wall_time)
            if one.plugin == "graph_tagged_run_metadata" and len(value.tensor.string_val) == 1:
                content = value.tensor.string_val[0]
                return RunMetadata(tag_name(one.tag), content, step=one.step, wall_time=one.wall_time)
            return RawValue(value.SerializeToString(), step=one.step, wall_time=one.wall_time)
        except InvalidItem as error:
            self._leave_out(f"tag {one.tag[:60]!a}, step {one.step}", error.message, 1)
            return None

    def _described(self, one: StoredSummary) -> pb.Summary.Value:
        """The value with its tag's metadata, which a run gives with the first one only."""
        value = pb.Summary.Value.FromString(one.value)
        known = self.memory.metadata.get(one.tag)
        if known is not None:
            value.metadata.CopyFrom(known)  # the first one counts, readers look at no other
        elif value.HasField("metadata"):
            self.memory.metadata[one.tag] = pb.SummaryMetadata.FromString(value.metadata.SerializeToString())
        return value

    def _leave_out(self, what: str, reason: str, values: int) -> None:
        self.left_out.append(LeftOut(f"{self.file.path}: {what}", reason, values))


def _parts(summaries: Sequence[Summary]) -> list[list[Summary]]:
    parts: list[list[Summary]] = [[]]
    size = 0
    for summary in summaries:
        if parts[-1] and size + summary.size_bytes > limits.IMPORT_REQUEST_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(summary)
        size += summary.size_bytes
    return parts
