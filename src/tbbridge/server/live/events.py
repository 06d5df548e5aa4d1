"""Live events, from what the pipeline stored to the bytes that listeners get. No event loop, no connection.

Each column, tag and record is turned into JSON once, whoever listens: an event keeps these pieces, so that what one listener
wants is chosen from them, and columns that a slow one has not taken yet are merged, without making any of it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic_core import to_json

from tbbridge import limits
from tbbridge.logs.lines import time_text
from tbbridge.model import ScalarColumns
from tbbridge.pipeline.change import Installed, Removed, Renamed, Rewritten, SettledChange, renamed
from tbbridge.pipeline.kind import Kind, kind_of
from tbbridge.pipeline.ledger import Entry


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one listener wants: these runs and tags (none: all of them), and log records too."""

    runs: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    logs: bool = False

    def run(self, *names: str) -> bool:
        """Whether one of these runs is wanted."""
        return not self.runs or any(name in self.runs for name in names)

    def tag(self, name: str) -> bool:
        """Whether the tag is wanted."""
        return not self.tags or name in self.tags


class Said(Protocol):
    """What one event says."""

    @property
    def name(self) -> str:
        """The event's name."""

    @property
    def count(self) -> int:
        """Points, summaries and records in it: what a listener loses that cannot be told; 0: it has to be told."""

    @property
    def size_bytes(self) -> int:
        """About what it occupies."""

    def data(self, wanted: Wanted) -> bytes:
        """Its JSON for a listener; empty if there is nothing in it for that one."""


class Column(NamedTuple):
    """Points of one tag; the three columns are JSON arrays without their brackets."""

    run: str
    tag: str
    points: int
    steps: bytes
    values: bytes
    wall_times: bytes

    def json(self) -> bytes:
        """The object that stands for it."""
        head = to_json({"run": self.run, "tag": self.tag})[:-1]
        return b'%s,"steps":[%s],"values":[%s],"wall_times":[%s]}' % (head, self.steps, self.values, self.wall_times)


@dataclass(frozen=True, slots=True)
class Points:
    """`points`: columns of new points."""

    columns: Sequence[Column]
    name: str = "points"

    @property
    def count(self) -> int:
        """Points in all columns."""
        return sum(column.points for column in self.columns)

    @property
    def size_bytes(self) -> int:
        """About what it occupies."""
        return sum(limits.ITEM_OVERHEAD_BYTES + sum(map(len, column[3:])) for column in self.columns)

    def data(self, wanted: Wanted) -> bytes:
        """The columns that are wanted."""
        taken = [column.json() for column in self.columns if wanted.run(column.run) and wanted.tag(column.tag)]
        return b'{"columns":[%s]}' % b",".join(taken) if taken else b""

    @staticmethod
    def merged(several: Sequence[Points]) -> Points:
        """Events that follow each other as one: each tag's points in one column, in their order."""
        by_tag: dict[tuple[str, str], list[Column]] = {}
        for points in several:
            for column in points.columns:
                by_tag.setdefault((column.run, column.tag), []).append(column)
        return Points([_joined(columns) for columns in by_tag.values()])


def _joined(columns: Sequence[Column]) -> Column:
    if len(columns) == 1:
        return columns[0]
    _, _, counts, steps, values, wall_times = zip(*columns, strict=True)
    first = columns[0]
    return Column(first.run, first.tag, sum(counts), b",".join(steps), b",".join(values), b",".join(wall_times))


class Item(NamedTuple):
    """One summary or record as JSON; `tag` is None for a record."""

    run: str
    tag: str | None
    json: bytes


@dataclass(frozen=True, slots=True)
class Items:
    """`summaries`, or `logs`."""

    name: str
    key: str
    items: Sequence[Item]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.items)

    @property
    def size_bytes(self) -> int:
        """About what it occupies."""
        return sum(limits.ITEM_OVERHEAD_BYTES + len(item.json) for item in self.items)

    def data(self, wanted: Wanted) -> bytes:
        """Those that are wanted."""
        taken = [
            item.json
            for item in self.items
            if wanted.run(item.run) and (wanted.logs if item.tag is None else wanted.tag(item.tag))
        ]
        return b'{"%s":[%s]}' % (self.key.encode(), b",".join(taken)) if taken else b""


@dataclass(frozen=True, slots=True)
class NewRuns:
    """`runs`: runs that begin, and tags that are new in theirs: by run, whether it is new itself, and its tags' kinds."""

    runs: dict[str, tuple[bool, dict[str, str]]]
    name: str = "runs"
    count: int = 0

    @property
    def size_bytes(self) -> int:
        """About what it occupies."""
        names = sum(len(run) + sum(map(len, tags)) for run, (_, tags) in self.runs.items())
        return limits.ITEM_OVERHEAD_BYTES * (len(self.runs) + sum(len(tags) for _, tags in self.runs.values())) + names

    def data(self, wanted: Wanted) -> bytes:
        """Runs that are wanted, with those of their tags that are."""
        shown = []
        for run, (is_new, tags) in self.runs.items():
            if wanted.run(run):
                taken = [{"tag": tag, "kind": kind} for tag, kind in tags.items() if wanted.tag(tag)]
                if taken or is_new:
                    shown.append({"run": run, "tags": taken})
        return to_json({"runs": shown}) if shown else b""


@dataclass(frozen=True, slots=True)
class Notice:
    """`status`, `purged`, `deleted`, `renamed`, `restored` or `lagging`: about `runs` (none: about everything)."""

    name: str
    json: bytes
    runs: tuple[str, ...] = ()
    tag: str | None = None
    count: int = 0

    @property
    def size_bytes(self) -> int:
        """About what it occupies."""
        return limits.ITEM_OVERHEAD_BYTES + len(self.json)

    def data(self, wanted: Wanted) -> bytes:
        """All of it, or nothing."""
        is_wanted = (not self.runs or wanted.run(*self.runs)) and (self.tag is None or wanted.tag(self.tag))
        return self.json if is_wanted else b""


