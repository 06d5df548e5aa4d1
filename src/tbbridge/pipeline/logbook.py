"""Which logs there are, how long their files are, and where new records go: decided here, journalled, and played as decided.

A decision is a place for the records of one run in one entry, and the files that make room for them. Replay takes both from
the journal, so the files follow from it whatever the settings are by then. No clock and no file here: a look at the disk comes
in as `LogFolder`. What follows: settlement.py settles a batch with it, logfiles.py writes what it decided.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from tbbridge import limits
from tbbridge.logs.levels import level_name
from tbbridge.logs.lines import encode_record
from tbbridge.logs.names import log_path
from tbbridge.model import Batch, LogRecord, RunBatch, RunName, TagName, Text, tag_name
from tbbridge.pipeline.kind import Kind, kind_of

# What a file costs on the disk at least. Counted so, the bound on bytes is one on the number of files too.
_BLOCK_BYTES: Final = 4096
# A text is cut to this: each of its lines grows by an indent of four.
_TEXT_MAX_CHARACTERS: Final = limits.TEXT_MAX_BYTES // 20
_TEXT_TAG: Final = "logs"
# What level 0 means, as in the protobuf message, where it cannot be told from none.
_NO_LEVEL: Final = 20


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How logs are kept; see docs/logs.md. `level`: the lowest that is stored. `overwrite`: each start begins them anew."""

    overwrite: bool = False
    level: int = 0
    to_text: bool = False
    file_max_bytes: int = limits.LOGS_FILE_MAX_BYTES
    max_bytes: int = limits.LOGS_MAX_BYTES


@dataclass(frozen=True, slots=True)
class Log:
    """One run's log: its newest file and what the entries so far made of it."""

    run: RunName
    generation: int
    length: int


@dataclass(frozen=True, slots=True)
class Lines:
    """Records of one run in one entry, and the place of `data`, the lines that they become."""

    run: RunName
    generation: int
    offset: int
    records: tuple[LogRecord, ...]
    data: bytes


@dataclass(frozen=True, slots=True, order=True)
class LogFile:
    """One file of a log."""

    run: RunName
    generation: int


class LogFolder(Protocol):
    """What the logbook asks of the disk (implemented by logfiles.LogFiles)."""

    def is_live(self, log: Log) -> bool:
        """True if the log's newest file is still there and as long as we left it."""

    def generations(self, run: RunName) -> list[int]:
        """The numbers of the log's files that are there, oldest first."""


