"""`tbbridge` on a disk and a clock that cannot be trusted: run as a process of its own, with the command line's arguments.

CHAOS_SEED chooses what goes wrong, CHAOS_FOLDER is where it is noted (`faults`, a line each) and where a file `calm` stops it.
Nothing in src/ knows of this: the system calls are replaced before the bridge is imported. It does not check that the bridge
writes by these calls only; a small file system that is really filled does.
"""

from __future__ import annotations

import errno
import os
import random
import sys
import time
from collections.abc import Callable

CHANCE = random.Random(os.environ["CHAOS_SEED"])
FOLDER = os.environ["CHAOS_FOLDER"]
# Of a hundred thousand calls, how many go wrong. Each failure stops all writing for a moment.
SHORT, EIO, ENOSPC, SYNC = 1500, 120, 120, 120
CLOCK_STEPS = 300

_pwrite, _fsync, _fdatasync, _time = os.pwrite, os.fsync, os.fdatasync, time.time
_notes = os.open(os.path.join(FOLDER, "faults"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)


def strikes(per_100_000: int) -> bool:
    return CHANCE.randrange(100_000) < per_100_000 and not os.path.exists(os.path.join(FOLDER, "calm"))


def note(kind: str) -> None:
    os.write(_notes, f"{kind}\n".encode())


def pwrite(fd: int, data: memoryview, offset: int) -> int:
    if len(data) > 1 and strikes(SHORT):
        note("short write")
        return _pwrite(fd, data[: CHANCE.randrange(1, len(data))], offset)
    for code, per_100_000, kind in ((errno.EIO, EIO, "EIO in a write"), (errno.ENOSPC, ENOSPC, "ENOSPC in a write")):
        if strikes(per_100_000):
            note(kind)
            _pwrite(fd, data[: CHANCE.randrange(len(data))], offset)  # a part of it may have reached the disk
            raise OSError(code, os.strerror(code))
    return _pwrite(fd, data, offset)


def failing(call: Callable[[int], None]) -> Callable[[int], None]:
    def sync(fd: int) -> None:
        if strikes(SYNC):
            note("EIO in a sync")
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        call(fd)

    return sync


class Clock:
    """Stands in for time.time."""

    offset_s = 0.0

    def __call__(self) -> float:
        if strikes(CLOCK_STEPS):
            note("clock stepped")
            self.offset_s = CHANCE.uniform(-7200, 60)
        return _time() + self.offset_s


if __name__ == "__main__":
    os.pwrite, os.fsync, os.fdatasync = pwrite, failing(_fsync), failing(_fdatasync)  # type: ignore[assignment]
    time.time = Clock()  # type: ignore[assignment]
    from tbbridge import cli
    from tbbridge.pipeline import writer

    writer.RETRY_S = 0.05
    sys.exit(cli.main(sys.argv[1:]))
