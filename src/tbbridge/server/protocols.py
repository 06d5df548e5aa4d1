"""One connection under bounds: how long it may take over a head, a body or an answer, and what it may send around a body.

uvicorn bounds none of this. Its protocol is subclassed here: a connection too many is answered at once and closed; one that
sends its request's head too slowly, or endlessly, or that does not take its answer, is closed too. What a request means is no
affair of this file: the path continues in edge.py. No timer is set for a request: `look` goes over all connections each second.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import re
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, Protocol

from tbbridge import limits
from tbbridge.errors import BodyTimeout, TBBridgeError, TooManyConnections, TooManyRequests
from tbbridge.server import overload
from tbbridge.server.answers import JSON, NO_SNIFFING, Answer, http_problem, problem
from tbbridge.server.connections import Connections, client_of
from tbbridge.server.heads import HeadWithBody

# Not its warnings: uvicorn's protocol logs one for each malformed request, so strangers could fill the log. They are counted.
_protocol_log = logging.getLogger("tbbridge.server.protocol")
_protocol_log.setLevel(logging.ERROR)

_NOT_HTTP: Final = "this is no HTTP/1.1 request; if it was meant as one, the client or a proxy on the way garbled it"
_OFFER: Final = re.compile(rb"\n[Uu]pgrade[ \t]*:")
_HEAD_TOO_LARGE: Final = f"the request's headers have over {limits.HEAD_MAX_BYTES} bytes; send what is long in the body"
_HEAD_TOO_SLOW: Final = f"the request's headers were not complete after {limits.HEAD_TIMEOUT_S:g} s; send it again"
_BODY_MISSING: Final = f"nothing of the body came for {limits.BODY_READ_TIMEOUT_S:g} s; send it again"


class _Cycle(Protocol):
    """What is used of uvicorn's RequestResponseCycle."""

    disconnected: bool
    message_event: asyncio.Event
    more_body: bool
    response_started: bool
    response_complete: bool
    transport: Any  # where it writes


class _Flow(Protocol):
    """What is used of uvicorn's FlowControl."""

    read_paused: bool


