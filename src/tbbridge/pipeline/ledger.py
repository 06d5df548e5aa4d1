"""What the pipeline knows about its runs and writers, and the one place where a batch's open choices are made.

`settle` turns a batch into an entry in which nothing is left open: wall times, steps, buckets, file names. `apply` plays an
entry from the journal again. Both leave the same state behind, so that state is a pure function of the entries. No clock
and no file here: time and the log folder come in as arguments. What follows: writer.py (live), recovery.py (replay).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

import numpy as np

from tbbridge import limits
from tbbridge.errors import InvalidBatch, InvalidItem, ItemError, ItemWarning
from tbbridge.events.histograms import bucketize
from tbbridge.kinds import settled
from tbbridge.model import (
    INT64_MAX,
    INT64_MIN,
    Batch,
    Embedding,
    Histogram,
    Int64s,
    RunBatch,
    RunName,
    RunStatus,
    ScalarColumns,
    Summary,
)
from tbbridge.pipeline.change import Installed, Removed, Renamed, Rewritten, SettledChange, renamed
from tbbridge.pipeline.kind import Kind, kind_of
from tbbridge.pipeline.logbook import Lines, Logbook, LogFile, LogKeeper, LogSettling


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


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one batch: an entry to store (None for a repeat) and what to tell the sender."""

    entry: Entry | None
    accepted: int = 0
    regressions: int = 0
    rejected: tuple[ItemError, ...] = ()
    warnings: tuple[ItemWarning, ...] = ()


class Folders(Protocol):
    """What the ledger asks of the log folder (implemented by eventfile.EventFiles)."""

    def is_live(self, run: Run) -> bool:
        """True if the run's event file is still there and as long as we left it."""

    def new_file(self, run: RunName, index: int, wall_time: float) -> Opening:
        """Make the run's folder and choose a name behind all event files in it. OSError if the folder cannot be had."""

    def check_embeddings(self, run: RunName) -> None:
        """Raise `InvalidItem` if something is in the way of an embedding's files."""


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
        fresh = tuple(_note(run, batch, None) for run, batch in zip(targets, known, strict=True))
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


def _note(run: Run, batch: RunBatch, undo: list[Callable[[], object]] | None) -> frozenset[str]:
    """Enter a settled batch in its run's tags; return the tags that are new there."""
    fresh = []
    if batch.status is not None:
        if undo is not None:
            undo.append(partial(setattr, run, "status", run.status))
        run.status = batch.status
    if batch.purge_step is not None:
        for tag, entry in _purged(run.tags, batch.purge_step):
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


def _purged(tags: dict[str, tuple[Kind, int]], step: int) -> list[tuple[str, tuple[Kind, int]]]:
    """The tags as they are once all from `step` on is hidden: their steps go on from there, as far as 64 bits reach."""
    before = max(INT64_MIN, step - 1)
    return [(tag, (kind, min(last, before))) for tag, (kind, last) in tags.items()]


def _restore(tags: dict[str, tuple[Kind, int]], tag: str, before: tuple[Kind, int] | None) -> Callable[[], object]:
    if before is None:
        return lambda: tags.pop(tag, None)
    return lambda: tags.__setitem__(tag, before)


class Settlement:
    """One group of batches on its way to the journal: settles them one by one, then `keep` or `discard`s them together."""

    def __init__(self, ledger: Ledger, folders: Folders, now: float, keeper: LogKeeper) -> None:
        self._ledger = ledger
        self._folders = folders
        self._now = now
        self._keeper = keeper
        self._checked_logs: set[str] = set()
        self._marks: dict[str, int] = {}
        self._undo: list[Callable[[], object]] = []
        self._next_index = ledger.next_index

    def settle(self, batch: Batch, *, partial: bool) -> Settled:
        """Fill in what `batch` left open, on top of the batches before it.

        `InvalidBatch` leaves everything as it was before the call; after an OSError the settlement can only be discarded.
        """
        if batch.writer:
            mark = self._marks.get(batch.writer) or self._ledger.marks.get(batch.writer, 0)
            if batch.seq <= mark:
                return Settled(None)
        savepoint = len(self._undo)
        settling = _Settling(self._ledger, self._folders, self._now, self._next_index, self._undo)
        logs = LogSettling(batch, self._keeper, self._now)
        settling.take(batch, logs, partial=partial)
        if settling.errors and not partial:
            self._undo_to(savepoint)
            raise InvalidBatch(settling.errors)
        lines, dropped = logs.place(self._checked_logs, self._undo)
        if batch.writer:
            self._marks[batch.writer] = batch.seq
        batches = tuple(settling.batches)
        entry = Entry(
            self._next_index,
            batch.writer,
            batch.seq,
            tuple(settling.openings),
            batches,
            tuple(settling.targets),
            tuple(settling.fresh),
            lines,
            dropped,
        )
        self._next_index += 1
        return Settled(entry, logs.accepted(batches), settling.regressions, tuple(settling.errors), tuple(settling.warnings))

    def keep(self) -> None:
        """The journal holds them."""
        self._undo.clear()
        self._ledger.next_index = self._next_index
        for writer, seq in self._marks.items():
            self._ledger.mark(writer, seq)

    def discard(self) -> None:
        """The journal could not take them: as if they had never come."""
        self._undo_to(0)

    def _undo_to(self, savepoint: int) -> None:
        while len(self._undo) > savepoint:
            self._undo.pop()()


