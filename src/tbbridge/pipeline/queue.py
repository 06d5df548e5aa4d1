"""The one queue between those who send and the writer: bounded by bytes, emptied group by group."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

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
    received: float = field(default_factory=time.perf_counter)  # when its request had come
    admitted: float = field(default_factory=time.perf_counter)

    def answer(self, receipt: Receipt) -> None:
        """Wake whoever waits, if they still do."""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(receipt)

    def fail(self, error: Exception) -> None:
        """Tell whoever waits that nothing of the batch was taken."""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_exception(error)


@dataclass(slots=True)
class Errand:
    """Work other than a batch that has its place among the batches, and who waits for it."""

    work: Callable[[], object]
    waiter: asyncio.Future[Any]
    size: int = limits.BATCH_OVERHEAD_BYTES
    received: float = field(default_factory=time.perf_counter)

    def answer(self, result: object) -> None:
        """Wake whoever waits, if they still do."""
        if not self.waiter.done():
            self.waiter.set_result(result)

    def fail(self, error: Exception) -> None:
        """Tell whoever waits that nothing was done, or why it is not done yet."""
        if not self.waiter.done():
            self.waiter.set_exception(error)


class BatchQueue:
    """First in, first out. Belongs to one event loop."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.size = 0
        self._requests: deque[Request | Errand] = deque()
        self._news = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        """Requests that wait."""
        return len(self._requests)

    @property
    def oldest(self) -> float | None:
        """When what waits for longest was received; None if nothing waits."""
        return self._requests[0].received if self._requests else None

    def put(self, request: Request | Errand) -> None:
        """Admit `request`, or raise `QueueFull`. One that is larger than the whole bound is admitted when nothing waits."""
        if self._requests and self.size + request.size > self.max_bytes:
            raise QueueFull(
                f"the queue holds {self.size} of {self.max_bytes} bytes and this batch needs {request.size}; "
                "nothing of it was taken, send it again after the time in Retry-After"
            )
        self._requests.append(request)
        self.size += request.size
        self._news.set()

    async def take(self) -> list[Request] | Errand:
        """The batches that wait, up to limits.GROUP_MAX_BYTES and to the next errand, or that errand; waits for the first.

        Empty: closed, and nothing is left.
        """
        while not self._requests:
            if self._closed:
                return []
            self._news.clear()
            await self._news.wait()
        first = self._requests[0]
        if isinstance(first, Errand):
            self._requests.popleft()
            self.size -= first.size
            return first
        group: list[Request] = []
        taken = 0
        while self._requests:
            request = self._requests[0]
            if isinstance(request, Errand) or (group and taken + request.size > limits.GROUP_MAX_BYTES):
                break
            group.append(request)
            taken += request.size
            self._requests.popleft()
        self.size -= taken
        return group

    def take_now(self) -> list[Request | Errand]:
        """Everything that waits."""
        taken = list(self._requests)
        self._requests.clear()
        self.size = 0
        return taken

    def put_back(self, requests: Sequence[Request]) -> None:
        """Return requests that were taken to the front, in their order."""
        self._requests.extendleft(reversed(requests))
        self.size += sum(request.size for request in requests)
        if requests:
            self._news.set()

    def close(self) -> None:
        """Let `take` return what is left, and then nothing."""
        self._closed = True
        self._news.set()
