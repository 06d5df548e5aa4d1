"""One event file, opened for reading: walked in windows of bounded size, from where the last look ended.

Decoding is `events.reader`'s. Files are read, not mapped: one that is truncated under a mapping would end the process.
"""

from __future__ import annotations

import itertools
import os
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeAlias

from google.protobuf.message import DecodeError

from tbbridge import limits
from tbbridge.errors import Stopping
from tbbridge.events import event_pb2 as pb
from tbbridge.events.reader import SCALARS, Chunk, StoredSummary, read_events
from tbbridge.events.tfrecord import OVERHEAD_BYTES, Torn
from tbbridge.foreign import plugins_pb2
from tbbridge.model import INT64_MAX, INT64_MIN
from tbbridge.store.values import MeshPart

TagKey: TypeAlias = tuple[str, str]  # kind, tag

SCALAR: Final = "scalar"
MESH: Final = "mesh"
TENSOR: Final = "tensor"
OTHER: Final = "other"
# Our word for what TensorBoard's plugins show; a plugin without one keeps its own name.
_KINDS: Final = {
    "text": "text",
    "histograms": "histogram",
    "images": "image",
    "audio": "audio",
    "pr_curves": "pr_curve",
    "mesh": MESH,
    "graphs": "graph",
    "graph_tagged_run_metadata": "run_metadata",
    "hparams": "hparams",
    "custom_scalars": "custom_scalars",
}
_LENGTH: Final = struct.Struct("<Q")


# By which a file that grew is told from another one under its number.
_ENDING_BYTES: Final = 24


class Halt:
    """Tells the threads that read to end soon, since the bridge stops: a large folder takes longer than a stop may."""

    def __init__(self) -> None:
        self._called = threading.Event()

    def call(self) -> None:
        """From now on `check` raises."""
        self._called.set()

    def check(self) -> None:
        """Called now and then while reading, between pieces of a fraction of a second. Raises `Stopping`."""
        if self._called.is_set():
            raise Stopping("the bridge is shutting down; ask again when it is back")


class OpenFile:
    """An event file while it is read. `identity` is None if it is gone, or has become something else than a file."""

    def __init__(self, path: Path, halt: Halt) -> None:
        self._halt = halt
        self.identity: tuple[int, int] | None = None
        self.size = 0
        self.modified_ns = 0
        self._fd = -1
        try:
            self._fd = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
        except OSError:  # gone, turned into a link, or not ours to read: for a reader all the same as not there
            return
        said = os.fstat(self._fd)
        self.identity = (said.st_dev, said.st_ino)
        self.size = said.st_size
        self.modified_ns = said.st_mtime_ns

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    def chunks(self, offset: int, plugins: Mapping[str, str], end: int | None = None) -> Iterator[tuple[int, Chunk]]:
        """What the file holds from `offset` on, in pieces, each with the offset reached; ends at the first damage, or at `end`.

        In a piece, restarts stand before all values: whatever they hide is in pieces before. Raises `Stopping` when the halt is
        called.
        """
        window = limits.READ_WINDOW_BYTES
        limit = self.size if end is None else min(end, self.size)
        while offset < limit:
            self._halt.check()
            piece = self._read(offset, min(window, limit - offset))
            chunk = read_events(piece, 0, plugins)
            if chunk.end:
                for reached, part in _cut_at_restarts(piece, chunk, plugins, is_start=offset == 0):
                    yield offset + reached, part
                offset += chunk.end
                plugins = chunk.plugins
                window = limits.READ_WINDOW_BYTES
                continue
            window = self._needed(piece, chunk, offset)
            if not window:
                return

    def content(self) -> bytes:
        """All of it."""
        return self._read(0, self.size)

    def ending_at(self, offset: int) -> bytes:
        """The last bytes in front of `offset`: the checksum of the record that ends there, and some of its payload."""
        start = max(0, offset - _ENDING_BYTES)
        return self._read(start, offset - start)

    def _needed(self, piece: bytes, chunk: Chunk, offset: int) -> int:
        """Bytes that the record at `offset` needs if it is whole in the file and only the window was too small; else 0."""
        if not isinstance(chunk.stopped, Torn) or len(piece) < _LENGTH.size:
            return 0
        needed = int(_LENGTH.unpack_from(piece)[0]) + OVERHEAD_BYTES
        return needed if len(piece) < needed <= min(self.size - offset, limits.READ_RECORD_MAX_BYTES) else 0

    def _read(self, offset: int, size: int) -> bytes:
        os.lseek(self._fd, offset, os.SEEK_SET)
        pieces = []
        while size > 0 and (piece := os.read(self._fd, min(size, 1 << 30))):
            pieces.append(piece)
            size -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _cut_at_restarts(piece: bytes, chunk: Chunk, plugins: Mapping[str, str], *, is_start: bool) -> Iterator[tuple[int, Chunk]]:
    """`chunk`, or in its place parts of it that each begin with the restarts in them, and where they end."""
    restarts = chunk.restarts
    before = 0
    if restarts and is_start:
        # The first record says what kind of file it is. Behind it most files have a START at step 0: that is no restart.
        before = int(_LENGTH.unpack_from(piece)[0]) + OVERHEAD_BYTES
        if restarts[0].start == before and restarts[0].step == 0:
            before, restarts = restarts[0].end, restarts[1:]
    cuts = []
    for restart in restarts:
        if restart.start not in (0, before):
            cuts.append(restart.start)
        before = restart.end
    view = memoryview(piece)
    for start, end in itertools.pairwise([0, *cuts, chunk.end]):
        part = read_events(view[start:end], 0, plugins) if cuts else chunk
        plugins = part.plugins
        yield end, replace(part, restarts=[one for one in restarts if start <= one.start < end])


