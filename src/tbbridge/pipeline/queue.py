"""The one queue between those who send and the writer: bounded by bytes, emptied group by group."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from tbbridge import limits
from tbbridge.errors import QueueFull
from tbbridge.model import Batch
from tbbridge.pipeline.door import Ack, Receipt


@dataclass(slots=True)
class Request:
    """One batch on its way, and who waits for it (nobody, for ack=queued)."""

    batch: Batch
    size: int
    ack: Ack
    partial: bool
    waiter: asyncio.Future[Receipt] | None

    def answer(self, receipt: Receipt) -> None:
        """Wake whoever waits, if they still do."""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(receipt)

    def fail(self, error: Exception) -> None:
        """Tell whoever waits that nothing of the batch was taken."""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_exception(error)


class BatchQueue:
    """First in, first out. Belongs to one event loop."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.size = 0
        self._requests: deque[Request] = deque()
        self._news = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        """Requests that wait."""
        return len(self._requests)

    def put(self, request: Request) -> None:
        """Admit `request`, or raise `QueueFull`. One that is larger than the whole bound is admitted when nothing waits."""
        if self._requests and self.size + request.size > self.max_bytes:
            raise QueueFull(
                f"the queue holds {self.size} of {self.max_bytes} bytes and this batch needs {request.size}; "
                "nothing of it was taken, send it again after the time in Retry-After"
            )
        self._requests.append(request)
        self.size += request.size
        self._news.set()

    async def take(self) -> list[Request]:
        """Everything that waits, up to limits.GROUP_MAX_BYTES; waits for the first. Empty: closed, and nothing is left."""
        while not self._requests:
            if self._closed:
                return []
            self._news.clear()
            await self._news.wait()
        return self.take_now(limits.GROUP_MAX_BYTES)

    def take_now(self, max_bytes: int | None = None) -> list[Request]:
        """Everything that waits, up to `max_bytes` (at least one request)."""
        group: list[Request] = []
        taken = 0
        while self._requests and (not group or max_bytes is None or taken + self._requests[0].size <= max_bytes):
            request = self._requests.popleft()
            taken += request.size
            group.append(request)
        self.size -= taken
        return group

    def put_back(self, requests: list[Request]) -> None:
        """Return requests that were taken to the front, in their order."""
        self._requests.extendleft(reversed(requests))
        self.size += sum(request.size for request in requests)
        if requests:
            self._news.set()

    def close(self) -> None:
        """Let `take` return what is left, and then nothing."""
        self._closed = True
        self._news.set()
