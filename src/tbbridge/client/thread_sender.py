"""The sender of `Client`: one daemon thread that waits, asks the outbox what to post, posts it, and tells the outbox.

A second one has the outbox keep points safe on disk while the first is held up. All decisions are the outbox's; here is only
the waiting. Log calls may ring the bell from anywhere, even from a finalizer that
the garbage collector runs inside `ring` itself, so the bell is a SimpleQueue, the one primitive that is reentrant.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable

from tbbridge import limits
from tbbridge.client import lifecycle
from tbbridge.client.backlog import Mark
from tbbridge.client.endings import status_now
from tbbridge.client.outbox import Outbox, Pause
from tbbridge.client.overflow import Sending
from tbbridge.client.transport import Endpoint, Transport, TransportFailed
from tbbridge.model import RunStatus

logger = logging.getLogger("tbbridge.client")

# After the last answer, the thread still has to close its connection.
_JOIN_S = 1.0


class Bell:
    """Wakes one waiting thread; rings while it is awake count as one."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._rung = False

    def ring(self) -> None:
        """Have `wait` return; never blocks."""
        if not self._rung:
            self._rung = True
            self._queue.put(None)

    def wait(self, timeout_s: float) -> bool:
        """Whether it rang within `timeout_s`. What was done before a ring is seen after it."""
        try:
            self._queue.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            return False
        self._rung = False
        return True


def post(outbox: Outbox, transport: Transport, body: Sending, timeout_s: float | None = None) -> Pause:
    """Post the body under way and let the outbox decide; how long to wait now."""
    try:
        answer = transport.post(body.raw, timeout_s, body.report)
    except TransportFailed as error:
        return outbox.failed(str(error))
    return outbox.answered(answer)


def send_all(outbox: Outbox, endpoint: Endpoint, deadline: float, sleep: Callable[[float], None] = time.sleep) -> None:
    """Send what waits from the calling thread, until `deadline`: for the end of a program, when no thread can start."""
    transport = endpoint.open()
    try:
        outbox.all_due()
        while (body := outbox.next_body()) is not None and (left := deadline - time.monotonic()) > 0:
            pause = post(outbox, transport, body, left)  # a server that is silent must not hold up the end for longer
            if outbox.is_hopeless:
                break
            sleep(max(0.0, min(pause.seconds, deadline - time.monotonic())))
    finally:
        transport.close()


