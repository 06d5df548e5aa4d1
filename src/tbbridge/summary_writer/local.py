"""A local destination: a queue that log calls append to, and the one thread that writes it to event files.

The log calls see the same face as a client's backlog: `points`, `level`, `rise`, `add`. The difference is at the end of their
patience: nothing is ever dropped; when too much waits, the call that logs writes it out itself. A write error is raised by the
next call, by `flush` and by `close`; what was logged waits meanwhile, and is tried again. A run that cannot have an event file
does not hold up the other runs. Encoding and files are in files.py.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat, starmap
from pathlib import Path
from typing import Final, Self

from tbbridge import limits
from tbbridge.client import lifecycle
from tbbridge.client.backlog import Load, Note
from tbbridge.client.packing import Parcel, Series, columns, prepare
from tbbridge.client.points import Logged, Points
from tbbridge.errors import WriteFailed
from tbbridge.kinds import Embedding
from tbbridge.model import LogRecord, RunBatch, RunName, RunStatus, ScalarColumns, Summary, run_name, tag_name
from tbbridge.summary_writer.files import LocalFiles

logger = logging.getLogger("tbbridge.summary_writer")

_STOP: Final = "stop"
_WRITE: Final = "write"
_CLOSE: Final = "close"
_WHOLE_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS})  # no run's fault: trying others is idle


class LocalDestination:
    """Writes below `folder`; the run '' is the folder itself. Its thread starts with the first value and ends with `close`.

    `max_queue` values wait at most before the thread writes (in one go, no more than ten times a second), and what was logged
    is in the file after `flush_secs` at the latest.
    """

    def __init__(self, folder: Path, *, purge_step: int | None, max_queue: int, flush_secs: float, suffix: str) -> None:
        self.folder = folder
        self._suffix = suffix
        self._interval_s = min(max(flush_secs, limits.LOCAL_WRITE_PAUSE_S), limits.LOCAL_WRITE_INTERVAL_S)
        self._wake_points = min(max(max_queue, 1), limits.LOCAL_QUEUE_MAX_POINTS)
        self.points: deque[Logged | None] = deque()
        self.level = -1  # the first append calls `rise`
        self._table: list[Series] = []
        self._ids: dict[tuple[str, str], int] = {}
        self._warned: set[tuple[str, str]] = set()
        self._notes: deque[Note] = deque()
        self._reset(purge_step)
        self._files.begin("", time.time())
        lifecycle.know(self)

    def _reset(self, purge_step: int | None, *, is_forked: bool = False) -> None:
        self._files = LocalFiles(self.folder, suffix=self._suffix, purge_step=purge_step, is_forked=is_forked)
        # Both reentrant: the collector may run a finalizer of the user's, which logs, in the middle of anything here.
        self._lock = threading.RLock()  # the queues and the table; never held while writing
        self._io_lock = threading.RLock()  # the files, and the order in which the queues empty
        self._is_writing = False
        self._is_woken = False  # the thread was told, and has not come yet
        self._notes_bytes = 0
        self._pending: deque[RunBatch] = deque()  # out of the queues, and not encoded yet
        self._failure: WriteFailed | None = None
        self._thread: threading.Thread | None = None
        self._orders: queue.SimpleQueue[str] = queue.SimpleQueue()  # the one primitive that is reentrant

    # --- from the log calls -------------------------------------------------------------------------------------------

    @staticmethod
    def run_name(sub_run: str) -> RunName:
        """The run of this name below the folder, '' being the folder itself; raises `InvalidItem`."""
        return run_name(sub_run) if sub_run else RunName("")

    def series(self, run: RunName, tag: str, display_name: str = "", description: str = "") -> int:
        """The number of this (run, tag); raises `InvalidItem` for a tag that cannot be. The first names given count."""
        checked = tag_name(tag)
        with self._lock:
            number = self._ids.get((run, checked))
            if number is None:
                number = len(self._table)
                self._table.append(Series(run, checked, display_name, description))
                self._ids[run, checked] = number
            return number

    def rise(self) -> None:
        """The slow part of an append: start the thread, wake it, or write. Raises `WriteFailed` while the disk refuses."""
        with self._lock:
            self._start()
            if self._failure is None:
                many = len(self.points) >= self._wake_points
                self.level = limits.LOCAL_QUEUE_MAX_POINTS if many else self._wake_points - 1
                if (many or self._is_time_for_notes) and not self._is_woken:
                    self._is_woken = True
                    self._orders.put(_WRITE)
        if len(self.points) > limits.LOCAL_QUEUE_MAX_POINTS or self._notes_bytes > limits.LOCAL_QUEUE_MAX_BYTES:
            self.write_out()
            if self._failure is not None:
                self._drop_excess()
        self._raise_failure()

    def add(self, note: Note) -> None:
        """Append a value of another kind."""
        with self._lock:
            self._notes.append(note)
            self._notes_bytes += note.size_bytes
        if self.level < 0 or self._is_time_for_notes:
            self.rise()

    @property
    def _is_time_for_notes(self) -> bool:
        return len(self._notes) >= self._wake_points or self._notes_bytes > limits.LOCAL_QUEUE_MAX_BYTES // 2

    def _drop_excess(self) -> None:
        """The disk refuses, every call said so, and the caller goes on: memory stays bounded all the same."""
        with self._lock:
            while len(self.points) > limits.LOCAL_QUEUE_MAX_POINTS:
                self.points.popleft()
            while self._notes_bytes > limits.LOCAL_QUEUE_MAX_BYTES:
                self._notes_bytes -= self._notes.popleft().size_bytes

    # --- from anybody -------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Return when everything logged so far is on the disk itself. Raises `WriteFailed`."""
        self.write_out(sync=True)
        self._raise_failure()

    def close(self) -> None:
        """`flush`, and let go of thread and files; what is logged later begins new files. Raises `WriteFailed`."""
        with self._io_lock:
            self.write_out(sync=True)
            thread, failure = self._thread, self._failure
            if failure is not None:
                self._drop_all()
            self._orders.put(_STOP)
            self._thread = None
            self._orders = queue.SimpleQueue()
            self._files.close()
            self._failure = None
            self.level = -1
            lifecycle.retire(self)
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        if failure is not None:
            raise WriteFailed(f"{failure.message}. The writer is closed, and what waited is lost") from failure.__cause__

    fail = close

    def reopen(self) -> None:
        """Begin a new event file now, if `close` ended the last one."""
        with self._io_lock, self._told():
            self._files.begin("", time.time())
        self._raise_failure()

    # --- the ends of a process (lifecycle.py) --------------------------------------------------------------------------

    def end(self) -> None:
        """Nobody can log any more, since the writer is gone: have the thread write what is left and end."""
        if self._thread is None:
            self.drain_at_exit(0.0)
        else:
            self._orders.put(_CLOSE)

    def drain_at_exit(
        self,
        deadline: float,  # noqa: ARG002 - lifecycle.py's interface, these three
        status: RunStatus = RunStatus.FINISHED,  # noqa: ARG002
        *,
        is_main_stopped: bool = False,  # noqa: ARG002
    ) -> None:
        """`close` for a writer that the program did not close; writing a local file takes no deadline."""
        try:
            self.close()
        except WriteFailed as error:
            logger.error("%s", error)  # noqa: TRY400 - at exit: nobody can act on a traceback

    def hurry(self) -> None:
        """Write soon."""
        self._orders.put(_WRITE)

    keep_safe = hurry

    def forget(self) -> None:
        """In a forked child: what waits is the parent's to write, and so are its files; the next value begins our own."""
        self.points.clear()
        self._notes.clear()
        self.level = -1
        self._files.close()
        self._reset(None, is_forked=True)  # the parent's points are no leftovers of a crash

    # --- writing --------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        thread = threading.Thread(
            target=_serve, args=(self, self._orders, self._interval_s), name="tbbridge-summary-writer", daemon=True
        )
        # The interpreter is ending if it cannot start: drain_at_exit writes from its own thread.
        with contextlib.suppress(RuntimeError):
            thread.start()
            self._thread = thread
        lifecycle.activate(self)

    def write_out(self, *, sync: bool = False) -> None:
        """Write all that was logged before this call; what goes wrong is left for the next log call to raise."""
        with self._io_lock:
            if self._is_writing:  # a log call from a finalizer, in the middle of a write by this very thread
                return
            self._is_writing = True
            try:
                with self._told():
                    self._files.write()
                    refused: dict[RunName, tuple[OSError, list[RunBatch]]] = {}
                    try:
                        while self._pending or self._take():
                            self._encode_pending(refused)
                            self._files.write()
                        if sync:
                            self._files.sync()
                    finally:
                        self._keep(batch for _, batches in refused.values() for batch in batches)
                    for error, _ in refused.values():
                        raise error
            finally:
                self._is_writing = False

    def _encode_pending(self, refused: dict[RunName, tuple[OSError, list[RunBatch]]]) -> None:
        """Encode all of `_pending`; batches of runs that can have no file go to `refused`. Raises OSError for a full disk."""
        while self._pending:
            batch = self._pending[0]
            if batch.run in refused:
                refused[batch.run][1].append(batch)
            else:
                try:
                    self._files.encode(batch, time.time())
                except OSError as error:
                    if error.errno in _WHOLE_DISK:
                        raise
                    refused[batch.run] = error, [batch]
            self._pending.popleft()

    def _keep(self, refused: Iterable[RunBatch]) -> None:
        """Have the batches of runs that cannot be written wait for the next try: the newest of them, within the bounds."""
        kept: deque[RunBatch] = deque()
        points = size = 0
        for batch in reversed(list(refused)):
            points += batch.points
            size += sum(summary.size_bytes for summary in batch.summaries)
            if points > limits.LOCAL_QUEUE_MAX_POINTS or size > limits.LOCAL_QUEUE_MAX_BYTES:
                break
            kept.appendleft(batch)
        self._pending.extendleft(reversed(kept))

    @property
    def is_behind(self) -> bool:
        """Whether so much waits that a call had better do its own work."""
        return self._notes_bytes > limits.LOCAL_RAW_MAX_BYTES

    @property
    def queue(self) -> Self:
        """Where log calls append."""
        return self

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            where = error.filename or self._files.path("") or self.folder
            self._failure = WriteFailed(f"the event file {where} cannot be written: {reason}; free space or mend its folder")
            self._failure.__cause__ = error
            self.level = -1  # so that the next log call comes to `rise`, which raises
        else:
            self._failure = None

    def _raise_failure(self) -> None:
        failure = self._failure  # the thread may be done with it in the next moment
        if failure is not None:
            raise WriteFailed(failure.message) from failure.__cause__  # a new one: a raised one gathers tracebacks

    def _take(self) -> bool:
        """Move a load from the queues to `_pending`; False if they are empty."""
        with self._lock:
            count = min(len(self.points), limits.LOCAL_BATCH_POINTS)
            popped: Iterable[Logged | None] = starmap(self.points.popleft, repeat((), count))
            load = Load(Points(list(filter(None, popped)), count), list(self._notes))
            self._notes.clear()
            self._notes_bytes = 0
            self._is_woken = False
            if self.level >= 0:
                self.level = self._wake_points - 1
        if not len(load):
            return False
        self._pending.extend(self._batches(load))
        return True

    def _drop_all(self) -> None:
        with self._lock:
            self.points.clear()
            self._notes.clear()
            self._notes_bytes = 0
            self._pending.clear()

    def _batches(self, load: Load) -> list[RunBatch]:
        parcel, not_finite, wrong = prepare(load)
        for item in not_finite:
            if (item.run, item.tag) not in self._warned and len(self._warned) < limits.CLIENT_WARNINGS_MAX:
                self._warned.add((item.run, item.tag))
                logger.warning(
                    "histogram '%s' has %d NaN and %d infinite values; they are left out of its buckets",
                    item.tag,
                    item.nan,
                    item.infinite,
                )
        for error in wrong:
            logger.error("a value was not written: %s", error.message)
        return run_batches(parcel, self._table)


