"""An uploaded archive, unpacked with suspicion: what it promises is looked at before a byte is written, and then what came out.

It fills a staging folder, which the pipeline's door installs as a run (`InstallRun`), or it refuses all of it: an archive that
is nearly right is somebody's mistake or somebody's attack. Called from threads.
"""

from __future__ import annotations

import io
import os
import re
import stat
import struct
import time
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from tbbridge import limits
from tbbridge.errors import InvalidItem, ItemWarning, MalformedBody, TooLarge
from tbbridge.events.reader import read_events
from tbbridge.events.tfrecord import Corrupt
from tbbridge.layout import is_event_file, is_own, veiled_name
from tbbridge.names import EMBEDDINGS_FOLDER, PROJECTOR_CONFIG
from tbbridge.store.archive import TIMES_ID, check_room, folded, path_flaw, refused
from tbbridge.store.eventfiles import Halt, OpenFile

# Folders in a run's own, which nobody packed around it.
_INNER_FOLDERS: Final = (EMBEDDINGS_FOLDER, "plugins")
# In front of each entry's name in a zip.
_LOCAL_HEADER_BYTES: Final = 30


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
    NotImplementedError,  # zipfile's own answer to a compression, encryption or version it does not know
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
        raise refused(error) from error
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
    files = [(info, path) for info, path in named if not _is_folder(info)]
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
    if kind not in (0, stat.S_IFDIR if _is_folder(info) else stat.S_IFREG):
        raise _refuse(name, "is a link or a special file; only plain files are taken")
    flaw = path_flaw(name)
    if flaw is not None:
        raise _refuse(name, flaw)
    return PurePosixPath(name)


def _is_folder(info: zipfile.ZipInfo) -> bool:
    return info.orig_filename.endswith("/")  # its own is_dir() takes no entry without a name


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
    if len(first) > 1 and first[0] not in _INNER_FOLDERS and all(path.parts[0] == first[0] for path in paths):
        return PurePosixPath(first[0])
    return PurePosixPath()


def _own_path(path: PurePosixPath, folder: PurePosixPath) -> PurePosixPath:
    if not path.is_relative_to(folder) or path == folder:
        raise _refuse(str(path), f"does not lie in the folder {str(folder)!a}, as everything in this archive should")
    own = path.relative_to(folder)
    if is_own(own):
        return own
    raise _refuse(
        str(path),
        f"does not belong to a run: those are event files ('tfevents' in the name), {PROJECTOR_CONFIG} and what lies in "
        f"{EMBEDDINGS_FOLDER} and in the folders of TensorBoard's plugins; leave it out, and archive other runs one by one",
    )


def _check_doubles(paths: Sequence[PurePosixPath]) -> None:
    """No two entries for one place, also where a file system takes A for a, or one Unicode form for another."""
    seen: dict[str, PurePosixPath] = {}
    for path in paths:
        other = seen.setdefault(folded(str(path)), path)
        if other is not path:
            raise _refuse(str(path), f"is there twice, also as {str(other)!a}")
    for path in paths:
        for parent in path.parents:
            if folded(str(parent)) in seen:
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
        if number == TIMES_ID and size >= 5 and len(extra) >= 9 and extra[4] & 1:
            return float(struct.unpack_from("<i", extra, 5)[0])
        extra = extra[4 + size :]
    try:
        return time.mktime((*info.date_time, 0, 0, -1))
    except (ValueError, OverflowError):  # a date that no calendar has
        return time.time()


# Strings, comments and words of protobuf's text format; of all else only that it is there.
_TOKEN: Final = re.compile(r"#[^\n]*|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|[A-Za-z_][A-Za-z0-9_]*|\S", re.ASCII)
# The escapes that all readers of the format know, and understand in the same way.
_ESCAPE: Final = re.compile(r"\\(?:([0-3][0-7]{2}|[0-7]{1,2}(?![0-7]))|x([0-9A-Fa-f]{2})|([\"'ntr]))", re.ASCII)
_SINGLE: Final = {"n": "\n", "t": "\t", "r": "\r"}


def _check_config(raw: bytes) -> None:
    """Refuse a table of embeddings that names files elsewhere: TensorBoard would read them out to whoever asks.

    Read as protobuf reads it, in which each of the strings behind one another is unescaped by itself; and refused where its
    readers may differ: Python's open() takes a lone carriage return for the end of a line, and so of a comment.
    """
    text = raw.decode("latin-1").replace("\r\n", "\n")
    if "\r" in text:
        raise _refuse(PROJECTOR_CONFIG, "has a carriage return that ends no line; end lines with a line feed")
    tokens = [token for token in _TOKEN.findall(text) if not token.startswith("#")]
    for position, token in enumerate(tokens):
        if not token.endswith("_path"):
            continue
        value = []
        for part in tokens[position + 1 + (tokens[position + 1 : position + 2] == [":"]) :]:
            if part[0] not in "\"'" or len(part) == 1:
                break
            value.append(_unescaped(part[1:-1]))
        path = "".join(value)
        if not value or path.startswith(("/", "~")) or "\\" in path or ":" in path or ".." in path.split("/"):
            raise _refuse(PROJECTOR_CONFIG, f"names the file {path[:200]!a}, which lies outside of the run's folder")


def _unescaped(quoted: str) -> str:
    def one(match: re.Match[str]) -> str:
        octal, hexadecimal, single = match.groups()
        if single:
            return _SINGLE.get(single, single)
        return chr(int(octal, 8) if octal else int(hexadecimal, 16))

    return _ESCAPE.sub(one, quoted)  # what it does not know keeps its backslash, which no path may have


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