class ThreadSender:
    """Sends what is in `outbox`, every `interval_s` and when woken, from the first log call on."""

    def __init__(self, outbox: Outbox, endpoint: Endpoint, interval_s: float) -> None:
        self._outbox = outbox
        self._endpoint = endpoint
        self._interval_s = interval_s
        self._closed = False
        self._reset()
        outbox.backlog.start_sender = self.start
        outbox.backlog.wake_sender = self.wake
        lifecycle.know(self)

    def _reset(self) -> None:
        self._thread: threading.Thread | None = None
        self._bell = Bell()
        self._watch_bell = Bell()
        self._progress = threading.Condition()
        self._hurry = False
        self._ending = False  # send what is left, then end
        self._abandoned = False  # end after the request under way

    # --- from any thread ----------------------------------------------------------------------------------------------

    def start(self) -> bool:
        """Have a running thread; False if there can be none. The backlog calls it, holding its lock."""
        if self._is_running:
            return True
        if self._closed or self._outbox.failure is not None:
            return False
        self._ending = False
        thread = threading.Thread(target=self._run, name="tbbridge-sender", daemon=True)
        watch = threading.Thread(target=self._watch, args=(thread,), name="tbbridge-keeper", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is ending; drain_at_exit sends from its own thread
            lifecycle.activate(self)
            return False
        self._thread = thread
        if self._outbox.can_spool:
            with contextlib.suppress(RuntimeError):  # no more threads: then what waits is spooled between two requests only
                watch.start()
        lifecycle.activate(self)
        return True

    @property
    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def wake(self) -> None:
        """Send soon what was logged until now."""
        self._bell.ring()
        self._watch_bell.ring()  # should the other one be held up

    def hurry(self) -> None:
        """Send now, even in the middle of a pause between two tries."""
        self._hurry = True
        self._bell.ring()

    def wait(self, mark: Mark, timeout_s: float, *, is_last: bool = False) -> bool:
        """Whether all before `mark` was settled in `timeout_s`; or less, if we are let in no more, or `is_last` and no hope."""
        outbox = self._outbox
        outbox.denied = None  # it may know us by now

        def is_over() -> bool:
            hopeless = outbox.is_hopeless if is_last else outbox.denied is not None
            return self._abandoned or hopeless or outbox.reached(mark)

        if not outbox.reached(mark):
            outbox.backlog.ensure_sender()
            if self._is_running:
                self.hurry()
                with self._progress:
                    self._progress.wait_for(is_over, timeout_s)
        return outbox.reached(mark)

    def end(self) -> None:
        """Nobody can log any more, since the client is gone: send what is left and end."""
        self._ending = True
        self._bell.ring()

    def close(self, deadline: float) -> int:
        """Send what is left until `deadline`, and spool the rest; how many values are left in memory."""
        outbox = self._outbox
        mark = outbox.backlog.mark()
        if outbox.is_hopeless and not outbox.denied:
            outbox.keep_safe(anyway=True)
        self.wait(mark, max(0.0, deadline - time.monotonic()), is_last=True)
        if not self._is_running and not outbox.reached(mark):
            send_all(outbox, self._endpoint, deadline)
        is_done = outbox.reached(mark)
        if not is_done:
            outbox.keep_safe(anyway=True)
        self._closed = self._ending = self._abandoned = True
        self.hurry()
        self._watch_bell.ring()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread() and is_done:
            thread.join(_JOIN_S)
        if thread is None or not thread.is_alive():
            outbox.close_spool()
        lifecycle.retire(self)
        return outbox.backlog.waiting

    def keep_safe(self) -> None:
        """Put what is left in the spool, now."""
        self._outbox.hand_over()
        self._outbox.keep_safe(anyway=True)

    def drain_at_exit(self, deadline: float, status: RunStatus, *, is_main_stopped: bool) -> None:  # noqa: ARG002 - see TaskSender
        """`close` for a client that the program did not close."""
        self._outbox.hand_over()
        self._outbox.end_runs(status)
        self._outbox.report_left(self.close(deadline))

    def forget(self) -> None:
        """In a forked child there is no thread, and what waits is the parent's; the next log call starts one."""
        self._outbox.forget()
        self._reset()

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            transport = self._endpoint.open()
            try:
                while True:
                    self._bell.wait(min(self._interval_s, limits.CLIENT_HEARTBEAT_S))
                    is_last = self._ending
                    self._hurry = False
                    if is_last:
                        self._outbox.end_runs(status_now())
                    self._outbox.all_due()
                    self._send_due(transport)
                    if is_last or self._abandoned:
                        break
            finally:
                transport.close()
        except Exception as error:
            self._outbox.failure = error  # flush raises it
            logger.exception("the sender to %s stopped; nothing more will be sent", self._outbox.shown)
        self._outbox.backlog.pause()
        if self._abandoned or self._ending:
            self._outbox.close_spool()
        self._watch_bell.ring()
        lifecycle.retire(self)
        self._tell()

    def _watch(self, sender: threading.Thread) -> None:
        while sender.is_alive() and not self._abandoned:
            self._watch_bell.wait(limits.CLIENT_SLOW_ANSWER_S / 2)
            self._outbox.keep_safe()

    def _send_due(self, transport: Transport) -> None:
        while not self._abandoned and (body := self._outbox.next_body()) is not None:
            pause = post(self._outbox, transport, body)
            self._tell()
            self._sit_out(pause)
        self._tell()

    def _sit_out(self, pause: Pause) -> None:
        until = time.monotonic() + pause.seconds
        while (left := until - time.monotonic()) > 0 and not self._abandoned:
            if self._bell.wait(left):
                self._outbox.all_due()
                if self._hurry and not pause.firm:
                    break
        self._hurry = False

    def _tell(self) -> None:
        with self._progress:
            self._progress.notify_all()