def run_batches(parcel: Parcel, table: Sequence[Series]) -> list[RunBatch]:
    """`parcel` by runs, in the order of their first values."""
    by_run: dict[RunName, tuple[list[ScalarColumns], list[Summary]]] = {}
    for run, column in columns(parcel.points, table):
        by_run.setdefault(run, ([], []))[0].append(column)
    alone = []
    for run, summary in parcel.summaries:
        if isinstance(summary, Embedding):
            alone.append(RunBatch(run, (), (summary,)))  # files of its own: a batch that is tried again must not repeat it
        elif not isinstance(summary, LogRecord):  # no call of a local writer makes one
            by_run.setdefault(run, ([], []))[1].append(summary)
    together = [RunBatch(run, tuple(scalars), tuple(summaries)) for run, (scalars, summaries) in by_run.items()]
    return together + alone


def _serve(destination: LocalDestination, orders: queue.SimpleQueue[str], interval_s: float) -> None:
    """The thread: write when told to and every `interval_s`, until told to end."""
    order = _WRITE
    while order == _WRITE:
        order = _next_order(orders, interval_s)
        if order == _CLOSE:
            destination.drain_at_exit(0.0)
        elif order == _WRITE:
            destination.write_out()


def _next_order(orders: queue.SimpleQueue[str], interval_s: float) -> str:
    start = time.monotonic()
    patience_s = interval_s
    while (left_s := start + patience_s - time.monotonic()) > 0:
        try:
            order = orders.get(timeout=left_s)
        except queue.Empty:
            break
        if order != _WRITE:
            return order
        patience_s = min(limits.LOCAL_WRITE_PAUSE_S, interval_s)
    return _WRITE
