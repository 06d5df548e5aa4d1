"""The event files on disk: one live file a run, appended to in whole records, a bounded number of them open.

A write names its offset, so doing it again after a failure or a crash leaves the same bytes. Nothing here decides what is
written (events/) or when (writer.py). Files are found missing by their name and length, since users delete run folders.
Embeddings are files beside the event file: each is written once, and a list of them that grows like an event file.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from tbbridge import disk, layout, limits
from tbbridge.errors import InvalidItem
from tbbridge.model import EMBEDDINGS_FOLDER, PROJECTOR_CONFIG, RunName
from tbbridge.pipeline.ledger import Opening, Run
from tbbridge.pipeline.openfiles import OpenFile, OpenFiles
from tbbridge.pipeline.publish import Write
from tbbridge.pipeline.veils import Veils

log = logging.getLogger(__name__)

_CONVENTIONAL = re.compile(r"events\.out\.tfevents\.(\d{10})\.")


@dataclass(slots=True, kw_only=True)
class _Open(OpenFile):
    file: str

    def is_in_place(self) -> bool:
        """True if the file is still under its name: not deleted, moved or replaced."""
        if self.place is not None:
            return disk.place_of(self.fd) == self.place
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self.fd))
        except OSError as error:
            if error.errno not in disk.PATH_ERRNOS:
                raise
            return False


class EventFiles(OpenFiles[str, _Open]):
    """The event files below one log folder; those of veiled runs are under their veils."""

    def __init__(self, logdir: Path, veils: Veils, *, open_files_max: int) -> None:
        super().__init__(open_files_max)
        self._logdir = logdir
        self._veils = veils
        self._real_logdir = Path(os.path.realpath(logdir))

    def folder(self, run: str) -> Path:
        """Where what belongs to the run is: its own folder, or its veil."""
        return self._veils.files(run) or self._logdir / run

    def path(self, run: Run) -> Path:
        """Where the run's live event file is."""
        veil = self._veils.files(run.name)
        return self._logdir / run.name / run.file if veil is None else veil / layout.veiled_name(run.file)

    def beside(self, run: Run, name: str) -> Path:
        """Where the file `name` is that belongs to the run besides its event file."""
        return self.folder(run.name) / name

    def is_live(self, run: Run) -> bool:
        """True if the run's event file is still there, ours, and as long as we left it."""
        entry = self._open.get(run.name)
        if entry is not None:
            live = entry.file == run.file and os.lseek(entry.fd, 0, os.SEEK_END) == run.length and entry.is_in_place()
        else:
            # Its folder may have been moved away, a link left in its place: no write follows that out of the log folder.
            live = self.is_there(run, run.length) and self._is_inside(self.path(run).parent)
        if live and run.config_length and _size(self.beside(run, PROJECTOR_CONFIG)) != run.config_length:
            live = False  # somebody changed the list of embeddings: begin anew behind what is there now
        if not live:
            self._close(run.name)
        return live

    def size(self, run: Run) -> int:
        """Bytes of the run's event file as it is; 0 if there is none."""
        return _size(self.path(run))

    def is_there(self, run: Run, length: int | None = None) -> bool:
        """True if the run's event file is a plain file that we may write, and if given, of that length."""
        path = self.path(run)
        try:
            found = path.lstat()
        except OSError as error:
            if error.errno not in disk.PATH_ERRNOS:
                raise
            return False
        return stat.S_ISREG(found.st_mode) and length in (None, found.st_size) and os.access(path, os.R_OK | os.W_OK)

    def new_file(self, run: RunName, index: int, wall_time: float) -> Opening:
        """Make the run's folder and choose a file name that no event file in it sorts behind.

        Readers take a run's files in name order and TensorBoard's Python reader never goes back. The entry's index makes
        the name one that this folder never had: a reader may remember a deleted file of the same name as dead.
        Raises `InvalidItem` if something is in the way of the folder, OSError if the disk fails.
        """
        self._veils.begin_below(run)
        folder = self.folder(run)
        try:
            self._check_inside(folder, run)
            fd = disk.open_folder_below(self._logdir, self._real_logdir, folder, create=True)
            try:
                present = [name for name in map(layout.lifted_name, os.listdir(fd)) if layout.is_event_file(name)]
            finally:
                os.close(fd)
        except UnicodeEncodeError as error:
            message = (
                f"run name {run!a} cannot be a folder's name in this server's file system encoding, {error.encoding}; rename it"
            )
            raise InvalidItem("run-folder", message, "run") from None
        except OSError as error:
            if error.errno not in disk.PATH_ERRNOS:
                raise
            problem = f"the folder of run {run!a} cannot be made or read: {error.strerror} ({error.filename})"
            raise InvalidItem("run-folder", f"{problem}; rename the run or clear the way", "run") from error
        if not os.access(folder, os.W_OK | os.X_OK):
            message = f"the folder of run {run!a} is not writable for this server; change its permissions or rename the run"
            raise InvalidItem("run-folder", message, "run")
        name = _name_behind(max(present, default=""), int(wall_time), index)
        if name is None:
            message = (
                f"the folder of run {run!a} holds {max(present)!a}, behind which no name of ours can sort; rename that file"
            )
            raise InvalidItem("run-folder", message, "run")
        return Opening(run, name, wall_time, first_of_run=not present, config_length=_size(folder / PROJECTOR_CONFIG))

    def _check_inside(self, folder: Path, run: RunName) -> None:
        if not self._is_inside(folder):
            message = f"the folder of run {run!a} is a link that leads out of the log folder; remove the link or rename the run"
            raise InvalidItem("run-folder", message, "run")

    def _is_inside(self, folder: Path) -> bool:
        return Path(os.path.realpath(folder)).is_relative_to(self._real_logdir)

    def check_embeddings(self, run: RunName) -> None:
        """Raise `InvalidItem` if something is in the way of an embedding's files: a link, a file, a permission."""
        for name, is_right, what in (
            (PROJECTOR_CONFIG, stat.S_ISREG, "file"),
            (EMBEDDINGS_FOLDER, stat.S_ISDIR, "folder"),
        ):
            path = self.folder(run) / name
            try:
                mode = os.lstat(path).st_mode
            except (FileNotFoundError, NotADirectoryError):
                continue
            if not is_right(mode) or not os.access(path, os.W_OK):
                message = f"'{name}' in the folder of run {run!a} is not a {what} that this server may write; clear the way"
                raise InvalidItem("run-folder", message, "run")

    def put(self, write: Write) -> None:
        """Do one write, of the event file or of a file beside it."""
        if write.name == write.run.file:
            self.write(write.run, write.offset, write.data)
        else:
            self._write_beside(write)

    def _write_beside(self, write: Write) -> None:
        path = self.beside(write.run, write.name)
        if write.offset == 0:
            self._make_folder(path.parent)
        try:
            fd = self._open_below(path, create=write.offset == 0)
        except OSError as error:
            if error.errno not in disk.PATH_ERRNOS:
                raise
            return  # somebody deleted the list of embeddings a moment ago: the run's next batch finds out
        try:
            disk.write_all(fd, write.data, write.offset)
        finally:
            os.close(fd)
        self._unsynced.add(path)

    def write(self, run: Run, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Put `data` at `offset` of the run's file, making the file if `offset` is 0.

        A file that somebody deleted a moment ago stays deleted: the run's next batch finds out and begins a new one.
        """
        entry = self._open.get(run.name)
        if entry is None or entry.file != run.file:
            self._close(run.name)
            try:
                entry = self._open_file(run, create=offset == 0)
            except OSError as error:
                if error.errno not in disk.PATH_ERRNOS:
                    raise
                if error.errno not in disk.GONE_ERRNOS:
                    log.error(  # noqa: TRY400 - the cause is in the line
                        "run %r: %d acknowledged bytes are not written: %s", run.name, len(data), describe(error)
                    )
                return
        self._put(run.name, entry, offset, data)

    def _open_file(self, run: Run, *, create: bool) -> _Open:
        path = self.path(run)
        self._make_room()
        if create:
            self._make_folder(path.parent)
        fd = self._open_below(path, create=create)
        entry = self._open[run.name] = _Open(path, fd, disk.place_of(fd), file=run.file)
        return entry

    def _open_below(self, path: Path, *, create: bool) -> int:
        folder = disk.open_folder_below(self._logdir, self._real_logdir, path.parent, create=False)
        try:
            flags = os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if create else 0)
            return os.open(path.name, flags, 0o644, dir_fd=folder)
        finally:
            os.close(folder)

    def _make_folder(self, folder: Path) -> None:
        os.close(disk.open_folder_below(self._logdir, self._real_logdir, folder, create=True))
        self._unsynced_folders.add(folder)
        while folder != self._logdir:
            folder = folder.parent
            self._unsynced_folders.add(folder)

    def repair(self, run: Run, offset: int, data: bytes) -> bool:
        """Replay: make the file hold `data` at `offset`, touching only what differs. False if the file is gone for good.

        What is there already is usually the same; after a power cut it may be missing or zeros.
        """
        if not self.is_there(run):
            if offset or self.path(run).is_symlink():
                return False
            self.write(run, 0, data)
            return self.is_there(run)
        with self.path(run).open("rb") as file:
            file.seek(offset)
            present = file.read(len(data))
            size = os.fstat(file.fileno()).st_size
        if size < offset:
            return False
        if present != data:
            same = len(present) if data.startswith(present) else 0
            self.write(run, offset + same, memoryview(data)[same:])
        return True

    def repair_beside(self, write: Write) -> None:
        """Replay: make a file beside the event file hold what `write` says, unless it is gone for good."""
        path = self.beside(write.run, write.name)
        try:
            with path.open("rb") as file:
                file.seek(write.offset)
                present = file.read(len(write.data))
                size = os.fstat(file.fileno()).st_size
        except OSError as error:
            if error.errno not in disk.PATH_ERRNOS:
                raise
            present, size = b"", 0
        if present != write.data and size >= write.offset:
            self._write_beside(write)

    def lift(self, *runs: str) -> None:
        """End the veils of `runs`: files go to their folders. No checkpoint may be under way, which would look for them."""
        self.release(*runs)
        self._unsynced.update(self._veils.lift(*runs))

    def release(self, *runs: str) -> None:
        """Let go of the files of `runs`, which are about to be moved or deleted."""
        for run in runs:
            self._close(run)
        folders = {self.folder(run) for run in runs}
        tables = {folder / EMBEDDINGS_FOLDER for folder in folders}
        self._unsynced = {path for path in self._unsynced if path.parent not in folders and tables.isdisjoint(path.parents)}

    def moved(self, path: Path) -> None:
        """A file came to `path` from elsewhere: the next checkpoint sees to it."""
        self._unsynced.add(path)


def _name_behind(newest: str, seconds: int, index: int) -> str | None:
    """A name for an event file that sorts behind `newest`; None if there is none that a file can have."""
    names = [f"events.out.tfevents.{seconds:010d}.tbbridge.{index}"]
    if matched := _CONVENTIONAL.match(newest):
        names.append(f"events.out.tfevents.{int(matched[1]) + 1:010d}.tbbridge.{index}")
    names.append(f"{newest}.{index}")
    for name in names:
        if name > newest and len(os.fsencode(name)) <= limits.RUN_PART_MAX_BYTES and _is_plain(name):
            return name
    return None


def _is_plain(name: str) -> bool:
    try:
        name.encode()
        layout.veiled_name(name)
    except ValueError:  # the system's file names are bytes; those that are no text come with surrogates
        return False
    return True


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return 0


def describe(error: OSError, *, then: str = "writing goes on by itself then") -> str:
    """`error` in words for an operator: what failed, where, and what to do about it; `then`: what comes of it."""
    where = f" ({error.filename})" if error.filename else ""
    if disk.is_full(error):
        return f"the disk is full{where}: free some space; {then}"
    if error.errno == errno.EMFILE:
        return f"too many open files{where}: raise the limit (ulimit -n) or lower --open-files-max"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{error.strerror}{where}: let uid {os.geteuid()}, as which the bridge runs, write there, or run it as the owner"
    return f"{error.strerror or error}{where}"
