"""Logs on disk, read: from any place in them, or from the newest records of a kind, a window at a time and without a lock.

Files only grow and are never renamed, so a place once reached stays one: a number of a file and an offset in it. It writes
nothing, keeps no file open between two looks, and waits for nobody; server/routes/logs.py decides when to look again.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tbbridge import disk, limits
from tbbridge.logs.lines import decode_record, last_start, split_records
from tbbridge.logs.names import LOGS_FOLDER, generation_of, log_path
from tbbridge.model import STATE_FOLDER, LogRecord, RunName

# A record with all it may have, and to spare: a longer stretch without an end is damage and is passed over.
_WINDOW_MAX_BYTES = limits.LOGS_WINDOW_MAX_BYTES

_TICK_NS = 50_000_000


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Between two records of a log: which of its files, and bytes from the file's start. Written as `2-4711`."""

    generation: int = 0  # 0: before the first file there is
    offset: int = 0

    def __str__(self) -> str:
        return f"{self.generation}-{self.offset}"

    @classmethod
    def read(cls, text: str) -> Place:
        """The place that `text` says. Raises ValueError."""
        found = re.fullmatch(r"([0-9]{1,18})-([0-9]{1,18})", text)
        if found is None:
            raise ValueError(f"{text[:40]!a} is no place in a log; give the cursor of a record, as it was sent")
        return cls(int(found[1]), int(found[2]))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records are asked for: of this level or a higher one, of this time (seconds since 1970) or later."""

    level: int = 0
    since: float | None = None

    def takes(self, record: LogRecord) -> bool:
        """Whether `record` is one of them. A line that is none of ours has no time, and is shown whatever time is asked for."""
        in_time = self.since is None or record.wall_time is None or record.wall_time >= self.since
        return in_time and record.level >= self.level


class LogFiles:
    """The files of one run's log."""

    def __init__(self, logdir: Path, run: RunName) -> None:
        self._first = logdir / STATE_FOLDER / LOGS_FOLDER / log_path(run)
        self._run = run

    def generations(self) -> list[int]:
        """The numbers of the files that there are, oldest first."""
        try:
            entries = list(os.scandir(self._first.parent))
            found = [(generation_of(self._run, entry.name), entry) for entry in entries]
            return sorted(number for number, entry in found if number is not None and entry.is_file())
        except OSError as error:
            if error.errno not in disk.PATH_ERRNOS:
                raise
            return []

    def folder_changed_ns(self) -> int:
        """When files last came to the folder or went from it; 0 while it is not there."""
        try:
            return os.stat(self._first.parent).st_mtime_ns
        except OSError as error:
            if error.errno not in disk.PATH_ERRNOS:
                raise
            return 0

    def size(self, generation: int) -> int:
        """Bytes of one file; -1 if it is not there. Only a plain file is one: a folder gives no bytes, a pipe never ends."""
        try:
            found = os.stat(self._path(generation))
        except OSError as error:
            if error.errno not in disk.PATH_ERRNOS:
                raise
            return -1
        return found.st_size if stat.S_ISREG(found.st_mode) else -1

    def read(self, generation: int, start: int, end: int) -> bytes:
        """Those bytes of one file, as far as it has them, and gives them to us."""
        if end <= start:
            return b""
        try:
            with self._path(generation).open("rb") as file:
                file.seek(start)
                return file.read(end - start)
        except OSError as error:
            if error.errno not in disk.PATH_ERRNOS:
                raise
            return b""

    def _path(self, generation: int) -> Path:
        return self._first if generation == 1 else self._first.with_name(f"{self._first.name}.{generation}")


