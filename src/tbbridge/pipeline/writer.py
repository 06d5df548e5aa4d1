"""The one writer: takes what waits, makes it durable with one journal write, answers, and then writes the event files.

What touches the disk is diskwork.py's. It runs on the event loop while groups are small and the disk is quick (a thread switch
would cost as much as the disk does), else in a thread of its own; `Writer` is the task around it. Only one group is in either
at any time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

from tbbridge import disk
from tbbridge.errors import InvalidBatch, StorageFailed, TBBridgeError
from tbbridge.pipeline.change import SettledChange
from tbbridge.pipeline.changes import Decided
from tbbridge.pipeline.diskwork import INLINE_SYNC_S, Persisted, Store
from tbbridge.pipeline.door import Ack, Receipt, Stats, Watcher
from tbbridge.pipeline.eventfile import describe
from tbbridge.pipeline.queue import BatchQueue, Errand, Request
from tbbridge.pipeline.settlement import Settled

log = logging.getLogger(__name__)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

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
