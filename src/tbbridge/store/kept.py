"""Points that were read lately: who asks for the same tag again, as a live chart does, waits for what was appended since, only.

They are kept by file and by what the catalog knows of it (`FileIndex.serial`), so nothing has to be thought of when runs are
renamed or deleted, or files cut or replaced: that is another file, or another index.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from tbbridge import limits
from tbbridge.errors import InvalidQuery, ItemError
from tbbridge.events.reader import Chunk
from tbbridge.store.eventfiles import FileIndex, hides
from tbbridge.store.series import Series, joined, widened

Key = tuple[Path, str]  # file, tag


@dataclass(frozen=True, slots=True)
class _Kept:
    serial: int
    offset: int  # up to which the file was read
    series: Series


class KeptSeries:
    """Points of scalar tags by file, limits.SERIES_KEPT_POINTS at most; those not asked for longest go first. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._weight = 0

    def get(self, key: Key, serial: int) -> tuple[int, Series] | None:
        """Up to which offset the file was read, and the tag's points up to there; None: it has to be read from its start."""
        with self._lock:
            found = self._kept.get(key)
            if found is None or found.serial != serial:
                return None
            self._kept.move_to_end(key)
            return found.offset, found.series

    def put(self, key: Key, serial: int, offset: int, series: Series) -> None:
        """Keep `series`, whose arrays are no parts of larger ones."""
        with self._lock:
            before = self._kept.pop(key, None)
            if before is not None:
                self._weight -= _weight(before)
            self._kept[key] = kept = _Kept(serial, offset, series)
            self._weight += _weight(kept)
            while self._weight > limits.SERIES_KEPT_POINTS:
                _, forgotten = self._kept.popitem(last=False)
                self._weight -= _weight(forgotten)


def _weight(kept: _Kept) -> int:
    return len(kept.series) + limits.SERIES_KEPT_OVERHEAD_POINTS


class SeriesReading:
    """One look at one tag: gathers its points from kept ones and from what the files hold beyond them."""

    def __init__(self, kept: KeptSeries, tag: str, min_step: int | None, max_step: int | None) -> None:
        self._kept = kept
        self._tag = tag
        self._bounds = min_step, max_step
        self._done: list[Series] = []  # of the files before, within the bounds
        self._count = 0
        self._key: Key | None = None
        self._serial = 0
        self._offset = 0
        self._whole: list[Series] | None = []  # of this file, if few enough to keep
        self._whole_count = 0

    def start(self, path: Path, index: FileIndex) -> int:
        """The next file is read from the offset that this returns."""
        self._finish()
        self._key, self._serial = (path, self._tag), index.serial
        held = self._kept.get(self._key, index.serial)
        self._offset, self._whole = (0, []) if held is None else (held[0], [held[1]])
        self._whole_count = 0 if held is None else len(held[1])
        self._hide(index.hides_from(0), of_this_file=False)  # what is kept of this file has been without it since it was read
        return self._offset

    def take(self, _: FileIndex, chunk: Chunk, offset: int) -> None:
        """A piece of the file, which ends at `offset`. Raises `InvalidQuery` when there are too many points."""
        self._offset = offset
        self._hide(hides(chunk), of_this_file=True)
        found = chunk.scalars.get(self._tag)
        if found is None:
            return
        series = widened(found)
        if self._whole is None:
            self._add(series)
            return
        self._whole.append(series)
        self._whole_count += len(series)
        if self._whole_count + limits.SERIES_KEPT_OVERHEAD_POINTS > limits.SERIES_KEPT_POINTS:
            for part in self._whole:
                self._add(part)
            self._whole = None

    def series(self) -> Series:
        """All of it, when the files are read. Raises `InvalidQuery` when there are too many points."""
        self._finish()
        self._key = None
        return joined(self._done)

    def _hide(self, step: int | None, *, of_this_file: bool) -> None:
        if step is None:
            return
        self._done = [part.below(step) for part in self._done]
        self._count = sum(map(len, self._done))
        if of_this_file and self._whole is not None:
            self._whole = [part.below(step) for part in self._whole]
            self._whole_count = sum(map(len, self._whole))

    def _finish(self) -> None:
        if self._key is None or self._whole is None:
            return
        # Pieces are views of arrays that hold all tags of a file: copied, so that these do not stay for one of them.
        series = joined(self._whole) if len(self._whole) != 1 else self._whole[0].owned()
        self._kept.put(self._key, self._serial, self._offset, series)
        self._add(series)

    def _add(self, series: Series) -> None:
        kept = series.between(*self._bounds)
        self._done.append(kept)
        self._count += len(kept)
        check_count(self._count)


def check_count(count: int) -> None:
    """Raises `InvalidQuery` if `count` points of one tag are too many to be looked through."""
    if count > limits.READ_SCAN_MAX_POINTS:
        message = f"there are over {limits.READ_SCAN_MAX_POINTS} points; ask for fewer steps at a time"
        raise InvalidQuery([ItemError("min_step", "query", message)])
