"""The sender's mind: which bytes go next, what an answer means for them, when to try again, and what flush must report.

Shared by the thread of `Client` and the task of `AsyncClient`, which only wait and post. One body is under way at a time; it
keeps its bytes and its number until it is answered, so a repeat is recognised by the server and stored once.

`next_body`, `answered` and `failed` belong to the one sender; everything else may be called from any thread.
"""

from __future__ import annotations

import logging
import re
import threading
import time
import uuid
import weakref
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from tbbridge import limits
from tbbridge.client import packing
from tbbridge.client.answers import Answer, Later, Refused, Smaller, Stored, backoff_s, judge
from tbbridge.client.backlog import Backlog, Mark
from tbbridge.client.packing import Body, Parcel, Series
from tbbridge.errors import ItemError, ItemWarning, PointsLost, Rejected, TBBridgeError
from tbbridge.groups import MemberName
from tbbridge.model import RunName, tag_name

logger = logging.getLogger("tbbridge.client")

_PLACE = re.compile(r"runs\[(\d+)\](?:\.(scalars|summaries)\[(\d+)\])?")
_ELEMENT = re.compile(r"\.\w+(?:\[\d+\])?$")


@dataclass(frozen=True, slots=True)
class ClientStats:
    """Totals of one client since its start. `queued` is what waits now, the batch under way included."""

    sent: int
    dropped: int
    rejected: int
    retries: int
    queued: int


@dataclass(frozen=True, slots=True)
class Pause:
    """How long the sender waits. `firm`: the server asked for it, so not even a flush cuts it short."""

    seconds: float
    firm: bool = False


NO_PAUSE = Pause(0.0)


class Frames(Protocol):
    """What a run is to the outbox: it may hold an open frame."""

    def hand_over(self) -> None:
        """Give the backlog the open frame."""

    def end(self, message: str) -> None:
        """The same, and refuse later log calls with `message`."""

    def forget(self) -> None:
        """Drop the open frame, in a forked child."""


