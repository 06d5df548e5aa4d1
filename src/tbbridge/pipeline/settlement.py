"""The one place where a batch's open choices are made: wall times, steps, buckets, and the names of new event files.

A batch becomes an entry in which nothing is left open, so that what is in the event files follows from the journal alone. No
clock and no file here: time and the log folder come in as arguments. What follows: writer.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from tbbridge import limits
from tbbridge.errors import InvalidBatch, InvalidItem, ItemError, ItemWarning
from tbbridge.events.histograms import bucketize
from tbbridge.kinds import settled
from tbbridge.model import (
    INT64_MAX,
    SHORT_COLUMN,
    Batch,
    Embedding,
    Float64s,
    Histogram,
    Int64s,
    RunBatch,
    RunName,
    ScalarColumns,
    Summary,
)
from tbbridge.pipeline.kind import Kind, kind_of
from tbbridge.pipeline.ledger import Entry, Ledger, Opening, Run, note, purged
from tbbridge.pipeline.logbook import LogKeeper, LogSettling


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


class _AskedOnce:
    """The log folder, in which a group's first batch for a run looks whether its file is live, and the others need not."""

    def __init__(self, folders: Folders) -> None:
        self.new_file = folders.new_file
        self.check_embeddings = folders.check_embeddings
        self._is_live = folders.is_live
        self._live: set[RunName] = set()

    def is_live(self, run: Run) -> bool:
        """As said at `Folders`. A file that is not live is asked for once too: the ledger then has another."""
        if run.name not in self._live:
            if not self._is_live(run):
                return False
            self._live.add(run.name)
        return True


class Settlement:
    """One group of batches on its way to the journal: settles them one by one, then `keep` or `discard`s them together."""

    def __init__(self, ledger: Ledger, folders: Folders, now: float, keeper: LogKeeper) -> None:
        self._ledger = ledger
        self._folders = _AskedOnce(folders)
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


class _Room:
    """How many tags a run may still get."""

    def __init__(self, tags_max: int, known: Run | None) -> None:
        self._tags_max = tags_max
        self._left = tags_max - (0 if known is None else len(known.tags) + len(known.embeddings))

    def check(self) -> None:
        """Raise `InvalidItem` if there is none."""
        if self._left <= 0:
            most = self._tags_max
            message = f"the run has {most} tags, as many as it may; use fewer, or raise --tags-per-run-max on the server"
            raise InvalidItem("too-many-tags", message, "tag")

    def take(self) -> None:
        """For one more tag."""
        self._left -= 1


class _Tags:
    """Tags of a run, or its embeddings, while a batch is settled: those that it has, and what the batch makes of them."""

    def __init__(self, known: Mapping[str, tuple[Kind, int]], room: _Room) -> None:
        self._known = known
        self._new: dict[str, tuple[Kind, int]] = {}
        self._room = room

    def last_step(self, tag: str, kind: Kind) -> int | None:
        """The step of the tag's last value, None if it is new. Raises `InvalidItem` if it cannot take a value of `kind`."""
        last = self._new.get(tag) or self._known.get(tag)
        if last is None:
            self._room.check()
            return None
        if last[0] is not kind:  # TensorBoard would not show them
            held, sent = last[0].name.lower(), kind.name.lower()
            message = f"tag {tag!a} of this run holds {held} values; send {sent} values under another tag"
            raise InvalidItem("kind-conflict", message, "tag")
        return last[1]

    def note(self, tag: str, kind: Kind, step: int, *, is_new: bool) -> None:
        """The tag's last value is now one of `step`."""
        if is_new:
            self._room.take()
        self._new[tag] = (kind, step)


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
        self._now_as_column: Float64s = np.empty(0)
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
            self.fresh.append(note(run, settled, self._undo))

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
        room = _Room(self._ledger.tags_per_run_max, known)
        known_tags = {} if known is None else known.tags
        if asked.purge_step is not None:
            known_tags = dict(purged(known_tags, asked.purge_step))
        tags = _Tags(known_tags, room)
        scalars = tuple(self._scalars(asked, tags, path))
        summaries: tuple[Summary, ...] = ()
        if asked.summaries:
            embeddings = _Tags({} if known is None else known.embeddings, room)
            summaries = tuple(self._summaries(asked, tags, embeddings, path))
        create = asked.create and known is None
        purge_wall_time = None
        if asked.purge_step is not None:
            purge_wall_time = self._now if asked.purge_wall_time is None else asked.purge_wall_time
        is_news = asked.status is not None and (known is None or known.status is not asked.status)
        is_written = bool(scalars or summaries or create or asked.purge_step is not None)
        # A status alone makes no run, and one that is known already is a heartbeat only
        status = asked.status if is_news and (is_written or known is not None) else None
        return RunBatch(asked.run, scalars, summaries, asked.purge_step, purge_wall_time, create=create, status=status)

    def _scalars(self, asked: RunBatch, tags: _Tags, path: str) -> Iterator[ScalarColumns]:
        for column in asked.scalars:
            try:
                before = tags.last_step(column.tag, Kind.SCALAR)
                settled, steps = self._column(column, before, path)
            except InvalidItem as error:
                self._refuse(error.at(f"{path}.scalars[tag={column.tag!a}]"))
                continue
            tags.note(column.tag, Kind.SCALAR, int(steps[-1]), is_new=before is None)
            yield settled

    def _summaries(self, asked: RunBatch, tags: _Tags, embeddings: _Tags, path: str) -> Iterator[Summary]:
        for position, summary in enumerate(asked.summaries):
            kind = kind_of(summary)
            among = embeddings if kind is Kind.EMBEDDING else tags
            place = f"{path}.summaries[tag={summary.tag!a}]"
            try:
                before = among.last_step(summary.tag, kind)
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
            among.note(summary.tag, kind, step, is_new=before is None)
            yield self._summary(summary, step, place)

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
        wall_times = column.wall_times if column.wall_times is not None else self._times_of_receipt(count)
        # Not `replace`, which takes twice as long; and this is done for every column of every batch.
        return ScalarColumns(column.tag, column.values, steps, wall_times, column.display_name, column.description), steps

    def _times_of_receipt(self, count: int) -> Float64s:
        """That many times of this moment; columns of a batch are mostly of one length, and nobody changes what is in them."""
        if len(self._now_as_column) != count:
            self._now_as_column = np.full(count, self._now)
        return self._now_as_column

    def _look_back(self, tag: str, steps: Int64s, before: int | None, path: str) -> None:
        """Count the steps that are below the one before them, and warn of the first."""
        previous = int(steps[0]) if before is None else before
        if int(steps[0]) >= previous:  # nearly always there is none, and seeing that takes a third of what finding them does
            if len(steps) == 1:
                return
            if len(steps) <= SHORT_COLUMN:
                listed = steps.tolist()
                if listed == sorted(listed):
                    return
            elif bool((steps[1:] >= steps[:-1]).all()):
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


def _next_step(before: int | None, count: int) -> int:
    first = 0 if before is None else before + 1
    if first + count - 1 > INT64_MAX:
        raise InvalidItem("step", "the tag's steps have reached 2^63-1 and cannot go on; send explicit steps", "steps")
    return first
