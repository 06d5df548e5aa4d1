"""The journal: what was acknowledged, on disk, in order, until a checkpoint makes it unnecessary.

It is a row of segments, `<number>.journal`, each a file of TFRecord frames: a SegmentHeader, then entries. Segments are
preallocated, so valid frames are followed by zeros. A segment is never appended to by a second process and never after a
failed write: a new one is begun, whose header says how much of the one before counts; for the last one, acknowledged.py does.
This file moves bytes; what an entry means is codec.py's, which entries still matter is checkpoint.py's.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import mmap
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import DecodeError

from tbbridge import disk, limits
from tbbridge.events.tfrecord import Frame, frame, read_frame
from tbbridge.names import run_name
from tbbridge.pipeline.acknowledged import AcknowledgedMark, read_acknowledged
from tbbridge.pipeline.journal_pb2 import Entry, SegmentHeader

log = logging.getLogger(__name__)

MAGIC = 0x4A424254
_MAGIC_BYTES = b"\x0d" + MAGIC.to_bytes(4, "little")  # Entry.magic as protobuf writes it: the first bytes of each entry
_MAGIC_PATTERN = re.compile(re.escape(_MAGIC_BYTES))
_FRAME_HEADER_BYTES = 12
_NAME = re.compile(r"(\d{8,})\.journal")


class Journal:
    """The segment that is being written."""

    def __init__(self, folder: Path, *, segment_bytes: int) -> None:
        self.folder = folder
        self.number = 0
        self.length = 0  # bytes of this segment that count
        self.failed = False  # a write failed: `begin` a new segment before the next append
        self._segment_bytes = segment_bytes
        self._entries = 0
        self._fd = -1
        self._place: str | None = None
        self._mark: AcknowledgedMark | None = None

    @property
    def is_full(self) -> bool:
        """True if the next group should go to a new segment."""
        return self.length >= self._segment_bytes or self._entries >= limits.SEGMENT_ENTRIES

    def begin(self, number: int, first_index: int, previous_length: int) -> None:
        """Begin segment `number`. If that fails (OSError), nothing has changed and it may be tried again."""
        path = segment_path(self.folder, number)
        header = frame(
            SegmentHeader(
                number=number, first_index=first_index, previous_length=previous_length, boot=boot_id()
            ).SerializeToString()
        )
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            disk.preallocate(fd, self._segment_bytes)
            disk.write_all(fd, header, 0)
            os.fsync(fd)
            disk.sync_path(self.folder)
            mark = AcknowledgedMark(self.folder)  # anew each time: the folder may be another one
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        self.close()
        self._mark = mark
        self._fd, self.number, self.length, self._entries, self.failed = fd, number, len(header), 0, False
        self._place = disk.place_of(fd)

    def begin_next(self, first_index: int) -> None:
        """Begin the segment after this one, which ends where its last good append did."""
        self.begin(self.number + 1, first_index, self.length)

    def append(self, frames: Sequence[bytes]) -> float:
        """Return when `frames` are on the disk, and how many seconds of that its sync took.

        After an OSError none of them counts, whatever the disk holds of them.
        """
        end = self.length
        if disk.place_of(self._fd) != self._place:
            self.failed = True  # a file without a name takes bytes and keeps none
            raise FileNotFoundError(errno.ENOENT, "the journal was deleted or moved while the bridge was running", self._place)
        try:
            for data in disk.in_pieces(frames):
                disk.write_all(self._fd, data, end)
                end += len(data)
            written = time.perf_counter()
            disk.sync_data(self._fd)
            synced = time.perf_counter()
        except OSError:
            self.failed = True  # after a failed sync nobody knows what the disk has: never write to this file again
            with contextlib.suppress(OSError):  # but what was refused should not be found there if we stop before going on
                os.ftruncate(self._fd, self.length)
            raise
        self.length = end
        self._entries += len(frames)
        if self._mark is not None:
            with contextlib.suppress(OSError):  # the group is safe: without the mark, damage to it is harder to tell, no more
                self._mark.note(self.number, self.length)
        return synced - written

    def retire(self, keep_from: int) -> None:
        """Delete the segments before `keep_from`."""
        for number, path in list_segments(self.folder):
            if number < keep_from:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the segment, giving back what was preallocated and not used."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):  # it only gives preallocated space back
                os.ftruncate(self._fd, self.length)
            os.close(self._fd)
            self._fd = -1
        if self._mark is not None:
            self._mark.close()
            self._mark = None


def segment_path(folder: Path, number: int) -> Path:
    """Where segment `number` is."""
    return folder / f"{number:08d}.journal"


def list_segments(folder: Path) -> list[tuple[int, Path]]:
    """The segments in `folder`, oldest first."""
    found = ((_NAME.fullmatch(path.name), path) for path in folder.iterdir())
    return sorted((int(match[1]), path) for match, path in found if match)


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of the journal that were acknowledged and cannot be read any more."""

    path: Path
    offset: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: damaged at byte {self.offset} ({self.reason})"


