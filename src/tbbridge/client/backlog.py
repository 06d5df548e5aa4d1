"""What was logged and has not been taken by the sender: two bounded queues, the oldest dropped and counted when one is full.

A scalar is appended to `points` by the log call itself, with no lock: `deque.append` is atomic. The log call then compares
`len(points)` with `level`, and only beyond it calls `rise`, which is where the sender is started, woken, or points dropped.
Everything else holds the lock. It is reentrant because the garbage collector may run a Run's `__del__`, which hands over
what that run held, in the middle of any of these methods.

A row (points.py) is followed by as many Nones as it has points beyond one. So `len(points)` is what waits and every bound
exact, whatever interrupts a log call: nothing has to be counted beside the queue.

The path continues in outbox.py, which takes loads from here.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import repeat, starmap
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tbbridge import limits
from tbbridge.client.points import Logged, Points
from tbbridge.events.histograms import Binned
from tbbridge.model import Buckets, LogRecord, RunName, RunStatus, Summary, TagName

logger = logging.getLogger("tbbridge.client")


@dataclass(frozen=True, slots=True)
class Note:
    """One logged value of another kind: a text; a histogram as raw values (an array of our own), sorted, or as given; a kind
    ready made, whose step and time are those of the note; or a log record or a run's status, which have no tag and no step. The
    display name and description of a kind, if there are any, go before ours.
    """

    run: RunName
    tag: TagName
    content: str | NDArray[Any] | Binned | Buckets | Summary | LogRecord | RunStatus
    step: int
    wall_time: float
    display_name: str = ""
    description: str = ""
    # What it holds in memory. Taken once: Python may keep a text's UTF-8 beside it later, and a note must weigh when it leaves
    # what it weighed when it came.
    size_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size_bytes", self._size())

    def _size(self) -> int:
        if isinstance(self.content, str):
            size = sys.getsizeof(self.content)  # one to four bytes a character, as its widest one needs
        elif isinstance(self.content, Binned):
            size = 24 * len(self.content.buckets.counts)
        elif isinstance(self.content, Buckets):
            size = 24 * len(self.content.counts)
        elif isinstance(self.content, np.ndarray):
            size = self.content.nbytes
        elif isinstance(self.content, LogRecord):
            size = sys.getsizeof(self.content.message)
        else:
            size = self.content.size_bytes
        return size + limits.ITEM_OVERHEAD_BYTES


class Mark(NamedTuple):
    """A place in both queues: how many points and notes were ever appended before it."""

    points: int
    notes: int


@dataclass(slots=True)
class Load:
    """What the sender took at once; FIFO in each list."""

    points: Points
    notes: list[Note]

    def __len__(self) -> int:
        return len(self.points) + _values(self.notes)


def _values(notes: Iterable[Note]) -> int:
    """How many of them are values: all but what is said of runs."""
    return sum(not isinstance(note.content, RunStatus) for note in notes)


class Backlog:
    """The queues of one client. `start_sender` and `wake_sender` are called from log calls and must not block.

    With `keeps_nothing` whatever is appended is forgotten at once, and no sender is ever started.
    """

    def __init__(
        self, max_points: int, max_bytes: int, batch_points: int, batch_bytes: int, *, keeps_nothing: bool = False
    ) -> None:
        self.points: deque[Logged | None] = deque(maxlen=0 if keeps_nothing else None)
        self.keeps_nothing = keeps_nothing
        self.level = -1  # no sender yet: the first append calls `rise`
        self.dropped = 0
        self.start_sender: Callable[[], bool] = lambda: False
        self.wake_sender: Callable[[], None] = lambda: None
        self._max_points = max_points
        self._max_bytes = max_bytes
        self._batch_points = min(batch_points, max_points)
        self._batch_bytes = batch_bytes
        # Rows are taken and dropped whole, so a small queue has to have small ones.
        self.row_max_points = min(limits.CLIENT_ROW_MAX_POINTS, self._batch_points // 16)
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._notes: deque[Note] = deque()
        self._notes_bytes = 0
        self._removed = Mark(0, 0)
        self._load_start: Mark | None = None
        self._load_size = 0

    def forget(self) -> None:
        """Start afresh, in a forked child: what waits belongs to the parent, and so may the lock."""
        self.points.clear()
        self.level = -1
        self.dropped = 0
        self._reset()

    # --- from the log calls -------------------------------------------------------------------------------------------

    def extend(self, points: Sequence[Logged | None]) -> None:
        """Append several points, or a row and its Nones, in one atomic step."""
        self.points.extend(points)
        if len(self.points) > self.level:
            self.rise()

    def add(self, note: Note) -> None:
        """Append a value of another kind, and drop the oldest ones if they outgrow their bound."""
        if self.keeps_nothing:
            return
        with self._lock:
            self._notes.append(note)
            self._notes_bytes += note.size_bytes
            count = 0
            while self._notes_bytes > self._max_bytes:
                self._notes_bytes -= self._notes.popleft().size_bytes
                count += 1
            self._drop(Mark(0, count))
            if self.level < 0:
                self.rise()
            elif self._notes_bytes >= self._batch_bytes:
                self.wake_sender()

    def rise(self) -> None:
        """The slow part of an append: the points reached `level`."""
        if self.keeps_nothing:
            self.level = 0
            return
        with self._lock:
            if self.level < 0 and not self.start_sender():
                self._drop_excess()  # nobody to send yet; ask again at the next point
                return
            if len(self.points) >= self._batch_points:
                if self.level != self._max_points:  # once for each batch, not at every point of a long outage
                    self.level = self._max_points
                    self.wake_sender()
                self._drop_excess()
            else:
                self.level = self._batch_points - 1

    def _drop_excess(self) -> None:
        excess = len(self.points) - self._max_points
        if excess > 0:
            self._drop(Mark(len(self._pop(excess)), 0))

    def _drop(self, count: Mark) -> None:
        if not (count.points or count.notes):
            return
        if not self.dropped:
            logger.warning(
                "the server does not keep up or is away, and %d points or %d bytes of other values wait already: "
                "dropping the oldest from here on; raise queue_max_points or queue_max_bytes of the client to hold more",
                self._max_points,
                self._max_bytes,
            )
        self.dropped += sum(count)
        self._remove(count)

    def _remove(self, count: Mark) -> None:
        self._removed = Mark(self._removed.points + count.points, self._removed.notes + count.notes)

    def _pop(self, count: int) -> Points:
        """The oldest `count` points, and the rest of the row that they end in."""
        # In C, one point every 8 ns; the count is exact because all who pop hold the lock.
        taken = list(starmap(self.points.popleft, repeat((), count)))
        while self.points and self.points[0] is None:
            taken.append(self.points.popleft())
        return Points(list(filter(None, taken)), len(taken))

    # --- from the sender ----------------------------------------------------------------------------------------------

    def mark(self) -> Mark:
        """The place behind all that was logged so far."""
        with self._lock:
            return Mark(self._removed.points + len(self.points), self._removed.notes + len(self._notes))

    def settled(self, mark: Mark) -> bool:
        """Whether all before `mark` has left this queue and is not in the load being sent."""
        with self._lock:
            start = self._load_start or self._removed
            return start.points >= mark.points and start.notes >= mark.notes

    def take(self, due: Mark) -> Load | None:
        """The next load: about one batch, once something before `due` waits or a whole batch does. Else None.

        The load counts as unsettled until `settle`.
        """
        with self._lock:
            full = len(self.points) >= self._batch_points or self._notes_bytes >= self._batch_bytes
            late = (self.points and self._removed.points < due.points) or (self._notes and self._removed.notes < due.notes)
            if not (full or late):
                return None
            points = self._pop(min(len(self.points), self._batch_points))
            notes: list[Note] = []
            size = 0
            while self._notes and size < self._batch_bytes:
                if self.points and isinstance(self._notes[0].content, RunStatus):
                    break  # how a run ended comes behind all its points
                notes.append(self._notes.popleft())
                size += notes[-1].size_bytes
            self._notes_bytes -= size
            load = Load(points, notes)
            self._load_start = self._removed
            self._load_size = len(load)
            self._remove(Mark(len(load.points), len(notes)))
            if self.level >= 0:
                self.level = self._batch_points - 1 if len(self.points) < self._batch_points else self._max_points
            return load

    def settle(self) -> None:
        """The load taken last has an answer."""
        with self._lock:
            self._load_start = None
            self._load_size = 0

    @property
    def load_start(self) -> Mark:
        """The place of the load that is not settled; of what comes next if there is none."""
        with self._lock:
            return self._load_start or self._removed

    @property
    def is_filling(self) -> bool:
        """Whether a queue is half full: its owner had better see to it."""
        return 2 * len(self.points) > self._max_points or 2 * self._notes_bytes > self._max_bytes

    def noted_runs(self) -> set[RunName]:
        """The runs of which values wait that are no scalars; a log record makes no run."""
        with self._lock:
            return {note.run for note in self._notes if not isinstance(note.content, LogRecord | RunStatus)}

    def ensure_sender(self) -> None:
        """Start the sender if there is none."""
        if self.keeps_nothing:
            return
        with self._lock:
            if self.level < 0:
                self.rise()

    def pause(self) -> None:
        """There is no sender any more: the next log call starts one."""
        with self._lock:
            self.level = -1

    @property
    def waiting(self) -> int:
        """Values logged and not settled, those under way included."""
        with self._lock:
            return len(self.points) + _values(self._notes) + self._load_size