def status(run: str, now: str) -> Notice:
    """How a run is now."""
    return Notice("status", to_json({"run": run, "status": now}), (run,))


def purged(run: str, step: int) -> Notice:
    """What the run held from a step on is void: it goes on from there."""
    return Notice("purged", to_json({"run": run, "step": step}), (run,))


def lagging(dropped: int) -> Notice:
    """So many values were not told of: what is shown has to be read again."""
    return Notice("lagging", to_json({"dropped": dropped}))


def notices_of(change: SettledChange, runs: Sequence[str]) -> Iterable[Notice]:
    """What a change says to listeners; `runs` are those concerned, under the names that they had."""
    match change:
        case Removed(names):
            for run in names:
                yield Notice("deleted", to_json({"run": run}), (run,))
        case Rewritten(run=run, tag=tag):
            yield Notice("deleted", to_json({"run": run, "tag": tag}), (run,), tag)
        case Renamed():
            for run in runs:
                to = renamed(run, change)
                if to is not None:
                    yield Notice("renamed", to_json({"run": run, "to": to}), (run, to))
        case Installed(run=run):
            yield Notice("restored", to_json({"run": run}), (run,))


_KIND_NAMES: Final = {kind: kind.name.lower() for kind in Kind}


class Gathering:
    """Puts together the events of what happened in one short while, in the order in which they have to be told.

    Values beyond limits.LIVE_GROUP_ITEMS, or LIVE_GROUP_LOG_BYTES of log records, are counted instead.
    """

    def __init__(self) -> None:
        self.events: list[Said] = []
        self._room = limits.LIVE_GROUP_ITEMS
        self._log_room = limits.LIVE_GROUP_LOG_BYTES
        self._dropped = 0
        self._begin()

    def _begin(self) -> None:
        self._runs: dict[str, tuple[bool, dict[str, str]]] = {}
        self._columns: dict[tuple[str, str], list[ScalarColumns]] = {}
        self._summaries: list[Item] = []
        self._records: list[Item] = []
        self._statuses: list[Notice] = []

    def stored(self, entry: Entry) -> None:
        """What one batch brought."""
        for opening in entry.openings:
            if opening.first_of_run:
                self._runs[opening.run] = (True, {})
        for batch, fresh in zip(entry.batches, entry.fresh, strict=True):
            if batch.purge_step is not None:  # behind what it hides, before what takes its place
                self._end()
                self.events.append(purged(batch.run, batch.purge_step))
            tags = self._runs.setdefault(batch.run, (False, {}))[1] if fresh else {}
            for column in batch.scalars:
                if column.tag in fresh:
                    tags[column.tag] = _KIND_NAMES[Kind.SCALAR]
                if self._takes(len(column.values)):
                    self._columns.setdefault((batch.run, column.tag), []).append(column)
            for summary in batch.summaries:
                kind = _KIND_NAMES[kind_of(summary)]
                if summary.tag in fresh:
                    tags[summary.tag] = kind
                if self._takes(1):
                    said = {"tag": summary.tag, "kind": kind, "step": summary.step, "wall_time": summary.wall_time}
                    self._summaries.append(Item(batch.run, summary.tag, to_json({"run": batch.run, **said})))
            if batch.status is not None:
                self._statuses.append(status(batch.run, batch.status.value))
        for lines in entry.lines:
            for record in lines.records:
                size = len(record.message)
                if size > self._log_room or not self._takes(1):
                    self._dropped += size > self._log_room
                    continue
                self._log_room -= size
                said = {
                    "time": None if record.wall_time is None else time_text(record.wall_time),
                    "level": record.level,
                    "logger": record.logger,
                    "message": record.message,
                }
                self._records.append(Item(lines.run, None, to_json({"run": lines.run, **said})))

    def changed(self, change: SettledChange, runs: Sequence[str]) -> None:
        """A change to runs: it comes behind all that was stored before it."""
        self._end()
        self.events.extend(notices_of(change, runs))

    def done(self) -> list[Said]:
        """All of it."""
        self._end()
        if self._dropped:
            self.events.append(lagging(self._dropped))
        return self.events

    def _takes(self, count: int) -> bool:
        if count > self._room:
            self._dropped += count
            return False
        self._room -= count
        return True

    def _end(self) -> None:
        if self._runs:
            self.events.append(NewRuns(self._runs))
        if self._columns:
            self.events.append(Points([_column(run, tag, parts) for (run, tag), parts in self._columns.items()]))
        if self._summaries:
            self.events.append(Items("summaries", "summaries", self._summaries))
        if self._records:
            self.events.append(Items("logs", "records", self._records))
        self.events.extend(self._statuses)
        self._begin()


def _column(run: str, tag: str, parts: Sequence[ScalarColumns]) -> Column:
    """Settled columns of one tag as JSON; values as the event file has them, float32."""
    values: list[float] = []
    with np.errstate(over="ignore"):  # a double beyond float32 is infinite in the file, too
        for part in parts:
            values += part.values.astype(np.float32).tolist()
    steps = b",".join([_numbers(part.steps) for part in parts])
    wall_times = b",".join([_numbers(part.wall_times) for part in parts])
    return Column(run, tag, len(values), steps, to_json(values, inf_nan_mode="strings")[1:-1], wall_times)


def _numbers(column: NDArray[np.int64] | NDArray[np.float64] | None) -> bytes:
    assert column is not None  # noqa: S101 - settled before the journal
    return to_json(column.tolist())[1:-1]
