"""Runs as they are on disk, whoever wrote them: what there is, and the points of a tag. Read only; called from threads.

A run is a folder with event files, named by its path below the log folder ("." is the log folder itself, as TensorBoard calls
it). What was found in a file is remembered with the offset reached, so the next look reads only what was appended since.
Symbolic links are not followed: one could lead out of the log folder.
"""

from __future__ import annotations

import difflib
import os
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from tbbridge import limits
from tbbridge.errors import InvalidItem, InvalidQuery, ItemError, NotFound
from tbbridge.model import STATE_FOLDER, run_name
from tbbridge.store.eventfiles import SCALAR, FileIndex, Halt, OpenFile, TagTotals, read_scalars
from tbbridge.store.series import Series

ROOT_RUN: Final = "."


@dataclass(frozen=True, slots=True)
class TagInfo:
    """One tag of a run; first and last in the order of writing."""

    tag: str
    kind: str
    count: int
    first_step: int
    last_step: int
    first_wall_time: float
    last_wall_time: float


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One run. Steps and wall times are the lowest first and the highest last one of its tags; None without values."""

    run: str
    tag_counts: Mapping[str, int]  # by kind
    points: int
    first_step: int | None
    last_step: int | None
    first_wall_time: float | None
    last_wall_time: float | None
    size_bytes: int


class Catalog:
    """The log folder's runs. Thread-safe. Every method raises `Stopping` soon after `stop`, wherever it is then."""

    def __init__(self, logdir: Path) -> None:
        self._logdir = logdir
        self._halt = Halt()
        self._lock = threading.Lock()
        self._indexes: OrderedDict[Path, FileIndex] = OrderedDict()  # least recently used first
        self._weight = 0  # tags in all of them, and one for each file

    def stop(self) -> None:
        """For good: whoever reads in a thread ends within a piece of a file, a fraction of a second."""
        self._halt.call()

    def runs(self) -> list[RunInfo]:
        """All runs by name."""
        found = sorted(self._folders(), key=lambda pair: pair[0])
        return [self._look(name, files)[0] for name, files in found]

    def run(self, name: str) -> tuple[RunInfo, list[TagInfo]]:
        """One run and its tags in order of appearance. Raises `NotFound`, or `InvalidQuery` for a name that cannot be."""
        info, tags = self._look(name, self._files_of(name))
        return info, [_tag_info(tag, totals) for tag, totals in tags.items()]

    def series(self, name: str, tag: str, min_step: int | None = None, max_step: int | None = None) -> Series:
        """The points of a scalar tag with min_step <= step <= max_step, over all event files in name order.

        Raises `NotFound` for an unknown run or tag, `InvalidQuery` for a name that cannot be and for more than
        limits.READ_SCAN_MAX_POINTS points.
        """
        files = self._files_of(name)
        _, tags = self._look(name, files)
        if tag not in tags:
            raise NotFound(f"run {name!a} has no tag {tag[:100]!a}{_close(tag, list(tags))}")
        if tags[tag].kind != SCALAR:
            raise NotFound(f"tag {tag[:100]!a} of run {name!a} holds values of kind {tags[tag].kind}, not scalars")
        parts: list[Series] = []
        count = 0
        for path in files:
            for part in read_scalars(path, tag, self._halt):
                kept = part.between(min_step, max_step)
                count += len(kept)
                parts.append(kept)
                if count > limits.READ_SCAN_MAX_POINTS:
                    message = f"there are over {limits.READ_SCAN_MAX_POINTS} points; ask for fewer steps at a time"
                    raise InvalidQuery([ItemError("min_step", "query", message)])
        return joined(parts)

    # --- folders and files ----------------------------------------------------------------------------------------------

    def _folders(self) -> Iterator[tuple[str, list[Path]]]:
        pending = [(ROOT_RUN, self._logdir)]
        while pending:
            self._halt.check()
            name, folder = pending.pop()
            files = []
            for entry in _entries(folder):
                if entry.is_dir(follow_symlinks=False):
                    below = entry.name if name == ROOT_RUN else f"{name}/{entry.name}"
                    if entry.name.casefold() != STATE_FOLDER:
                        pending.append((below, Path(entry.path)))
                elif _is_event_file(entry):
                    files.append(Path(entry.path))
            if files and _is_run(name):
                yield name, sorted(files)

    def _files_of(self, name: str) -> list[Path]:
        folder = self._logdir
        if name != ROOT_RUN:
            try:
                run_name(name)
            except InvalidItem as error:
                raise InvalidQuery([ItemError("run", error.item_code, error.message)]) from None
            for part in name.split("/"):
                folder /= part
                if folder.is_symlink():
                    raise NotFound(f"run {name!a} lies behind a symbolic link, which is not followed")
        files = sorted(Path(entry.path) for entry in _entries(folder) if _is_event_file(entry))
        if not files:
            raise NotFound(f"there is no run {name!a}{_close(name, [known for known, _ in self._folders()])}")
        return files

    # --- what is in them ------------------------------------------------------------------------------------------------

    def _look(self, name: str, files: Sequence[Path]) -> tuple[RunInfo, dict[str, TagTotals]]:
        tags: dict[str, TagTotals] = {}
        size = 0
        for path in files:
            self._halt.check()
            with self._lock:
                index = self._index(path)
                size += index.size
                for tag, totals in index.tags.items():
                    tags[tag] = tags[tag].joined(totals) if tag in tags else totals.copied()
        counts = Counter(totals.kind for totals in tags.values())
        every = tags.values()
        return (
            RunInfo(
                name,
                counts,
                sum(totals.count for totals in every),
                min((totals.first_step for totals in every), default=None),
                max((totals.last_step for totals in every), default=None),
                min((totals.first_wall_time for totals in every), default=None),
                max((totals.last_wall_time for totals in every), default=None),
                size,
            ),
            tags,
        )

    def _index(self, path: Path) -> FileIndex:
        index = self._indexes.pop(path, None)
        if index is not None:
            self._weight -= 1 + len(index.tags)
        with OpenFile(path, self._halt) as file:
            if file.identity is None:
                return FileIndex((0, 0))  # deleted a moment ago
            if index is None or not index.continues(file):
                index = FileIndex(file.identity)
            index.catch_up(file)
        self._indexes[path] = index
        self._weight += 1 + len(index.tags)
        while self._weight > limits.CATALOG_MAX_TAGS and len(self._indexes) > 1:
            _, forgotten = self._indexes.popitem(last=False)
            self._weight -= 1 + len(forgotten.tags)
        return index


