"""The live feed: tells listeners what the pipeline stores and changes, and keeps the last of it for those who come back.

While somebody listens, and for a while after, the feed watches the pipeline's door. There it only takes references; a moment
later they become events (events.py), numbered and kept in a ring of limits.LIVE_RING_BYTES. Listeners (listener.py) read
the ring at their own speed. How often events are made follows from what the last ones cost, so that however many come and
listen, the feed takes a bounded share of the event loop. Nobody listens: it watches nothing, and costs nothing.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tbbridge import limits
from tbbridge.errors import Stopping, TooManyRequests
from tbbridge.pipeline.change import SettledChange
from tbbridge.pipeline.door import Door
from tbbridge.pipeline.ledger import Entry
from tbbridge.server.live.events import Gathering, Points, Said, Wanted, lagging

if TYPE_CHECKING:
    from tbbridge.server.live.listener import Listener

log = logging.getLogger(__name__)

_ID: Final = re.compile(r"([0-9a-f]{1,32})-([0-9]{1,18})")
_EPOCH_BYTES: Final = 4
# What it takes to hand a piece to one connection, and each byte of it, on a slow core.
_SEND_S: Final = 100e-6
_SEND_BYTE_S: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Event:
    """One event in the ring. `end_bytes`: what all events so far occupy, this one included. `made_at`: on a monotonic clock."""

    index: int
    said: Said
    end_bytes: int
    made_at: float


@dataclass(frozen=True, slots=True)
class Piece:
    """What a listener gets at one time: the bytes, how many events they are, and the last one that they cover."""

    data: bytes
    events: int
    index: int
    end_bytes: int


@dataclass(frozen=True, slots=True)
class _Changed:
    change: SettledChange
    runs: Sequence[str]


class Feed:
    """One app's feed. Belongs to the event loop that runs the app. Implements `door.Watcher`."""

    def __init__(self, beat: Callable[[Feed], Awaitable[None]]) -> None:
        """`beat` runs as long as the feed watches, and calls `health` and `tell` now and then."""
        self.epoch = ""
        self.health_data = b""
        self.health_number = 0
        self.sent = 0  # events, over all listeners
        self.dropped = 0  # listeners that were too slow
        self.writers: dict[str, float] = {}  # heard since the feed watches, and when last
        self.is_stopping = False
        self._beat = beat
        self._beating: asyncio.Task[None] | None = None
        self._door: Door | None = None
        self._listeners: set[Listener] = set()
        self._ring: deque[Event] = deque()
        self._before = 0  # the last index that is not in the ring any more
        self._last = 0
        self._bytes = 0  # of all events ever
        self._dropped_bytes = 0  # of those that are not in the ring any more
        self._pending: list[Sequence[Entry] | _Changed] = []
        self._pending_bytes = 0
        self._flushing: asyncio.Handle | None = None
        self._next_at = 0.0
        self._leaving: asyncio.TimerHandle | None = None
        self._pieces: dict[tuple[int, Wanted], Piece] = {}

    @property
    def listeners(self) -> frozenset[Listener]:
        """Those who listen now."""
        return frozenset(self._listeners)

    # --- who listens --------------------------------------------------------------------------------------------------------

    def check_room(self) -> None:
        """Raise `Stopping` or `TooManyRequests` if no further listener is taken."""
        if self.is_stopping:
            raise Stopping("the bridge is shutting down; come back in a moment")
        if len(self._listeners) >= limits.LIVE_LISTENERS_MAX:
            most = limits.LIVE_LISTENERS_MAX
            raise TooManyRequests(f"{most} listeners are connected, as many as the bridge takes; close one, or come back later")

    def join(self, door: Door, listener: Listener) -> None:
        """From now on `listener` is woken when there is something new."""
        self.check_room()
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
        if self._door is not door:
            self._attach(door)
        self._listeners.add(listener)

    def leave(self, listener: Listener) -> None:
        """Wake it no more. What happens is kept for a while, in case it comes back."""
        self._listeners.discard(listener)
        if not self._listeners and self._door is not None and self._leaving is None:
            self._leaving = asyncio.get_running_loop().call_later(limits.LIVE_KEPT_S, self._detach)

    def stop(self) -> None:
        """For good: every listener is ended, those at once that do not take what they get."""
        self.is_stopping = True
        self._detach()

    def _attach(self, door: Door) -> None:
        self._detach()
        self.epoch = secrets.token_hex(_EPOCH_BYTES)
        self._door = door
        door.watch(self)
        self._beating = asyncio.create_task(self._run_beat(), name="tbbridge-live")

    def _detach(self) -> None:
        """Watch no more, end whoever listens, and forget: ids of this epoch are not known from now on."""
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
        if self._door is not None:
            self._door.watch(None)
            self._door = None
        if self._beating is not None:
            self._beating.cancel()
            self._beating = None
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        self.epoch = ""
        self._pending, self._pending_bytes = [], 0
        self._ring.clear()
        self._pieces.clear()
        self.writers.clear()
        self._before, self._dropped_bytes = self._last, self._bytes
        for listener in self.listeners:
            listener.end()

    async def _run_beat(self) -> None:
        try:
            await self._beat(self)
        except Exception:  # whatever it is, listeners are to know that they are not told everything
            log.exception("the live feed broke off; its listeners begin anew")
            self._beating = None
            self._detach()

    # --- what happens -------------------------------------------------------------------------------------------------------

    def stored(self, entries: Sequence[Entry], size_bytes: int) -> None:
        """See `door.Watcher`."""
        self._pending.append(entries)
        self._pending_bytes += size_bytes
        self._flush_soon()

    def changed(self, change: SettledChange, runs: Sequence[str]) -> None:
        """See `door.Watcher`."""
        self._pending.append(_Changed(change, runs))
        self._flush_soon()

    def tell(self, said: Said) -> None:
        """An event that does not come from the writer."""
        self.flush()
        self._append([said])
        self._wake()

    def health(self, data: bytes) -> None:
        """How the bridge is now, for everybody who wants it."""
        self.health_data = data
        self.health_number += 1
        self._wake()

    def _flush_soon(self) -> None:
        loop = asyncio.get_running_loop()
        is_full = self._pending_bytes > limits.LIVE_PENDING_BYTES
        if self._flushing is not None:
            if not is_full:
                return
            self._flushing.cancel()
        if is_full or self._next_at <= loop.time():
            self._flushing = loop.call_soon(self._flush_due)
        else:
            self._flushing = loop.call_at(self._next_at, self._flush_due)

    def _flush_due(self) -> None:
        try:
            self.flush()
        except Exception:  # as in _run_beat
            log.exception("the live feed broke off; its listeners begin anew")
            self._detach()

    def flush(self) -> None:
        """Make events of what came, and wake those who listen."""
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        if not self._pending:
            return
        started = time.perf_counter()
        pending, self._pending, self._pending_bytes = self._pending, [], 0
        gathering = Gathering()
        now = time.monotonic()
        for what in pending:
            if isinstance(what, _Changed):
                gathering.changed(what.change, what.runs)
                continue
            for entry in what:
                if entry.writer:
                    self.writers[entry.writer] = now
                gathering.stored(entry)
        before = self._bytes
        self._append(gathering.done())
        self._wake()
        cost_s = time.perf_counter() - started + len(self._listeners) * (_SEND_S + (self._bytes - before) * _SEND_BYTE_S)
        pause_s = max(limits.LIVE_PAUSE_MIN_S, cost_s * limits.LIVE_PAUSE_TIMES)
        self._next_at = asyncio.get_running_loop().time() + pause_s

    def _append(self, several: Sequence[Said]) -> None:
        self._pieces.clear()
        now = time.monotonic()
        for said in several:
            self._last += 1
            self._bytes += said.size_bytes
            self._ring.append(Event(self._last, said, self._bytes, now))
        while self._ring and self._bytes - self._dropped_bytes > limits.LIVE_RING_BYTES:
            gone = self._ring.popleft()
            self._before, self._dropped_bytes = gone.index, gone.end_bytes

    def _wake(self) -> None:
        for listener in self._listeners:
            listener.wake()

    # --- what is read -------------------------------------------------------------------------------------------------------

    def place_of(self, event_id: str) -> Piece | None:
        """The place behind the event of this id; None if what came behind it is not known any more."""
        found = _ID.fullmatch(event_id)
        if found is None or not self.epoch or found[1] != self.epoch:
            return None
        self.flush()
        index = int(found[2])
        if not self._before <= index <= self._last:
            return None
        end_bytes = next((event.end_bytes for event in reversed(self._ring) if event.index <= index), self._dropped_bytes)
        return Piece(b"", 0, index, end_bytes)

    def place_now(self) -> Piece:
        """The place behind all that a reader can see by now."""
        self.flush()
        return Piece(b"", 0, self._last, self._bytes)

    def behind(self, place: Piece) -> int:
        """How many bytes of events there are behind a place."""
        return self._bytes - place.end_bytes

    def waiting_s(self, place: Piece) -> float:
        """How long the first event behind a place has waited to be taken."""
        waiting = self._after(place)
        return time.monotonic() - waiting[0].made_at if waiting else 0.0

    def is_gone(self, place: Piece) -> bool:
        """Whether events behind this place have left the ring."""
        return place.index < self._before

    def next_piece(self, place: Piece, wanted: Wanted) -> Piece:
        """What comes behind a place, about limits.LIVE_PIECE_BYTES of it, with the columns of neighbouring events merged."""
        if place.index == self._last:
            return place
        known = self._pieces.get((place.index, wanted))
        if known is None:
            known = self._pieces[place.index, wanted] = self._made(self._after(place), wanted, limits.LIVE_PIECE_BYTES)
        return known

    def skipped(self, place: Piece, wanted: Wanted) -> Piece:
        """All that is behind a place, less points, summaries and records, of which only the number is told."""
        events = self._after(place)
        left_out = sum(event.said.count for event in events)
        kept = [event for event in events if not event.said.count]
        notice = Event(self._last, lagging(left_out), self._bytes, time.monotonic())
        return self._made([*kept, notice], wanted, None)

    def _after(self, place: Piece) -> list[Event]:
        events: list[Event] = []
        for event in reversed(self._ring):
            if event.index <= place.index:
                break
            events.append(event)
        events.reverse()
        return events

    def _made(self, events: Sequence[Event], wanted: Wanted, most_bytes: int | None) -> Piece:
        data: list[bytes] = []
        size, position = 0, 0
        while position < len(events) and (most_bytes is None or size < most_bytes):
            start = position
            said = events[position].said
            position += 1
            if isinstance(said, Points):
                size_merged = said.size_bytes
                same = [said]
                while position < len(events) and (most_bytes is None or size_merged < most_bytes):
                    following = events[position].said
                    if not isinstance(following, Points):
                        break
                    size_merged += following.size_bytes
                    same.append(following)
                    position += 1
                if position > start + 1:
                    said = Points.merged(same)
            event = events[position - 1]
            if text := said.data(wanted):
                data.append(b"id: %s\nevent: %s\ndata: %s\n\n" % (self.id_at(event.index), said.name.encode(), text))
                size += len(text)
        last = events[position - 1]
        return Piece(b"".join(data), len(data), last.index, last.end_bytes)

    def id_at(self, index: int) -> bytes:
        """The id of a place, as it stands on the line."""
        return b"%s-%d" % (self.epoch.encode(), index)
