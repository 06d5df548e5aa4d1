"""A run as a zip, and back: which files go into an archive, its bytes as a stream, and an uploaded one unpacked with suspicion.

What belongs to a run is said in layout.py. Files are stored as they are, not compressed: an archive of ours is then never taken
for a bomb when it comes back, and making it costs a training's machine nothing. `unpack` looks at everything an archive
promises before it writes a byte, and again at what came out; it fills a staging folder, which the pipeline's door installs.
Called from threads. This file never touches a run.
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
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Final, Self

from tbbridge import disk, limits
from tbbridge.errors import (
    Conflict,
    InvalidItem,
    InvalidQuery,
    ItemError,
    ItemWarning,
    MalformedBody,
    NotFound,
    StorageFailed,
    TooLarge,
)
from tbbridge.events.reader import read_events
from tbbridge.events.tfrecord import Corrupt
from tbbridge.layout import is_event_file, lifted_name, own_files, veiled_name, veils
from tbbridge.names import EMBEDDINGS_FOLDER, PROJECTOR_CONFIG, run_name
from tbbridge.store.eventfiles import Halt, OpenFile

log = logging.getLogger(__name__)

ROOT_RUN: Final = "."
# The folders that layout.own_files takes as a run's own.
_OWN_FOLDERS: Final = (EMBEDDINGS_FOLDER, "plugins")
# Info-ZIP's "extended timestamp", with the modification time only: a zip's own times are local and even.
_TIMES: Final = struct.Struct("<HHBi")
_TIMES_ID: Final = 0x5455
# In front of each entry's name in a zip.
_LOCAL_HEADER_BYTES: Final = 30


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


def archive_entries(logdir: Path, run: str, prefix: str = "") -> tuple[Entry, ...]:
    """What belongs to `run`, at its length of now; names in the archive start with `prefix` and a slash, if it is given.

    Raises `NotFound`, `InvalidQuery` for a name that cannot be, and `Conflict` for a run of more files than could come back.
    """
    own = _folder_of(logdir, run)
    folder = veils(logdir).get(run, own)
    entries = []
    for path in own_files(folder):
        lifted = PurePosixPath(*(lifted_name(part) for part in path.parts))
        try:
            said = (folder / path).lstat()
        except OSError:
            said = None
        if said is None:
            try:
                said = (own / lifted).lstat()
            except OSError:
                continue  # deleted a moment ago
        name = f"{prefix}/{lifted}" if prefix else str(lifted)
        identity = (said.st_dev, said.st_ino)
        entries.append(Entry(name, folder / path, own / lifted, identity, said.st_size, said.st_mtime))
    if not entries:
        raise NotFound(f"there is no run {run!a}, or it holds nothing yet")
    if len(entries) > limits.ARCHIVE_MAX_ENTRIES:
        message = f"run {run!a} has {len(entries)} files, more than the {limits.ARCHIVE_MAX_ENTRIES} that an archive may have"
        raise Conflict(message + "; copy its folder instead")
    return tuple(sorted(entries, key=lambda entry: entry.name))


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
        info.extra = _TIMES.pack(_TIMES_ID, 5, 1, int(entry.mtime))
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
            raise _refused(error) from error

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
            raise _refused(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()


def check_room(folder: Path, needed_bytes: int) -> None:
    """Raises `StorageFailed` if `needed_bytes` more would leave the disk too full for the points of others."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise _refused(error) from error
    if free - needed_bytes < limits.ARCHIVE_ROOM_LEFT_BYTES:
        message = (
            f"the disk has {free} bytes left; the archive needs {needed_bytes}, and {limits.ARCHIVE_ROOM_LEFT_BYTES} are kept "
            "for points that others send; make room and send it again"
        )
        raise StorageFailed(message, full=True, retry_after_s=60)


def _refused(error: OSError) -> StorageFailed:
    return StorageFailed(f"the disk refuses the archive: {error.strerror or error}", full=disk.is_full(error))


def remove_stage(staged: Path) -> None:
    """Remove a staging folder, if it is still there; what cannot be removed is logged, and goes at the next start."""
    try:
        shutil.rmtree(staged)
    except FileNotFoundError:
        pass  # installed
    except OSError as error:
        log.warning("%s cannot be removed: %s", staged, error.strerror or error)


