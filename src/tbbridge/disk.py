"""The few file operations that durable files are built from, in one place: complete writes, durable folders, preallocation.

Knows no format. Everything raises OSError as the system gave it; the callers decide what a failure means.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import logging
import os
import sys
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

log = logging.getLogger(__name__)

# linux/fcntl.h and linux/fs.h
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2

# Nothing is there (any more).
GONE_ERRNOS = frozenset({errno.ENOENT, errno.ENOTDIR})
# Errors that concern one path, not the disk: it is gone, or somebody's file or permission is in the way.
PATH_ERRNOS = GONE_ERRNOS | {errno.EACCES, errno.EPERM, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP}
# The disk has no room (or the user's quota of it); it may have some later.
FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})


def is_full(error: OSError) -> bool:
    """True if `error` says that there is no space left."""
    return error.errno in FULL_ERRNOS


def sync_data(fd: int) -> None:
    """Return when the file's bytes, and the size needed to read them, are on the disk itself."""
    if hasattr(os, "fdatasync"):
        os.fdatasync(fd)
        return
    import fcntl  # macOS: fsync leaves the bytes in the drive's cache, F_FULLFSYNC does not

    fcntl.fcntl(fd, fcntl.F_FULLFSYNC)  # type: ignore[attr-defined,unused-ignore]  # only macOS declares it


def sync_path(path: Path) -> None:
    """Make a file durable; or the names in a folder: created, renamed and deleted files."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


# Beyond this many files, one sync of all file systems is quicker than one fsync each (measured: 0.3 ms a file on ext4).
_SYNC_ALL_ABOVE = 256


def sync_files(paths: Collection[Path], folders: Collection[Path]) -> None:
    """Make many files and folders durable. One that is gone, or closed to us, is its owner's affair and holds up no other."""
    if sys.platform == "linux" and len(paths) + len(folders) > _SYNC_ALL_ABOVE:
        os.sync()  # sync(2): "on Linux ... sync() waits for I/O completions"; elsewhere it may return before
        return
    for path in (*paths, *folders):
        try:
            sync_path(path)
        except OSError as error:
            if error.errno not in PATH_ERRNOS:
                raise
            if error.errno not in GONE_ERRNOS:
                log.warning("%s cannot be made durable: %s", path, error.strerror)


def place_of(fd: int) -> str | None:
    """The path of an open file as Linux knows it now; it ends in " (deleted)" once the name is gone. None where it is not told.

    Not stat, which costs more than it seems: since Linux 6.13 a file whose times were looked at takes a new time stamp at its
    next write, for which ext4 starts a transaction that the journal's next fdatasync then waits for (measured: 90 -> 150 us).
    """
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return None


def write_all(fd: int, data: bytes | bytearray | memoryview, offset: int) -> None:
    """Write all of `data` at `offset`, however often the system takes only a part. Writing it again changes nothing."""
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        if written == 0:
            raise OSError(errno.EIO, "the system wrote nothing")
        offset += written
        view = view[written:]


# Joining costs a copy, and for a large piece new memory; a write of its own costs 2 us.
_JOINED_MAX_BYTES = 32 * 1024


def in_pieces(parts: Iterable[bytes | bytearray]) -> Iterator[bytes | bytearray]:
    """`parts`, which follow each other in a file, as what to hand to `write_all`: small neighbours joined, large ones alone."""
    waiting: list[bytes | bytearray] = []
    size = 0
    for part in parts:
        if waiting and size + len(part) > _JOINED_MAX_BYTES:
            yield waiting[0] if len(waiting) == 1 else b"".join(waiting)
            waiting, size = [], 0
        waiting.append(part)
        size += len(part)
    if waiting:
        yield waiting[0] if len(waiting) == 1 else b"".join(waiting)


def preallocate(fd: int, size: int) -> None:
    """Reserve `size` bytes, which read as zeros, if the file system can and has them; they are a convenience only.

    A file that need not grow makes each fdatasync about a third cheaper (ext4: no size to journal).
    """
    if not hasattr(os, "posix_fallocate"):
        return
    with contextlib.suppress(OSError):
        os.posix_fallocate(fd, 0, size)


def make_private_folder(folder: Path) -> None:
    """Make a folder of ours that nobody else may look into, and what is above it as usual. Raises OSError if it is a link."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.is_symlink():
        raise OSError(errno.ELOOP, "it is a symbolic link, which could lead anywhere; remove the link", str(folder))


def open_folder_below(root: Path, real_root: Path, folder: Path, *, create: bool) -> int:
    """A descriptor of `folder`, made with all above it if `create`; raises OSError (ELOOP) if it is not below `root`.

    Whoever else may write in `root` can put a link in a folder's place at any moment. So each is opened before it is judged,
    and the next is made and opened in it, not under its name. `real_root` is `root` without links.
    """
    if create:
        root.mkdir(parents=True, exist_ok=True)
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in folder.relative_to(root).parts:
            if create:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, dir_fd=fd)
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd)
            os.close(fd)
            fd = inner
            _check_below(place_of(fd) or os.path.realpath(folder), str(real_root), folder)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _check_below(place: str, real_root: str, folder: Path) -> None:
    if place != real_root and not place.startswith(real_root.rstrip("/") + "/"):
        raise OSError(errno.ELOOP, "a symbolic link leads out of the log folder", str(folder))


def exchange(one: Path, other: Path) -> bool:
    """Let two folders of one file system trade places, with no moment in which either name is missing.

    False, and nothing is done, where the system or the file system cannot. Linux can: renameat2(2) with RENAME_EXCHANGE.
    """
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None or not sys.platform.startswith("linux"):
        return False
    if call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM):  # the last: what some sandboxes say
        return False
    raise OSError(number, os.strerror(number), str(one), None, str(other))


def replace_durably(path: Path, data: bytes) -> None:
    """Put `data` at `path`, a file of ours alone, so that a crash leaves either the old file or the whole new one."""
    temporary = path.with_name(path.name + ".new")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        write_all(fd, data, 0)
        os.fsync(fd)
    finally:
        os.close(fd)
    temporary.rename(path)
    sync_path(path.parent)
