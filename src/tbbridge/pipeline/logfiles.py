"""The files of logs on disk: appended to at the offsets that logbook.py decided, removed when it said so.

Like eventfile.py, which is for event files: a write names its offset, so doing it again after a failure or a crash leaves the
same bytes, and a file that its owner deleted stays deleted. Their names are logs/names.py's, their lines logs/lines.py's.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tbbridge import disk, limits
from tbbridge.logs.names import LOGS_FOLDER, first_and_number, log_path
from tbbridge.model import STATE_FOLDER, RunName
from tbbridge.pipeline.ledger import Entry
from tbbridge.pipeline.logbook import Lines, Log, LogFile
from tbbridge.pipeline.openfiles import OpenFile, OpenFiles

log = logging.getLogger(__name__)

# A run's name is not always to be told from its file's; what was found on the disk goes by its path instead.
_FOUND: Final = re.compile(r"(.+)\.log(?:\.([0-9]{1,18}))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class LogWrite:
    """Lines of one file that follow each other, perhaps of several entries."""

    file: LogFile
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class LogDrop:
    """A file is removed."""

    file: LogFile


def log_work(entries: Iterable[Entry]) -> Iterator[LogWrite | LogDrop]:
    """What `entries` mean for the files of logs, in order, writes to one file joined."""
    gathered: dict[LogFile, list[Lines]] = {}
    for entry in entries:
        if entry.dropped_logs:
            yield from _joined(gathered)
            gathered.clear()
            yield from map(LogDrop, entry.dropped_logs)
        for lines in entry.lines:
            gathered.setdefault(LogFile(lines.run, lines.generation), []).append(lines)
    yield from _joined(gathered)


def _joined(gathered: dict[LogFile, list[Lines]]) -> Iterator[LogWrite]:
    for file, parts in gathered.items():
        yield LogWrite(file, parts[0].offset, parts[0].data if len(parts) == 1 else b"".join([part.data for part in parts]))


class LogFiles(OpenFiles[LogFile, OpenFile]):
    """The log files below one log folder. Those written last are kept open."""

    def __init__(self, logdir: Path, *, open_files_max: int = limits.LOGS_OPEN_FILES_MAX) -> None:
        super().__init__(open_files_max)
        self._state = logdir / STATE_FOLDER
        self._folder = self._state / LOGS_FOLDER
        # The files of folders as the disk has them, by the name of each log's first file. What others put there is found out:
        # at once if it is in the way of the next file, else at the next start.
        self._listed: OrderedDict[Path, dict[str, set[int]]] = OrderedDict()
        self._lost_bytes = 0  # since it was last told
        self._tell_at = float("-inf")

    def path(self, file: LogFile) -> Path:
        """Where a file is."""
        return self._folder / log_path(file.run, file.generation)

    def is_live(self, known: Log) -> bool:
        """True if the log's newest file is still there and as long as we left it."""
        file = LogFile(known.run, known.generation)
        entry = self._open.get(file)
        if entry is None or entry.place is None:
            return _size(self.path(file)) == known.length
        live = disk.place_of(entry.fd) == entry.place and os.lseek(entry.fd, 0, os.SEEK_END) == known.length
        if not live:
            self._close(file)
        return live

    def generations(self, run: RunName) -> list[int]:
        """The numbers of the log's files that are there, oldest first."""
        first = self.path(LogFile(run, 1))
        listed = self._listed.get(first.parent)
        if listed is not None:
            numbers = listed.get(first.name, set())
            if _size(self.path(LogFile(run, max(numbers, default=0) + 1))) >= 0:
                listed = None
        if listed is None:
            listed = self._listed[first.parent] = _listed(first.parent)
            while len(self._listed) > limits.LOGS_FOLDERS_KEPT:
                self._listed.popitem(last=False)
        self._listed.move_to_end(first.parent)
        return sorted(listed.get(first.name, ()))

    def _note(self, file: LogFile, *, is_there: bool) -> None:
        """We made or removed a file."""
        first = self.path(LogFile(file.run, 1))
        listed = self._listed.get(first.parent)
        if listed is None:
            return
        if is_there:
            listed.setdefault(first.name, set()).add(file.generation)
        elif (numbers := listed.get(first.name)) is not None:
            numbers.discard(file.generation)
            if not numbers:
                del listed[first.name]

    def do(self, work: LogWrite | LogDrop) -> None:
        """Write or remove. Again after a failure, it has the same outcome."""
        if isinstance(work, LogDrop):
            self._drop(work.file)
        else:
            self._write(work.file, work.offset, work.data)

    def redo(self, work: LogWrite | LogDrop) -> None:
        """Replay: the same, touching only what differs."""
        if isinstance(work, LogDrop):
            self._drop(work.file)
            return
        try:
            with self.path(work.file).open("rb") as file:
                file.seek(work.offset)
                present = file.read(len(work.data))
                size = os.fstat(file.fileno()).st_size
        except OSError as error:
            if error.errno not in disk.PATH_ERRNOS:
                raise
            present, size = b"", 0
        if size < work.offset or present == work.data:  # shorter: somebody deleted or cut it; the next record finds out
            return
        same = len(present) if work.data.startswith(present) else 0
        self._write(work.file, work.offset + same, work.data[same:])

    def _write(self, file: LogFile, offset: int, data: bytes) -> None:
        entry = self._open.get(file)
        if entry is None:
            try:
                entry = self._open_file(file, create=offset == 0)
            except OSError as error:
                if error.errno not in disk.PATH_ERRNOS:
                    raise
                if offset == 0 or error.errno not in disk.GONE_ERRNOS:  # a first byte makes its folders: nothing is gone there
                    self._tell_lost(file, len(data), error)
                return
        self._put(file, entry, offset, data)

    def _tell_lost(self, file: LogFile, size: int, error: OSError) -> None:
        """Acknowledged records have no place: somebody's file or permission is in the way, and may be for long."""
        self._lost_bytes += size
        now = time.monotonic()
        if now >= self._tell_at:
            self._tell_at = now + limits.LOGS_LOST_LOG_S
            log.error(
                "the log of run %r: %d bytes (of all logs, since the last such line) are not written: %s (%s); clear the way",
                file.run,
                self._lost_bytes,
                error.strerror,
                error.filename,
            )
            self._lost_bytes = 0

    def _open_file(self, file: LogFile, *, create: bool) -> OpenFile:
        path = self.path(file)
        self._make_room()
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._unsynced_folders.update({path.parent, *(up for up in path.parent.parents if up.is_relative_to(self._state))})
        flags = os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if create else 0)
        fd = os.open(path, flags, 0o600)
        if create:
            self._note(file, is_there=True)
        entry = self._open[file] = OpenFile(path, fd, disk.place_of(fd))
        return entry

    def _drop(self, file: LogFile) -> None:
        self._close(file)
        path = self.path(file)
        self._unsynced.discard(path)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            if error.errno not in disk.PATH_ERRNOS:
                raise
            log.warning("%s cannot be removed: %s", path, error.strerror)
            return
        self._note(file, is_there=False)

    def found(self) -> list[tuple[LogFile, int]]:
        """All files that are there, the one written longest ago first, with their bytes."""
        found = []
        for folder, _, names in os.walk(self._folder):
            for name in names:
                path = Path(folder, name)
                file = self._file_at(path)
                try:
                    told = path.lstat()
                except OSError as error:
                    if error.errno not in disk.PATH_ERRNOS:
                        raise
                    continue
                if file is not None:
                    found.append((told.st_mtime_ns, file, told.st_size))
        return [(file, size) for _, file, size in sorted(found)]

    def _file_at(self, path: Path) -> LogFile | None:
        """The file at `path`, under a name of a run that leads there; None if no run's does."""
        matched = _FOUND.fullmatch(path.relative_to(self._folder).as_posix())
        if matched is None:
            return None
        *folders, last = matched[1].split("/")
        run = RunName("/".join([*(re.sub(r"(\.log(?:\.\d+)?~*)~$", r"\1", folder) for folder in folders), last]))
        file = LogFile(run, int(matched[2] or 1))
        return file if self.path(file) == path else None


def _listed(folder: Path) -> dict[str, set[int]]:
    """The numbers of the files of each log in `folder`, by the name of its first file."""
    try:
        names = os.listdir(folder)
    except OSError as error:
        if error.errno not in disk.PATH_ERRNOS:
            raise
        return {}
    found: dict[str, set[int]] = {}
    for name in names:
        parted = first_and_number(name)
        if parted is not None:
            found.setdefault(parted[0], set()).add(parted[1])
    return found


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError as error:
        if error.errno not in disk.PATH_ERRNOS:
            raise
        return -1