class Outbox:
    """Everything of a client but its waiting. `shown` is the server's address in messages."""

    def __init__(self, shown: str, *, max_points: int, max_bytes: int, batch_bytes: int) -> None:
        self.backlog = Backlog(max_points, max_bytes, max(1, batch_bytes // packing.POINT_BYTES), batch_bytes)
        self.failure: BaseException | None = None
        self.closed = False
        self.shown = shown
        self._runs: weakref.WeakSet[Frames] = weakref.WeakSet()
        self._batch_bytes = batch_bytes
        self._reset()

    def _reset(self) -> None:
        self.writer = uuid.uuid4().hex
        self._names_lock = threading.RLock()  # reentrant: a finalizer of the user's may log, at any moment
        self._table: list[Series] = []
        self._ids: dict[tuple[str, str], int] = {}
        self._due = Mark(0, 0)
        self._seq = 0
        self._parcels: deque[Parcel] = deque()
        self._body: Body | None = None
        self._purges: dict[RunName, int] = {}
        self._tries = 0
        self._odd = 0
        self._away_since: float | None = None
        self._told_away = False
        self._trouble = ""
        self._sent = self._rejected = self._retries = 0
        self._dropped_reported = self._rejected_reported = 0
        self._refusal: Refused | None = None
        self._warned: set[tuple[str, ...]] = set()

    def forget(self) -> None:
        """Start afresh in a forked child, as another writer. The series keep their numbers: runs remember them."""
        table, ids = self._table, self._ids
        self.backlog.forget()
        self.failure = None
        for run in list(self._runs):
            run.forget()
        self._reset()  # also new locks: a thread of the parent may have held the old ones
        self._table, self._ids = table, ids

    # --- from the log calls and from flush ----------------------------------------------------------------------------

    def series(self, run: RunName, tag: str, display_name: str = "", description: str = "") -> int:
        """The number of this (run, tag). Checks the tag; a run asks once for each and remembers it.

        A display name or a description, checked by the caller, is sent with the series from now on.
        """
        checked = tag_name(tag)
        with self._names_lock:
            number = self._ids.get((run, checked))
            if number is None:
                number = len(self._table)
                self._table.append(Series(run, checked))
                self._ids[run, checked] = number  # last: a Ctrl-C in between leaves an unused row, not a wrong one
            if display_name or description:
                self._table[number] = Series(run, checked, display_name, description)
            return number

    def purge(self, run: RunName, step: int) -> None:
        """Hide what `run` holds from `step` on, before the next value of any run is written there."""
        self._purges[run] = step

    def adopt(self, run: Frames) -> None:
        """Remember a run, for as long as the user does, so that flush and close reach its open frame."""
        with self._names_lock:
            self._runs.add(run)

    @property
    def runs(self) -> list[Frames]:
        """The runs that still exist."""
        with self._names_lock:
            return list(self._runs)

    def hand_over(self) -> None:
        """Put the open frames of all runs in the backlog."""
        for run in self.runs:
            run.hand_over()

    def close_runs(self, message: str) -> None:
        """The same; from now on log calls raise RuntimeError with `message`."""
        self.closed = True
        for run in self.runs:
            run.end(message)

    def report_left(self, left: int) -> None:
        """Say that points were not delivered, when nobody will try any more."""
        if left:
            logger.warning("%d points were left when the client closed and did not reach %s%s", left, self.shown, self.away)

    @property
    def stats(self) -> ClientStats:
        """Totals now."""
        return ClientStats(self._sent, self.backlog.dropped, self._rejected, self._retries, self.backlog.waiting)

    def reached(self, mark: Mark) -> bool:
        """Whether all before `mark` was stored, refused or dropped; or the sender died, which `loss` then tells."""
        return self.failure is not None or self.backlog.settled(mark)

    def loss(self) -> TBBridgeError | None:
        """What became of points that did not arrive, since the last call; None if nothing was lost."""
        dropped, self._dropped_reported = self.backlog.dropped - self._dropped_reported, self.backlog.dropped
        rejected, self._rejected_reported = self._rejected - self._rejected_reported, self._rejected
        refusal, self._refusal = self._refusal, None
        error: TBBridgeError | None = None
        if rejected and refusal is not None:
            message = f"{self.shown} refused {rejected} points: {refusal.reason}"
            error = Rejected(message, status=refusal.status, errors=refusal.errors)
        if dropped:
            message = f"{dropped} points were dropped before they could be sent to {self.shown}: more was waiting than may"
            lost = PointsLost(message + "; see queue_max_points and queue_max_bytes", count=dropped)
            lost.__cause__ = error
            return lost
        return error

    @property
    def away(self) -> str:
        """For messages: that the server is away, if it is."""
        if self._away_since is None:
            return ""
        return f"; it has been away for {time.monotonic() - self._away_since:.1f} s ({self._trouble})"

    # --- from the sender ----------------------------------------------------------------------------------------------

    def all_due(self) -> None:
        """Whatever was logged until now is to be sent now."""
        self._due = self.backlog.mark()

    def next_body(self) -> Body | None:
        """The request to send now, the same one until it is answered; None when nothing is due."""
        while self._body is None:
            if not self._parcels and not self._load():
                return None
            parcel = self._parcels.popleft()
            purges = dict(self._purges)
            body = packing.pack(parcel, self._table, self.writer, self._seq + 1, purges)
            if len(body.raw) > self._batch_bytes and len(parcel) > 1:
                self._parcels.extendleft(reversed(parcel.halves()))  # very many series: their names weigh too
            else:
                self._seq += 1
                self._body = body
                for run in purges:
                    self._purges.pop(run, None)
        return self._body

    def _load(self) -> bool:
        while (load := self.backlog.take(self._due)) is not None:
            parcel, not_finite, wrong = packing.prepare(load)
            for item in not_finite:
                self._warn_once(
                    (item.run, item.tag),
                    f"histogram '{item.tag}' of run '{item.run}' has {item.nan} NaN and {item.infinite} infinite values; "
                    "they are left out of its buckets",
                )
            for error in wrong:
                self._refuse(1, Refused(error.status, error.message, (error.at(""),)))
            if len(parcel):
                self._parcels.append(parcel)
                return True
            self.backlog.settle()
        return False

    def failed(self, reason: str) -> Pause:
        """The request may or may not have arrived, and no answer will come."""
        return self._retry(Later(reason))

    def answered(self, answer: Answer) -> Pause:
        """Act on the server's answer to the body under way; how long to wait before asking for the next one."""
        body = self._body
        if body is None:
            return NO_PAUSE
        verdict = judge(answer, time.time())
        if isinstance(verdict, Later):
            return self._retry(verdict)
        if isinstance(verdict, Smaller) and len(body) > 1:
            self._seq -= 1  # nothing of it was taken, so its number is still free
            self._parcels.extendleft(reversed(body.parcel.halves()))
            self._keep_purges(body)
            self._body = None
            return NO_PAUSE
        if isinstance(verdict, Stored):
            self._stored(body, verdict)
        else:
            if isinstance(verdict, Smaller):
                self._keep_purges(body)
            errors = verdict.errors if isinstance(verdict, Refused) else ()
            self._refuse(len(body), Refused(answer.status, verdict.reason, errors))
        self._done()
        return NO_PAUSE

    def _keep_purges(self, body: Body) -> None:
        """The body was not taken, for a reason in its values or on the way: the next one hides what it was to hide."""
        self._purges = {**body.purges, **self._purges}

    def _retry(self, verdict: Later) -> Pause:
        self._tries += 1
        self._odd += verdict.is_odd
        if self._odd >= limits.CLIENT_ODD_ANSWERS_MAX and self._body is not None:
            self._refuse(len(self._body), Refused(verdict.status, f"{verdict.reason} ({self._odd} tries)"))
            self._keep_purges(self._body)
            self._done()
            return NO_PAUSE
        self._retries += 1
        self._trouble = verdict.reason
        if self._away_since is None:
            self._away_since = time.monotonic()
        # A connection that was closed while idle, or a queue that is full for a moment, is no news unless it goes on.
        if self._tries == (5 if verdict.after_s is not None else 2):
            self._told_away = True
            logger.warning("%s does not take points now (%s); they are kept, and sent when it does", self.shown, verdict.reason)
        pause = backoff_s(self._tries)
        return Pause(pause) if verdict.after_s is None else Pause(max(pause, verdict.after_s), firm=True)

    def _done(self) -> None:
        if self._told_away and self._away_since is not None:
            logger.warning("%s answers again after %.1f s", self.shown, time.monotonic() - self._away_since)
        self._told_away = False
        self._away_since = None
        self._tries = self._odd = 0
        self._body = None
        if not self._parcels:
            self.backlog.settle()

    def _stored(self, body: Body, stored: Stored) -> None:
        missing = 0 if stored.duplicate else max(0, len(body) - stored.accepted)
        self._sent += len(body) - missing
        if missing:
            errors = tuple(ItemError(self._named(body, e.path), e.code, e.message) for e in stored.rejected)
            reason = f"{errors[0].path}: {errors[0].message}" if errors else "it did not say why"
            self._refuse(missing, Refused(200, reason, errors))
        for warning in stored.warnings:
            self._pass_on(body, warning)

    def _refuse(self, count: int, refused: Refused) -> None:
        self._rejected += count
        if self._refusal is None:
            self._refusal = refused
        else:
            errors = (self._refusal.errors + refused.errors)[: limits.REPORTED_ITEMS]
            self._refusal = Refused(self._refusal.status, self._refusal.reason, errors)
        self._warn_once((str(refused.status), refused.reason), f"{self.shown} refused {count} points: {refused.reason}")

    def _pass_on(self, body: Body, warning: ItemWarning) -> None:
        place = self._named(body, warning.path)
        self._warn_once((warning.code, place), f"{self.shown} says about {place or 'a batch'}: {warning.message}")

    def _warn_once(self, key: tuple[str, ...], message: str) -> None:
        if key in self._warned:
            return
        if len(self._warned) < limits.CLIENT_WARNINGS_MAX:
            self._warned.add(key)
            logger.warning("%s", message)

    def _named(self, body: Body, path: str) -> str:
        """The item that `path` means, by run and tag as the user knows it; where in the item is of no use to them."""
        found = _PLACE.match(path)
        if found is None or int(found[1]) >= len(body.runs):
            return _ELEMENT.sub("", path)  # the pipeline names items so already; what is wrong with a body goes by position
        run = body.runs[int(found[1])]
        place = f"runs[{'member' if isinstance(run.run, MemberName) else 'run'}={run.run!a}]"
        if found[2] is None:
            return place
        items = [c.tag for c in run.scalars] if found[2] == "scalars" else [s.tag for s in run.summaries]
        position = int(found[3])
        return f"{place}.{found[2]}[tag={items[position]!a}]" if position < len(items) else place