# --- unpacking one ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What an archive held: files and their bytes, and what is odd about the event files among them."""

    files: int
    size_bytes: int
    warnings: tuple[ItemWarning, ...]


@dataclass(frozen=True, slots=True)
class _Planned:
    info: zipfile.ZipInfo
    path: PurePosixPath  # in the run's folder


# What zipfile raises for bytes that are no zip, or a damaged one.
_DAMAGED: Final = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
)


def unpack(
    archive: Path,
    staged: Path,
    *,
    strip_prefix: str | None = "",
    max_bytes: int = limits.ARCHIVE_MAX_BYTES,
    halt: Halt | None = None,
) -> Unpacked:
    """Put what `archive` holds into the empty folder `staged`, under veiled names, for `InstallRun`; or refuse all of it.

    Entries lie in the folder `strip_prefix`; "" means none, None that one folder around everything is taken off. Raises
    `MalformedBody` (no zip, or damaged), `InvalidItem` (an entry that no run can have, or that could do harm), `TooLarge`
    (over `max_bytes` unpacked, too many entries, or a bomb), `StorageFailed` and `Stopping`. What is in `staged` after an
    error is the caller's to remove.
    """
    try:
        with _Bounded(archive) as file, zipfile.ZipFile(file) as opened:
            plan = _planned(opened, strip_prefix, max_bytes)
            check_room(staged, sum(one.info.file_size for one in plan))
            for one in plan:
                _extract(opened, one, staged, halt or Halt())
    except _DAMAGED as error:
        if isinstance(error, InvalidItem):  # a ValueError too
            raise
        raise MalformedBody(f"the archive cannot be read: {error or type(error).__name__}; send a whole zip") from None
    except OSError as error:
        raise _refused(error) from error
    warnings = tuple(_looked_at(one.path, _place(staged, one.path), halt or Halt()) for one in plan if _is_events(one.path))
    return Unpacked(len(plan), sum(one.info.file_size for one in plan), tuple(one for one in warnings if one is not None))


class _Bounded(io.FileIO):
    """A file that refuses to be read into memory whole: zipfile reads the table of contents at one time, whatever its size."""

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = os.fstat(self.fileno()).st_size - self.tell() if size is None or size < 0 else size
        if wanted > limits.ARCHIVE_DIRECTORY_MAX_BYTES:
            raise TooLarge(
                f"the archive's table of contents is too long; at most {limits.ARCHIVE_MAX_ENTRIES} entries are taken"
            )
        return super().read(size) or b""


def _planned(archive: zipfile.ZipFile, strip_prefix: str | None, max_bytes: int) -> list[_Planned]:
    infos = archive.infolist()
    if len(infos) > limits.ARCHIVE_MAX_ENTRIES:
        raise TooLarge(f"the archive has {len(infos)} entries, at most {limits.ARCHIVE_MAX_ENTRIES} are taken")
    named = [(info, _safe_path(info)) for info in infos]
    _check_overlaps(archive, infos)
    files = [(info, path) for info, path in named if not info.is_dir()]
    folder = _common_folder([path for _, path in files]) if strip_prefix is None else PurePosixPath(strip_prefix)
    plan = [_Planned(info, _own_path(path, folder)) for info, path in files]
    _check_doubles([one.path for one in plan])
    _check_sizes(plan, max_bytes)
    if not any(_is_events(one.path) for one in plan):
        raise InvalidItem("archive", "the archive holds no event file, whose name has 'tfevents' in it; it is no run's")
    return plan