def boot_id() -> str:
    """Names this start of the machine; empty where the system does not tell. After a power cut it is another one."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


class JournalReader:
    """Reads the segments from `first` on. Iterate once; then `damage`, `last_number` and `last_length` say how it ended.

    While an entry is at hand, `boot` is that of its segment.
    """

    def __init__(self, folder: Path, first: int | None, next_index: int, *, is_owner: bool = True) -> None:
        """Read from segment `first`, whose first entry is `next_index`; None: from the oldest there is, and its first entry.

        `is_owner`: nobody else writes here. A file that is cut while it is mapped ends whoever looks at it with SIGBUS, so
        others read it into memory.
        """
        self._content: Callable[[Path], bytes | mmap.mmap] = _map if is_owner else Path.read_bytes
        self._folder = folder
        self._acknowledged = read_acknowledged(folder)  # first: a bridge that runs may write both while we look
        self._segments = [(number, path) for number, path in list_segments(folder) if first is None or number >= first]
        self._next_index = next_index if first is not None else None
        self._first = first if first is not None else (self._segments[0][0] if self._segments else 1)
        self.damage: Damage | None = None
        self.last_number = self._first - 1
        self.last_length = 0
        self.boot = ""

    @property
    def noted_number(self) -> int:
        """The last segment of which something was acknowledged, as far as is known."""
        return 0 if self._acknowledged is None else self._acknowledged.number

    def __iter__(self) -> Iterator[Entry]:
        """The entries in order, up to the first that is missing or damaged."""
        headers = [(number, path, _read_header(path)) for number, path in self._segments]
        while headers and headers[-1][2] is None and self._is_unused(*headers[-1][:2]):
            headers.pop()  # the process died while it began this segment: nothing was in it yet
        for position, (number, path, header) in enumerate(headers):
            if header is None or number != self._first + position:
                self.damage = Damage(
                    path, 0, "the segment's header is unreadable" if header is None else "the segment before it is missing"
                )
                return
            # It skips numbers behind damage, so that those that were lost are not given again
            self._next_index = max(self._next_index or 0, header.first_index)
            self.boot = header.boot
            follows = position + 1 < len(headers) and headers[position + 1][0] == number + 1
            following = headers[position + 1][2] if follows else None
            yield from self._entries(number, path, None if following is None else following.previous_length)
            if self.damage is not None:
                return
        marked = self._acknowledged
        if marked is not None and marked.number > self.last_number:
            missing = segment_path(self._folder, marked.number)
            self.damage = Damage(missing, 0, f"the segment is missing, and {marked.length} bytes of it were acknowledged")

    def _is_unused(self, number: int, path: Path) -> bool:
        """True if nothing in a segment without a header was acknowledged."""
        marked = self._acknowledged
        return (marked is None or marked.number != number) and _acknowledged_after(self._content(path), 0, 0) is None

    def behind(self, damage: Damage) -> Iterator[Entry]:
        """After the iteration: entries that can be read behind the damage, in order. They are not replayed."""
        for number, path in self._segments:
            if path == damage.path or number > self.last_number:
                yield from _whole_entries(self._content(path), damage.offset if path == damage.path else 0)

    def _entries(self, number: int, path: Path, length: int | None) -> Iterator[Entry]:
        """One segment's entries. `length`: how much of it counts, None for the last segment, which may end torn."""
        data = self._content(path)
        view = memoryview(data)[:length]
        self.last_number = number
        offset = _header_end(view)
        while True:
            self.last_length = offset
            found = read_frame(view, offset)
            entry = _parse(found.payload) if isinstance(found, Frame) else None
            if not isinstance(found, Frame) or entry is None or entry.index != self._next_index:
                break
            yield entry
            self._next_index = entry.index + 1
            offset = found.end
        if length is None:
            self._judge_tail(path, data, offset)
        elif offset != length:
            self.damage = Damage(path, offset, f"{length} bytes were acknowledged, they can be read only up to here")

    def _judge_tail(self, path: Path, data: bytes | mmap.mmap, offset: int) -> None:
        """The last segment ends at its first bad frame: a torn write, unless something behind it shows that more is gone."""
        later = _acknowledged_after(data, offset, self._next_index or 0)
        if later is not None:
            self.damage = Damage(
                path, offset, f"an entry does not match its checksum, yet entry {later} after it was acknowledged"
            )
        marked = self._acknowledged
        if self.damage is None and marked is not None and marked.number == self.last_number and marked.length > offset:
            self.damage = Damage(path, offset, f"{marked.length} bytes were acknowledged, they can be read only up to here")


