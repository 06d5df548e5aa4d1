"""A run as a zip: which files go into an archive, its bytes as a stream, and an uploaded one on its way to the disk.

What belongs to a run is said in layout.py. Files are stored as they are, not compressed: an archive of ours is then never taken
for a bomb when it comes back, and making it costs a training's machine nothing. Called from threads. This file never changes a
run; unpack.py looks into what was uploaded.
"""

from __future__ import annotations

import io
import logging
import os
import re
import shutil
import stat
import struct
import time
import unicodedata
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Final, Self

from tbbridge import disk, limits
from tbbridge.errors import (
    Conflict,
    InvalidItem,
    InvalidQuery,
    ItemError,
    NotFound,
    StorageFailed,
)
from tbbridge.layout import lifted_name, own_files, veiled_name, veils
from tbbridge.names import run_name
from tbbridge.store.eventfiles import Halt

log = logging.getLogger(__name__)

ROOT_RUN: Final = "."
# Info-ZIP's "extended timestamp", with the modification time only: a zip's own times are local and even.
TIMES: Final = struct.Struct("<HHBi")
TIMES_ID: Final = 0x5455


# --- making an archive ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an archive: its path in there, where it is, and what it was like when the archive was begun.

    `elsewhere` is where it is if the run's veil was lifted meanwhile.
    """

    name: str
    path: Path
    elsewhere: Path
    identity: tuple[int, int]
    size: int
    mtime: float


def _file(folder: Path, path: PurePosixPath, own: Path) -> Entry | None:
    """A file of a run's, under its own name. None if it was deleted a moment ago."""
    veiled = folder != own
    lifted = PurePosixPath(*map(lifted_name, path.parts)) if veiled else path
    for place in (folder / path, own / lifted):
        try:
            said = place.lstat()
        except OSError:
            continue
        return Entry(str(lifted), folder / path, own / lifted, (said.st_dev, said.st_ino), said.st_size, said.st_mtime)
    return None


def archive_entries(logdir: Path, run: str, prefix: str = "") -> tuple[Entry, ...]:
    """What belongs to `run`, at its length of now; names in the archive start with `prefix` and a slash, if it is given.

    Raises `NotFound`, `InvalidQuery` for a name that cannot be, and `Conflict` for a run of more files than could come back.
    """
    own = _folder_of(logdir, run)
    # The veil first: it is lifted file by file, and what moves while we look is then seen in one of the two, or in both.
    veil = veils(logdir).get(run)
    found: dict[str, Entry] = {}
    lifted: set[tuple[int, int]] = set()
    for folder in (own,) if veil is None else (veil, own):
        for path in own_files(folder):
            file = _file(folder, path, own)
            if file is None or (folder == own and file.identity in lifted):
                continue
            if folder != own:
                lifted.add(file.identity)
            name = file.name
            while name in found:  # somebody made a file of this name while the run was veiled; the pipeline keeps both, too
                name += ".1"
            found[name] = file
    _check_names(run, list(found))
    entries = [replace(file, name=f"{prefix}/{name}" if prefix else name) for name, file in found.items()]
    if not entries:
        raise NotFound(f"there is no run {run!a}, or it holds nothing yet")
    if len(entries) > limits.ARCHIVE_MAX_ENTRIES:
        message = f"run {run!a} has {len(entries)} files, more than the {limits.ARCHIVE_MAX_ENTRIES} that an archive may have"
        raise Conflict(message + "; copy its folder instead")
    return tuple(sorted(entries, key=lambda entry: entry.name))


def path_flaw(name: str) -> str | None:
    """Why no archive may have an entry with this path, in words that follow the path; None if one may."""
    if any(ord(letter) < 0x20 or 0x7F <= ord(letter) < 0xA0 for letter in name) or "\\" in name:
        return "holds a control character or a backslash; use plain names with '/' between folders"
    if name.startswith("/") or re.match("[A-Za-z]:", name):
        return "is an absolute path; paths start in the run's folder"
    try:
        if len(name.encode()) > limits.ARCHIVE_PATH_MAX_BYTES:
            return f"has a path of over {limits.ARCHIVE_PATH_MAX_BYTES} bytes"
    except UnicodeEncodeError:
        return "is not UTF-8"
    for part in name.removesuffix("/").split("/"):
        if part in ("", ".", ".."):
            return f"has the part '{part}' in its path; use plain names there"
        if len(part.encode()) > limits.RUN_PART_MAX_BYTES:
            return f"has a part of over {limits.RUN_PART_MAX_BYTES} bytes, longer than a file's name can be"
        try:
            veiled_name(part)
        except ValueError as error:
            return f"cannot be taken: {error}"
    return None


