"""The spool of one client: numbered request bodies in a file of the user's cache folder, until the server has them.

A file is a row of TFRecord frames: a head, which says for whom it is, and then the very bodies that would have been sent, in
their order; so whoever sends them again changes nothing. It is only appended to, by the one process that holds its lock, and
removed when all of it is acknowledged. Beside it `<name>.sent` may say how far it is sent. This file sends nothing: outbox.py
drains the spool of its own process, upload.py those that are left behind.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import shutil
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

from tbbridge import limits
from tbbridge.client.backlog import Mark
from tbbridge.client.options import SpoolPlace
from tbbridge.events.tfrecord import HEADER_BYTES, OVERHEAD_BYTES, Corrupt, Frame, Torn, frame, read_frame

logger = logging.getLogger("tbbridge.client")

SUFFIX: Final = ".spool"
SENT_SUFFIX: Final = ".sent"
DAMAGED_SUFFIX: Final = ".damaged"
_VERSION: Final = 1
# How often the size of the folder and the room on the disk are looked at.
_LOOK_S: Final = 1.0
# On Windows a lock covers bytes and keeps others from reading them: one far behind the end of any file.
_LOCK_AT: Final = 2**62
_LOCK_LOOK_S: Final = 0.002
_COPY_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """One body in the file that the server has not acknowledged; `start` is the place of its first value in the backlog."""

    seq: int
    offset: int
    size: int
    count: int
    start: Mark


class Spool:
    """The file of one client, made with the first body. Not thread-safe: the outbox holds its lock around every call.

    `for_others`: this process never sends what is in it, and so need not remember what is where.
    """

    def __init__(self, place: SpoolPlace, shown: str, writer: str, *, for_others: bool = False) -> None:
        self.pending: deque[Entry] = deque()
        self.path = place.folder / f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.getpid()}-{writer[:12]}{SUFFIX}"
        self.max_bytes = place.max_bytes
        self.values = 0  # in all pending bodies
        self.total = 0  # values ever spooled
        self.trouble = ""  # why the last body could not be kept
        self.is_deleted = False  # by somebody else, and what is in it ends with this process
        self._shown = shown
        self._for_others = for_others
        self._file: BinaryIO | None = None
        self._created = 0.0
        self._end = 0
        self._unsynced = False
        self._looked_at = float("-inf")
        self._room = 0
        self._told = ""

    @property
    def is_findable(self) -> bool:
        """Whether others find what is in it. Needs no lock."""
        return self._file is None or self.path.exists()

    def append(self, raw: bytes, seq: int, count: int, start: Mark) -> bool:
        """Keep one body; False if there is no room or the disk refuses, which is said in the log once."""
        record = frame(raw)
        try:
            self._move_if_deleted()
            if not self._has_room(len(record)):
                return False
            if self._file is None:
                self._create()
            self._write(record)
        except OSError as error:
            self._tell(f"points cannot be spooled to {self.path.parent} ({error.strerror or error}); they wait in memory")
            return False
        if not self._for_others:
            self.pending.append(Entry(seq, self._end - len(record), len(record), count, start))
        self.values += count
        self.total += count
        self.trouble = ""
        return True

    def sync(self) -> None:
        """Have what was appended on the disk itself, should the machine go down. The process may die without it."""
        try:
            self._move_if_deleted()
        except OSError as error:
            self._tell(
                f"{self.path} was deleted and cannot be made again ({error.strerror or error}): the {self.values} points in it "
                "are lost when this process ends, unless that is put right"
            )
        if self._file is not None and self._unsynced:
            self._unsynced = False
            try:
                os.fsync(self._file.fileno())
            except OSError as error:
                self._tell(f"{self.path} is perhaps not on the disk ({error.strerror or error})")

    def head(self) -> bytes | None:
        """The oldest pending body as it was; None if the file no longer holds it."""
        entry = self.pending[0]
        try:
            if self._file is not None:
                self._file.seek(entry.offset)
                found = read_frame(_read_exactly(self._file, entry.size), 0)
                if isinstance(found, Frame):
                    return bytes(found.payload)
                reason = "it is damaged"
            else:
                reason = "it is closed"
        except OSError as error:
            reason = error.strerror or str(error)
        logger.error("%d points spooled in %s at byte %d are lost: %s", entry.count, self.path, entry.offset, reason)
        return None

    def pop(self) -> None:
        """The oldest pending body is acknowledged, or lost. The file goes with its last one."""
        self.values -= self.pending.popleft().count
        if not self.pending:
            self._remove()

    def close(self) -> None:
        """Nobody appends any more: what is pending is left to `tbbridge sync`."""
        if self._file is None:
            return
        if not (self.pending or self._for_others):
            self._remove()
            return
        self.sync()
        if self.pending and not self.is_deleted:
            store_progress(self.path, self.pending[0].offset, self._created)
        self._file.close()
        self._file = None

    def forget(self) -> None:
        """In a forked child: the file is the parent's."""
        if self._file is not None:
            self._file.close()  # only this process's number of it; the parent's keeps the lock
            self._file = None

    def _create(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            file = open(self.path, "x+b", buffering=0, opener=_only_for_us)  # noqa: SIM115 - it stays open
            # Nobody but a `tbbridge sync` that looks at it can have the lock. Where there are none, none is needed: then files
            # are left where they are.
            lock(file, wait_s=limits.SPOOL_LOCK_WAIT_S)
            if not _is_deleted(file, self.path):
                break
            file.close()  # it was empty, and taken for one that a killed process left
        self._file, self._end, self._created = file, 0, time.time()
        head = {"tbbridge_spool": _VERSION, "url": self._shown, "host": socket.gethostname(), "pid": os.getpid()}
        try:
            self._write(frame(json.dumps({**head, "created": self._created}).encode()))
        except OSError:  # a file without a head is no spool to anybody: begin again with the next body
            self._remove()
            raise

    def _move_if_deleted(self) -> None:
        """Somebody cleaned the folder: what waits goes to a new file, out of the old one, which is there as long as it is open.

        Raises OSError if that cannot be; then the old one stays the one in use.
        """
        old, end, created = self._file, self._end, self._created
        if old is None or not _is_deleted(old, self.path):
            return
        self.is_deleted = True
        start = self.pending[0].offset if self.pending else behind_head(old)  # for others: what they have sent is known there
        if not self._has_room(end - start):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._file = None
        is_made = False
        try:
            self._create()
            is_made = True
            shift = self._end - start
            old.seek(start)
            while piece := old.read(min(_COPY_BYTES, end + shift - self._end)):
                self._write(piece)
        except OSError:
            if is_made:
                self._remove()
            self._file, self._end, self._created = old, end, created
            raise
        old.close()
        self.is_deleted = False
        self.pending = deque(replace(entry, offset=entry.offset + shift) for entry in self.pending)
        logger.warning(
            "%s was deleted while this process writes to it; the %d points in it are in a new one. Keep cleaners out of that "
            "folder, or name another one with TBBRIDGE_SPOOL_DIR",
            self.path,
            self.values,
        )

    def _write(self, record: bytes) -> None:
        assert self._file is not None  # noqa: S101 - the callers made it
        try:
            self._file.seek(self._end)
            view = memoryview(record)
            while view:
                view = view[self._file.write(view) or 0 :]
        except OSError:
            with contextlib.suppress(OSError):
                self._file.truncate(self._end)
            raise
        self._end += len(record)
        self._unsynced = True

    def _has_room(self, size: int) -> bool:
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_S or self._room < size:
            self._looked_at = now
            with contextlib.suppress(OSError):
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            held = sum(_size(path) for path in self.path.parent.glob(f"*{SUFFIX}"))
            disk = shutil.disk_usage(self.path.parent).free - limits.CLIENT_SPOOL_DISK_LEFT_BYTES
            self._room = min(self.max_bytes - held, disk)
        if self._room < size:
            self._tell(
                f"the spool {self.path.parent} is full (it may hold {self.max_bytes} bytes, and leaves "
                f"{limits.CLIENT_SPOOL_DISK_LEFT_BYTES} free on its disk); points wait in memory. `tbbridge sync` sends what "
                "older processes left there"
            )
            return False
        self._room -= size
        return True

    def _remove(self) -> None:
        # The name goes before the lock, where the system allows it: who gets the lock of a file that still has its name may
        # delete it, and we may make another one of that name.
        if self._file is not None and sys.platform == "win32":
            self._file.close()
        with contextlib.suppress(OSError):
            remove(self.path)
        if self._file is not None:
            self._file.close()
            self._file = None

    def _tell(self, message: str) -> None:
        self.trouble = message
        if message != self._told:
            self._told = message
            logger.warning("%s", message)


# --- files that others left behind ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Head:
    """What a spool file says of itself."""

    url: str
    host: str
    pid: int
    created: float


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a file that contradict themselves; `end` None: and nothing behind them can be found."""

    offset: int
    end: int | None


def find_spools(folder: Path) -> list[Path]:
    """The spool files of a folder, the oldest first. Raises OSError if it cannot be read; none if it is not there."""
    try:
        names = [entry.name for entry in os.scandir(folder) if entry.name.endswith(SUFFIX) and entry.is_file()]
    except FileNotFoundError:
        return []
    return [folder / name for name in sorted(names)]


def read_head(path: Path) -> Head | None:
    """The head of a spool file; None if this is none, or it is not written yet. Raises OSError."""
    with path.open("rb") as file:
        found = read_frame(file.read(limits.SPOOL_HEAD_MAX_BYTES), 0)
    if not isinstance(found, Frame):
        return None
    try:
        said = json.loads(bytes(found.payload))
        head = Head(said["url"], said["host"], said["pid"], said["created"])
    except (ValueError, TypeError, KeyError):
        return None
    is_ours = isinstance(head.url, str) and isinstance(head.host, str) and isinstance(head.pid, int)
    is_ours = is_ours and isinstance(head.created, float)
    return head if is_ours and said.get("tbbridge_spool") == _VERSION else None


def head_damage(path: Path) -> Damage | None:
    """What is wrong with the bytes of a head, if they contradict themselves. Raises OSError."""
    with path.open("rb") as file:
        start = file.read(limits.SPOOL_HEAD_MAX_BYTES)
    found = read_frame(start, 0)
    if not isinstance(found, Corrupt):
        return None
    is_length_right = isinstance(read_frame(start[:HEADER_BYTES], 0), Torn)
    return Damage(0, int.from_bytes(start[:8], "little") + OVERHEAD_BYTES if is_length_right else None)


def remove_if_empty(path: Path) -> bool:
    """Remove a file to which nobody has written, nor will; False if its process lives, or wrote meanwhile. Raises OSError."""
    with path.open("rb") as file:
        if not lock(file) or file.read(1):
            return False
        remove(path)
    return True


def set_aside(path: Path) -> Path:
    """Keep a file that cannot be read under another name, where nobody tries it again; the new path. Raises OSError."""
    return path.rename(path.with_name(path.name + DAMAGED_SUFFIX))


def read_bodies(file: BinaryIO, offset: int) -> Iterator[tuple[int, bytes | Damage]]:
    """The bodies from `offset` on (0: from the first one), each with the offset behind it; ends where the file is torn.

    A record whose bytes are wrong comes as `Damage`. Raises OSError.
    """
    if offset == 0:
        offset = behind_head(file)
    while True:
        file.seek(offset)
        start = file.read(HEADER_BYTES)
        if len(start) < HEADER_BYTES:
            return
        length = int.from_bytes(start[:8], "little")
        if isinstance(read_frame(start, 0), Corrupt) or length > limits.DECODED_MAX_BYTES:
            yield offset, Damage(offset, None)
            return
        record = start + file.read(length + OVERHEAD_BYTES - HEADER_BYTES)
        found = read_frame(record, 0)
        if isinstance(found, Frame):
            offset += len(record)
            yield offset, bytes(found.payload)
        elif isinstance(found, Corrupt):
            damage = Damage(offset, offset + len(record))
            offset += len(record)
            yield offset, damage
        else:
            return


def behind_head(file: BinaryIO) -> int:
    """The offset of the first body; 0 while there is no head."""
    file.seek(0)
    found = read_frame(file.read(limits.SPOOL_HEAD_MAX_BYTES), 0)
    return found.end if isinstance(found, Frame) else 0


def load_progress(path: Path) -> int:
    """How far a file is known to be sent; 0 if nothing is known, and then sending all of it again is free."""
    try:
        head = read_head(path)
        said, created = path.with_suffix(SENT_SUFFIX).read_text(encoding="ascii").split()
        offset = int(said)
        is_of_this_file = head is not None and float(created) == head.created and 0 <= offset <= path.stat().st_size
    except (OSError, ValueError):
        return 0
    return offset if is_of_this_file else 0


def store_progress(path: Path, offset: int, created: float) -> None:
    """Remember how far a file is sent; where that cannot be, sending starts at its beginning, which costs time only.

    `created`, of its head, tells it from another file of the same name.
    """
    unfinished = path.with_suffix(f".{os.getpid()}")
    with contextlib.suppress(OSError):
        unfinished.write_text(f"{offset} {created!r}", encoding="ascii")
        unfinished.replace(path.with_suffix(SENT_SUFFIX))


def lock(file: BinaryIO, *, wait_s: float = 0.0) -> bool:
    """Take the lock of an open spool file; False if its process lives. Closing the file gives it back.

    `wait_s`: how long to wait for somebody who has it.
    """
    until = time.monotonic() + wait_s
    try:
        while not _is_locked_now(file):
            if time.monotonic() >= until:
                return False
            time.sleep(_LOCK_LOOK_S)
    except OSError as error:
        # Some network file systems have no locks. Then nobody knows who lives, and files are left where they are.
        logger.debug("no lock on %s: %s", file.name, error)
        return False
    return True


def _is_locked_now(file: BinaryIO) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(_LOCK_AT)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_deleted(file: BinaryIO, path: Path) -> bool:
    """Whether an open file has no name any more."""
    found = os.fstat(file.fileno())
    if found.st_nlink:
        return False
    try:
        return not os.path.samestat(found, path.stat())  # some file systems count no names
    except OSError:
        return True


def remove(path: Path) -> None:
    """Delete a spool file that is sent, and what stands beside it."""
    path.unlink(missing_ok=True)
    for beside in path.parent.glob(f"{path.stem}.*"):
        if beside.suffix == SENT_SUFFIX or beside.suffix[1:].isdecimal():  # also one that a kill left unfinished
            beside.unlink(missing_ok=True)


def _read_exactly(file: BinaryIO, size: int) -> bytes:
    pieces = []
    while size and (piece := file.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # sent and removed a moment ago
        return 0


def _only_for_us(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