def _map(path: Path) -> bytes | mmap.mmap:
    """The file's bytes, read as they are looked at: most of a preallocated segment is zeros that nobody needs."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        return mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) if size else b""


def _read_header(path: Path) -> SegmentHeader | None:
    with path.open("rb") as file:
        found = read_frame(file.read(4096), 0)
    if not isinstance(found, Frame):
        return None
    try:
        return SegmentHeader.FromString(bytes(found.payload))
    except DecodeError:
        return None


def _header_end(data: memoryview) -> int:
    found = read_frame(data, 0)
    return found.end if isinstance(found, Frame) else len(data)


def _parse(payload: memoryview) -> Entry | None:
    try:
        entry = Entry.FromString(bytes(payload))
    except DecodeError:
        return None
    return entry if entry.magic == MAGIC and _is_usable(entry) else None


def _is_usable(entry: Entry) -> bool:
    """False for what no version of ours wrote, though its checksum is right: none of its names may lead out of the folder."""
    if entry.writer.isascii() and not (entry.opened or entry.logs or entry.dropped_logs or entry.HasField("change")):
        return True  # as nearly all are
    runs = [opened.run for opened in entry.opened]
    files = [opened.name for opened in entry.opened]
    runs += [place.run for place in entry.logs]
    runs += [file.run for file in entry.dropped_logs]
    texts = [entry.writer]
    match entry.change.WhichOneof("what"):
        case "removed":
            runs += entry.change.removed.runs
        case "rewritten":
            runs.append(entry.change.rewritten.run)
            texts.append(entry.change.rewritten.tag)
            files += [entry.change.rewritten.staged, entry.change.rewritten.file]
        case "renamed":
            runs += [entry.change.renamed.run, entry.change.renamed.to]
        case "installed":
            runs.append(entry.change.installed.run)
            files.append(entry.change.installed.staged)
    try:
        for run in runs:
            run_name(run.decode())
        for text in texts:
            text.decode()
    except ValueError:  # InvalidItem is one, too
        return False
    return not any(file in ("", ".", "..") or "/" in file or "\0" in file for file in files)


def _acknowledged_after(data: bytes | mmap.mmap, offset: int, index: int) -> int | None:
    """Index of an entry behind `offset` that says entry `index` was on disk before it: then more than a torn tail is gone.

    The last group may reach the disk in any order of its sectors, so whole entries behind a broken one prove nothing
    by themselves; what each says of its predecessors does.
    """
    return next((entry.index for entry in _whole_entries(data, offset) if entry.durable_below > index), None)


def _whole_entries(data: bytes | mmap.mmap, offset: int) -> Iterator[Entry]:
    """Entries behind `offset`, wherever they stand, found by the bytes that each begins with.

    Not by `mmap.find`, which before Python 3.11.5 looks at the byte behind the last one (CPython issue 105235): where a segment
    ends with a page of memory, that is the end of the process.
    """
    for match in _MAGIC_PATTERN.finditer(data, offset + _FRAME_HEADER_BYTES):
        found = read_frame(data, match.start() - _FRAME_HEADER_BYTES)
        entry = _parse(found.payload) if isinstance(found, Frame) else None
        if entry is not None:
            yield entry