def joined(parts: Sequence[Series]) -> Series:
    """Series behind each other."""
    if len(parts) == 1:
        return parts[0]
    return Series(
        np.concatenate([np.empty(0, np.int64), *(part.steps for part in parts)]),
        np.concatenate([np.empty(0, np.float64), *(part.values for part in parts)]),
        np.concatenate([np.empty(0, np.float64), *(part.wall_times for part in parts)]),
    )


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []  # deleted a moment ago, not there yet, or not ours to read


def _is_event_file(entry: os.DirEntry[str]) -> bool:
    return "tfevents" in entry.name and entry.is_file(follow_symlinks=False)


def _is_run(name: str) -> bool:
    """False for a folder that others made and that no request could name."""
    if name == ROOT_RUN:
        return True
    try:
        run_name(name)
    except InvalidItem:
        return False
    return True


def _close(name: str, known: Sequence[str]) -> str:
    matches = difflib.get_close_matches(name[:200], known[: limits.CLOSE_MATCHES_AMONG], n=3)
    return f"; did you mean {' or '.join(ascii(match) for match in matches)}?" if matches else ""


def _tag_info(tag: str, totals: TagTotals) -> TagInfo:
    return TagInfo(
        tag,
        totals.kind,
        totals.count,
        totals.first_step,
        totals.last_step,
        totals.first_wall_time,
        totals.last_wall_time,
    )