def folded(name: str) -> str:
    """The same for two names that some file system takes for one: A and a, or two Unicode forms of a letter."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _check_names(run: str, names: Sequence[str]) -> None:
    """An archive that could not come back would be found out too late, so it is not made. Raises `Conflict`."""
    seen: dict[str, str] = {}
    for name in names:
        flaw = path_flaw(name)
        if seen.setdefault(folded(name), name) != name:
            flaw = f"differs from {seen[folded(name)]!a} only in its letters' case or form"
        if flaw is not None:
            raise Conflict(f"run {run!a} cannot be archived: its file {name!a} {flaw}. Rename it, or copy the run's folder")


def _folder_of(logdir: Path, run: str) -> Path:
    if run == ROOT_RUN:
        return logdir
    try:
        run_name(run)
    except InvalidItem as error:
        raise InvalidQuery([ItemError("run", error.item_code, error.message)]) from None
    folder = logdir
    for part in run.split("/"):
        folder /= part
        if folder.is_symlink():
            raise NotFound(f"run {run!a} lies behind a symbolic link, which is not followed")
    return folder


def zip_pieces(entries: Sequence[Entry], halt: Halt | None = None) -> Iterator[bytes]:
    """The archive's bytes, in pieces of about limits.ARCHIVE_PIECE_BYTES. A file that grows meanwhile is taken as it was.

    Raises `Conflict` if a file was deleted or replaced meanwhile (what came before is no archive then), and `Stopping`.
    """
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for entry in entries:
            with _opened(entry) as file, archive.open(_information(entry), "w") as inside:
                left = entry.size
                while left:
                    if halt is not None:
                        halt.check()
                    piece = file.read(min(left, limits.ARCHIVE_PIECE_BYTES))
                    if not piece:
                        raise Conflict(f"{entry.name!a} was cut while it was archived; ask again")
                    left -= len(piece)
                    inside.write(piece)
                    if sink.size >= limits.ARCHIVE_PIECE_BYTES:
                        yield sink.take()
    yield sink.take()


class _Sink:
    """Where zipfile writes: it cannot seek, so sizes and checksums follow each file's bytes."""

    def __init__(self) -> None:
        self.size = 0
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self._pieces.append(bytes(piece))
        self.size += len(piece)
        return len(piece)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        self.size = 0
        return taken


def _opened(entry: Entry) -> io.FileIO:
    for path in (entry.path, entry.elsewhere):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0))
        except OSError:
            continue
        said = os.fstat(fd)
        if (said.st_dev, said.st_ino) == entry.identity:
            return io.FileIO(fd)
        os.close(fd)
    raise Conflict(f"{entry.name!a} was deleted or replaced while it was archived; ask again")


def _information(entry: Entry) -> zipfile.ZipInfo:
    local = time.localtime(entry.mtime)
    year = min(max(local.tm_year, 1980), 2107)  # what a zip can say
    info = zipfile.ZipInfo(entry.name, (year, *local[1:5], min(local.tm_sec, 59)))
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    info.file_size = entry.size  # from which zipfile sees whether the entry needs 64 bits
    if 0 <= entry.mtime < 2**31:
        info.extra = TIMES.pack(TIMES_ID, 5, 1, int(entry.mtime))
    return info


# --- receiving one ----------------------------------------------------------------------------------------------------


class Upload:
    """An archive on its way to a file in `folder`. Raises `StorageFailed` when the disk refuses, or would be left too full."""

    def __init__(self, folder: Path, expected_bytes: int = 0) -> None:
        check_room(folder, expected_bytes)
        self.path = folder / "archive.zip"
        self._unchecked = 0
        try:
            self._file = self.path.open("xb", buffering=0)
        except OSError as error:
            raise refused(error) from error

    def write(self, piece: bytes) -> None:
        """Append `piece`."""
        self._unchecked += len(piece)
        if self._unchecked >= limits.ARCHIVE_ROOM_LEFT_BYTES // 8:
            check_room(self.path.parent, 0)
            self._unchecked = 0
        view = memoryview(piece)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise refused(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()


def check_room(folder: Path, needed_bytes: int) -> None:
    """Raises `StorageFailed` if `needed_bytes` more would leave the disk too full for the points of others."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise refused(error) from error
    if free - needed_bytes < limits.ARCHIVE_ROOM_LEFT_BYTES:
        message = (
            f"the disk has {free} bytes left; the archive needs {needed_bytes}, and {limits.ARCHIVE_ROOM_LEFT_BYTES} are kept "
            "for points that others send; make room and send it again"
        )
        raise StorageFailed(message, full=True, retry_after_s=60)


def refused(error: OSError) -> StorageFailed:
    """What the disk said about an archive."""
    return StorageFailed(f"the disk refuses the archive: {error.strerror or error}", full=disk.is_full(error))


def remove_stage(staged: Path) -> None:
    """Remove a staging folder, if it is still there; what cannot be removed is logged, and goes at the next start."""
    try:
        shutil.rmtree(staged)
    except FileNotFoundError:
        pass  # installed
    except OSError as error:
        log.warning("%s cannot be removed: %s", staged, error.strerror or error)
