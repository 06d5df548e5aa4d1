"""The pipeline as one object: opened on a log folder, fed through `submit`, closed. Implements `door.Door`.

The path of a batch: `submit` -> queue.py -> writer.py (`persist`: settlement.py settles it, journal.py makes it durable; it is
answered; `publish`: events/ encodes it, eventfile.py appends it). Beside that: recovery.py at the start, checkpoints at times.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from tbbridge import disk, limits
from tbbridge.errors import QueueFull, Stopping, StorageFailed, TBBridgeError
from tbbridge.model import STATE_FOLDER, Batch, RunName, RunStatus
from tbbridge.pipeline import codec
from tbbridge.pipeline.change import Removed
from tbbridge.pipeline.changes import Changes, Decided
from tbbridge.pipeline.checkpoint import write_checkpoint
from tbbridge.pipeline.diskwork import Store
from tbbridge.pipeline.door import (
    LOST,
    Ack,
    Change,
    Changed,
    DeleteRun,
    DeleteTag,
    Health,
    Receipt,
    RenameRun,
    Stats,
    Watcher,
)
from tbbridge.pipeline.eventfile import EventFiles, describe
from tbbridge.pipeline.heartbeats import Heartbeats
from tbbridge.pipeline.journal import Journal
from tbbridge.pipeline.ledger import Ledger
from tbbridge.pipeline.lock import FolderLock
from tbbridge.pipeline.logbook import LogKeeper, LogSettings
from tbbridge.pipeline.logfiles import LogFiles
from tbbridge.pipeline.queue import BatchQueue, Errand, Request
from tbbridge.pipeline.recovery import recover
from tbbridge.pipeline.veils import Veils
from tbbridge.pipeline.writer import Writer, lose

log = logging.getLogger(__name__)

# What follows from an error of the disk at a start, which ends the process.
_BY_A_START: Final = "then start the bridge again"


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """Where the event files go, and the bounds (each explained in limits.py). `clock`: seconds since 1970."""

    logdir: Path
    queue_max_bytes: int = limits.QUEUE_MAX_BYTES
    segment_bytes: int = limits.SEGMENT_BYTES
    open_files_max: int = limits.OPEN_FILES_MAX
    writers_max: int = limits.WRITERS_MAX
    runs_max: int = limits.RUNS_MAX
    tags_per_run_max: int = limits.TAGS_PER_RUN_MAX
    close_timeout_s: float = 5.0
    veil_s: float = limits.VEIL_S
    emptied_s: float = limits.EMPTIED_S
    emptied_max_s: float = limits.EMPTIED_MAX_S
    logs: LogSettings = field(default_factory=LogSettings)
    clock: Callable[[], float] = time.time


class Pipeline:
    """See `door.Door` for what its methods promise."""

    def __init__(self, settings: PipelineSettings, lock: FolderLock, store: Store, stats: Stats) -> None:
        """Not for callers: use `open`."""
        self._settings = settings
        self._folder = settings.logdir / STATE_FOLDER
        self._lock = lock
        self._store = store
        self._stats = stats
        self._queue = BatchQueue(settings.queue_max_bytes)
        self._disk_pool = ThreadPoolExecutor(1, thread_name_prefix="tbbridge-disk")
        self._checkpoint_pool = ThreadPoolExecutor(1, thread_name_prefix="tbbridge-checkpoint")
        self._checkpointing: Future[None] | None = None
        self._writer = Writer(
            store, self._queue, stats, rotate=self._rotate, checkpointed=self._checkpointed, pool=self._disk_pool
        )
        self._task = asyncio.create_task(self._writer.run(), name="tbbridge-writer")
        self._task.add_done_callback(self._writer_ended)
        loop, self._veiled = asyncio.get_running_loop(), asyncio.Event()
        store.veils.on_begin = lambda: loop.call_soon_threadsafe(self._veiled.set)
        self._lifted = asyncio.Event()
        self._lifter = asyncio.create_task(self._lift_veils(), name="tbbridge-veils")
        self._closing = False
        known = store.ledger.runs.values()
        self._heartbeats = Heartbeats([run.name for run in known if run.status is RunStatus.RUNNING])

    @classmethod
    async def open(cls, settings: PipelineSettings) -> Pipeline:
        """Take the log folder, replay what its journal still holds, and start.

        Cancelling it stops a long replay soon, which loses nothing. Raises `LogFolderBusy` if another process owns the folder,
        `StorageFailed` if the folder cannot be used.
        """
        stats = Stats(queue_max_bytes=settings.queue_max_bytes)
        stop = threading.Event()
        try:
            lock, store = await asyncio.to_thread(_open_store, settings, stats, stop)
        except asyncio.CancelledError:
            stop.set()  # the thread sees it within one entry of the journal, and lets the folder go
            raise
        return cls(settings, lock, store, stats)

    @property
    def stats(self) -> Stats:
        """Totals and gauges, live."""
        self._stats.queue_batches = len(self._queue)
        self._stats.queue_bytes = self._queue.size
        self._stats.queue_age_s = self._queue_age_s()
        self._stats.runs = len(self._store.ledger.runs)
        self._stats.open_files = len(self._store.files)
        return self._stats

    @property
    def health(self) -> Health:
        """Whether batches are taken now."""
        if self._closing:
            return Health(ready=False, reason="the bridge is shutting down")
        if self._writer.is_failing:
            return Health(ready=False, reason=self._writer.failure().message)
        return Health(ready=True)

    def _queue_age_s(self) -> float:
        waiting = [since for since in (self._writer.oldest, self._queue.oldest) if since is not None]
        return time.perf_counter() - min(waiting) if waiting else 0.0

    async def submit(
        self, batch: Batch, *, ack: Ack = Ack.JOURNALED, partial: bool = False, received: float | None = None
    ) -> Receipt:
        """Take `batch` and return when `ack` holds; see `door.Door.submit`."""
        self._check_open()
        self._heartbeats.hear(batch)
        waiter: asyncio.Future[Receipt] | None = None if ack is Ack.QUEUED else asyncio.get_running_loop().create_future()
        now = time.perf_counter()
        self._queue.put(Request(batch, batch.size_bytes, ack, partial, waiter, now if received is None else received, now))
        if waiter is None:
            return Receipt(batch.points)
        return await waiter

    async def change(self, change: Change) -> Changed:
        """Make a change to runs; see `door.Door.change`."""
        if isinstance(change, DeleteRun) and self._writer.is_full:
            return await self._remove_by_hand(change)
        if isinstance(change, RenameRun):
            await self._until_lifted(change.to)
        elif isinstance(change, DeleteTag):
            await self.settled()  # what was acknowledged is looked for in the event files
        self._check_open()
        changes = self._store.changes
        try:
            prepared = await asyncio.to_thread(changes.prepare, change)
        except OSError as error:
            raise StorageFailed(describe(error), full=disk.is_full(error)) from error
        try:
            decided = await self._errand(partial(self._store.change, prepared))
        except TBBridgeError:
            if not prepared.taken:  # else it is journalled, and made all the same
                await asyncio.to_thread(changes.abandon, prepared)
            raise
        assert isinstance(decided, Decided)  # noqa: S101 - as `Store.change` says
        return decided.changed

    async def _remove_by_hand(self, change: DeleteRun) -> Changed:
        """On a full disk nothing can be journalled, and deleting is what helps: it is done as the run's owner would do it."""
        work = partial(self._store.changes.remove_by_hand, change.run, below=change.below)
        try:  # in the pool, where nobody else touches the files meanwhile
            changed = await asyncio.get_running_loop().run_in_executor(self._disk_pool, work)
        except OSError as error:
            raise StorageFailed(describe(error), full=disk.is_full(error)) from error
        self._writer.changed(Removed(changed.runs), changed.runs)
        return changed

    async def stage(self) -> Path:
        """A folder for what `change` is to install; see `door.Door.stage`."""
        self._check_open()
        try:
            return await asyncio.to_thread(self._store.changes.stage)
        except OSError as error:
            raise StorageFailed(describe(error), full=disk.is_full(error)) from error

    def take_touched(self) -> set[str]:
        """Runs written or changed since the last call; see `door.Door.take_touched`."""
        taken, self._writer.touched = self._writer.touched, set()
        return taken | (self._heartbeats.take_turned() & self._store.ledger.runs.keys())

    def status_of(self, run: str) -> str | None:
        """How a run is; see `door.Door.status_of`."""
        known = self._store.ledger.runs.get(run)
        if known is None or known.status is None:
            return None
        return LOST if known.status is RunStatus.RUNNING and self._heartbeats.is_lost(run) else known.status.value

    def lost(self) -> frozenset[str]:
        """Runs that should be running and are silent; see `door.Door.lost`."""
        return self._heartbeats.lost()

    def watch(self, watcher: Watcher | None) -> None:
        """Tell `watcher` what is stored and changed from now on; see `door.Door.watch`."""
        self._writer.watcher = watcher

    def _check_open(self) -> None:
        if self._closing:
            raise Stopping("the bridge is shutting down; send it again when it is back")
        if self._writer.is_failing:
            raise self._writer.failure()

    async def _errand(self, work: Callable[[], object]) -> object:
        """What `work` returns, done in its order among the batches and then on the disk."""
        self._check_open()
        return await self._queued(work)

    async def _queued(self, work: Callable[[], object]) -> object:
        waiter: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._queue.put(Errand(work, waiter))
        return await waiter

    async def _until_lifted(self, run: RunName) -> None:
        """A run that takes the place of one removed a moment ago has to wait until every reader has noticed."""
        with contextlib.suppress(TimeoutError):  # then the change itself says that the name is not free
            async with asyncio.timeout(self._store.veils.longest_s + limits.VEIL_GRACE_S):
                while self._store.veils.covers(run) and not self._closing:
                    self._lifted.clear()
                    await self._lifted.wait()

    async def _lift_veils(self) -> None:
        """Put veiled runs in their place when their time has come; the last ones are `close`'s."""
        while not self._closing:
            self._veiled.clear()
            due_in = self._store.veils.due_in()
            if due_in is None or due_in > 0:
                with contextlib.suppress(TimeoutError):  # another veil may begin, whose folder vanishes sooner
                    await asyncio.wait_for(self._veiled.wait(), due_in)
                continue
            try:
                await self._errand(self._store.changes.lift_due)
                self._lifted.set()
            except TBBridgeError as error:
                log.warning("veiled runs stay veiled for now: %s", error)
                await asyncio.sleep(limits.VEIL_GRACE_S)

    async def settled(self) -> None:
        """Return when all that was acknowledged before is in the event files."""
        await self._writer.settled()

    async def close(self) -> None:
        """Take no more, finish what was admitted, write a checkpoint, release the log folder. Bounded by close_timeout_s."""
        if self._closing:
            return
        self._closing = True
        self._lifted.set()
        await self._veils_lifted()
        self._lifter.cancel()
        self._queue.close()
        done, _ = await asyncio.wait([self._task], timeout=self._settings.close_timeout_s)
        if not done:
            self._writer.stop()
            done, _ = await asyncio.wait([self._task], timeout=self._settings.close_timeout_s)
        left = self._queue.take_now()
        for request in left:
            request.fail(Stopping("the bridge is shutting down; send the batch again when it is back"))
        lose(left)
        await asyncio.to_thread(self._close_store, clean=bool(done) and not self._writer.is_failing)

    async def _veils_lifted(self) -> None:
        """Wait, though not for long, for veils that would have to be lifted before TensorBoard's readers had noticed."""
        if not self._store.veils or self._writer.is_failing:
            return
        timeout_s = self._settings.close_timeout_s
        log.info("runs were changed a moment ago: waiting until TensorBoard has noticed, %.1f s at most", timeout_s)
        self._store.veils.hurry()
        with contextlib.suppress(TimeoutError, StorageFailed):  # then `_close_store` lifts what it can
            async with asyncio.timeout(timeout_s):
                while (due_in := self._store.veils.due_in()) is not None:
                    await asyncio.sleep(max(0.0, due_in))
                    try:
                        await self._queued(self._store.changes.lift_due)
                    except QueueFull:  # what was admitted is being written: there will be room
                        await asyncio.sleep(limits.VEIL_RETRY_S)

    def _close_store(self, *, clean: bool) -> None:
        self._disk_pool.shutdown()
        self._checkpoint_pool.shutdown()
        try:
            if clean and not self._store.has_pending:
                self._store.changes.lift_all()
                self._store.journal.begin_next(self._store.ledger.next_index)
                _Checkpoint(self._folder, self._store, self._stats).write()
        except OSError as error:
            log.warning("no checkpoint at the end (%s): the next start replays the journal instead", describe(error))
        finally:
            self._store.files.close()
            self._store.logs.close()
            self._store.journal.close()
            self._lock.release()

    def _writer_ended(self, task: asyncio.Task[None]) -> None:
        """A writer that ends by an error it did not expect must not leave anybody waiting."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        log.critical("the writer stopped by an unexpected error; restart the bridge, the journal is safe", exc_info=error)
        self._writer.die()

    async def _checkpointed(self) -> None:
        """Return when no checkpoint is being written."""
        if self._checkpointing is not None and not self._checkpointing.done():
            await asyncio.wait([asyncio.wrap_future(self._checkpointing)])

    def _rotate(self) -> None:
        """Begin a new journal segment and, beside the writer, the checkpoint that makes the older ones unnecessary.

        Called between groups, when the event files hold all that was journalled.
        """
        self._store.journal.begin_next(self._store.ledger.next_index)
        if self._checkpointing is None or self._checkpointing.done():
            self._checkpointing = self._checkpoint_pool.submit(_Checkpoint(self._folder, self._store, self._stats).write)


class _Checkpoint:
    """The state of this moment, to be made durable while the writer goes on."""

    def __init__(self, folder: Path, store: Store, stats: Stats) -> None:
        self._folder = folder
        self._store = store
        self._stats = stats
        self._segment = store.journal.number
        self._data = codec.encode_checkpoint(store.ledger, self._segment)
        self._files, self._folders = store.files.take_unsynced()
        self._logs, self._log_folders = store.logs.take_unsynced()

    def write(self) -> None:
        """Sync the event files, store the checkpoint, drop the segments it replaces."""
        try:
            disk.sync_files(self._files | self._logs, self._folders | self._log_folders)
            self._store.journal.retire(write_checkpoint(self._folder, self._segment, self._data))
        except OSError as error:
            self._store.files.untake(self._files, self._folders)
            self._store.logs.untake(self._logs, self._log_folders)
            log.warning("no checkpoint this time (%s): the journal keeps growing until one succeeds", describe(error))
        else:
            self._stats.checkpoints += 1


def _open_store(settings: PipelineSettings, stats: Stats, stop: threading.Event) -> tuple[FolderLock, Store]:
    folder = settings.logdir / STATE_FOLDER
    try:
        disk.make_private_folder(folder)
        lock = FolderLock(folder)
        for name in (settings.logdir, settings.logdir.parent):
            disk.sync_path(name)  # a journal is only as durable as the folder it is in
    except OSError as error:
        raise StorageFailed(
            f"log folder {settings.logdir} cannot be used: {describe(error, then=_BY_A_START)}", full=disk.is_full(error)
        ) from error
    try:
        ledger = Ledger(
            writers_max=settings.writers_max, runs_max=settings.runs_max, tags_per_run_max=settings.tags_per_run_max
        )
        veils = Veils(settings.logdir, settings.veil_s, emptied_s=settings.emptied_s, emptied_max_s=settings.emptied_max_s)
        veils.load()
        files = EventFiles(settings.logdir, veils, open_files_max=settings.open_files_max)
        changes = Changes(settings.logdir, files, veils, settings.clock)
        journal = Journal(folder, segment_bytes=settings.segment_bytes)
        logs = LogFiles(settings.logdir)
        keeper = LogKeeper(ledger.logs, logs, settings.logs)
        recovery = recover(folder, ledger, files, logs, changes, journal, stop.is_set)
        changes.begin_at(ledger.next_index)
        if not recovery.is_damaged:  # else what was to be installed may have been acknowledged
            changes.clear_staged()
        store = Store(ledger, journal, files, logs, keeper, changes, veils, lock, settings.clock)
        _Checkpoint(folder, store, stats).write()
    except OSError as error:
        lock.release()
        raise StorageFailed(
            f"log folder {settings.logdir} cannot be replayed: {describe(error, then=_BY_A_START)}", full=disk.is_full(error)
        ) from error
    except BaseException:
        lock.release()
        raise
    if stop.is_set():  # nobody waits for this any more
        files.close()
        logs.close()
        journal.close()
        lock.release()
        raise Stopping("stopped while it was starting")
    stats.disk = store.times
    stats.replayed_batches = recovery.replayed
    stats.lost_entries = recovery.losses
    for loss in recovery.losses:
        log.error("%s", loss)
    if recovery.replayed:
        log.info("replayed %d batches from the journal", recovery.replayed)
    return lock, store
