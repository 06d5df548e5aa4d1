"""What the pipeline knows about its runs and writers.

`apply` plays an entry from the journal, and settlement.py, where entries are made, leaves the same state behind: that state is
a pure function of the entries. No clock and no file here. What follows: settlement.py (live), recovery.py (replay).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from tbbridge import limits
from tbbridge.model import (
    INT64_MIN,
    RunBatch,
    RunName,
    RunStatus,
)
from tbbridge.pipeline.change import Installed, Removed, Renamed, Rewritten, SettledChange, renamed
from tbbridge.pipeline.kind import Kind, kind_of
from tbbridge.pipeline.logbook import Lines, Logbook, LogFile


@dataclass(slots=True)
class Run:
    """One run and its live event file.

    `tags` maps a tag to its kind and the step that came last; `embeddings` does for embeddings, which are no events: one may be
    called like a tag.
    """

    name: RunName
    file: str
    length: int = 0  # bytes of the event file that the entries so far make
    tags: dict[str, tuple[Kind, int]] = field(default_factory=dict)
    config_length: int = 0  # bytes of the list of embeddings beside it: those found when the file began, and the entries'
    embeddings: dict[str, tuple[Kind, int]] = field(default_factory=dict)
    status: RunStatus | None = None  # what was said last


@dataclass(frozen=True, slots=True)
class Opening:
    """An event file that begins with an entry. `first_of_run`: the folder held no event file before."""

    run: RunName
    file: str
    wall_time: float
    first_of_run: bool
    config_length: int = 0  # bytes of the list of embeddings that the folder held before


@dataclass(frozen=True, slots=True)
class Entry:
    """One batch as it goes to the journal and, from there, into the event files."""

    index: int
    writer: str
    seq: int
    openings: tuple[Opening, ...]
    batches: tuple[RunBatch, ...]
    targets: tuple[Run, ...]  # of each batch
    fresh: tuple[frozenset[str], ...]  # of each batch: tags that its file meets for the first time
    lines: tuple[Lines, ...] = ()  # log records, which are in none of the batches
    dropped_logs: tuple[LogFile, ...] = ()  # files of logs that go, before those lines come


class Ledger:
    """All runs and writers of one log folder. Changed by the writer task only."""

    def __init__(
        self,
        *,
        writers_max: int = limits.WRITERS_MAX,
        runs_max: int = limits.RUNS_MAX,
        tags_per_run_max: int = limits.TAGS_PER_RUN_MAX,
    ) -> None:
        self.runs: dict[str, Run] = {}
        self.marks: OrderedDict[str, int] = OrderedDict()  # writer -> highest seq taken, least recently used first
        self.logs = Logbook()
        self.next_index = 1
        self.runs_max = runs_max
        self.tags_per_run_max = tags_per_run_max
        self._writers_max = writers_max

    def mark(self, writer: str, seq: int) -> None:
        """Remember that `writer` has been heard up to `seq`; forget whoever was silent for longest if there are too many."""
        self.marks[writer] = seq
        self.marks.move_to_end(writer)
        while len(self.marks) > self._writers_max:
            self.marks.popitem(last=False)

    def apply(
        self,
        index: int,
        writer: str,
        seq: int,
        openings: Sequence[Opening],
        batches: Sequence[RunBatch],
        lines: Sequence[Lines] = (),
        dropped_logs: Sequence[LogFile] = (),
    ) -> Entry:
        """Play an entry that the journal holds. Batches of runs this ledger does not know are left out: their file is gone."""
        for file in dropped_logs:
            self.logs.drop(file)
        for part in lines:
            self.logs.enter(part)
        for opening in openings:
            before = self.runs.get(opening.run)
            status = None if before is None else before.status
            self.runs[opening.run] = Run(opening.run, opening.file, config_length=opening.config_length, status=status)
        known = tuple(batch for batch in batches if batch.run in self.runs)
        targets = tuple(self.runs[batch.run] for batch in known)
        fresh = tuple(note(run, batch, None) for run, batch in zip(targets, known, strict=True))
        if writer:
            self.mark(writer, seq)
        self.next_index = index + 1
        return Entry(index, writer, seq, tuple(openings), known, targets, fresh, tuple(lines), tuple(dropped_logs))

    def change(self, index: int, change: SettledChange) -> None:
        """Enter a change to runs that the journal holds as entry `index`."""
        match change:
            case Removed(runs):
                for name in runs:
                    self.runs.pop(name, None)
            case Installed(run=name, then=then):
                self.runs.pop(name, None)
                if then is not None:
                    self.runs[name] = then
            case Rewritten(run=name, tag=tag, file=file, length=length):
                known = self.runs.get(name)
                if known is not None:
                    tags = {key: value for key, value in known.tags.items() if key != tag}
                    self.runs[name] = replace(known, file=file, length=length, tags=tags)
            case Renamed():
                moved = [(name, to) for name in self.runs if (to := renamed(name, change)) is not None]
                for name, to in moved:
                    self.runs[to] = replace(self.runs.pop(name), name=RunName(to))
        self.next_index = index + 1


def note(run: Run, batch: RunBatch, undo: list[Callable[[], object]] | None) -> frozenset[str]:
    """Enter a settled batch in its run's tags; return the tags that are new there."""
    fresh = []
    if batch.status is not None:
        if undo is not None:
            undo.append(partial(setattr, run, "status", run.status))
        run.status = batch.status
    if batch.purge_step is not None:
        for tag, entry in purged(run.tags, batch.purge_step):
            if undo is not None:
                undo.append(_restore(run.tags, tag, run.tags[tag]))
            run.tags[tag] = entry
    last: list[tuple[str, Kind, int]] = [
        (column.tag, Kind.SCALAR, int(column.steps[-1])) for column in batch.scalars if column.steps is not None
    ]
    last += [(summary.tag, kind_of(summary), summary.step or 0) for summary in batch.summaries]
    for tag, kind, step in last:
        tags = run.embeddings if kind is Kind.EMBEDDING else run.tags
        before = tags.get(tag)
        if before is None and tags is run.tags:
            fresh.append(tag)
        if undo is not None:
            undo.append(_restore(tags, tag, before))
        tags[tag] = (kind, step)
    return frozenset(fresh)


def purged(tags: Mapping[str, tuple[Kind, int]], step: int) -> list[tuple[str, tuple[Kind, int]]]:
    """The tags as they are once all from `step` on is hidden: their steps go on from there, as far as 64 bits reach."""
    before = max(INT64_MIN, step - 1)
    return [(tag, (kind, min(last, before))) for tag, (kind, last) in tags.items()]


def _restore(tags: dict[str, tuple[Kind, int]], tag: str, before: tuple[Kind, int] | None) -> Callable[[], object]:
    if before is None:
        return lambda: tags.pop(tag, None)
    return lambda: tags.__setitem__(tag, before)