# Characters of a name that are kept when a number is put behind it: within the limit of a display name in any script.
_NAME_KEPT = 200


class _Settling:
    """One batch being settled."""

    def __init__(self, ledger: Ledger, folders: Folders, now: float, index: int, undo: list[Callable[[], object]]) -> None:
        self._ledger = ledger
        self._folders = folders
        self._now = now
        self._index = index
        self._undo = undo
        self.openings: list[Opening] = []
        self.batches: list[RunBatch] = []
        self.targets: list[Run] = []
        self.fresh: list[frozenset[str]] = []
        self.errors: list[ItemError] = []
        self.warnings: list[ItemWarning] = []
        self.regressions = 0

    def take(self, batch: Batch, logs: LogSettling, *, partial: bool) -> None:
        found: list[tuple[RunBatch, Run | None]] = []
        room = self._ledger.runs_max - len(self._ledger.runs)
        for asked in batch.runs:
            known = self._ledger.runs.get(asked.run)
            is_new = known is None
            if known is not None and not self._is_live(known):
                known = None
            complete = logs.with_texts(asked, {} if known is None else known.tags)
            settled = self._run(complete, known, f"runs[run={asked.run!a}]")
            if settled.is_empty:
                continue
            if is_new and room <= 0:
                self._refuse(_too_many_runs(self._ledger.runs_max).at(f"runs[run={asked.run!a}]"))
                continue
            room -= is_new
            found.append((settled, known))
        if self.errors and not partial:
            return  # before any folder is made: what is refused leaves no trace
        for settled, known in found:
            path = f"runs[run={settled.run!a}]"
            try:
                run = known or self._open(settled.run)
            except InvalidItem as error:
                self._refuse(error.at(path))
                continue
            self.targets.append(run)
            self.batches.append(settled)
            self.fresh.append(_note(run, settled, self._undo))

    def _is_live(self, run: Run) -> bool:
        # length 0: opened by an entry of this very group, its file is yet to be made
        return run.length == 0 or self._folders.is_live(run)

    def _open(self, name: RunName) -> Run:
        opening = self._folders.new_file(name, self._index, self._now)
        before = self._ledger.runs.get(name)
        run = Run(name, opening.file, config_length=opening.config_length, status=None if before is None else before.status)
        self._ledger.runs[name] = run
        runs = self._ledger.runs
        self._undo.append((lambda: runs.pop(name, None)) if before is None else (lambda: runs.__setitem__(name, before)))
        self.openings.append(opening)
        return run

    def _run(self, asked: RunBatch, known: Run | None, path: str) -> RunBatch:
        """Everything in `asked` that can be stored, with nothing left open."""
        tags = known.tags if known is not None else {}
        if asked.purge_step is not None:
            tags = dict(_purged(tags, asked.purge_step))
        embeddings = dict(known.embeddings) if known is not None else {}
        here: dict[str, tuple[Kind, int]] = {}
        room = self._ledger.tags_per_run_max - len(tags) - len(embeddings)
        scalars: list[ScalarColumns] = []
        for column in asked.scalars:
            try:
                before = _expect(here.get(column.tag) or tags.get(column.tag), Kind.SCALAR, column.tag)
                if before is None:
                    room = self._room_after(room)
                settled, steps = self._column(column, before, path)
            except InvalidItem as error:
                self._refuse(error.at(f"{path}.scalars[tag={column.tag!a}]"))
                continue
            scalars.append(settled)
            here[column.tag] = (Kind.SCALAR, int(steps[-1]))
        summaries: list[Summary] = []
        for position, summary in enumerate(asked.summaries):
            kind = kind_of(summary)
            place = f"{path}.summaries[tag={summary.tag!a}]"
            try:
                last = embeddings.get(summary.tag) if kind is Kind.EMBEDDING else here.get(summary.tag) or tags.get(summary.tag)
                before = _expect(last, kind, summary.tag)
                if before is None:
                    room = self._room_after(room)
                step = summary.step if summary.step is not None else _next_step(before, 1)
                if isinstance(summary, Embedding):
                    self._folders.check_embeddings(asked.run)
            except InvalidItem as error:
                self._refuse(error.at(place))
                continue
            if before is not None and step < before:
                self._regressed(place, 1, 1, step, before)
            if isinstance(summary, Embedding) and before is not None and step <= before:
                summary = self._renamed(summary, position)  # noqa: PLW2901 - the same one, told apart
            summaries.append(self._summary(summary, step, place))
            (embeddings if kind is Kind.EMBEDDING else here)[summary.tag] = (kind, step)
        create = asked.create and known is None
        purge_wall_time = asked.purge_wall_time
        if asked.purge_step is not None and purge_wall_time is None:
            purge_wall_time = self._now
        is_news = asked.status is not None and (known is None or known.status is not asked.status)
        is_written = bool(scalars or summaries or create or asked.purge_step is not None)
        # A status alone makes no run, and one that is known already is a heartbeat only
        status = asked.status if is_news and (is_written or known is not None) else None
        return RunBatch(
            asked.run,
            tuple(scalars),
            tuple(summaries),
            asked.purge_step,
            None if asked.purge_step is None else purge_wall_time,
            create=create,
            status=status,
        )

    def _room_after(self, room: int) -> int:
        """How many further tags the run may have after one more."""
        if room <= 0:
            most = self._ledger.tags_per_run_max
            message = f"the run has {most} tags, as many as it may; use fewer, or raise --tags-per-run-max on the server"
            raise InvalidItem("too-many-tags", message, "tag")
        return room - 1

    def _column(self, column: ScalarColumns, before: int | None, path: str) -> tuple[ScalarColumns, Int64s]:
        count = len(column.values)
        if column.steps is None:
            first = _next_step(before, count)
            steps = np.arange(first, first + count, dtype=np.int64)
        else:
            steps = column.steps
            self._look_back(column.tag, steps, before, path)
        if column.steps is not None and column.wall_times is not None:
            return column, steps
        wall_times = column.wall_times if column.wall_times is not None else np.full(count, self._now)
        # Not `replace`, which takes twice as long; and this is done for every column of every batch.
        return ScalarColumns(column.tag, column.values, steps, wall_times, column.display_name, column.description), steps

    def _look_back(self, tag: str, steps: Int64s, before: int | None, path: str) -> None:
        """Count the steps that are below the one before them, and warn of the first."""
        previous = int(steps[0]) if before is None else before
        if len(steps) == 1:  # the commonest column by far
            if int(steps[0]) < previous:
                self._regressed(f"{path}.scalars[tag={tag!a}].steps[0]", 1, 1, int(steps[0]), previous)
            return
        if int(steps[0]) >= previous and bool((steps[1:] >= steps[:-1]).all()):  # a third of the time that finding them takes
            return
        back = np.flatnonzero(steps < np.concatenate(([np.int64(previous)], steps[:-1])))  # no difference: it could overflow
        if len(back):
            first = int(back[0])
            place = f"{path}.scalars[tag={tag!a}].steps[{first}]"
            self._regressed(place, len(back), len(steps), int(steps[first]), int(steps[first - 1]) if first else previous)

    def _summary(self, summary: Summary, step: int, place: str) -> Summary:
        wall_time = summary.wall_time if summary.wall_time is not None else self._now
        if not isinstance(summary, Histogram) or summary.values is None:
            return settled(summary, step, wall_time)
        binned = bucketize(summary.values)
        if binned.nan or binned.infinite:
            left_out = f"{binned.nan} NaN and {binned.infinite} infinite of {len(summary.values)} values"
            self._warn(ItemWarning(place, "non-finite", f"{left_out} are left out of the histogram"))
        return replace(summary, values=None, buckets=binned.buckets, step=step, wall_time=wall_time)

    def _renamed(self, embedding: Embedding, position: int) -> Embedding:
        """The Projector tells embeddings apart by name and step, and shows the first of two that are alike."""
        name = (embedding.display_name or embedding.tag)[:_NAME_KEPT]
        return replace(embedding, display_name=f"{name} ({self._index}.{position})")

    def _regressed(self, place: str, count: int, of: int, step: int, previous: int) -> None:
        self.regressions += count
        message = (
            f"step {step} comes after step {previous} ({count} of {of} steps go back); kept, but TensorBoard's data server "
            "stops showing the tag's earlier points from there on"
        )
        self._warn(ItemWarning(place, "step-back", message))

    def _warn(self, warning: ItemWarning) -> None:
        if len(self.warnings) < limits.REPORTED_ITEMS:
            self.warnings.append(warning)

    def _refuse(self, error: ItemError) -> None:
        if len(self.errors) < limits.REPORTED_ITEMS:
            self.errors.append(error)


def _too_many_runs(most: int) -> InvalidItem:
    message = f"the bridge writes to {most} runs, as many as it may; delete some, or raise --runs-max on the server"
    return InvalidItem("too-many-runs", message)


def _expect(known: tuple[Kind, int] | None, kind: Kind, tag: str) -> int | None:
    """The tag's last step, None if it is new; refused if it holds another kind, which TensorBoard would not show."""
    if known is None:
        return None
    if known[0] is not kind:
        message = (
            f"tag {tag!a} of this run holds {known[0].name.lower()} values; send {kind.name.lower()} values under another tag"
        )
        raise InvalidItem("kind-conflict", message, "tag")
    return known[1]


def _next_step(before: int | None, count: int) -> int:
    first = 0 if before is None else before + 1
    if first + count - 1 > INT64_MAX:
        raise InvalidItem("step", "the tag's steps have reached 2^63-1 and cannot go on; send explicit steps", "steps")
    return first
