"""Runs as they are on disk, whoever wrote them: what there is, and what a tag holds. Read only; called from threads.

Where a run's files are is folders.py's, how a file is walked eventfiles.py's, what one value holds values.py's. What was found
in a file is remembered with the offset reached, so the next look reads only what was appended since; a file that is read for
its points is indexed in the same pass.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from tbbridge import limits
from tbbridge.errors import InvalidQuery, ItemError, NotFound
from tbbridge.events.reader import Chunk, StoredSummary
from tbbridge.layout import lifted_name
from tbbridge.model import INT64_MAX, INT64_MIN
from tbbridge.store import values
from tbbridge.store.eventfiles import MESH, SCALAR, Collect, FileIndex, Halt, OpenFile, TagKey, TagTotals, hides, kind_of
from tbbridge.store.folders import ROOT_RUN, Folders, RunFolder
from tbbridge.store.kept import KeptSeries, SeriesReading, check_count
from tbbridge.store.looked import EMBEDDING, Looked, RunInfo, TagInfo
from tbbridge.store.overviews import FileRead, Overviews
from tbbridge.store.projector import StoredEmbedding, read_embeddings
from tbbridge.store.series import Series, joined, widened
from tbbridge.store.values import StoredHistogram, StoredValue

__all__ = ["EMBEDDING", "ROOT_RUN", "Catalog", "RunInfo", "TagInfo"]

T = TypeVar("T")

# What a run was made with stays, whatever a training that goes on makes void: TensorBoard reads it from beside the steps.
_LASTING: Final = frozenset({"hparams", "graph", "run_metadata"})


def _from_start(_: Path, __: FileIndex) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class _Collector:
    """Who wants to see what files hold; `start` says from which offset on, file by file."""

    take: Collect
    start: Callable[[Path, FileIndex], int] = _from_start


class _Moved(Exception):
    """A file was not there any more when it was opened; caught in this file."""


class Catalog:
    """The log folder's runs. Thread-safe. Every method raises `Stopping` soon after `stop`, wherever it is then."""

    def __init__(self, logdir: Path) -> None:
        self._halt = Halt()
        self._folders = Folders(logdir, self._halt)
        self._lock = threading.Lock()
        self._indexes: OrderedDict[Path, FileIndex] = OrderedDict()  # least recently used first
        self._weight = 0  # tags in all of them, and one for each file
        self._kept = KeptSeries()
        self._overviews = Overviews()
        self._read_in_pieces: OrderedDict[tuple[Path, str], int] = OrderedDict()  # bytes, by a run's first file and a tag

    def stop(self) -> None:
        """For good: whoever reads in a thread ends within a piece of a file, a fraction of a second."""
        self._halt.call()

    # --- what there is --------------------------------------------------------------------------------------------------

    def runs(self) -> list[RunInfo]:
        """All runs by name."""
        return [looked.run_info() for looked in self._look_at(self._folders.all())]

    def tags(self) -> list[tuple[str, list[TagInfo]]]:
        """All runs by name, each with its tags in order of appearance."""
        return [(looked.folder.run, looked.tag_infos()) for looked in self._look_at(self._folders.all())]

    def look_ahead(self, max_bytes: int) -> None:
        """Get to know runs, until files of so many bytes were read: who asks for them then waits for nothing."""
        for looked in self._look_at(self._folders.all()):
            max_bytes -= looked.size_bytes
            if max_bytes <= 0:
                return

    def names(self) -> list[str]:
        """The names of all runs, sorted; no file is looked into."""
        return [folder.run for folder in self._folders.all()]

    def info(self, name: str) -> RunInfo | None:
        """One run; None if it is not there (any more)."""
        try:
            return self._find(name).run_info()
        except NotFound:
            return None

    def run(self, name: str) -> tuple[RunInfo, list[TagInfo]]:
        """One run and its tags in order of appearance. Raises `NotFound`, or `InvalidQuery` for a name that cannot be."""
        looked = self._find(name)
        return looked.run_info(), looked.tag_infos()

    def empty_runs(self) -> list[str]:
        """Names of folders below the log folder that hold no values, sorted: event files without any, or no file at all."""
        runs, vacant = self._folders.vacant()
        known = [looked for looked in self._look_at(runs) if looked.folder.run != ROOT_RUN]
        without = [looked.folder.run for looked in known if not looked.run_info().points]
        return sorted({*without, *vacant})

    # --- what a tag holds -----------------------------------------------------------------------------------------------

    def series(self, name: str, tag: str, min_step: int | None = None, max_step: int | None = None) -> Series:
        """The points of a scalar tag with min_step <= step <= max_step, over all event files in name order.

        Raises `NotFound` for an unknown run or tag, `InvalidQuery` for a name that cannot be and for more than
        limits.READ_SCAN_MAX_POINTS points.
        """
        if min_step is not None or max_step is not None:
            low, high = (INT64_MIN if min_step is None else min_step), (INT64_MAX if max_step is None else max_step)
            found = self._from_zones(name, tag, low, high)
            if found is not None:
                return found
        reading: SeriesReading | None = None

        def begin() -> _Collector:
            nonlocal reading
            reading = SeriesReading(self._kept, tag, min_step, max_step)
            return _Collector(reading.take, reading.start)

        self._find(name, begin).require(SCALAR, tag)
        return joined([]) if reading is None else reading.series()

    def _from_zones(self, name: str, tag: str, low: int, high: int) -> Series | None:
        """The points of a range of steps, from where in the files they are; None: read them whole.

        That is done for points that are kept already, and once as much was read in pieces as all of it would have cost; then
        they are kept for the next one.
        """
        looked = self._find(name)
        looked.require(SCALAR, tag)
        pieces: list[tuple[Path, FileIndex, list[tuple[int, int]]]] = []
        with self._lock:
            for path, serial, *_ in looked.files:
                index = self._indexes.get(path)
                if index is None or index.serial != serial:
                    return None
                pieces.append((path, index, index.spans(low, high)))
            if not self._is_worth_pieces(tag, pieces):
                return None
        parts: list[Series] = []
        for path, index, spans in pieces:
            parts = _hidden(parts, index.hides_from(0))
            with OpenFile(path, self._halt) as file:
                if file.identity != index.identity:
                    return None  # moved a moment ago
                for start, end in spans:
                    for reached, chunk in file.chunks(start, index.plugins if start else index.inherited, end):
                        if tag in chunk.scalars:
                            found = [widened(chunk.scalars[tag]).between(low, high)]
                            parts += _hidden(found, index.hides_from(reached))
                            check_count(sum(map(len, parts)))
        return joined(parts)

    def _is_worth_pieces(self, tag: str, pieces: Sequence[tuple[Path, FileIndex, list[tuple[int, int]]]]) -> bool:
        whole = sum(index.offset for _, index, _ in pieces)
        size = sum(end - start for _, _, spans in pieces for start, end in spans)
        if not pieces or all(self._kept.get((path, tag), index.serial) for path, index, _ in pieces):
            return False
        key = pieces[0][0], tag
        read = self._read_in_pieces.pop(key, 0) + size
        if read > whole:
            return False
        self._read_in_pieces[key] = read
        if len(self._read_in_pieces) > limits.SERIES_IN_PIECES_KEPT:
            self._read_in_pieces.popitem(last=False)
        return True

    def scalar_tags(self, name: str) -> frozenset[str]:
        """The run's tags that hold scalars. Raises as `run`."""
        return frozenset(tag for kind, tag in self._find(name).tags if kind == SCALAR)

    def thinned(
        self, name: str, tags: Sequence[str], max_points: int, min_step: int | None = None, max_step: int | None = None
    ) -> list[tuple[str, int, Series]]:
        """Of each of these tags that the run holds as scalars: how many points there are, and at most `max_points` of them.

        Like `Series.downsampled`, from overviews where they are fine enough; of a range of steps the number is an estimate
        then, unless all points are at hand. Raises as `series`; tags not there are left out.
        """
        looked = self._find(name)
        found = []
        for tag in tags:
            if (SCALAR, tag) not in looked.tags:
                continue
            known = self._overviews.of(looked.files, tag) if max_points <= limits.OVERVIEW_STRETCHES else None
            if known is not None:
                count, parts = known
                whole = joined(parts)
                seen = whole.between(min_step, max_step)
                if seen is whole or len(whole) == count or len(seen) >= max_points:
                    found.append((tag, round(count * len(seen) / max(1, len(whole))), seen.downsampled(max_points)))
                    continue
            series = self.series(name, tag, min_step, max_step)
            found.append((tag, len(series), series.downsampled(max_points)))
        return found

    def histograms(
        self, name: str, tag: str, min_step: int | None = None, max_step: int | None = None
    ) -> list[StoredHistogram]:
        """The histograms of a tag in the order of writing; errors as of `values`."""
        return self.values(name, "histogram", tag, values.histogram, min_step, max_step)

    def values(
        self,
        name: str,
        kind: str | None,
        tag: str | None,
        read: Callable[[StoredValue], T | None],
        min_step: int | None = None,
        max_step: int | None = None,
        *,
        whole: bool = True,
    ) -> list[T]:
        """What `read` makes of each value of a tag that is no scalar, in the order of writing; None is left out.

        `kind` None: of any kind but scalar. `tag` None: all tags of the kind. `whole`: `read` keeps about as much as is stored,
        so that is bounded, too. Raises `NotFound` for an unknown run or tag, `InvalidQuery` for a name that cannot be and
        for more than limits.READ_MAX_VALUES values, or READ_MAX_VALUES_BYTES of whole ones.
        """
        found: list[tuple[str, int, T]] = []  # each with its kind and step
        seen = size = 0

        def collect(index: FileIndex, chunk: Chunk, _: int) -> None:
            nonlocal seen, size
            void = hides(chunk)
            if void is not None:
                found[:] = [one for one in found if one[0] in _LASTING or one[1] < void]
            for one in chunk.summaries:
                if not _belongs(index, one, kind, tag):
                    continue
                seen += 1
                if (min_step is not None and one.step < min_step) or (max_step is not None and one.step > max_step):
                    continue
                part = index.mesh_parts.get(one.tag)
                made = read(StoredValue(seen - 1, one.tag, one.step, one.wall_time, one.value, part))
                if made is None:
                    continue
                size += len(one.value)
                if len(found) == limits.READ_MAX_VALUES or (whole and size > limits.READ_MAX_VALUES_BYTES and found):
                    message = (
                        f"there are too many values for one answer; it would end before step {one.step}: ask for less steps"
                    )
                    raise InvalidQuery([ItemError("max_step", "query", message)])
                found.append((kind_of(one.plugin), one.step, made))

        def begin() -> _Collector:
            nonlocal seen, size
            found.clear()
            seen = size = 0
            return _Collector(collect)

        self._find(name, begin).require(kind, tag)
        return [made for *_, made in found]

    def embeddings(
        self, name: str, tag: str, min_step: int | None = None, max_step: int | None = None
    ) -> list[StoredEmbedding]:
        """The embeddings of a tag in the order of the run's projector_config.pbtxt. Raises as `run`, `NotFound` for the tag."""
        looked = self._find(name)
        looked.require(EMBEDDING, tag)
        low, high = (-np.inf if min_step is None else min_step), (np.inf if max_step is None else max_step)
        return [one for one in looked.embeddings if one.tag == tag and low <= one.step <= high]

    def file_of(self, embedding: StoredEmbedding, part: str) -> bytes:
        """The content of one file of an embedding. Raises `NotFound` if there is none, `InvalidQuery` if it is too large."""
        path = embedding.files.get(part)
        if path is not None:
            with OpenFile(path, self._halt) as file:
                if file.size > limits.READ_RECORD_MAX_BYTES:
                    most = limits.READ_RECORD_MAX_BYTES
                    message = f"the file has {file.size} bytes, at most {most} are given; copy it from the run's folder"
                    raise InvalidQuery([ItemError("part", "query", message)])
                if file.identity is not None:
                    return file.content()
        raise NotFound(f"embedding {embedding.tag[:100]!a} of step {embedding.step} has no file for {part}")

    def scan(self, name: str) -> Iterator[dict[str, Series]]:
        """All scalars of a run, a piece of a file at a time and nothing remembered; in a piece, by tag in order of appearance.

        Raises as `run`, and `NotFound` in the middle if the run is deleted meanwhile.
        """
        folder = self._folders.one(name)
        plugins: Mapping[str, str] = {}
        for number in range(len(folder.events)):
            folder, file = self._reopened(folder, number)
            with file:
                for _, chunk in file.chunks(0, plugins):
                    plugins = chunk.plugins
                    yield {tag: widened(found) for tag, found in chunk.scalars.items()}

    def _reopened(self, folder: RunFolder, number: int) -> tuple[RunFolder, OpenFile]:
        """One file of a run, wherever the run is now."""
        name = lifted_name(folder.events[number].name)
        for _ in range(limits.READ_TRIES):
            file = OpenFile(folder.events[number], self._halt)
            if file.identity is not None:
                return folder, file
            found = self._folders.one(folder.run)
            places = [lifted_name(path.name) for path in found.events]
            if number >= len(places) or places[number] != name:
                break
            folder = found
        raise NotFound(f"run {folder.run!a} was changed while it was read; ask again")

    # --- files ----------------------------------------------------------------------------------------------------------

    def _find(self, name: str, begin: Callable[[], _Collector] | None = None) -> Looked:
        """Look at a run, and hand all that its files hold to what `begin` returns, which is asked anew at each try."""
        for _ in range(limits.READ_TRIES):
            folder = self._folders.one(name)
            try:
                return self._look(folder, None if begin is None else begin(), strict=True)
            except _Moved:
                continue
        return self._look(self._folders.one(name), None if begin is None else begin())

    def _look_at(self, folders: Sequence[RunFolder]) -> Iterator[Looked]:
        """Look at runs that were found a moment ago, wherever they are now; those that are gone are left out."""
        for folder in folders:
            try:
                looked = self._look(folder, strict=True)
            except _Moved:
                try:
                    looked = self._find(folder.run)
                except NotFound:
                    continue
            yield looked

    def _look(self, folder: RunFolder, collector: _Collector | None = None, *, strict: bool = False) -> Looked:
        tags: dict[TagKey, TagTotals] = {}
        files: list[FileRead] = []
        size = 0
        before: FileIndex | None = None
        for path in folder.events:
            self._halt.check()
            index = self._read(path, before, collector)
            if index is None:
                if strict:
                    raise _Moved
                continue  # deleted a moment ago
            with self._lock:
                size += index.size
                files.append(FileRead(path, index.serial, index.offset, index.hides_from(0)))
                for key, totals in index.tags.items():
                    tags[key] = tags[key].joined(totals) if key in tags else totals.copied()
            before = index
        embeddings = [] if folder.projector is None else read_embeddings(folder.projector)
        for one in embeddings:
            size += one.size_bytes
            totals = TagTotals(1, one.step, one.step, one.wall_time, one.wall_time)
            key = EMBEDDING, one.tag
            tags[key] = tags[key].joined(totals) if key in tags else totals
        return Looked(folder, tags, embeddings, size, files)

    def _read(self, path: Path, before: FileIndex | None, collector: _Collector | None) -> FileIndex | None:
        """Index a file as far as it reaches now, and let the collector see what it wants of it. None: it is gone.

        Where both go on from the same place (the start of a new file, the end of a known one), it is read once for both.
        """
        with self._lock:
            index = self._indexes.get(path)
            if index is not None and collector is None and index.is_of(path):
                self._indexes.move_to_end(path)
                return index
        with OpenFile(path, self._halt) as file:
            if file.identity is None:
                return None
            with self._lock:
                index = self._indexes.pop(path, None)
                if index is not None:
                    self._weight -= 1 + len(index.tags)
                if index is None or not index.continues(file):
                    index = FileIndex(file.identity)
                    if before is not None:
                        index.inherit(before)
                start = index.offset if collector is None else collector.start(path, index)
                together = collector is not None and start == index.offset
                try:
                    take = collector.take if collector is not None and together else None
                    index.catch_up(file, self._with_overviews(path, index.offset, take))
                finally:
                    self._keep(path, index)
            if collector is not None and not together:
                take = self._with_overviews(path, start, collector.take)
                for offset, chunk in file.chunks(start, index.plugins if start else index.inherited):
                    take(index, chunk, offset)
        return index

    def _with_overviews(self, path: Path, start: int, take: Collect | None) -> Collect:
        """`take`, after the overviews have seen the same: whoever reads a file for one tag has paid for all of them."""
        begin = start

        def both(index: FileIndex, chunk: Chunk, end: int) -> None:
            nonlocal begin
            self._overviews.take(path, index.serial, begin, end, chunk.scalars, hides(chunk))
            begin = end
            if take is not None:
                take(index, chunk, end)

        return both

    def _keep(self, path: Path, index: FileIndex) -> None:
        self._indexes[path] = index
        self._weight += 1 + len(index.tags)
        while self._weight > limits.CATALOG_MAX_TAGS and len(self._indexes) > 1:
            _, forgotten = self._indexes.popitem(last=False)
            self._weight -= 1 + len(forgotten.tags)


def _hidden(parts: list[Series], step: int | None) -> list[Series]:
    return parts if step is None else [part.below(step) for part in parts]


def _belongs(index: FileIndex, one: StoredSummary, kind: str | None, tag: str | None) -> bool:
    found = kind_of(one.plugin)
    if kind is not None and found != kind:
        return False
    if tag is None or one.tag == tag:
        return True
    return found == MESH and index.mesh_parts[one.tag].mesh == tag
