"""The sender's mind: which bytes go next, what an answer means for them, when to try again, and what flush must report.

Shared by the thread of `Client` and the task of `AsyncClient`, which only wait and post. One body is under way at a time; it
keeps its bytes and its number until it is answered, so a repeat is recognised by the server and stored once. While the server
is in trouble bodies go to the spool (overflow.py) as soon as they are due, behind those that are there, and are sent from it.

`next_body`, `answered` and `failed` belong to the one sender; everything else may be called from any thread. What they change
is guarded by a lock, because `keep_safe` spools beside a request that hangs. Log calls never take it.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from tbbridge import limits
from tbbridge.client import packing
from tbbridge.client.answers import Answer, Later, Refused, Smaller, Stored, backoff_s, judge
from tbbridge.client.backlog import Backlog, Load, Mark, Note
from tbbridge.client.options import Mode, SpoolPlace
from tbbridge.client.overflow import Overflow, Sending
from tbbridge.client.packing import Body, Parcel
from tbbridge.client.registry import Frames, Registry
from tbbridge.client.reports import Reports
from tbbridge.client.stats import ClientStats, ClientTimes
from tbbridge.client.statuses import RunStatuses
from tbbridge.errors import TBBridgeError
from tbbridge.groups import MemberName
from tbbridge.model import LogRecord, RunName, RunStatus, TagName

logger = logging.getLogger("tbbridge.client")

# What a program that ends, or is told to, waits for a sender that is packing at this moment.
_LOCK_WAIT_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Pause:
    """How long the sender waits. `firm`: the server asked for it, so not even a flush cuts it short."""

    seconds: float
    firm: bool = False


NO_PAUSE = Pause(0.0)


class Outbox:
    """Everything of a client but its waiting. `shown` is the server's address in messages."""

    def __init__(
        self,
        shown: str,
        *,
        max_points: int,
        max_bytes: int,
        batch_bytes: int,
        mode: Mode = "online",
        spool: SpoolPlace | None = None,
    ) -> None:
        batch_points = max(1, batch_bytes // packing.POINT_BYTES)
        self.backlog = Backlog(max_points, max_bytes, batch_points, batch_bytes, keeps_nothing=mode == "disabled")
        self.failure: BaseException | None = None
        self.closed = False
        self.shown = shown
        self.is_offline = mode == "offline"
        self._registry = Registry()
        self._batch_bytes = batch_bytes
        self._place = spool
        self._reset()

    def _reset(self) -> None:
        self.writer = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._due = Mark(0, 0)
        self._seq = 0
        self._parcels: deque[Parcel] = deque()
        self._body: Body | None = None
        self._sending: Sending | None = None
        self._posted_at: float | None = None
        self._overflow = Overflow(self._place, self.shown, self.writer, for_others=self.is_offline)
        self._is_spooling = False
        self._statuses = RunStatuses()
        self._purges: dict[RunName, int] = {}
        self._tries = 0
        self._odd = 0
        self._away_since: float | None = None
        self._told_away = False
        self._trouble = ""
        self.denied: Later | None = None
        self._sent = self._retries = 0
        self._times = ClientTimes()
        self._taken_at = time.time()  # the last load
        self._reports = Reports(self.shown)

    def forget(self) -> None:
        """Start afresh in a forked child, as another writer."""
        self._overflow.forget()
        self.backlog.forget()
        self.failure = None
        self._registry.forget()
        self._reset()  # also a new lock: a thread of the parent may have held the old one

    # --- from the log calls and from flush ----------------------------------------------------------------------------

    def series(self, run: RunName, tag: str, display_name: str = "", description: str = "") -> int:
        """The number of this (run, tag). Checks the tag; a run asks once for each and remembers it.

        A display name or a description, checked by the caller, is sent with the series from now on.
        """
        return self._registry.series(run, tag, display_name, description)

    def purge(self, run: RunName, step: int) -> None:
        """Hide what `run` holds from `step` on, before the next value of any run is written there."""
        self._purges[run] = step

    def adopt(self, run: Frames) -> None:
        """Remember a run, for as long as the user does, so that flush and close reach its open frame."""
        self._registry.adopt(run)

    def begin_run(self, run: RunName) -> None:
        """The run is logged to, perhaps again after its end."""
        self._statuses.begin(run)

    def end_run(self, run: RunName, status: RunStatus) -> None:
        """Say how the run ended, behind all that was logged to it."""
        if not isinstance(run, MemberName):
            self._statuses.end(run)
            self.backlog.add(Note(run, TagName(""), status, 0, 0.0))

    def hand_over(self) -> None:
        """Put the open frames of all runs in the backlog."""
        for run in self._registry.runs:
            run.hand_over()

    def close_runs(self, message: str, status: RunStatus) -> None:
        """The same; from now on log calls raise RuntimeError with `message`, and all runs have ended with `status`."""
        self.closed = True
        for run in self._registry.runs:
            run.end(message, status)
        self.end_runs(status)

    def end_runs(self, status: RunStatus) -> None:
        """All runs with values that did not say how they ended, have ended with `status`."""
        for run in dict.fromkeys((*self._registry.own_names, *self.backlog.noted_runs(), *self._statuses.living)):
            if not self._statuses.has_ended(run):
                self.end_run(run, status)

    def report_left(self, left: int) -> None:
        """Say which points were not delivered, and where they are, when nobody will try any more."""
        spooled = self._overflow.values
        if spooled and self._overflow.is_deleted:
            logger.error("%d points are lost: %s was deleted, and could not be made again", spooled, self._overflow.path)
        elif spooled:
            why = "offline" if self.is_offline else f"not on {self.shown} yet{self.away}"
            logger.warning("%s: %d points are kept in %s; `tbbridge sync` sends them", why, spooled, self._overflow.path)
        if left and self.is_offline:
            logger.error("offline: %d points were left when the client closed, and are lost%s", left, self.unkept_because)
        elif left:
            logger.warning("%d points were left when the client closed and did not reach %s%s", left, self.shown, self.away)

    @property
    def stats(self) -> ClientStats:
        """Totals now."""
        queued, spooled = self.backlog.waiting, self._overflow.values
        rejected, times = self._reports.rejected, self._times.copy()
        return ClientStats(self._sent, self.backlog.dropped, rejected, self._retries, queued, spooled, times)

    def reached(self, mark: Mark) -> bool:
        """Whether all before `mark` was stored, refused or dropped; or the sender died, which `loss` then tells.

        In offline mode the spool is all that can be reached.
        """
        if self.failure is not None:
            return True
        if not self.backlog.settled(mark):
            return False
        return self._overflow.is_findable if self.is_offline else not self._overflow.holds_before(mark)

    @property
    def is_hopeless(self) -> bool:
        """Whether a program that ends need not wait: the server refuses it, or has been away for longer than it would wait.

        In offline mode: the disk takes nothing.
        """
        if self.is_offline:
            return bool(self._overflow.trouble)
        return self.denied is not None or self.away_s > limits.CLIENT_CLOSE_TIMEOUT_S

    def loss(self) -> TBBridgeError | None:
        """What became of points that did not arrive, since the last call; None if nothing was lost."""
        return self._reports.loss(self.backlog.dropped)

    @property
    def away_s(self) -> float:
        """Seconds since the first of the tries that failed; 0 if the last one did not."""
        since = self._away_since
        return 0.0 if since is None else time.monotonic() - since

    @property
    def away(self) -> str:
        """For messages: that the server is away, if it is."""
        return "" if self._away_since is None else f"; it has been away for {self.away_s:.1f} s ({self._trouble})"

    @property
    def waiting(self) -> int:
        """Values that are not on the server, in memory and on disk."""
        return self.backlog.waiting + self._overflow.values

    @property
    def unkept(self) -> int:
        """In offline mode: values that are not on disk, where others find them."""
        return self.backlog.waiting + (self._overflow.values if self._overflow.is_deleted else 0)

    @property
    def unkept_because(self) -> str:
        """For messages: why values are not on disk, if it is known."""
        return f": {self._overflow.trouble}" if self._overflow.trouble else ""

    @property
    def denial(self) -> str:
        """For messages: why the server takes nothing from us, and what to do."""
        denied = self.denied
        if denied is None or denied.status not in (401, 403):
            return f"{self.shown} says: {'' if denied is None else denied.reason}"
        advice = "Set TBBRIDGE_TOKEN, or token= of the client, to a token that may write"
        return f"{self.shown} does not let this program in ({denied.reason}). {advice}"

    @property
    def kept(self) -> str:
        """For messages: where the points on disk are, if there are any."""
        return f" (in {self._overflow.path})" if self._overflow.values else ""

    # --- what keeps points safe while the sender waits ------------------------------------------------------------------

    @property
    def can_spool(self) -> bool:
        """Whether anything may be kept on disk while the server is in trouble; offline there is no server."""
        return self._overflow.is_there and not self.is_offline

    @property
    def is_in_trouble(self) -> bool:
        """Whether what is due should go to the spool: tries fail, an answer does not come, or memory fills up."""
        if not self._overflow.is_there:
            return False
        posted_at = self._posted_at
        is_slow = posted_at is not None and time.monotonic() - posted_at >= limits.CLIENT_SLOW_ANSWER_S
        return is_slow or self._is_spooling or self.backlog.is_filling

    def keep_safe(self, *, anyway: bool = False) -> None:
        """In trouble, or `anyway`, put what was logged until now in the spool, the body under way included."""
        if not (anyway and self._overflow.is_there) and not self.is_in_trouble:
            return
        if not self._lock.acquire(timeout=_LOCK_WAIT_S):
            return  # the sender is packing, or this is a signal's handler in the middle of it
        try:
            self._is_spooling = True
            self.all_due()
            self._spool_due()
            self._overflow.sync()
        finally:
            self._lock.release()

    def close_spool(self) -> None:
        """The sender has ended: leave the file to `tbbridge sync`, or to nobody if it is empty."""
        if self._lock.acquire(timeout=_LOCK_WAIT_S):
            try:
                self._overflow.close()
            finally:
                self._lock.release()

    def _spool_due(self) -> None:
        while self._overflow.is_there and self._pack_next():
            body = self._body
            if body is None or not self._overflow.keep(body, self.backlog.load_start):
                return
            self._body = None
            if not self._parcels:
                self.backlog.settle()

    # --- from the sender ----------------------------------------------------------------------------------------------

    def all_due(self) -> None:
        """Whatever was logged until now is to be sent now."""
        self._due = self.backlog.mark()

    def next_body(self) -> Sending | None:
        """The request to send now, the same one until it is answered; None when nothing is due."""
        with self._lock:
            if self.is_offline:
                self._spool_due()
                self._overflow.sync()
                return None
            if self._is_spooling:
                self._spool_due()
            found = self._overflow.head(self._lost) or self._packed() or self._heartbeat()
            if found is not None and (self.backlog.dropped or self._overflow.total):
                report = f"id={self.writer}; dropped={self.backlog.dropped}; spooled={self._overflow.total}"
                found = replace(found, report=report)
            self._sending = found
            self._posted_at = None if found is None else time.monotonic()
            return found

    def _packed(self) -> Sending | None:
        body = self._body if self._pack_next() else None
        return None if body is None else Sending(body.raw, body.seq, len(body), body)

    def _heartbeat(self) -> Sending | None:
        runs = self._statuses.silent()
        if not runs:
            return None
        self._seq += 1
        body = packing.pack(
            Parcel(packing.NO_POINTS, ()),
            self._registry.table,
            self.writer,
            self._seq,
            statuses=self._statuses.said,
            beats=runs,
        )
        return Sending(body.raw, body.seq, 0, is_beat=True)

    def _pack_next(self) -> bool:
        """Have a body, if anything is due."""
        while self._body is None:
            began = time.perf_counter()
            if not self._parcels and not self._load():
                return False
            parcel = self._parcels.popleft()
            purges = dict(self._purges)
            body = packing.pack(parcel, self._registry.table, self.writer, self._seq + 1, purges, self._statuses.said)
            if len(body.raw) > self._batch_bytes and len(parcel) > 1:
                self._parcels.extendleft(reversed(parcel.halves()))  # very many series: their names weigh too
            else:
                self._seq += 1
                self._body = body
                self._times.serialize.observe(time.perf_counter() - began)
                for run in purges:
                    self._purges.pop(run, None)
        return True

    def _lost(self, count: int) -> None:
        self._reports.refused(count, Refused(0, f"{self._overflow.path} was damaged, and {count} points in it are lost"))

    def _load(self) -> bool:
        while (load := self.backlog.take(self._due)) is not None:
            self._note_wait(load)
            parcel, not_finite, wrong = packing.prepare(load)
            for item in not_finite:
                self._reports.warn_once(
                    (item.run, item.tag),
                    f"histogram '{item.tag}' of run '{item.run}' has {item.nan} NaN and {item.infinite} infinite values; "
                    "they are left out of its buckets",
                )
            for error in wrong:
                self._reports.refused(1, Refused(error.status, error.message, (error.at(""),)))
            parcel = replace(parcel, ends=self._statuses.worth_telling(parcel.ends, partial(self._runs_in, parcel)))
            if len(parcel) or parcel.ends:
                self._parcels.append(parcel)
                return True
            self.backlog.settle()
        return False

    def _note_wait(self, load: Load) -> None:
        now = time.time()
        since, self._taken_at = now - self._taken_at, now
        if load.points:  # the first of them came after the load before, or was left by it
            self._times.wait.observe(min(max(0.0, now - load.points.first_wall_time), max(0.0, since)))

    def _runs_in(self, parcel: Parcel) -> set[RunName]:
        found = {run for run, value in parcel.summaries if not isinstance(value, LogRecord)}
        return found | {self._registry.table[series].run for series in parcel.points.series()}

    def failed(self, reason: str) -> Pause:
        """The request may or may not have arrived, and no answer will come."""
        with self._lock:
            sending = self._no_longer_under_way()
            return NO_PAUSE if sending is None else self._retry(sending, Later(reason))

    def answered(self, answer: Answer) -> Pause:
        """Act on the server's answer to the body under way; how long to wait before asking for the next one."""
        with self._lock:
            sending = self._no_longer_under_way()
            if sending is None:
                return NO_PAUSE
            verdict = judge(answer, time.time())
            if isinstance(verdict, Later):
                return self._retry(sending, verdict)
            if isinstance(verdict, Smaller) and self._halved(sending):
                return NO_PAUSE
            if isinstance(verdict, Stored):
                self._sent += self._reports.stored(sending, verdict)
            else:
                if isinstance(verdict, Smaller):
                    self._keep_purges(sending)
                errors = verdict.errors if isinstance(verdict, Refused) else ()
                self._reports.refused(sending.count, Refused(answer.status, verdict.reason, errors))
            self._done(sending)
            return NO_PAUSE

    def _no_longer_under_way(self) -> Sending | None:
        sending, self._sending = self._sending, None
        posted_at, self._posted_at = self._posted_at, None
        if posted_at is not None:
            self._times.send.observe(time.monotonic() - posted_at)
        return None if sending is None or sending.is_beat else sending

    def _halved(self, sending: Sending) -> bool:
        """The server finds it too large: go on with its halves, if there can be any."""
        if self._overflow.holds(sending):
            return self._overflow.halve(sending)
        body = self._body
        if body is None or len(body) < 2:
            return False
        self._seq -= 1  # nothing of it was taken, so its number is still free: no later one is given while it is in memory
        self._parcels.extendleft(reversed(body.parcel.halves()))
        self._keep_purges(sending)
        self._body = None
        return True

    def _keep_purges(self, sending: Sending) -> None:
        """The body was not taken, for a reason in its values or on the way: the next one hides what it was to hide."""
        if sending.body is not None:
            self._purges = {**sending.body.purges, **self._purges}

    def _retry(self, sending: Sending, verdict: Later) -> Pause:
        self._tries += 1
        self._odd += verdict.is_odd
        if self._odd >= limits.CLIENT_ODD_ANSWERS_MAX:
            self._reports.refused(sending.count, Refused(verdict.status, f"{verdict.reason} ({self._odd} tries)"))
            self._keep_purges(sending)
            self._done(sending)
            return NO_PAUSE
        self._retries += 1
        self._trouble = verdict.reason
        if self._away_since is None:
            self._away_since = time.monotonic()
        if verdict.is_denied:
            self.denied = verdict
            self._reports.warn_once(("denied", str(verdict.status)), f"{self.denial}. What is logged is kept until then")
        if verdict.is_denied or self._tries >= limits.CLIENT_SPOOL_TRIES:
            self._is_spooling = True
            self._spool_due()
        # A connection that was closed while idle, or a queue that is full for a moment, is no news unless it goes on.
        if self._tries == (5 if verdict.after_s is not None else 2) and not verdict.is_denied:
            self._told_away = True
            logger.warning("%s does not take points now (%s); they are kept, and sent when it does", self.shown, verdict.reason)
        pause = backoff_s(self._tries)
        return Pause(pause) if verdict.after_s is None else Pause(max(pause, verdict.after_s), firm=True)

    def _done(self, sending: Sending) -> None:
        if self._told_away:
            logger.warning("%s answers again after %.1f s", self.shown, self.away_s)
        self._told_away = False
        self._away_since = None
        self.denied = None
        self._tries = self._odd = 0
        if self._overflow.holds(sending):
            self._overflow.done()
        else:
            self._body = None
            if not self._parcels:
                self.backlog.settle()
        self._is_spooling = not self._overflow.is_empty
