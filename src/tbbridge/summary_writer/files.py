"""The event files of one local summary writer: one for each run it writes, with names that no other writer can have.

Whole batches go in as whole records, each at its known place: a write that fails is done again with the same bytes, which is
all that TensorBoard's readers forgive. A file evicted from the open ones is opened again for its next batch. This file knows no
threads and no queue; local.py calls it under one lock.
"""

from __future__ import annotations

import itertools
import os
import re
import socket
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tbbridge import disk, limits
from tbbridge.events.encode import encode_run
from tbbridge.events.summaries import encode_file_start, encode_purge
from tbbridge.kinds import Embedding
from tbbridge.model import RunBatch
from tbbridge.summary_writer.projector import write_embedding

# Counts the event files of this process: with the process id it makes their names unique on this machine.
_numbers: Final = itertools.count()
_CONVENTIONAL: Final = re.compile(r"events\.out\.tfevents\.(\d{10})\.")


class _Forks:
    """Whether this process has forked, so that another one can have its writers."""

    were_made = False

    def note(self) -> None:
        self.were_made = True


_forks: Final = _Forks()
os.register_at_fork(after_in_parent=_forks.note)


@dataclass(slots=True)
class _File:
    path: Path
    fd: int | None
    length: int = 0  # bytes that are surely in it
    described: set[str] = field(default_factory=set)
    unwritten: list[bytes | bytearray] = field(default_factory=list)
    synced: bool = True