class WatchedProtocol(asyncio.Protocol):
    """Goes in front of uvicorn's protocol class, whose attributes it reads: `transport`, `cycle`, `client`."""

    watch: Connections  # set on the class by `protocol_class`
    transport: asyncio.Transport
    cycle: _Cycle | None
    flow: _Flow
    client: tuple[str, int] | None
    logger: logging.Logger
    loop: asyncio.AbstractEventLoop

    _counted_as: str | None = None  # the address, while it is counted; None: refused, or closed
    _waiting_since = 0.0  # since when a head is awaited that has begun; 0: none is
    _pieces = 0  # how often bytes came
    _pieces_seen = 0  # the same when it was last looked at,
    _silent_since = 0.0  # and since when it has not grown while a body is awaited; 0: none is
    _stalled_since = 0.0  # since when the answer is not taken; 0: it is
    _stalled_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it, or turn it away."""
        super().connection_made(transport)
        self.logger = _protocol_log
        client = client_of(self.client[0]) if self.client else ""
        try:
            self.watch.admit(self, client)
        except (TooManyConnections, TooManyRequests) as error:
            self._turn_away(error)
            return
        self._counted_as = client
        self._waiting_since = self.loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no more."""
        if self._counted_as is not None:
            self.watch.leave(self, self._counted_as)
            self._counted_as = None
        self._let_go()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Let uvicorn parse it, and note if that was the beginning of a head and not its end."""
        if self._counted_as is None or self.transport.is_closing():
            return
        super().data_received(data)
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            self._waiting_since = 0.0
        elif not self._waiting_since:
            self._waiting_since = self.loop.time()
        self._pieces += 1

    def pause_writing(self) -> None:
        """The answer is not taken as fast as it is made."""
        super().pause_writing()
        self._stalled_since = self.loop.time()
        self._stalled_bytes = self.transport.get_write_buffer_size()

    def resume_writing(self) -> None:
        """It was taken."""
        super().resume_writing()
        self._stalled_since = 0.0

    def look(self, now: float) -> None:
        """Close the connection if it takes too long over a head, a body or an answer."""
        if self._waiting_since and now - self._waiting_since > limits.HEAD_TIMEOUT_S:
            self.watch.refuse("head-timeout")
            if self._pieces and self.cycle is None:  # later, it could be taken for the answer to what is just being sent
                self._close_with(http_problem(HTTPStatus.REQUEST_TIMEOUT, _HEAD_TOO_SLOW, JSON))
            else:
                self._close()
            self._waiting_since = 0.0
        elif self._stalled_since and now - self._stalled_since > limits.ANSWER_STALL_S:
            left = self.transport.get_write_buffer_size()
            if self._stalled_bytes - left < limits.ANSWER_MIN_BYTES_PER_S * (now - self._stalled_since):
                self.watch.refuse("answer-stalled")
                self.cut_off()
                self._stalled_since = 0.0
            else:
                self._stalled_since, self._stalled_bytes = now, left
        elif self.cycle is not None and self.cycle.more_body and not self.cycle.response_complete:
            self._look_at_body(self.cycle, now)
        else:
            self._silent_since = 0.0

    def cut_off(self) -> None:
        """Close it now; `close` would wait for the very bytes that are not taken."""
        self._let_go()
        self.transport.abort()

    def _look_at_body(self, cycle: _Cycle, now: float) -> None:
        """A body that comes, however slowly, is bodies.py's affair; one that does not come at all is ours."""
        if self._pieces != self._pieces_seen or not self._silent_since or self.flow.read_paused:
            self._pieces_seen, self._silent_since = self._pieces, now
        elif now - self._silent_since > limits.BODY_READ_TIMEOUT_S:
            self.watch.refuse("body-timeout")
            self._silent_since = 0.0
            if cycle.response_started:
                self._close()
            else:
                self._close_with(problem(BodyTimeout(_BODY_MISSING), JSON))

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's name for it and its words, which are not shown
        """What uvicorn calls for what it cannot parse."""
        self.watch.refuse("malformed-http")
        if any(cycle.response_started for cycle in self._under_way()):
            self._close()  # in the middle of an answer, another one would be taken for a part of it
        else:
            self._close_with(http_problem(HTTPStatus.BAD_REQUEST, _NOT_HTTP, JSON))

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing: uvicorn would log two lines each time somebody offers HTTP/2 or a WebSocket, which need not be taken up."""

    def _turn_away(self, error: TBBridgeError) -> None:
        self._close_with(problem(error, JSON))

    def _close_with(self, answer: Answer) -> None:
        self.transport.write(_raw(answer))
        self._close()

    def _close(self) -> None:
        self._let_go()
        self.transport.close()

    def _let_go(self) -> None:
        """Tell what works on a request that nobody waits for it: uvloop's transport raises if it is written to when closed.

        uvicorn tells only the last request that came, which may wait behind the one that is being answered.
        """
        for cycle in self._under_way():
            cycle.disconnected = True
            cycle.message_event.set()

    def _under_way(self) -> list[_Cycle]:
        """Requests that are not answered yet."""
        return [] if self.cycle is None or self.cycle.response_complete else [self.cycle]


class _TooManyAtOnce(Exception):
    """Goes through httptools, which makes of it what uvicorn takes for a malformed request."""


def _without_offer(data: bytes) -> bytes:
    """What came of a request, its header Upgrade renamed: HTTP/2 is not taken up, which is ours to decide.

    httptools would leave out the body of a request that offers it, as Java's own client does with its first on a connection.
    """
    end = data.find(b"\r\n\r\n")
    end = len(data) if end < 0 else end
    if data.find(b"pgrade", 0, end) < 0:
        return data
    return _OFFER.sub(b"\nOffered:", data[:end]) + data[end:]


class _FramingMixin(WatchedProtocol):
    """For httptools, which takes heads, chunk headers and trailers of any length (h11 bounds them itself).

    It tells where a request begins and ends too, which has to be certain before one is refused without parsing it: what looks
    like a request in the middle of a body is none.
    """

    timeout_keep_alive: int
    _unset_keepalive_if_required: Callable[[], None]

    _framing = 0  # bytes of this request besides its body, less what a body of its length may have around it
    _is_in_head = True  # no request has begun, or its headers are still to come
    _is_in_message = False  # between the first byte of a request and its last
    _is_under_way = False  # counted among those that are worked on
    _refused_at = 0.0  # when a write was refused unparsed, with which it all began; 0: it was not the last that came
    _left_bytes = 0  # of its body, still to come
    _refusal = b""  # and what is to be said then
    _earlier: deque[_Cycle]  # requests that came before the last one and are not answered yet, in order

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As before."""
        self._earlier = deque()
        super().connection_made(transport)

    def on_message_begin(self) -> None:
        """A further request: count anew. What came with it in one piece is not counted, at most 256 KiB."""
        if len(self._earlier) >= limits.PIPELINED_MAX:
            raise _TooManyAtOnce
        self._framing = 0
        self._is_in_head = self._is_in_message = True
        super().on_message_begin()  # type: ignore[misc] # uvicorn's

    def on_headers_complete(self) -> None:
        """A request begins to be worked on, or waits behind others."""
        self._is_in_head = False
        before = self.cycle
        super().on_headers_complete()  # type: ignore[misc] # uvicorn's
        if self.cycle is not None and self.cycle is not before:
            self.cycle.transport = HeadWithBody(self.transport, self.loop)
        if before is not None and not before.response_complete:
            self._earlier.append(before)

    def on_body(self, body: bytes) -> None:
        """A piece of the body: no framing."""
        self._framing -= len(body) * (1 + limits.FRAMING_TIMES)
        super().on_body(body)  # type: ignore[misc] # uvicorn's

    def on_message_complete(self) -> None:
        """All of a request has come."""
        self._is_in_message = False
        self._is_in_head = True
        super().on_message_complete()  # type: ignore[misc] # uvicorn's

    def on_response_complete(self) -> None:
        """A request is answered; the next one may wait already."""
        while self._earlier and self._earlier[0].response_complete:
            self._earlier.popleft().transport.flush()
        if self.cycle is not None and self.cycle.response_complete:
            self.cycle.transport.flush()
        super().on_response_complete()  # type: ignore[misc] # uvicorn's
        self._count_under_way()

    def connection_lost(self, exc: Exception | None) -> None:
        """As before."""
        if self._is_under_way:
            self._is_under_way = False
            self.watch.under_way -= 1
        super().connection_lost(exc)

    def _count_under_way(self) -> None:
        is_under_way = self.cycle is not None and not self.cycle.response_complete
        if is_under_way is not self._is_under_way:
            self._is_under_way = is_under_way
            self.watch.under_way += 1 if is_under_way else -1

    def _is_refused_at_once(self, data: bytes) -> bool:
        """Refuse a write that begins here, between requests, while too many others are under way."""
        if self._is_in_message or self._is_under_way or self._counted_as is None or self.transport.is_closing():
            return False
        now = self.loop.time()
        if not self.watch.is_overloaded(now):
            return False
        refusal = overload.refusal_of(data)
        if refusal is None:
            return False
        self.watch.refuse(overload.REASON)
        self.watch.note_overload(now)
        self._unset_keepalive_if_required()  # `look` closes it instead: a timer costs as much as the refusal
        self._refused_at = now
        self._waiting_since = 0.0
        if refusal.left_bytes:
            self._left_bytes, self._refusal = refusal.left_bytes, refusal.answer
        else:
            self.transport.write(refusal.answer)
        return True

    def _past_refused(self, data: bytes) -> bytes:
        """What of `data` is behind a refused body. The answer goes out at the body's end: many senders read none before."""
        left = self._left_bytes - len(data)
        if left > 0:
            self._left_bytes = left
            return b""
        self._left_bytes = 0
        if not self.transport.is_closing():
            self.transport.write(self._refusal)
        return data[len(data) + left :]

    def look(self, now: float) -> None:
        """As before; and close it if it was refused, and since then sends its body too slowly, or nothing more."""
        if self._left_bytes and now - self._refused_at > limits.BODY_READ_TIMEOUT_S:
            self.watch.refuse("body-timeout")
            self._left_bytes = 0
            self.transport.write(self._refusal)
            self._close()
        elif self._refused_at and not self._left_bytes and now - self._refused_at > self.timeout_keep_alive:
            self._close()
        else:
            super().look(now)

    def data_received(self, data: bytes) -> None:
        """As before; and close it if what is no body grows without end."""
        if self._left_bytes:
            data = self._past_refused(data)
            if not data:
                return
        watch = self.watch
        if (watch.refuses or watch.under_way >= limits.REQUESTS_MAX) and self._is_refused_at_once(data):
            return
        self._refused_at = 0.0
        if self._is_in_head:
            data = _without_offer(data)
        self._framing += len(data)
        super().data_received(data)
        self._count_under_way()
        if self._framing > limits.HEAD_MAX_BYTES and not self.transport.is_closing():
            self.watch.refuse("head-too-large")
            if self._under_way():
                self._close()
            else:
                self._close_with(http_problem(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _HEAD_TOO_LARGE, JSON))

    def send_400_response(self, msg: str) -> None:
        """As before; but too many requests at once are no malformed one."""
        if len(self._earlier) >= limits.PIPELINED_MAX:
            self.watch.refuse("pipelined")
            self._close()
        else:
            super().send_400_response(msg)

    def _under_way(self) -> list[_Cycle]:
        return [*(cycle for cycle in self._earlier if not cycle.response_complete), *super()._under_way()]


def protocol_class(connections: Connections) -> type[asyncio.Protocol]:
    """uvicorn's protocol on httptools where that is installed, else on h11, under the bounds of `connections`."""
    if importlib.util.find_spec("httptools") is not None:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol  # only here: it is not made for every Python

        class WatchedHttpTools(_FramingMixin, HttpToolsProtocol):  # type: ignore[misc] # attributes are theirs, types narrower
            watch = connections

        return WatchedHttpTools
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class WatchedH11(WatchedProtocol, H11Protocol):  # type: ignore[misc] # as above
        watch = connections

    return WatchedH11


def _raw(answer: Answer) -> bytes:
    """An answer as it goes over the wire without uvicorn's help; the last one of its connection."""
    lines = [b"HTTP/1.1 %d %s" % (answer.status_code, HTTPStatus(answer.status_code).phrase.encode())]
    lines += [name + b": " + value for name, value in (*answer.raw_headers, NO_SNIFFING)]
    return b"\r\n".join([*lines, b"connection: close", b"", bytes(answer.body)])
