"""Overviews of scalar tags: few enough points of each to draw all of it, made while a file is read for whatever reason.

Somebody who looks at a hundred runs wants thousands of points of millions. A file holds all tags of its run, so reading it for
one of them costs as much as for all: this is done once, and each tag's overview is then at hand, and grows with the file. As in
kept.py they are kept by file and by what the catalog knows of it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tbbridge import limits
from tbbridge.events.reader import Series as StoredSeries
from tbbridge.model import Float32s, Float64s, Int64s
from tbbridge.store.series import Series, extremes, firsts


class Overview:
    """One tag of one file: of each stretch of equally many points the first, the lowest, the highest, and a NaN if any;
    besides, the last of all.

    While there are few points these are all of them. A stretch has 1, 2, 4, ... points, so that there are never more than
    limits.OVERVIEW_STRETCHES, and at least half as many once that number was reached.
    """

    __slots__ = ("_at", "_new", "_new_count", "_seen", "_steps", "_values", "_wall_times", "_width", "count")

    def __init__(self) -> None:
        self.count = 0  # points that it stands for
        self._seen = 0  # with those that are hidden by now
        self._width = 1
        self._at = np.empty(0, np.int64)  # which points of the file's are kept
        self._steps: Int64s = np.empty(0, np.int64)
        self._values: Float32s = np.empty(0, np.float32)
        self._wall_times: Float64s = np.empty(0, np.float64)
        self._new: list[StoredSeries] = []  # not thinned out yet
        self._new_count = 0

    def __len__(self) -> int:
        return len(self._at) + self._new_count

    @property
    def is_all(self) -> bool:
        """Whether it has every point."""
        return len(self) == self.count

    def add(self, points: StoredSeries) -> None:
        """Points that come behind the others. Their arrays may be parts of larger ones."""
        self._new.append(points)
        self.count += len(points.steps)
        self._seen += len(points.steps)
        self._new_count += len(points.steps)
        if self._new_count >= limits.OVERVIEW_STRETCHES:
            self._fold()
        else:
            self._new[-1] = StoredSeries(points.steps.copy(), points.values.copy(), points.wall_times.copy())

    def hide(self, step: int) -> None:
        """Nothing from `step` on is shown any more. How many points are left is an estimate, unless it has every point."""
        if self._new:
            self._fold()
        kept = self._steps < step
        left = int(np.count_nonzero(kept))
        self.count = round(self.count * left / max(1, len(self._at)))
        self._at, self._steps = self._at[kept], self._steps[kept]
        self._values, self._wall_times = self._values[kept], self._wall_times[kept]

    def series(self) -> Series:
        """The points that are kept."""
        if self._new:
            self._fold()
        sampled = None if self._width == 1 else self._at % self._width == 0
        return Series(self._steps, self._values.astype(np.float64), self._wall_times, sampled)

    def _fold(self) -> None:
        new = self._new
        self._at = np.concatenate([self._at, np.arange(self._seen - self._new_count, self._seen)])
        self._steps = np.concatenate([self._steps, *(points.steps for points in new)])
        self._values = np.concatenate([self._values, *(points.values for points in new)])
        self._wall_times = np.concatenate([self._wall_times, *(points.wall_times for points in new)])
        self._new, self._new_count = [], 0
        if len(self._at) <= 2 * limits.OVERVIEW_STRETCHES and self._width == 1:
            return
        while self._seen > self._width * limits.OVERVIEW_STRETCHES:
            self._width *= 2
        starts = np.flatnonzero(np.diff(self._at // self._width, prepend=-1))
        nans = firsts(np.flatnonzero(np.isnan(self._values)), starts)
        # A stretch's first point is that of one twice as long, too, or goes: what stays was taken by its place alone.
        even = np.flatnonzero(self._at % self._width == 0)
        chosen = np.unique(np.concatenate(([0, len(self._at) - 1], even, nans, extremes(self._values, starts))))
        self._at, self._steps = self._at[chosen], self._steps[chosen]
        self._values, self._wall_times = self._values[chosen], self._wall_times[chosen]


class FileRead(NamedTuple):
    """One of a run's files, as far as it was read. `serial`: of its index. `hides`: from this step on, all in earlier files."""

    path: Path
    serial: int
    offset: int
    hides: int | None = None


@dataclass(slots=True)
class _File:
    serial: int
    offset: int = 0  # up to which the file was read
    tags: dict[str, Overview] = field(default_factory=dict)
    weight: int = limits.SERIES_KEPT_OVERHEAD_POINTS


class Overviews:
    """By file, limits.OVERVIEWS_KEPT_POINTS in all; those of files not looked at for longest go first. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: OrderedDict[Path, _File] = OrderedDict()
        self._weight = 0

    def take(
        self, path: Path, serial: int, start: int, end: int, scalars: Mapping[str, StoredSeries], hides: int | None = None
    ) -> None:
        """A piece of a file, from offset `start` to `end`; one that does not go on where the last ended is left.

        What is before it in the file is hidden from the step `hides` on.
        """
        with self._lock:
            file = self._files.get(path)
            if file is None or file.serial != serial:
                if start != 0:
                    return
                if file is not None:
                    self._weight -= file.weight
                self._files[path] = file = _File(serial)
                self._weight += file.weight
            if file.offset != start:
                return
            file.offset = end
            self._weight -= file.weight
            if hides is not None:
                for known in file.tags.values():
                    before = len(known)
                    known.hide(hides)
                    file.weight += len(known) - before
            for tag, points in scalars.items():
                overview = file.tags.get(tag)
                if overview is None:
                    overview = file.tags[tag] = Overview()
                    file.weight += limits.SERIES_KEPT_OVERHEAD_POINTS
                before = len(overview)
                overview.add(points)
                file.weight += len(overview) - before
            self._weight += file.weight
            while self._weight > limits.OVERVIEWS_KEPT_POINTS:
                _, forgotten = self._files.popitem(last=False)
                self._weight -= forgotten.weight

    def of(self, files: Sequence[FileRead], tag: str) -> tuple[int, list[Series]] | None:
        """How many points a tag has in these files, and its overviews. None: not all of them are kept."""
        with self._lock:
            count, found = 0, list[Series]()
            for path, serial, offset, hides in files:
                file = self._files.get(path)
                if file is None or file.serial != serial or file.offset != offset:
                    return None
                self._files.move_to_end(path)
                if hides is not None:
                    before = sum(map(len, found))
                    found = [series.below(hides) for series in found]
                    count = round(count * sum(map(len, found)) / max(1, before))
                if tag in file.tags:
                    count += file.tags[tag].count
                    found.append(file.tags[tag].series())
            return count, found
