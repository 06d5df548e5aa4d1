"""A run's event files on the disk: copied into one that lacks a tag, and looked through for the last step of each tag.

Both read files of any writer, in windows of bounded size. They decide nothing: changes.py does.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from tbbridge import disk, layout, limits
from tbbridge.errors import Conflict
from tbbridge.events.reader import read_events
from tbbridge.events.rewrite import mesh_of, without_tag
from tbbridge.events.summaries import encode_file_start
from tbbridge.events.tfrecord import Corrupt, End
from tbbridge.model import PROJECTOR_CONFIG, RunName
from tbbridge.pipeline.kind import Kind, kind_of_plugin
from tbbridge.pipeline.ledger import Run


def event_names(folder: Path) -> list[str]:
    """The names of the event files in a run's folder, veiled or not, in the order in which readers take them."""
    names = [path.name for path in layout.own_files(folder) if len(path.parts) == 1]
    return sorted(filter(is_events, names), key=layout.lifted_name)


def is_events(name: str) -> bool:
    """True for the name of an event file, veiled or not."""
    return layout.is_event_file(layout.lifted_name(name))


def run_in(folder: Path, run: RunName) -> Run | None:
    """The run whose files are in `folder`, to be written on in its newest file; None if that file is not whole."""
    names = event_names(folder)
    tags: dict[str, tuple[Kind, int]] = {}
    whole = False
    for name in names:
        whole = _look_through(folder / name, tags)
    newest = layout.lifted_name(names[-1])
    if not whole or len(tags) > limits.TAGS_PER_RUN_MAX:
        return None
    config = folder / PROJECTOR_CONFIG
    length = config.lstat().st_size if config.exists() else 0
    return Run(run, newest, (folder / names[-1]).lstat().st_size, tags, length)


def _look_through(path: Path, tags: dict[str, tuple[Kind, int]]) -> bool:
    """Note each tag's kind and last step; True if the file is whole."""
    offset, window = 0, limits.READ_WINDOW_BYTES
    plugins: dict[str, str] = {}
    with path.open("rb") as file:
        while True:
            file.seek(offset)
            data = file.read(window)
            chunk = read_events(data, 0, plugins)
            plugins = chunk.plugins
            for tag, series in chunk.scalars.items():
                tags[tag] = Kind.SCALAR, int(series.steps[-1])
            for one in chunk.summaries:
                kind = kind_of_plugin(one.plugin)
                tags[mesh_of(one.tag) if kind is Kind.MESH else one.tag] = kind, one.step
            offset += chunk.end
            if len(data) < window or isinstance(chunk.stopped, Corrupt):
                return isinstance(chunk.stopped, End)
            window = limits.READ_WINDOW_BYTES if chunk.end else 4 * window


@dataclass(slots=True)
class Rewrite:
    """The event files of a run being copied into one without a tag. `catch_up` may be called again when they have grown."""

    folder: Path
    tag: str
    staged: Path
    dropped: int = 0
    _file: str = ""
    _offset: int = 0
    _plugins: dict[str, str] = field(default_factory=dict)
    _length: int = 0
    _fd: int = -1

    def begin(self, folder: Path) -> None:
        """Begin anew with the files in `folder`."""
        self.close()
        self.folder, self.dropped, self._length, self._file = folder, 0, 0, ""

    def catch_up(self) -> None:
        """Copy what is there and not copied yet. Raises `Conflict` at damage: nobody may throw away what lies behind it."""
        for name in event_names(self.folder):
            if layout.lifted_name(name) < layout.lifted_name(self._file):
                continue
            if name != self._file:
                self._file, self._offset, self._plugins = name, 0, {}
            self._copy(self.folder / name)

    def _copy(self, path: Path) -> None:
        window = limits.READ_WINDOW_BYTES
        with path.open("rb") as file:
            while True:
                file.seek(self._offset)
                data = file.read(window)
                kept = without_tag(data, self.tag, self._plugins)
                if isinstance(kept.stopped, Corrupt):
                    at = self._offset + kept.end
                    raise Conflict(
                        f"event file {path.name} is damaged at byte {at}; what is behind it would be lost. Import the run "
                        "under another name, which keeps what can be read, or delete the whole run"
                    )
                self.dropped += kept.dropped
                self._write(kept.pieces)
                self._plugins, self._offset = kept.plugins, self._offset + kept.end
                if len(data) < window:
                    return  # the end, or a torn record that may be completed later
                window = limits.READ_WINDOW_BYTES if kept.end else 4 * window  # a record that is larger than the window

    def _write(self, pieces: list[memoryview | bytes]) -> None:
        if self._fd < 0:
            self._fd = os.open(self.staged / "copy", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        for piece in pieces:
            disk.write_all(self._fd, piece, self._length)
            self._length += len(piece)

    def finish(self, name: str, wall_time: float) -> int:
        """Give the copy its name, durably; returns its length."""
        if self._length == 0:  # without a record, no reader would know that there is a run
            self._write([encode_file_start(wall_time, session_start=True)])
        disk.sync_data(self._fd)
        self.close()
        (self.staged / "copy").rename(self.staged / name)
        disk.sync_path(self.staged)
        return self._length

    def close(self) -> None:
        """Close the copy."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
