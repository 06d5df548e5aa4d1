"""The part of the outbox that is on disk: bodies kept in the spool, and the oldest of them as what is to be sent next.

A body that was spooled keeps its number. If the server finds it too large it is sent in halves that have numbers of their own
(bodies.py). Everything here is called with the outbox's lock held, but for `holds_before` and `is_findable`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tbbridge.client import bodies
from tbbridge.client.backlog import Mark
from tbbridge.client.options import SpoolPlace
from tbbridge.client.packing import Body
from tbbridge.client.spool import Spool


@dataclass(frozen=True, slots=True)
class Sending:
    """A request that is under way: from memory (`body`), or from the spool, or a mere heartbeat, which nobody repeats."""

    raw: bytes
    seq: int
    count: int
    body: Body | None = None
    is_beat: bool = False
    report: str = ""  # what the client says of itself along with it


class Overflow:
    """The spool of one client, if it has one."""

    def __init__(self, place: SpoolPlace | None, shown: str, writer: str, *, for_others: bool) -> None:
        has_none = place is None or place.max_bytes == 0
        self._spool = None if place is None or has_none else Spool(place, shown, writer, for_others=for_others)
        self._parts: deque[bytes] = deque()  # of the head, if it was too large

    @property
    def is_there(self) -> bool:
        """Whether this client may spool."""
        return self._spool is not None

    @property
    def is_empty(self) -> bool:
        """Whether nothing of it waits to be sent."""
        return self._spool is None or not self._spool.pending

    @property
    def values(self) -> int:
        """Values that wait in it."""
        return 0 if self._spool is None else self._spool.values

    @property
    def total(self) -> int:
        """Values that ever were in it."""
        return 0 if self._spool is None else self._spool.total

    @property
    def is_findable(self) -> bool:
        """Whether others find what is in it. Needs no lock."""
        return self._spool is None or self._spool.is_findable

    @property
    def is_deleted(self) -> bool:
        """Whether somebody deleted the file, so that nobody else will find it."""
        return self._spool is not None and self._spool.is_deleted

    @property
    def trouble(self) -> str:
        """Why the last body could not be kept; empty if it could."""
        return "" if self._spool is None else self._spool.trouble

    @property
    def path(self) -> Path | None:
        """The file."""
        return None if self._spool is None else self._spool.path

    def holds_before(self, mark: Mark) -> bool:
        """Whether it may hold values that were logged before `mark`."""
        if self._spool is None:
            return False
        try:
            start = self._spool.pending[0].start
        except IndexError:
            return False
        return start.points < mark.points or start.notes < mark.notes

    def keep(self, body: Body, start: Mark) -> bool:
        """Append a body; False if that cannot be."""
        return self._spool is not None and self._spool.append(body.raw, body.seq, len(body), start)

    def head(self, lost: Callable[[int], None]) -> Sending | None:
        """What to send next, if anything waits here; `lost` is told how many values the file did not give back."""
        while self._spool is not None and self._spool.pending:
            entry = self._spool.pending[0]
            if self._parts:
                return Sending(self._parts[0], entry.seq, bodies.count_values(self._parts[0]))
            raw = self._spool.head()
            if raw is not None:
                return Sending(raw, entry.seq, entry.count)
            lost(entry.count)
            self._spool.pop()
        return None

    def holds(self, sending: Sending) -> bool:
        """Whether `sending` is the oldest thing in it, or a part of that."""
        return self._spool is not None and bool(self._spool.pending) and self._spool.pending[0].seq == sending.seq

    def halve(self, sending: Sending) -> bool:
        """Send the head's part that is under way in two; False if it holds only one value."""
        found = bodies.halves(sending.raw)
        if found is None:
            return False
        if self._parts:
            self._parts.popleft()
        self._parts.extendleft(reversed(found))
        return True

    def done(self) -> None:
        """What was under way has its answer."""
        if self._parts:
            self._parts.popleft()
        if not self._parts and self._spool is not None:
            self._spool.pop()

    def sync(self) -> None:
        """Have all of it on the disk itself."""
        if self._spool is not None:
            self._spool.sync()

    def close(self) -> None:
        """Nobody appends or sends any more."""
        if self._spool is not None:
            self._spool.close()

    def forget(self) -> None:
        """In a forked child: it is the parent's."""
        if self._spool is not None:
            self._spool.forget()
