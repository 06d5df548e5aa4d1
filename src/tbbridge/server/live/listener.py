"""One listener of the live feed: a request whose answer goes on until its sender, its slowness or the bridge ends it.

It takes pieces of the feed's ring as fast as they are taken from it. What a slow one has not taken is merged, then left out but
for a word about it (`lagging`), and one that stays slow is ended: it comes back with the id that it saw last. Nothing waits for
a listener: at a stop, one that takes nothing is cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final

from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tbbridge import limits
from tbbridge.pipeline.door import Door
from tbbridge.server.bodies import SenderGone
from tbbridge.server.live.events import Wanted
from tbbridge.server.live.feed import Feed, Piece

log = logging.getLogger(__name__)

EVENT_STREAM: Final = "text/event-stream"
_HEADERS: Final = [
    (b"content-type", EVENT_STREAM.encode()),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx and those like it hold answers back otherwise
]


class Listener(Response):
    """The answer to one request to listen. `last_id`: the id of the last event that its sender saw; '' if none."""

    media_type = EVENT_STREAM

    def __init__(
        self,
        feed: Feed,
        door: Door,
        wanted: Wanted,
        last_id: str,
        *,
        health: bool,
        version: str,
        cut_off: Callable[[Scope], None],
    ) -> None:
        """`cut_off` ends the connection of a request without waiting for what it has not taken.

        Raises `Stopping` or `TooManyRequests`.
        """
        feed.check_room()
        self.status_code = 200
        self.body = b""
        self.background = None
        self.raw_headers = list(_HEADERS)
        self.scope: Scope = {}  # of its request, once it is answered
        self._feed = feed
        self._door = door
        self._wanted = wanted
        self._last_id = last_id
        self._wants_health = health
        self._version = version
        self._cut_off = cut_off
        self._news = asyncio.Event()
        self._is_ended = False
        self._is_sending = False
        self._lagged_at = float("-inf")

    def wake(self) -> None:
        """There is something new."""
        self._news.set()

    def end(self) -> None:
        """Let the answer end: in order if its reader is awake, else at once."""
        self._is_ended = True
        self._news.set()
        if self._is_sending:
            self._cut_off(self.scope)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer until the end. Raises `Stopping` or `TooManyRequests` before the first byte."""
        self.scope = scope
        self._feed.join(self._door, self)
        gone = asyncio.create_task(self._until_gone(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await self._tell(send)
            await self._say_goodbye(send)
        finally:
            gone.cancel()
            self._feed.leave(self)

    async def _until_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._is_ended = True
        self._news.set()

    async def _tell(self, send: Send) -> None:
        feed = self._feed
        resumed = feed.place_of(self._last_id) if self._last_id else None
        place = feed.place_now() if resumed is None else resumed
        said = to_json({"version": self._version, "resumed": resumed is not None, "retry_s": limits.LIVE_RETRY_S})
        retry_ms = round(limits.LIVE_RETRY_S * 1000)
        hello = b"retry: %d\nid: %s\nevent: hello\ndata: %s\n\n" % (retry_ms, feed.id_at(place.index), said)
        health_number = feed.health_number - bool(feed.health_data)
        was_behind = feed.behind(place)  # whoever comes back may take his time for what he missed
        await self._send(send, hello, 1)
        while not self._is_ended:
            self._news.clear()
            if feed.is_gone(place):
                self._drop()
                return
            was_behind = min(was_behind, feed.behind(place))
            is_far = feed.behind(place) > was_behind + limits.LIVE_LAG_BYTES
            is_slow = is_far and feed.waiting_s(place) > limits.LIVE_LAG_S  # else it is only that much has just come
            place = self._skip(place) if is_slow else feed.next_piece(place, self._wanted)
            data, events = place.data, place.events
            place = Piece(b"", 0, place.index, place.end_bytes)
            if self._wants_health and health_number != feed.health_number:
                health_number = feed.health_number
                data += b"id: %s\nevent: health\ndata: %s\n\n" % (feed.id_at(place.index), feed.health_data)
                events += 1
            if data:
                await self._send(send, data, events)
            elif feed.behind(place) == 0 and not await self._has_news():
                await self._send(send, b":\n\n", 0)

    def _skip(self, place: Piece) -> Piece:
        """Leave out what it has not taken; the second time within a while, end it."""
        now = asyncio.get_running_loop().time()
        if now - self._lagged_at < limits.LIVE_LAG_AGAIN_S:
            self._drop()
            return place
        self._lagged_at = now
        return self._feed.skipped(place, self._wanted)

    async def _has_news(self) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limits.LIVE_HEARTBEAT_S):
                await self._news.wait()
        return self._news.is_set()

    async def _send(self, send: Send, data: bytes, events: int) -> None:
        """Send a piece. Raises `SenderGone` if nothing of it is taken for limits.LIVE_STALL_S."""
        self._is_sending = True
        try:
            async with asyncio.timeout(limits.LIVE_STALL_S):
                await send({"type": "http.response.body", "body": data, "more_body": True})
        except TimeoutError:
            self._drop()
            raise SenderGone from None
        finally:
            self._is_sending = False
        self._feed.sent += events

    async def _say_goodbye(self, send: Send) -> None:
        """End the answer, without waiting for a reader that takes nothing."""
        try:
            async with asyncio.timeout(limits.LIVE_GOODBYE_S):
                await send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            self._cut_off(self.scope)
            raise SenderGone from None
        if self._feed.is_stopping:  # uvicorn waits for what is not taken yet
            asyncio.get_running_loop().call_later(limits.LIVE_GOODBYE_S, self._cut_off, self.scope)

    def _drop(self) -> None:
        """It is too slow: end it here and now."""
        self._is_ended = True
        self._cut_off(self.scope)
        self._feed.dropped += 1
        log.info("a listener of the live feed was too slow and was let go; it may come back")
