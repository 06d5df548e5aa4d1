"""One owner per log folder: a lock that dies with its process, so that SIGKILL leaves nothing to clean up."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from tbbridge.errors import LogFolderBusy


class FolderLock:
    """An exclusive lock on `<folder>/lock`. The file stays and holds the owner's process id, to tell a second one."""

    def __init__(self, folder: Path) -> None:
        """Take the lock, or raise `LogFolderBusy` at once."""
        path = folder / "lock"
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(self._fd, 64, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._fd)
            raise LogFolderBusy(
                f"log folder {folder.parent} is in use by another tbbridge (process {owner}); "
                "stop that one, or choose another folder with --logdir"
            ) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let the next owner in."""
        os.close(self._fd)