def hides(chunk: Chunk) -> int | None:
    """The step from which on all is hidden that stands before a piece of a file; None: nothing is.

    As in TensorBoard, a training that goes on from a step (a START) makes void what its run holds from there on.
    """
    return min((one.step for one in chunk.restarts), default=None)


@dataclass(slots=True)
class TagTotals:
    """What is known of one tag without its points; first and last in the order of writing."""

    count: int
    first_step: int
    last_step: int
    first_wall_time: float
    last_wall_time: float

    def copied(self) -> TagTotals:
        """The same, apart from this one."""
        return replace(self)

    def joined(self, later: TagTotals) -> TagTotals:
        """This and what a later file holds of the same tag."""
        return TagTotals(
            self.count + later.count,
            self.first_step,
            later.last_step,
            self.first_wall_time,
            later.last_wall_time,
        )


# Sees a piece of a file, and the offset at which it ends.
Collect: TypeAlias = Callable[["FileIndex", Chunk, int], None]


@dataclass(slots=True)
class Zone:
    """A piece of a file, of about limits.READ_WINDOW_BYTES, and the lowest and the highest step of the scalars in it."""

    start: int
    end: int
    low: int
    high: int


@dataclass(slots=True)
class FileIndex:
    """What was found in one file so far. `tags` are by kind and name; a mesh stands once, under its own name."""

    identity: tuple[int, int]
    offset: int = 0
    size: int = 0
    modified_ns: int = 0
    ending: bytes = b""  # what stands in front of `offset`
    plugins: dict[str, str] = field(default_factory=dict)
    inherited: Mapping[str, str] = field(default_factory=dict)  # the plugins that were known before its first byte
    tags: dict[TagKey, TagTotals] = field(default_factory=dict)
    mesh_parts: dict[str, MeshPart] = field(default_factory=dict)
    zones: list[Zone] = field(default_factory=list)
    # Where restarts stand and from which step on they hide what is before them, without those that later ones outdo: so steps
    # ascend. Replaced, never changed, so that whoever reads pieces of the file may look at it meanwhile.
    restarts: tuple[tuple[int, int], ...] = ()
    serial: int = field(default_factory=itertools.count(1).__next__)  # no other index has it

    def continues(self, file: OpenFile) -> bool:
        """False if the file is another one of the same name, or was cut.

        Systems give the number of a file that is gone to the next one, so the number alone tells nothing.
        """
        return self.identity == file.identity and file.size >= self.offset and file.ending_at(self.offset) == self.ending

    def is_of(self, path: Path) -> bool:
        """True if the file is as it was when it was read last."""
        try:
            said = os.stat(path, follow_symlinks=False)
        except OSError:
            return False
        known = self.identity, self.size, self.modified_ns
        return known == ((said.st_dev, said.st_ino), said.st_size, said.st_mtime_ns)

    def catch_up(self, file: OpenFile, collect: Collect | None = None) -> None:
        """Read what was appended since; `collect` sees it too, piece by piece."""
        self.size, self.modified_ns = file.size, file.modified_ns
        for offset, chunk in file.chunks(self.offset, self.plugins):
            self._enter_zone(offset, chunk)
            self._enter_restarts(offset, chunk)
            self.offset, self.plugins, self.ending = offset, chunk.plugins, file.ending_at(offset)
            for tag, found in chunk.scalars.items():
                self._add(
                    (SCALAR, tag),
                    TagTotals(
                        len(found.steps),
                        int(found.steps[0]),
                        int(found.steps[-1]),
                        float(found.wall_times[0]),
                        float(found.wall_times[-1]),
                    ),
                )
            for one in chunk.summaries:
                kind, tag, count = kind_of(one.plugin), one.tag, 1
                if kind == MESH:
                    part = self._mesh_part(one)
                    tag, count = part.mesh, int(part.content == plugins_pb2.MeshPluginData.VERTEX)
                self._add((kind, tag), TagTotals(count, one.step, one.step, one.wall_time, one.wall_time))
            if collect is not None:
                collect(self, chunk, offset)

    def _enter_zone(self, end: int, chunk: Chunk) -> None:
        last = self.zones[-1] if self.zones else None
        if last is None or last.end - last.start >= limits.READ_WINDOW_BYTES:
            last = Zone(self.offset, end, INT64_MAX, INT64_MIN)
            self.zones.append(last)
        last.end = end
        for found in chunk.scalars.values():
            last.low = min(last.low, int(found.steps.min()))
            last.high = max(last.high, int(found.steps.max()))

    def _enter_restarts(self, end: int, chunk: Chunk) -> None:
        step = hides(chunk)
        if step is not None:
            kept = itertools.takewhile(lambda known: known[1] < step, self.restarts)
            self.restarts = (*kept, (end - chunk.end, step))

    def hides_from(self, offset: int) -> int | None:
        """The step from which on all is hidden that stands before `offset`, by what follows there; None: nothing is."""
        return next((step for place, step in self.restarts if place >= offset), None)

    def spans(self, min_step: int, max_step: int) -> list[tuple[int, int]]:
        """Where in the file scalars of these steps may be, as offsets from and to; between them there are none."""
        spans: list[tuple[int, int]] = []
        for zone in self.zones:
            if zone.low > max_step or zone.high < min_step:
                continue
            if spans and spans[-1][1] == zone.start:
                spans[-1] = spans[-1][0], zone.end
            else:
                spans.append((zone.start, zone.end))
        return spans

    def inherit(self, earlier: FileIndex) -> None:
        """Take over what an earlier file of the run said of its tags: TensorBoard asks for that only once a run."""
        self.plugins = self.inherited = dict(earlier.plugins)
        self.mesh_parts = dict(earlier.mesh_parts)

    def _add(self, key: TagKey, found: TagTotals) -> None:
        known = self.tags.get(key)
        self.tags[key] = found if known is None else known.joined(found)

    def _mesh_part(self, one: StoredSummary) -> MeshPart:
        part = self.mesh_parts.get(one.tag)
        if part is None:
            part = self.mesh_parts[one.tag] = _mesh_part_of(one)
        return part


def kind_of(plugin: str) -> str:
    """Our word for the values of a plugin that are no plain scalars."""
    if plugin == SCALARS:
        return TENSOR  # of that plugin's, but not as both of TensorBoard's readers show it: a double, a list
    return _KINDS.get(plugin, plugin or OTHER)


def _mesh_part_of(one: StoredSummary) -> MeshPart:
    value = pb.Summary.Value.FromString(one.value)
    alone = MeshPart(one.tag, plugins_pb2.MeshPluginData.VERTEX, "")
    try:
        said = plugins_pb2.MeshPluginData.FromString(value.metadata.plugin_data.content)
    except DecodeError:
        return alone
    return MeshPart(said.name or one.tag, said.content_type, said.json_config) if said.content_type else alone
