"""One event file, opened for reading: walked in windows of bounded size, from where the last look ended.

Decoding is `events.reader`'s. Files are read, not mapped: one that is truncated under a mapping would end the process.
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np

from tbbridge import limits
from tbbridge.errors import Stopping
from tbbridge.events.reader import Chunk, read_events
from tbbridge.events.tfrecord import OVERHEAD_BYTES, Torn
from tbbridge.store.series import Series

SCALAR: Final = "scalar"
# Our word for what TensorBoard's plugins show; a plugin without one keeps its own name.
_KINDS: Final = {
    "scalars": SCALAR,
    "text": "text",
    "histograms": "histogram",
    "images": "image",
    "audio": "audio",
    "pr_curves": "pr_curve",
    "mesh": "mesh",
    "graphs": "graph",
    "graph_tagged_run_metadata": "run_metadata",
    "hparams": "hparams",
    "custom_scalars": "custom_scalars",
}
_LENGTH: Final = struct.Struct("<Q")


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
        self._fd = -1
        try:
            self._fd = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
        except OSError:  # gone, turned into a link, or not ours to read: for a reader all the same as not there
            return
        said = os.fstat(self._fd)
        self.identity = (said.st_dev, said.st_ino)
        self.size = said.st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    def chunks(self, offset: int, plugins: Mapping[str, str]) -> Iterator[tuple[int, Chunk]]:
        """What the file holds from `offset` on, in pieces, each with the offset reached; ends at the first damage.

        Raises `Stopping` when the halt is called.
        """
        window = limits.READ_WINDOW_BYTES
        while offset < self.size:
            self._halt.check()
            piece = self._read(offset, window)
            chunk = read_events(piece, 0, plugins)
            plugins = chunk.plugins
            if chunk.end:
                offset += chunk.end
                window = limits.READ_WINDOW_BYTES
                yield offset, chunk
                continue
            window = self._needed(piece, chunk, offset)
            if not window:
                return

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


@dataclass(slots=True)
class TagTotals:
    """What is known of one tag without its points; first and last in the order of writing."""

    kind: str
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
            self.kind,
            self.count + later.count,
            self.first_step,
            later.last_step,
            self.first_wall_time,
            later.last_wall_time,
        )


@dataclass(slots=True)
class FileIndex:
    """What was found in one file so far."""

    identity: tuple[int, int]
    offset: int = 0
    size: int = 0
    plugins: dict[str, str] = field(default_factory=dict)
    tags: dict[str, TagTotals] = field(default_factory=dict)

    def continues(self, file: OpenFile) -> bool:
        """False if `file` is another one of the same name, or was cut."""
        return self.identity == file.identity and file.size >= self.offset

    def catch_up(self, file: OpenFile) -> None:
        """Read what was appended since."""
        self.size = file.size
        for offset, chunk in file.chunks(self.offset, self.plugins):
            self.offset, self.plugins = offset, chunk.plugins
            for tag, found in chunk.scalars.items():
                self._add(
                    tag,
                    TagTotals(
                        SCALAR,
                        len(found.steps),
                        int(found.steps[0]),
                        int(found.steps[-1]),
                        float(found.wall_times[0]),
                        float(found.wall_times[-1]),
                    ),
                )
            for one in chunk.summaries:
                kind = _KINDS.get(one.plugin, one.plugin or "other")
                self._add(one.tag, TagTotals(kind, 1, one.step, one.step, one.wall_time, one.wall_time))

    def _add(self, tag: str, found: TagTotals) -> None:
        known = self.tags.get(tag)
        self.tags[tag] = found if known is None else known.joined(found)


def read_scalars(path: Path, tag: str, halt: Halt) -> Iterator[Series]:
    """The points of one scalar tag in a file, a piece at a time. Raises `Stopping` when the halt is called."""
    with OpenFile(path, halt) as file:
        for _, chunk in file.chunks(0, {}):
            found = chunk.scalars.get(tag)
            if found is not None:
                yield Series(found.steps, found.values.astype(np.float64), found.wall_times)
