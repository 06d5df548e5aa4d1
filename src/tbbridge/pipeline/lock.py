"""One owner per log folder: a lock that dies with its process, so that SIGKILL leaves nothing to clean up."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path
from typing import Final

from tbbridge.errors import LogFolderBusy

NAME: Final = "lock"
# `owner_of` holds the lock for microseconds.
_LOOKED_AT_S: Final = 0.05


class FolderLock:
    """An exclusive lock on `<folder>/lock`. The file stays and holds the owner's process id, to tell a second one."""

    def __init__(self, folder: Path) -> None:
        """Take the lock, or raise `LogFolderBusy` at once."""
        self._folder = folder
        self._fd = self._take()

    def _take(self) -> int:
        fd = os.open(self._folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            _lock(fd)
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            owner = os.pread(fd, 64, 0).decode(errors="replace").strip() or "unknown"
            os.close(fd)
            raise LogFolderBusy(
                f"log folder {self._folder.parent} is in use by another tbbridge (process {owner}); "
                "stop that one, or choose another folder with --logdir"
            ) from None
        except OSError:
            os.close(fd)
            raise
        return fd

    def renew(self) -> None:
        """Take the lock again if its file was deleted. OSError (EBUSY) if another process has taken the folder since."""
        if os.fstat(self._fd).st_nlink:
            return
        try:
            fd = self._take()
        except LogFolderBusy as error:
            raise OSError(errno.EBUSY, error.message) from error
        os.close(self._fd)
        self._fd = fd

    def release(self) -> None:
        """Let the next owner in."""
        os.close(self._fd)


def _lock(fd: int) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(_LOOKED_AT_S)  # perhaps somebody only looks who holds it
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def owner_of(folder: Path) -> str | None:
    """The process id of whoever holds the folder, as it noted it; None if nobody does. Changes nothing.

    To know it, the lock is shared for an instant: see `FolderLock`, which asks again.
    """
    try:
        fd = os.open(folder / NAME, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # should it be a pipe
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(fd, 64, 0).decode(errors="replace").strip() or "unknown"
    else:
        return None
    finally:
        os.close(fd)