class LocalFiles:
    """The event files below `folder`, by run; the run '' is the folder itself.

    With `purge_step`, the first file of a run says that what earlier ones hold from this step on is void. When a forked child
    has begun a file for a run, which sorts behind ours, a live reader is done with ours: so we go on in a file behind it, once
    for each child. The child (`is_forked`) does not do so in turn, or the two would make files for ever.
    """

    def __init__(self, folder: Path, *, suffix: str = "", purge_step: int | None = None, is_forked: bool = False) -> None:
        self._folder = folder
        self._suffix = suffix
        self._purge_step = purge_step
        self._is_forked = is_forked
        self._overtakers: set[str] = set()  # "run/process id" of those that we have begun a file behind
        self._files: dict[str, _File] = {}
        self._open: OrderedDict[str, _File] = OrderedDict()  # least recently used first
        self._begun: set[str] = set()  # runs that had a file; a second one of ours must not purge what the first holds
        self._folders: set[Path] = set()  # with names that are not durable yet

    def begin(self, run: str, wall_time: float) -> None:
        """Have an event file for `run`, so that an error shows now and TensorBoard lists the run. Raises OSError."""
        if run not in self._files:
            self._new(run, wall_time)
            self.write()

    def path(self, run: str) -> Path | None:
        """The event file of `run`, if there is one."""
        file = self._files.get(run)
        return None if file is None else file.path

    def encode(self, batch: RunBatch, wall_time: float) -> None:
        """Add `batch`, whose steps and wall times are settled, to what `write` writes; `wall_time` dates a file made for it.

        Raises OSError if the run needs a new file and cannot have it; nothing of the batch is kept then. A batch with an
        embedding holds nothing else: its files are written here.
        """
        file = self._files.get(batch.run)
        if file is None or _is_gone(file):
            self._forget(batch.run)
            file = self._new(batch.run, wall_time)
        elif not file.unwritten and self._is_overtaken(batch.run, file):
            if not file.synced:
                disk.sync_data(self._opened(batch.run, file))
            self._forget(batch.run)
            file = self._new(batch.run, wall_time)
        for summary in batch.summaries:
            if isinstance(summary, Embedding):
                write_embedding(self._folder / batch.run, summary)
        file.unwritten.append(encode_run(batch, file.described))
        file.described.update(column.tag for column in batch.scalars)
        file.described.update(summary.tag for summary in batch.summaries)

    def write(self) -> None:
        """Write what is encoded. Raises OSError when all was tried; what failed is kept then, with the same bytes."""
        failure: OSError | None = None
        for run, file in list(self._files.items()):
            if not file.unwritten:
                continue
            if _is_gone(file):
                self._forget(run)
                continue
            data = b"".join(file.unwritten)
            try:
                disk.write_all(self._opened(run, file), data, file.length)
            except OSError as error:
                failure = failure or error
                continue
            file.unwritten.clear()
            file.length += len(data)
            file.synced = False
        if failure is not None:
            raise failure

    def sync(self) -> None:
        """Return when all that was written is on the disk itself, with the files' names."""
        for run, file in self._files.items():
            if not file.synced and not _is_gone(file):
                disk.sync_data(self._opened(run, file))
                file.synced = True
        for folder in list(self._folders):
            disk.sync_path(folder)
            self._folders.discard(folder)

    def close(self) -> None:
        """Close all files for good: the next batch of a run begins a new one."""
        for file in self._open.values():
            if file.fd is not None:
                os.close(file.fd)
        self._open.clear()
        self._files.clear()

    def _new(self, run: str, wall_time: float) -> _File:
        folder = self._folder / run
        for missing in _missing(folder):
            self._folders.add(missing.parent)
        folder.mkdir(parents=True, exist_ok=True)
        present = [name for name in os.listdir(folder) if "tfevents" in name]
        path, fd = self._create(folder, max(present, default=""), int(wall_time))
        self._folders.add(folder)
        self._files[run] = file = _File(path, fd)
        self._keep_open(run, file)
        start = encode_file_start(wall_time, session_start=not present)
        if self._purge_step is not None and run not in self._begun:
            # TensorBoard's Python reader takes a run's first START for no restart: of two, one counts, whoever wrote before.
            start += encode_purge(wall_time, self._purge_step)
        self._begun.add(run)
        file.unwritten.append(start)
        return file

    def _is_overtaken(self, run: str, file: _File) -> bool:
        """Whether a process of this machine that has not done so before has begun a file that sorts behind `file`."""
        if self._is_forked or not _forks.were_made:
            return False
        own_start = re.compile(rf"events\.out\.tfevents\.\d{{10,}}\.{re.escape(_host())}\.(\d+)\.")
        found = set()
        for name in os.listdir(file.path.parent):
            if name > file.path.name and (matched := own_start.match(name)) and int(matched[1]) != os.getpid():
                found.add(f"{run}/{matched[1]}")
        is_new = not found <= self._overtakers
        self._overtakers |= found
        return is_new

    def _forget(self, run: str) -> None:
        self._files.pop(run, None)
        file = self._open.pop(run, None)
        if file is not None and file.fd is not None:
            os.close(file.fd)

    def _create(self, folder: Path, newest: str, seconds: int) -> tuple[Path, int]:
        """A new file that sorts behind `newest`, since readers take a run's files in name order and never go back."""
        host = _host()
        while True:
            name = f"events.out.tfevents.{seconds:010d}.{host}.{os.getpid()}.{next(_numbers)}{self._suffix}"
            if name <= newest:
                matched = _CONVENTIONAL.match(newest)
                later = int(matched[1]) + 1 if matched else 10**10
                if seconds < later:
                    seconds = later
                    continue
                name = f"{newest}.{os.getpid()}.{next(_numbers)}"
            path = folder / name
            try:
                return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            except FileExistsError:  # another machine's or container's process with our number
                continue

    def _opened(self, run: str, file: _File) -> int:
        if file.fd is None:
            file.fd = os.open(file.path, os.O_WRONLY | os.O_CLOEXEC)
            self._keep_open(run, file)
        else:
            self._open.move_to_end(run)
        return file.fd

    def _keep_open(self, run: str, file: _File) -> None:
        while len(self._open) >= limits.LOCAL_OPEN_FILES_MAX:
            _, oldest = self._open.popitem(last=False)
            if oldest.fd is not None:
                os.close(oldest.fd)
                oldest.fd = None
        self._open[run] = file


def _host() -> str:
    return re.sub(r"[^\w.-]", "_", socket.gethostname())


def _is_gone(file: _File) -> bool:
    """Whether somebody deleted the file; they want the run afresh, or not at all."""
    return not file.path.exists() if file.fd is None else os.fstat(file.fd).st_nlink == 0


def _missing(folder: Path) -> Iterator[Path]:
    """`folder` and those above it that do not exist."""
    while not folder.exists():
        yield folder
        folder = folder.parent
