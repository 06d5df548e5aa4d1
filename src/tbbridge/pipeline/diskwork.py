"""What the writer does on the disk: a group into the journal and then into the event files, and changes to runs.

Plain synchronous code, which writer.py runs on the event loop or in a thread. Only one group is in it at any time, so the
ledger and the files need no lock.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tbbridge import disk
from tbbridge.errors import InvalidBatch
from tbbridge.pipeline.changes import Changes, Decided, Prepared
from tbbridge.pipeline.codec import encode_change, encode_entry
from tbbridge.pipeline.eventfile import EventFiles
from tbbridge.pipeline.journal import Journal
from tbbridge.pipeline.kind import Kind, kind_of
from tbbridge.pipeline.ledger import Entry, Ledger
from tbbridge.pipeline.lock import FolderLock
from tbbridge.pipeline.logbook import LogKeeper
from tbbridge.pipeline.logfiles import LogFiles, log_work
from tbbridge.pipeline.measures import DiskTimes
from tbbridge.pipeline.publish import Write, writes_of
from tbbridge.pipeline.queue import Request
from tbbridge.pipeline.settlement import Settled, Settlement
from tbbridge.pipeline.veils import Veils

# A journal sync quicker than this is done on the event loop: handing it to a thread and back costs 60 to 100 us on two cores,
# and holding the loop up for so short a time is no worse than parsing one body.
INLINE_SYNC_S = 300e-6


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
