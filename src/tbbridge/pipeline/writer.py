"""The one writer: takes what waits, makes it durable with one journal write, answers, and then writes the event files.

`Store` holds everything that touches the disk and is plain synchronous code: it runs on the event loop while groups are small
and the disk is quick (a thread switch would cost as much as the disk does), else in a thread of its own. `Writer` is the task
around it. Only one group is in either at any time, so the ledger and the files need no lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar, TypeVarTuple

from tbbridge import disk
from tbbridge.errors import InvalidBatch, StorageFailed, TBBridgeError
from tbbridge.pipeline.change import SettledChange
from tbbridge.pipeline.changes import Changes, Decided, Prepared
from tbbridge.pipeline.codec import encode_change, encode_entry
from tbbridge.pipeline.door import Ack, Receipt, Stats, Watcher
from tbbridge.pipeline.eventfile import EventFiles, describe
from tbbridge.pipeline.journal import Journal
from tbbridge.pipeline.kind import Kind, kind_of
from tbbridge.pipeline.ledger import Entry, Ledger
from tbbridge.pipeline.lock import FolderLock
from tbbridge.pipeline.logbook import LogKeeper
from tbbridge.pipeline.logfiles import LogFiles, log_work
from tbbridge.pipeline.measures import DiskTimes
from tbbridge.pipeline.publish import Write, writes_of
from tbbridge.pipeline.queue import BatchQueue, Errand, Request
from tbbridge.pipeline.settlement import Settled, Settlement
from tbbridge.pipeline.veils import Veils

log = logging.getLogger(__name__)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# A journal sync quicker than this is done on the event loop: handing it to a thread and back costs 60 to 100 us on two cores,
# and holding the loop up for so short a time is no worse than parsing one body.
INLINE_SYNC_S = 300e-6
# Groups larger than this are encoded and written in the thread, to keep other requests moving: about 1 ms of work.
INLINE_GROUP_BYTES = 128 * 1024
# How often a failed disk is tried again.
RETRY_S = 0.5


def lose(left: Sequence[Request | Errand]) -> None:
    """Say that batches which were acknowledged as queued, and so from memory only, will not be stored."""
    requests = [request for request in left if isinstance(request, Request) and request.waiter is None]
    if requests:
        points = sum(request.batch.points for request in requests)
        log.error(
            "%d points in %d batches acknowledged with ack=queued are lost: the bridge ends without them", points, len(requests)
        )


@dataclass(slots=True)
class Persisted:
    """A group in the journal: each request with what became of it (`InvalidBatch`: refused, the others are unaffected)."""

    outcomes: list[tuple[Request, Settled | InvalidBatch]]
    entries: list[Entry]
    journal_bytes: int
    kinds: Counter[str]  # values, by what they are


class Store:
    """Ledger, journal and event files of one log folder."""

    def __init__(
        self,
        ledger: Ledger,
        journal: Journal,
        files: EventFiles,
        logs: LogFiles,
        keeper: LogKeeper,
        changes: Changes,
        veils: Veils,
        lock: FolderLock,
        clock: Callable[[], float],
    ) -> None:
        self.ledger = ledger
        self.journal = journal
        self.files = files
        self.logs = logs
        self._keeper = keeper
        self.changes = changes
        self.veils = veils
        self.times = DiskTimes()
        self.sync_estimate_s = INLINE_SYNC_S / 2  # about the median of what a journal sync takes lately
        self._lock = lock
        self._clock = clock
        self._pending: deque[Callable[[], None]] = deque()

    @property
    def has_pending(self) -> bool:
        """True if acknowledged points are in the journal but, because the disk refused, not in their event files."""
        return bool(self._pending)

    def persist(self, group: list[Request]) -> Persisted:
        """Settle a group and put it in the journal, durably. On OSError nothing of it was taken."""
        began = time.perf_counter()
        for request in group:
            self.times.queue.observe(began - request.admitted)
        settlement = Settlement(self.ledger, self.files, self._clock(), self._keeper)
        outcomes: list[tuple[Request, Settled | InvalidBatch]] = []
        durable_below = self.ledger.next_index
        try:
            for request in group:
                try:
                    outcomes.append((request, settlement.settle(request.batch, partial=request.partial)))
                except InvalidBatch as error:
                    outcomes.append((request, error))
            entries = [settled.entry for _, settled in outcomes if isinstance(settled, Settled) and settled.entry is not None]
            validated = time.perf_counter()
            self.times.validate.observe(validated - began)
            frames = [encode_entry(entry, durable_below) for entry in entries]
            if frames:
                took = self._append(frames, began=validated)
                # Follows the median: a rare slow sync, however slow, moves it one notch; a slow disk, within a few groups.
                self.sync_estimate_s *= 1.25 if took > self.sync_estimate_s else 0.8
        except OSError:
            settlement.discard()
            raise
        settlement.keep()
        return Persisted(outcomes, entries, sum(map(len, frames)), _count_kinds(entries))

    def _append(self, frames: list[bytes], *, began: float) -> float:
        """Put `frames`, of which the making began at `began`, in the journal, durably; returns how long that took.

        It is counted if it fails too.
        """
        started = time.perf_counter()
        try:
            synced_for = self.journal.append(frames)
        finally:
            ended = time.perf_counter()
            took = ended - started
            self.times.sync.observe(took)
        self.times.fdatasync.observe(synced_for)
        self.times.journal.observe(ended - began - synced_for)
        return took

    def publish(self, entries: list[Entry]) -> int:
        """Put journalled entries into their event files; returns the bytes. On OSError `write_pending` goes on later."""
        started = time.perf_counter()
        gathered: dict[tuple[int, str], list[Write]] = {}  # by identity: a run may change its file within a group
        size = 0
        for entry in entries:
            for write in writes_of(entry):
                size += len(write.data)
                if write.is_whole:
                    self._pending.append(partial(self.files.put, write))  # before the list that names it
                else:
                    gathered.setdefault((id(write.run), write.name), []).append(write)
        for parts in gathered.values():
            first, offset = parts[0], parts[0].offset
            for data in disk.in_pieces([part.data for part in parts]):
                write = first if data is first.data else replace(first, offset=offset, data=data)
                self._pending.append(partial(self.files.put, write))
                offset += len(data)
        self._pending.extend(partial(self.logs.do, work) for work in log_work(entries))
        self.times.encode.observe(time.perf_counter() - started)
        self.write_pending()
        return size

    def change(self, prepared: Prepared) -> Decided:
        """Settle a change to runs and put it in the journal; `write_pending` then does it. On any error nothing is changed."""
        index = self.ledger.next_index
        try:
            decided = self.changes.settle(prepared, index)
            settled = time.perf_counter()
            self._append([encode_change(decided.change, index)], began=settled)
        except BaseException:
            self.changes.abandon(prepared)
            raise
        finally:
            prepared.taken = True
        self.ledger.change(index, decided.change)
        self._pending.append(partial(self.changes.apply, decided.change, index))
        return decided

    def write_pending(self) -> None:
        """Do what is journalled and not yet done on the disk: write event files, change runs."""
        if not self._pending:
            return
        started = time.perf_counter()
        try:
            while self._pending:
                self._pending[0]()
                self._pending.popleft()
        finally:
            self.times.event_write.observe(time.perf_counter() - started)

    def repair(self) -> bool:
        """After a failure: try to get going again, or raise the OSError that still stands in the way.

        True if the journal was begun anew, and a checkpoint should follow: the folder may have lost all it knew.
        """
        anew = self.journal.failed or self.journal.is_full
        if anew:
            disk.make_private_folder(self.journal.folder)
            self._lock.renew()
            self.journal.begin_next(self.ledger.next_index)
        self.write_pending()
        return anew


def _count_kinds(entries: Sequence[Entry]) -> Counter[str]:
    """How many values of each kind are in `entries`, and log records."""
    counts: Counter[str] = Counter()
    for entry in entries:
        for batch in entry.batches:
            for column in batch.scalars:
                counts["scalar"] += len(column.values)
            for summary in batch.summaries:
                counts[_NAME_OF[kind_of(summary)]] += 1
        for lines in entry.lines:
            counts["log"] += len(lines.records)
    return counts


_NAME_OF = {kind: kind.name.lower() for kind in Kind}


class Writer:
    """The task that drains the queue into the store."""

    def __init__(
        self,
        store: Store,
        queue: BatchQueue,
        stats: Stats,
        *,
        rotate: Callable[[], None],
        checkpointed: Callable[[], Awaitable[None]],
        pool: ThreadPoolExecutor,
    ) -> None:
        """`checkpointed` waits for a checkpoint under way: it would not find files that an errand moves meanwhile."""
        self.touched: set[str] = set()  # runs written or changed, until somebody takes them
        self.watcher: Watcher | None = None
        self.oldest: float | None = None  # when the first batch of the group in work was received, until it is journalled
        self._store = store
        self._queue = queue
        self._stats = stats
        self._rotate = rotate
        self._checkpointed = checkpointed
        self._pool = pool
        self._stopping = asyncio.Event()
        self._journalled = 0  # groups
        self._published = 0
        self._settlers: list[tuple[int, asyncio.Future[None]]] = []
        self._failure: OSError | str | None = None

    async def run(self) -> None:
        """Until the queue is closed and empty."""
        while group := await self._queue.take():
            try:
                if isinstance(group, Errand):
                    await self._do(group)
                else:
                    await self._commit(group)
            except BaseException:
                for request in [group] if isinstance(group, Errand) else group:  # those already answered are not touched
                    request.fail(self.failure())
                raise

    def stop(self) -> None:
        """No more waiting for a failed disk."""
        self._stopping.set()

    @property
    def is_failing(self) -> bool:
        """True while new batches are refused."""
        return self._failure is not None

    @property
    def is_full(self) -> bool:
        """True while new batches are refused because the disk is full."""
        return isinstance(self._failure, OSError) and disk.is_full(self._failure)

    def failure(self) -> StorageFailed:
        """Why batches are refused, as a new error each time: one error raised again and again would keep every traceback."""
        if isinstance(self._failure, OSError):
            return StorageFailed(describe(self._failure), full=disk.is_full(self._failure))
        return StorageFailed("the bridge's writer stopped by an internal error; its log says why; restart it")

    def changed(self, change: SettledChange, runs: Sequence[str]) -> None:
        """A change is on the disk: tell whoever wants to know."""
        self.touched.update(runs)
        if self.watcher is not None:
            self.watcher.changed(change, runs)

    def die(self) -> None:
        """The task ended by an error it did not expect: refuse everything from now on."""
        self._failure = "internal"
        self.oldest = None
        lose(self._refuse(self._queue.take_now()))

    async def settled(self) -> None:
        """Return when all groups journalled so far are in the event files."""
        if self.is_failing:
            raise self.failure()
        if self._published < self._journalled:
            waiter = asyncio.get_running_loop().create_future()
            self._settlers.append((self._journalled, waiter))
            await waiter

    async def _commit(self, group: list[Request]) -> None:
        size = sum(request.size for request in group)
        inline = size <= INLINE_GROUP_BYTES
        self.oldest = group[0].received
        try:
            if self._store.journal.is_full:
                await self._run(self._rotate, inline=False)
            persisted = await self._run(self._store.persist, group, inline=inline)
        except OSError as error:
            self._failed(error)
            await self._recover(group)
            return
        self._journalled += 1
        self.oldest = None
        self._count(persisted)
        self._answer(persisted, (Ack.JOURNALED, Ack.QUEUED))
        await asyncio.sleep(0)  # let the answers go out before the event files are written
        try:
            self._stats.event_bytes += await self._run(self._store.publish, persisted.entries, inline=inline)
        except OSError as error:
            self._failed(error)
            self._fail_written(persisted)
            await self._recover([])
        if self._store.has_pending:  # stopped while the disk still refuses: the journal has it, the next start writes it
            return
        self._observe(persisted)
        self._answer(persisted, (Ack.WRITTEN,))
        self.touched.update(run.name for entry in persisted.entries for run in entry.targets)
        if self.watcher is not None:
            self.watcher.stored(persisted.entries, size)
        self._publish_done()

    async def _do(self, errand: Errand) -> None:
        try:
            if self._store.journal.is_full:
                await self._run(self._rotate, inline=False)
            await self._checkpointed()
            result = await self._run(errand.work, inline=False)
        except TBBridgeError as error:
            errand.fail(error)
            return
        except OSError as error:
            self._failed(error)
            errand.fail(self.failure())
            await self._recover([])
            return
        except Exception:  # of this errand alone, before anything of it was journalled
            log.exception("an errand of the writer failed")
            errand.fail(TBBridgeError("an internal error; the log says which, and nothing was changed"))
            return
        self._journalled += 1
        try:
            await self._run(self._store.write_pending, inline=False)
        except OSError as error:
            self._failed(error)
            reason = f"{self.failure().message}. The change is safe in the journal and will be made when that has passed"
            errand.fail(StorageFailed(reason, full=self.failure().status == StorageFailed.FULL))
            await self._recover([])
        if self._store.has_pending:  # stopped while the disk still refuses: the next start does it
            return
        if isinstance(result, Decided):
            self.touched.update(result.also_touched)
            self.changed(result.change, result.changed.runs)
        errand.answer(result)
        self._publish_done()

    async def _run(self, function: Callable[[*Ts], T], *args: *Ts, inline: bool) -> T:
        if inline and self._store.sync_estimate_s < INLINE_SYNC_S:
            return function(*args)
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *args)

    def _count(self, persisted: Persisted) -> None:
        stats = self._stats
        stats.groups += 1
        stats.journal_bytes += persisted.journal_bytes
        stats.points_by_kind.update(persisted.kinds)
        for request, outcome in persisted.outcomes:
            if isinstance(outcome, InvalidBatch):
                if request.waiter is None:  # ack=queued: there is nobody left to tell
                    log.warning("a batch acknowledged as queued was refused: %s", outcome)
            elif outcome.entry is None:
                stats.duplicates += 1
            else:
                stats.batches += 1
                stats.points += outcome.accepted
                stats.step_regressions += outcome.regressions

    def _observe(self, persisted: Persisted) -> None:
        """The group is in its event files: count how long each of its batches took to get there."""
        now = time.perf_counter()
        for request, outcome in persisted.outcomes:
            if isinstance(outcome, Settled) and outcome.entry is not None:
                self._stats.latency.observe(now - request.received)

    def _answer(self, persisted: Persisted, acks: tuple[Ack, ...]) -> None:
        now = time.perf_counter()
        for request, outcome in persisted.outcomes:
            if isinstance(outcome, InvalidBatch):
                request.fail(outcome)
            elif request.ack in acks:
                duplicate = outcome.entry is None
                request.answer(Receipt(outcome.accepted, duplicate, outcome.rejected, outcome.warnings, now))

    def _fail_written(self, persisted: Persisted) -> None:
        """Do not let those who asked for the event file wait for a disk that may refuse for hours."""
        message = (
            f"{self.failure().message}. The batch is safe in the journal and will be in its event file when that has passed"
        )
        for request, _ in persisted.outcomes:
            request.fail(StorageFailed(message, full=self.failure().status == StorageFailed.FULL))

    def _publish_done(self) -> None:
        self._published = self._journalled
        waiting, self._settlers = self._settlers, []
        for target, waiter in waiting:
            if target > self._published:
                self._settlers.append((target, waiter))
            elif not waiter.done():
                waiter.set_result(None)

    def _failed(self, error: OSError) -> None:
        if self._failure is None:
            self._stats.storage_failures += 1
            log.error("storage failed: %s; nothing acknowledged is lost, new batches are refused until then", describe(error))
        self._failure = error

    def _refuse(self, requests: Sequence[Request | Errand]) -> list[Request]:
        """Answer all who wait; return the requests for which nobody does (ack=queued): those are kept for later."""
        for request in requests:
            request.fail(self.failure())
        for _, waiter in self._settlers:
            if not waiter.done():
                waiter.set_exception(self.failure())
        self._settlers.clear()
        return [request for request in requests if isinstance(request, Request) and request.waiter is None]

    async def _recover(self, group: list[Request]) -> None:
        """Refuse `group` and what waits, then try the disk again and again until it works or the bridge stops."""
        kept = self._refuse(group)
        while self._failure is not None and not self._stopping.is_set():
            kept += self._refuse(self._queue.take_now())
            self.oldest = kept[0].received if kept else None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), RETRY_S)
            try:
                if await self._run(self._store.repair, inline=False):
                    await self._run(self._rotate, inline=False)
            except OSError as error:
                self._failure = error
            else:
                log.info("storage works again")
                self._failure = None
        if self._failure is None:
            self._queue.put_back(kept)
        else:
            lose(kept)
        self.oldest = None
