"""The sender of `AsyncClient`: one task on the event loop that waits, asks the outbox what to post, posts it, and tells it.

The twin of thread_sender.py; all decisions are the outbox's. The task belongs to the loop on which the client was first used,
and a new one starts on the next loop if that one is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time

from tbbridge import limits
from tbbridge.client import lifecycle
from tbbridge.client.backlog import Mark
from tbbridge.client.endings import status_now
from tbbridge.client.outbox import Outbox, Pause
from tbbridge.client.overflow import Sending
from tbbridge.client.thread_sender import send_all
from tbbridge.client.transport import AsyncTransport, Endpoint, TransportFailed
from tbbridge.model import RunStatus

logger = logging.getLogger("tbbridge.client")

# Packing costs about 0.1 us a point; more than this many would hold up the loop, and are packed in a worker thread.
_PACK_ON_LOOP_POINTS = 2_000
# How often the end of the program looks whether a loop in another thread has sent the rest.
_POLL_S = 0.02


class TaskSender:
    """Sends what is in `outbox`, every `interval_s` and when woken, from the first call on a running loop on."""

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
        self._task: asyncio.Task[None] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._loop_thread = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._bell = asyncio.Event()
        self._progress = asyncio.Event()
        self._hurry = False
        self._ending = False
        self._abandoned = False

    # --- from any thread ----------------------------------------------------------------------------------------------

    def start(self) -> bool:
        """Have a running task; False if there is no loop to run it. The backlog calls it, holding its lock."""
        if self._is_running:
            return True
        if self._closed or self._outbox.failure is not None:
            return False
        lifecycle.activate(self)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        self._ending = False
        self._loop = loop
        self._bell, self._progress = asyncio.Event(), asyncio.Event()  # they belong to one loop
        self._loop_thread = threading.get_ident()
        self._task = loop.create_task(self._run(), name="tbbridge-sender")
        if self._outbox.can_spool:
            self._keeper = loop.create_task(self._keep_safe(self._task), name="tbbridge-keeper")
        return True

    @property
    def _is_running(self) -> bool:
        return self._task is not None and not self._task.done() and self._loop is not None and not self._loop.is_closed()

    def wake(self) -> None:
        """Send soon what was logged until now."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: flush, close or the next loop sends
                self._loop.call_soon_threadsafe(self._bell.set)

    def hurry(self) -> None:
        """Send now, even in the middle of a pause between two tries."""
        self._hurry = True
        self.wake()

    def end(self) -> None:
        """Nobody can log any more, since the client is gone: send what is left and end."""
        self._ending = True
        self.wake()

    def keep_safe(self) -> None:
        """Put what is left in the spool, now."""
        self._outbox.hand_over()
        self._outbox.keep_safe(anyway=True)

    def drain_at_exit(self, deadline: float, status: RunStatus, *, is_main_stopped: bool) -> None:
        """Send from the calling thread what a client that was not closed has left; its loop is gone by now, or held up."""
        outbox = self._outbox
        outbox.hand_over()
        outbox.end_runs(status)
        mark = outbox.backlog.mark()
        is_held_up = is_main_stopped and self._loop_thread == threading.main_thread().ident
        while self._is_running and self._loop is not None and self._loop.is_running() and not is_held_up:
            if outbox.reached(mark) or outbox.is_hopeless or time.monotonic() > deadline:
                break  # a loop in another thread goes on to the very end
            time.sleep(_POLL_S)
        else:
            if not outbox.reached(mark):
                send_all(outbox, self._endpoint, deadline)
        if not outbox.reached(mark):
            outbox.keep_safe(anyway=True)
        lifecycle.retire(self)
        outbox.report_left(outbox.backlog.waiting)
        outbox.close_spool()

    def forget(self) -> None:
        """In a forked child there is no task, and what waits is the parent's; the next call on a loop starts one."""
        self._outbox.forget()
        self._reset()

    # --- from the loop ------------------------------------------------------------------------------------------------

    async def wait(self, mark: Mark, timeout_s: float, *, is_last: bool = False) -> bool:
        """Whether all before `mark` was settled in `timeout_s`; or less, if we are let in no more, or `is_last` and no hope."""
        outbox = self._outbox
        outbox.denied = None  # it may know us by now

        def is_over() -> bool:
            hopeless = outbox.is_hopeless if is_last else outbox.denied is not None
            return self._abandoned or hopeless or outbox.reached(mark)

        if not self._outbox.reached(mark):
            self._outbox.backlog.pause()  # look again whether there is a task: its loop may have been closed under it
            self._outbox.backlog.ensure_sender()
            if self._is_running:
                self.hurry()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(timeout_s):
                        while not is_over():
                            await self._progress.wait()
        return self._outbox.reached(mark)

    async def close(self, deadline: float) -> int:
        """Send what is left until `deadline`, and spool the rest; how many values are left in memory."""
        outbox = self._outbox
        mark = outbox.backlog.mark()
        if outbox.is_hopeless and not outbox.denied:
            await asyncio.to_thread(outbox.keep_safe, anyway=True)
        await self.wait(mark, max(0.0, deadline - time.monotonic()), is_last=True)
        if not outbox.reached(mark):
            await asyncio.to_thread(outbox.keep_safe, anyway=True)
        self._closed = self._abandoned = True
        if self._task is not None and self._loop is asyncio.get_running_loop():
            self._task.cancel()
            await asyncio.wait([task for task in (self._task, self._keeper) if task is not None])
        outbox.close_spool()
        lifecycle.retire(self)
        return outbox.backlog.waiting

    # --- the task -----------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            transport = self._endpoint.open_async()
            try:
                while True:
                    await self._ring_within(min(self._interval_s, limits.CLIENT_HEARTBEAT_S))
                    is_last = self._ending
                    self._hurry = False
                    if is_last:
                        self._outbox.end_runs(status_now())
                    self._outbox.all_due()
                    await self._send_due(transport)
                    if is_last:
                        lifecycle.retire(self)
                        self._outbox.close_spool()
                        break
            finally:
                self._outbox.backlog.pause()
                if self._keeper is not None:
                    self._keeper.cancel()
                await transport.aclose()
        except Exception as error:
            self._outbox.failure = error  # flush raises it
            logger.exception("the sender to %s stopped; nothing more will be sent", self._outbox.shown)
        self._tell()

    async def _send_due(self, transport: AsyncTransport) -> None:
        while not self._abandoned and (body := await self._next_body()) is not None:
            try:
                answer = await transport.post(body.raw, body.report)
            except TransportFailed as error:
                pause = self._outbox.failed(str(error))
            else:
                pause = self._outbox.answered(answer)
            self._tell()
            await self._sit_out(pause)
        self._tell()

    async def _keep_safe(self, sender: asyncio.Task[None]) -> None:
        while not sender.done():
            await asyncio.sleep(limits.CLIENT_SLOW_ANSWER_S / 2)
            if self._outbox.is_in_trouble:
                await asyncio.to_thread(self._outbox.keep_safe)

    async def _next_body(self) -> Sending | None:
        outbox = self._outbox
        if outbox.backlog.waiting <= _PACK_ON_LOOP_POINTS and not (outbox.is_offline or outbox.is_in_trouble):
            return self._outbox.next_body()
        return await asyncio.to_thread(self._outbox.next_body)

    async def _sit_out(self, pause: Pause) -> None:
        until = time.monotonic() + pause.seconds
        while (left := until - time.monotonic()) > 0:
            if await self._ring_within(left):
                self._outbox.all_due()
                if self._hurry and not pause.firm:
                    break
        self._hurry = False

    async def _ring_within(self, timeout_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._bell.wait()
        rang = self._bell.is_set()
        self._bell.clear()
        return rang

    def _tell(self) -> None:
        told, self._progress = self._progress, asyncio.Event()
        told.set()
