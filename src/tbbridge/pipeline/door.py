"""The pipeline's door: all that the server (or anything else in front) may know of what lies behind it.

`submit` is the only way in. What it promises for each acknowledgement level is the contract the HTTP interface passes on.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from tbbridge.errors import ItemError, ItemWarning
from tbbridge.measures import Histogram
from tbbridge.model import Batch, RunName, TagName
from tbbridge.pipeline.change import SettledChange
from tbbridge.pipeline.ledger import Entry
from tbbridge.pipeline.measures import LATENCY_BOUNDS_S, DiskTimes

# A run that is said to be running, and of which nothing was heard for limits.RUN_LOST_AFTER_S.
LOST: Final = "lost"


class Ack(enum.StrEnum):
    """When a write is answered."""

    QUEUED = "queued"  # admitted to the queue, in memory only
    JOURNALED = "journaled"  # on disk: the journal's fdatasync has returned
    WRITTEN = "written"  # on disk, and readers of the event file see it


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one batch."""

    accepted: int  # values taken; 0 for a duplicate
    duplicate: bool = False  # the writer's seq was taken before; all of it is already stored
    rejected: tuple[ItemError, ...] = ()  # items the pipeline itself refused, with partial only
    warnings: tuple[ItemWarning, ...] = ()
    held_at: float = field(default=0.0, compare=False)  # what time.perf_counter() said when `ack` held; 0: it held at once


@dataclass(frozen=True, slots=True)
class DeleteRun:
    """Remove what belongs to a run: event files, embeddings, files of plugins. `below`: of all runs below its folder too."""

    run: RunName
    below: bool = False


@dataclass(frozen=True, slots=True)
class DeleteTag:
    """Remove one tag's values from a run; the rest is kept, byte for byte, in one new event file."""

    run: RunName
    tag: TagName


@dataclass(frozen=True, slots=True)
class RenameRun:
    """Rename a run's folder, or one that only has runs below it, with all that is in it."""

    run: RunName
    to: RunName


@dataclass(frozen=True, slots=True)
class InstallRun:
    """Make the files in `staged` (from `Door.stage`, under veiled names, see layout.py) those of a run.

    `replace`: remove what the run holds before; without it a run that exists is a `Conflict`.
    """

    run: RunName
    staged: Path
    replace: bool = False


Change: TypeAlias = DeleteRun | DeleteTag | RenameRun | InstallRun


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change did: the runs concerned (under the names they had), and what the user should know."""

    runs: tuple[str, ...]
    warnings: tuple[ItemWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class Health:
    """Whether new batches are taken, and if not, why, in words for an operator."""

    ready: bool
    reason: str = ""


@dataclass(slots=True)
class Stats:
    """Running totals since the start, and gauges; read by /metrics. Changed only on the event loop, but for `disk`."""

    batches: int = 0  # batches journalled
    points: int = 0  # values journalled
    duplicates: int = 0  # batches answered as done because their seq was taken before
    step_regressions: int = 0  # points whose step was below the one before it in their tag: kept, and warned of
    groups: int = 0  # group commits: one journal write and one fdatasync each
    journal_bytes: int = 0
    event_bytes: int = 0
    points_by_kind: Counter[str] = field(default_factory=Counter)  # values and log records journalled, by what they are
    latency: Histogram = field(default_factory=lambda: Histogram(LATENCY_BOUNDS_S))  # from a batch's receipt to its event file
    disk: DiskTimes = field(default_factory=DiskTimes)
    storage_failures: int = 0
    checkpoints: int = 0
    queue_batches: int = 0  # gauge
    queue_bytes: int = 0  # gauge
    queue_max_bytes: int = 0
    queue_age_s: float = 0.0  # gauge: since the oldest batch that is not journalled yet was received; 0 if all are
    runs: int = 0  # gauge: runs written by this log folder's bridge
    open_files: int = 0  # gauge
    replayed_batches: int = 0  # at this start
    lost_entries: list[str] = field(default_factory=list)  # journal damage found at this start, one line each


class Watcher(Protocol):
    """Is told what a reader can see from now on, in its order, on the event loop. Both must return at once and never raise."""

    def stored(self, entries: Sequence[Entry], size_bytes: int) -> None:
        """These entries are in the journal and in their event files; they occupy about `size_bytes`."""

    def changed(self, change: SettledChange, runs: Sequence[str]) -> None:
        """This change was made; `runs` are those concerned, under the names that they had."""


class Door(Protocol):
    """Implemented by `pipeline.pipeline.Pipeline`. All methods belong to the event loop that opened it."""

    @property
    def stats(self) -> Stats:
        """Totals and gauges, live."""

    @property
    def health(self) -> Health:
        """Whether batches are taken now."""

    async def submit(
        self, batch: Batch, *, ack: Ack = Ack.JOURNALED, partial: bool = False, received: float | None = None
    ) -> Receipt:
        """Take `batch` whole (with `partial`: its good items) and return when `ack` holds.

        Batches of one writer are applied in the order of the calls. Raises at once, with nothing taken: `QueueFull`,
        `Stopping`, `StorageFailed`; and `InvalidBatch` for what only the log folder's state can tell (a tag that already
        holds another kind, a run whose folder cannot be made). `StorageFailed` later means: not acknowledged, send it
        again. (With `ack=written` the journal may hold it already; the message says so, and writer and seq make a repeat free.)
        If the caller is cancelled, the batch is stored all the same. `received`, for the times in `Stats`: what
        time.perf_counter() said when its request had come; None: it came now.
        """

    async def change(self, change: Change) -> Changed:
        """Make a change to runs in its order among the batches, and return when it is on disk; kill -9 leaves it done or not.

        Raises `NotFound` (no such run or tag), `Conflict` (see each change; also a damaged event file, which cannot be written
        anew without its tag), `InvalidItem`, and what `submit` raises at once. TensorBoard shows it at its next reload;
        what a removed run gets soon after is hidden from TensorBoard, not from the store, until every reader has noticed.
        """

    async def stage(self) -> Path:
        """A new, empty folder on the log folder's file system, for `InstallRun`. Yours, to delete if it is not installed.

        What is in it is made durable by `change`; leftovers of a crash are removed at the next start. Raises `StorageFailed`.
        """

    def take_touched(self) -> set[str]:
        """Names of the runs that were written, made, changed or removed since the last call; for one caller's cache.

        Those whose status changed too, be it only because nothing was heard of them.
        """

    def status_of(self, run: str) -> str | None:
        """What was said last of a run ('running', 'finished', 'failed'), or 'lost' for a running one that is silent.

        None: nothing was ever said. May be asked from any thread.
        """

    def lost(self) -> frozenset[str]:
        """Runs that should be running and are silent; also names that hold nothing, of which `status_of` knows nothing."""

    def watch(self, watcher: Watcher | None) -> None:
        """From now on tell `watcher` (only this one; None: nobody) what is stored and changed."""

    async def settled(self) -> None:
        """Return when all that was acknowledged before this call is in the event files: a read then sees it.

        Raises `StorageFailed` if the event files cannot be written now.
        """

    async def close(self) -> None:
        """Take no more, finish what was admitted, write a checkpoint, release the log folder. Bounded in time."""