class Logbook:
    """All logs of one log folder. Part of the ledger: changed by the writer task only."""

    def __init__(self) -> None:
        self.current: OrderedDict[str, Log] = OrderedDict()  # by run; the one written longest ago first
        self.rotated: OrderedDict[LogFile, int] = OrderedDict()  # bytes of files that are full; the oldest first
        self.total = 0  # bytes of all of them, blocks counted whole
        self.ended: OrderedDict[str, int] = OrderedDict()  # logs of which nothing is left, by path: their last number
        self.ended_floor = 0  # the highest number of those that are not remembered any more

    def clear(self) -> None:
        """Forget everything."""
        self.current.clear()
        self.rotated.clear()
        self.total = 0
        self.ended.clear()
        self.ended_floor = 0

    def adopt(self, files: Iterable[tuple[LogFile, int]]) -> None:
        """At a start, after the replay: files that are there and that nobody knows, oldest first. They go first."""
        known = {LogFile(log.run, log.generation) for log in self.current.values()}
        for file, size in files:
            if file not in known and file not in self.rotated:
                self.rotated[file] = size
                self.total += _cost(size)

    def know(self, log: Log, *, is_full: bool) -> None:
        """Enter the newest file of a log, or a full one, as a checkpoint has it."""
        if is_full:
            self.rotated[LogFile(log.run, log.generation)] = log.length
        else:
            self.current[log.run] = log
        self.total += _cost(log.length)

    def last_number(self, run: RunName) -> int:
        """The last number that a file of the log had. None is used twice: a reader's place in a log is one for good."""
        log = self.current.get(run)
        return self.ended.get(log_path(run), self.ended_floor) if log is None else log.generation

    def know_ended(self, path: str, number: int) -> None:
        """Enter a log of which nothing is left, or "" for all that are not remembered, as a checkpoint has it."""
        if path:
            self.ended[path] = number
        else:
            self.ended_floor = number

    def enter(self, lines: Lines) -> Callable[[], None]:
        """Lines were given a place; returns what takes that back."""
        run, before, total = lines.run, self.current.get(lines.run), self.total
        full: LogFile | None = None
        path = "" if before is not None else log_path(run)
        ended = self.ended.pop(path, None)
        if before is not None and before.generation != lines.generation:
            full = LogFile(run, before.generation)
            self.rotated[full] = before.length
        elif before is not None:
            self.total -= _cost(before.length)
        length = lines.offset + len(lines.data)
        self.current[run] = Log(run, lines.generation, length)
        self.current.move_to_end(run)
        self.total += _cost(length)

        def undo() -> None:
            self.total = total
            if full is not None:
                self.rotated.pop(full, None)
            if ended is not None:
                self.ended[path] = ended
                self.ended.move_to_end(path, last=False)
            if before is None:
                self.current.pop(run, None)
            else:
                self.current[run] = before

        return undo

    def drop(self, file: LogFile) -> Callable[[], None]:
        """A file goes; returns what takes that back."""
        total = self.total
        log = self.current.get(file.run)
        if log is not None and log.generation == file.generation:
            del self.current[file.run]
            self.total -= _cost(log.length)
        else:
            log = None
        size = self.rotated.pop(file, None)
        if size is not None:
            self.total -= _cost(size)
        unend = None if file.run in self.current else self._end(file)

        def undo() -> None:
            self.total = total
            if unend is not None:
                unend()
            if log is not None:
                self.current[log.run] = log
                self.current.move_to_end(log.run, last=False)
            if size is not None:
                self.rotated[file] = size
                self.rotated.move_to_end(file, last=False)

        return undo

    def _end(self, file: LogFile) -> Callable[[], None]:
        """Remember the number of a file that goes, of a log that no file grows of; returns what takes that back."""
        path, floor = log_path(file.run), self.ended_floor
        before = self.ended.get(path)
        self.ended[path] = max(file.generation, floor if before is None else before)
        forgotten: tuple[str, int] | None = None
        if len(self.ended) > limits.LOGS_ENDED_MAX:
            forgotten = self.ended.popitem(last=False)
            self.ended_floor = max(floor, forgotten[1])

        def undo() -> None:
            self.ended_floor = floor
            if before is None:
                self.ended.pop(path, None)
            else:
                self.ended[path] = before
            if forgotten is not None:
                self.ended[forgotten[0]] = forgotten[1]
                self.ended.move_to_end(forgotten[0], last=False)

        return undo


