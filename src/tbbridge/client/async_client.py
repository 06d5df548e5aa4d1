"""`AsyncClient`: for asyncio programs. It waits on the task that sends; all else is in base.py."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from tbbridge import limits
from tbbridge.client.base import BaseClient
from tbbridge.client.endings import status_after
from tbbridge.client.remote import GroupEntry
from tbbridge.client.task_sender import TaskSender
from tbbridge.model import RunStatus


class AsyncClient(BaseClient[TaskSender]):
    """Logs to a tbbridge server from asyncio code; arguments and promises are those of `Client`.

    Log calls stay plain functions, since they only append; `flush` and `close` are awaited. Sending goes on while the event
    loop runs; what a program leaves unsent without `close` is sent when the interpreter exits.
    """

    def _open_sender(self) -> TaskSender:
        return TaskSender(self.outbox, self._endpoint, self._interval_s)

    async def flush(self, timeout_s: float = limits.CLIENT_FLUSH_TIMEOUT_S) -> None:
        """Return when everything logged so far is on the server's disk; raises as `Client.flush` does."""
        self.outbox.hand_over()
        settled = await self._sender.wait(self.outbox.backlog.mark(), timeout_s)
        self._finish_flush(settled=settled, timeout_s=timeout_s)

    async def close(self, timeout_s: float = limits.CLIENT_CLOSE_TIMEOUT_S) -> None:
        """Send what is left, for at most `timeout_s`; spool the rest, and say so in the log. May be called twice."""
        await self._close(timeout_s, RunStatus.FINISHED)

    async def _close(self, timeout_s: float, status: RunStatus) -> None:
        if self.outbox.closed:
            return
        deadline = self._begin_close(timeout_s, status)
        self.outbox.report_left(await self._sender.close(deadline))

    async def groups(self) -> list[GroupEntry]:
        """The server's groups. Raises `Unavailable` if it is away."""
        with self._remote() as remote:
            return await asyncio.to_thread(remote.groups)

    async def put_groups(self, groups: Sequence[GroupEntry]) -> None:
        """Replace the server's groups; raises as `Client.put_groups` does."""
        with self._remote() as remote:
            await asyncio.to_thread(remote.put_groups, groups)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close(limits.CLIENT_CLOSE_TIMEOUT_S, status_after(error))
