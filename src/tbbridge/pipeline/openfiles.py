"""Files that are appended to: a bounded number of them kept open, and which of them a checkpoint has yet to make durable.

What they hold and where they are is eventfile.py's and logfiles.py's to know.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from tbbridge import disk


@dataclass(slots=True)
class OpenFile:
    """One of them."""

    path: Path
    fd: int
    place: str | None  # what the system calls the file; None where it does not tell
    synced: bool = True


K = TypeVar("K")
F = TypeVar("F", bound=OpenFile)


class OpenFiles(Generic[K, F]):
    """The files that are open, each by the key under which it is asked for. For one thread at a time."""

    def __init__(self, open_files_max: int) -> None:
        self._open_files_max = open_files_max
        self._open: OrderedDict[K, F] = OrderedDict()  # least recently used first
        self._unsynced: set[Path] = set()
        self._unsynced_folders: set[Path] = set()

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def _make_room(self) -> None:
        """Before one more is opened."""
        while len(self._open) >= self._open_files_max:
            os.close(self._open.popitem(last=False)[1].fd)

    def _put(self, key: K, entry: F, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write `data` at `offset` of an open file."""
        self._open.move_to_end(key)
        disk.write_all(entry.fd, data, offset)
        if entry.synced:
            entry.synced = False
            self._unsynced.add(entry.path)

    def take_unsynced(self) -> tuple[set[Path], set[Path]]:
        """Files and folders changed since the last call, for a checkpoint to make durable."""
        taken = self._unsynced, self._unsynced_folders
        for entry in self._open.values():
            entry.synced = True
        self._unsynced, self._unsynced_folders = set(), set()
        return taken

    def untake(self, files: set[Path], folders: set[Path]) -> None:
        """Give back what `take_unsynced` gave, after a checkpoint that failed."""
        self._unsynced.update(files)
        self._unsynced_folders.update(folders)

    def _close(self, key: K) -> None:
        entry = self._open.pop(key, None)
        if entry is not None:
            os.close(entry.fd)

    def close(self) -> None:
        """Close all files."""
        for key in list(self._open):
            self._close(key)