class LogKeeper:
    """Makes the decisions, by the settings of this process."""

    def __init__(self, book: Logbook, folder: LogFolder, settings: LogSettings) -> None:
        self.settings = settings
        self._book = book
        self._folder = folder
        self._begun: set[str] = set()  # with overwrite: the runs whose log this process has begun anew

    def settle(self, records: Sequence[LogRecord], now: float) -> tuple[LogRecord, ...]:
        """The records that are stored, each with its time and its level."""
        complete = (
            record
            if record.wall_time is not None and record.level
            else replace(
                record, wall_time=now if record.wall_time is None else record.wall_time, level=record.level or _NO_LEVEL
            )
            for record in records
        )
        return tuple(record for record in complete if record.level >= self.settings.level)

    def place(
        self, run: RunName, records: tuple[LogRecord, ...], checked: set[str], undo: list[Callable[[], object]]
    ) -> tuple[Lines, list[LogFile]]:
        """Decide where `records` go and which files go for them, and enter both in the book.

        `checked`: runs whose log has been looked at since the disk was last written. May raise OSError.
        """
        data = b"".join(map(encode_record, records))
        dropped: list[LogFile] = []
        if self.settings.overwrite and run not in self._begun:
            numbers = set(self._folder.generations(run))
            if (log := self._book.current.get(run)) is not None:
                numbers.add(log.generation)  # also if somebody removed it: nothing goes on there
            dropped += [LogFile(run, number) for number in sorted(numbers)]
            self._begun.add(run)
            undo.append(lambda: self._begun.discard(run))
            undo += [self._book.drop(file) for file in dropped]
            checked.add(run)
        generation, offset = self._next_place(run, len(data), checked)
        checked.add(run)
        dropped += self._make_room(run, offset, len(data), undo)
        lines = Lines(run, generation, offset, records, data)
        undo.append(self._book.enter(lines))
        return lines, dropped

    def _next_place(self, run: RunName, size: int, checked: set[str]) -> tuple[int, int]:
        log = self._book.current.get(run)
        if log is None or (run not in checked and not self._folder.is_live(log)):
            there = [] if run in checked else self._folder.generations(run)
            return max([self._book.last_number(run), *there]) + 1, 0
        if log.length and log.length + size > self.settings.file_max_bytes:
            return log.generation + 1, 0
        return log.generation, log.length

    def _make_room(self, run: RunName, offset: int, size: int, undo: list[Callable[[], object]]) -> list[LogFile]:
        """Drop the oldest full files, then whole logs that were silent for longest, until `size` bytes fit."""
        book = self._book
        need = _cost(offset + size) - _cost(offset) if offset else _cost(size)
        dropped = []
        while book.total + need > self.settings.max_bytes:
            if book.rotated:
                oldest = next(iter(book.rotated))
            else:
                silent = next((log for log in book.current.values() if log.run != run), None)
                if silent is None:
                    break
                oldest = LogFile(silent.run, silent.generation)
            undo.append(book.drop(oldest))
            dropped.append(oldest)
        return dropped


class LogSettling:
    """The log records of one batch, on their way to a place."""

    def __init__(self, batch: Batch, keeper: LogKeeper, now: float) -> None:
        self._keeper = keeper
        self._sent = 0
        self._logs: dict[RunName, tuple[LogRecord, ...]] = {}
        self._texts: dict[RunName, int] = {}
        for run in batch.runs:
            if run.logs:
                self._sent += len(run.logs)
                records = keeper.settle(run.logs, now)
                if records:
                    self._logs[run.run] = records

    def with_texts(self, run: RunBatch, tags: Mapping[str, tuple[Kind, int]]) -> RunBatch:
        """`run` with its log records as texts too, if the settings say so; never in the way of other values or of `tags`."""
        if run.run not in self._logs or not self._keeper.settings.to_text:
            return run
        others: set[str] = {column.tag for column in run.scalars}
        others |= {summary.tag for summary in run.summaries if kind_of(summary) is not Kind.TEXT}
        others |= {tag for tag, (kind, _) in tags.items() if kind is not Kind.TEXT}
        shown = [text for text in map(_text, self._logs[run.run]) if text.tag not in others]
        self._texts[run.run] = len(shown)
        return replace(run, summaries=(*run.summaries, *shown))

    def place(self, checked: set[str], undo: list[Callable[[], object]]) -> tuple[tuple[Lines, ...], tuple[LogFile, ...]]:
        """Where the records go, and which files go for them; for the time when nothing can be refused any more."""
        placed = [self._keeper.place(run, records, checked, undo) for run, records in self._logs.items()]
        return tuple(lines for lines, _ in placed), tuple(file for _, files in placed for file in files)

    def accepted(self, batches: Iterable[RunBatch]) -> int:
        """How many of the values that were sent are taken, those below the level that is stored: nobody need repeat them."""
        return self._sent + sum(batch.points - self._texts.get(batch.run, 0) for batch in batches)


def _tag(record: LogRecord) -> TagName:
    """The tag of a record's text."""
    return tag_name(f"{_TEXT_TAG}/{record.logger}" if record.logger else _TEXT_TAG)


def _text(record: LogRecord) -> Text:
    message = record.message
    if len(message) > _TEXT_MAX_CHARACTERS:
        message = message[:_TEXT_MAX_CHARACTERS] + " [cut here; the log has all of it]"
    # Indented by four it is code to Markdown, which leaves it as it is.
    lines = f"{level_name(record.level)} {message}".replace("\r", "\n").split("\n")
    return Text(_tag(record), "\n".join("    " + line for line in lines), None, record.wall_time)


def _cost(length: int) -> int:
    return max(length, _BLOCK_BYTES)