def _safe_path(info: zipfile.ZipInfo) -> PurePosixPath:
    """The entry's path, if it is a plain file or folder with a harmless name. Raises `InvalidItem`."""
    name = info.orig_filename
    if info.flag_bits & 0x41:
        raise _refuse(name, "is encrypted; send it unencrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _refuse(name, "is compressed in an unusual way; use plain zip (store or deflate)")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFDIR if info.is_dir() else stat.S_IFREG):
        raise _refuse(name, "is a link or a special file; only plain files are taken")
    if len(name.encode(errors="surrogatepass")) > limits.ARCHIVE_PATH_MAX_BYTES:
        raise _refuse(name, f"has a path of over {limits.ARCHIVE_PATH_MAX_BYTES} bytes")
    if not name.isprintable() or "\\" in name:
        raise _refuse(name, "holds a control character or a backslash in its name; use plain names with '/' between folders")
    if name.startswith("/") or re.match("[A-Za-z]:", name):
        raise _refuse(name, "has an absolute path; paths start in the run's folder")
    parts = name.removesuffix("/").split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise _refuse(name, "has the part '', '.' or '..' in its path; use plain names there")
    for part in parts:
        if len(part.encode()) > limits.RUN_PART_MAX_BYTES:
            raise _refuse(name, f"has a part of over {limits.RUN_PART_MAX_BYTES} bytes, longer than a file's name can be")
        try:
            veiled_name(part)
        except ValueError as error:
            raise _refuse(name, f"cannot be taken: {error}") from None
    return PurePosixPath(*parts)


def _refuse(name: str, reason: str) -> InvalidItem:
    return InvalidItem("archive", f"entry {name[:200]!a} {reason}; nothing of the archive was taken", ascii(name[:200])[1:-1])


def _check_overlaps(archive: zipfile.ZipFile, infos: Sequence[zipfile.ZipInfo]) -> None:
    """Entries that share bytes are how a bomb of a few kilobytes promises petabytes (D. Fifield, "A better zip bomb")."""
    ends_at = archive.start_dir
    for info in sorted(infos, key=lambda info: info.header_offset, reverse=True):
        end = info.header_offset + _LOCAL_HEADER_BYTES + len(info.orig_filename) + info.compress_size
        if info.header_offset < 0 or end > ends_at:
            raise _refuse(info.orig_filename, "shares its bytes with another one, or lies outside the archive")
        ends_at = info.header_offset


def _common_folder(paths: Sequence[PurePosixPath]) -> PurePosixPath:
    """The folder that all of them lie in, if it is one that somebody packed around a run."""
    first = paths[0].parts if paths else ()
    if len(first) > 1 and first[0] not in _OWN_FOLDERS and all(path.parts[0] == first[0] for path in paths):
        return PurePosixPath(first[0])
    return PurePosixPath()


def _own_path(path: PurePosixPath, folder: PurePosixPath) -> PurePosixPath:
    if not path.is_relative_to(folder) or path == folder:
        raise _refuse(str(path), f"does not lie in the folder {str(folder)!a}, as everything in this archive should")
    own = path.relative_to(folder)
    if len(own.parts) > 1 and own.parts[0] in _OWN_FOLDERS:
        return own
    if len(own.parts) == 1 and (is_event_file(own.name) or own.name == PROJECTOR_CONFIG):
        return own
    raise _refuse(
        str(path),
        f"does not belong to a run: those are event files ('tfevents' in the name), {PROJECTOR_CONFIG} and what lies in the "
        f"folders {' and '.join(_OWN_FOLDERS)}; leave it out, and archive other runs one by one",
    )


def _check_doubles(paths: Sequence[PurePosixPath]) -> None:
    """No two entries for one place, also where a file system takes A for a, or one Unicode form for another."""

    def folded(path: PurePosixPath) -> str:
        return unicodedata.normalize("NFC", unicodedata.normalize("NFC", str(path)).casefold())

    seen: dict[str, PurePosixPath] = {}
    for path in paths:
        other = seen.setdefault(folded(path), path)
        if other is not path:
            raise _refuse(str(path), f"is there twice, also as {str(other)!a}")
    for path in paths:
        for parent in path.parents:
            if folded(parent) in seen:
                raise _refuse(str(path), f"lies in {str(parent)!a}, which is a file")


def _check_sizes(plan: Sequence[_Planned], max_bytes: int) -> None:
    total = sum(one.info.file_size for one in plan)
    if total > max_bytes:
        raise TooLarge(f"the archive unpacks to {total} bytes, at most {max_bytes} are taken (the setting archive_max_bytes)")
    packed = sum(one.info.compress_size for one in plan)
    if total > limits.ARCHIVE_RATIO_FREE_BYTES and total > limits.ARCHIVE_MAX_RATIO * packed:
        message = (
            f"the archive unpacks to {total} bytes, over {limits.ARCHIVE_MAX_RATIO} times its own length: it looks like a bomb"
        )
        raise TooLarge(message + "; if it is none, send it as a zip that stores its files (zip -0)")
    for one in plan:
        if one.path.name == PROJECTOR_CONFIG and one.info.file_size > limits.ARCHIVE_CONFIG_MAX_BYTES:
            raise TooLarge(f"the archive's {PROJECTOR_CONFIG} has over {limits.ARCHIVE_CONFIG_MAX_BYTES} bytes")


def _is_events(path: PurePosixPath) -> bool:
    return len(path.parts) == 1 and is_event_file(path.name)


def _place(staged: Path, path: PurePosixPath) -> Path:
    return staged.joinpath(*(veiled_name(part) for part in path.parts))


def _extract(archive: zipfile.ZipFile, one: _Planned, staged: Path, halt: Halt) -> None:
    place = _place(staged, one.path)
    place.parent.mkdir(parents=True, exist_ok=True)
    size = 0
    with archive.open(one.info) as inside, place.open("xb") as file:
        while piece := inside.read(limits.ARCHIVE_PIECE_BYTES):
            halt.check()
            size += len(piece)
            file.write(piece)
    if size != one.info.file_size:
        raise zipfile.BadZipFile(f"{str(one.path)!a} is shorter than the archive says")
    if one.path == PurePosixPath(PROJECTOR_CONFIG):
        _check_config(place.read_bytes())
    mtime = _mtime(one.info)
    os.utime(place, (mtime, mtime))


def _mtime(info: zipfile.ZipInfo) -> float:
    extra = info.extra
    while len(extra) >= 4:
        number, size = struct.unpack_from("<HH", extra)
        if number == _TIMES_ID and size >= 5 and len(extra) >= 9 and extra[4] & 1:
            return float(struct.unpack_from("<i", extra, 5)[0])
        extra = extra[4 + size :]
    try:
        return time.mktime((*info.date_time, 0, 0, -1))
    except (ValueError, OverflowError):  # a date that no calendar has
        return time.time()


# Strings, comments and words of protobuf's text format; of all else only that it is there.
_TOKEN: Final = re.compile(r"#[^\n]*|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|[A-Za-z_][A-Za-z0-9_]*|\S", re.ASCII)


def _check_config(raw: bytes) -> None:
    """Refuse a table of embeddings that names files elsewhere: TensorBoard would read them out to whoever asks."""
    tokens = [token for token in _TOKEN.findall(raw.decode("latin-1")) if not token.startswith("#")]
    for position, token in enumerate(tokens):
        if not token.endswith("_path"):
            continue
        value = []
        for part in tokens[position + 1 + (tokens[position + 1 : position + 2] == [":"]) :]:
            if part[0] not in "\"'":
                break
            value.append(part[1:-1])
        path = "".join(value).encode("latin-1").decode("unicode_escape", errors="replace")
        if not value or path.startswith(("/", "~")) or "\\" in path or ":" in path or ".." in path.split("/"):
            raise _refuse(PROJECTOR_CONFIG, f"names the file {path[:200]!a}, which lies outside of the run's folder")


def _looked_at(path: PurePosixPath, place: Path, halt: Halt) -> ItemWarning | None:
    """A warning if the event file is not whole. Raises `InvalidItem` if it is none at all."""
    reached = records = 0
    with OpenFile(place, halt) as file:
        size = file.size
        for offset, chunk in file.chunks(0, {}):
            reached = offset
            records += chunk.records
    if reached == size:
        return None
    with place.open("rb") as raw:
        raw.seek(reached)
        stopped = read_events(raw.read(limits.ARCHIVE_PIECE_BYTES)).stopped
    if not records and isinstance(stopped, Corrupt):
        raise _refuse(str(path), "is called an event file and is none")
    what = "is damaged" if isinstance(stopped, Corrupt) else "ends in a record that is not complete"
    message = f"it {what} at byte {reached} of {size}, behind {records} records; TensorBoard shows nothing from there on"
    return ItemWarning(ascii(str(path))[1:-1], "damaged" if isinstance(stopped, Corrupt) else "torn", message)