class Tail:
    """Reads on from a place, again and again. For one caller."""

    def __init__(self, files: LogFiles, wanted: Wanted, place: Place | None = None) -> None:
        self._files = files
        self._wanted = wanted
        self.place = place or Place()
        self._window = limits.LOGS_WINDOW_BYTES
        self._looked_at = -1  # the length that the newest file had at the last look
        self._folder_at = -1  # the time of the last change of the folder that was looked into

    def has_more(self) -> bool:
        """Whether another `take` could find something; costs a look or two at a file's length."""
        number = self.place.generation
        size = self._files.size(number) if number else -1
        if size >= 0:
            return size != self.place.offset or self._files.size(number + 1) >= 0
        changed = self._files.folder_changed_ns()  # a log that begins, or began again: its next file may have any number
        if changed == self._folder_at:
            return False
        # Two changes in one tick of the file system's clock have one time: a young one is looked into again.
        self._folder_at = changed if time.time_ns() - changed > _TICK_NS else -1
        return self._next_generation() is not None

    def take(self) -> list[tuple[Place, LogRecord]] | None:
        """The next records, each with the place behind it: those in one window, so perhaps none. None: there are no more now.

        A record is complete when another begins behind it. The last one of all is given out at the second look that finds
        nothing behind it, since the first may have come in the middle of a write.
        """
        if self.place.generation == 0 and not self._go_on():
            return None
        number, offset = self.place.generation, self.place.offset
        following = self._next_generation()  # asked for first: once there is one, this file has all it will ever have
        size = self._files.size(number)
        if size < offset and (size >= 0 or (following is None and self._files.generations())):
            self.place = Place()  # somebody cut it, or put a log of another bridge in its place
            return []
        data = self._files.read(number, offset, min(size, offset + self._window))
        records = split_records(data)
        is_end = not data or offset + len(data) >= size  # no data: it is gone meanwhile, or closed to us
        is_sure = is_end and (following is not None or self._looked_at == size)
        self._looked_at = size
        if records and sum(map(len, records)) == len(data) and not is_sure:
            records.pop()  # what comes behind it may belong to it
        if not records:
            return self._widen_or_leave(following, len(data), is_end=is_end)
        self._window = limits.LOGS_WINDOW_BYTES
        return list(self._decoded(number, offset, records))

    def _decoded(self, number: int, offset: int, records: list[bytes]) -> Iterator[tuple[Place, LogRecord]]:
        for lines in records:
            offset += len(lines)
            self.place = Place(number, offset)
            record = _record(lines)
            if self._wanted.takes(record):
                yield self.place, record

    def _widen_or_leave(self, following: int | None, length: int, *, is_end: bool) -> list[tuple[Place, LogRecord]] | None:
        """The window holds no whole record."""
        if is_end and following is not None:
            self.place = Place(following)
            self._looked_at = -1
            return []
        if is_end:
            return None
        if self._window < _WINDOW_MAX_BYTES:
            self._window *= 2
        else:
            self.place = Place(self.place.generation, self.place.offset + length)
        return []

    def _next_generation(self) -> int | None:
        number = self.place.generation
        if number and self._files.size(number + 1) >= 0:
            return number + 1
        return next((found for found in self._files.generations() if found > number), None)

    def _go_on(self) -> bool:
        following = self._next_generation()
        if following is not None:
            self.place = Place(following)
        return following is not None


class LookBack:
    """Finds where the newest `count` wanted records begin, reading from the end a window at a time. For one caller."""

    def __init__(self, files: LogFiles, wanted: Wanted, count: int) -> None:
        self._files = files
        self._wanted = wanted
        self._left = count
        self._steps = self._search()
        self.place = Place()

    def step(self) -> bool:
        """Read one more window; False when `place` is found: that of the oldest record of them, or of the log's start."""
        return next(self._steps, None) is not None

    def _search(self) -> Iterator[bool]:
        numbers = self._files.generations()
        if numbers and self._left == 0:
            self.place = Place(numbers[-1], max(0, self._files.size(numbers[-1])))
            return
        for number in reversed(numbers):
            for found in _from_behind(self._files, number):
                for offset, lines in found:
                    self.place = Place(number, offset)
                    self._left -= self._wanted.takes(_record(lines))
                    if self._left == 0:
                        return
                yield True


def _from_behind(files: LogFiles, number: int) -> Iterator[list[tuple[int, bytes]]]:
    """The records of one file, the last one first, with their offsets: those of a window at a time."""
    end = files.size(number)
    window = limits.LOGS_WINDOW_BYTES
    is_torn = True  # the last line may be one in the middle of a write
    while end > 0:
        begin = max(0, end - window)
        data = files.read(number, begin, end)
        if is_torn:
            data = data[: data.rfind(b"\n") + 1]
            is_torn = not data
        base = data.find(b"\n") + 1 if begin else 0
        lines = data[base:]
        stop = len(lines)
        found = []
        while (start := last_start(lines, stop)) >= 0:
            found.append((begin + base + start, lines[start:stop]))
            stop = start
        yield found
        if found:
            end, window = begin + base + stop, limits.LOGS_WINDOW_BYTES
        elif begin == 0:
            return
        elif window < _WINDOW_MAX_BYTES:
            window *= 2
        else:
            end = begin


def _record(lines: bytes) -> LogRecord:
    record = decode_record(lines)
    if record is not None:
        return record
    # Somebody else's line, or damage: shown as it is, without a time.
    message = lines[: limits.LOG_MESSAGE_MAX_BYTES // 3].decode(errors="replace")
    return LogRecord(message.removesuffix("\n").replace("\n\t", "\n"))
