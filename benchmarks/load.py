"""The load: ready requests over many connections from one thread that costs little, since it runs on the bridge's own machine.

Closed loop: each connection sends its next request when the last one is answered; that finds the most a server can do. Open
loop: requests are due at moments of their own, whatever the server does, and times count from when a request was due, not from
when a connection was free for it. A server that stalls would otherwise slow the load down and look quick (coordinated
omission). Of an answer only its status and its length are looked at.
"""

from __future__ import annotations

import select
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from benchmarks.measure import percentile
from benchmarks.servers import HOST, Server

# Stands for a status: the answer did not come while it was waited for. Its seconds are those that it was waited for.
UNANSWERED = -1
BROKEN = 0  # stands for a status: the connection broke
# How early a wait ends before a request is due; the rest is waited out awake, since the system's timers are as coarse as this.
_EARLY_S = 80e-6
_PER_ADDRESS = 500  # the connections come from several addresses, as those of many machines would

RequestOf = Callable[[int], bytes]
OnAnswer = Callable[[int, int, float], None]  # connection, status, seconds since it was due


def post(body: bytes, content_type: str = "application/json", path: str = "/api/v1/write", *headers: str) -> bytes:
    """A whole request."""
    lines = (
        f"POST {path} HTTP/1.1",
        f"Host: {HOST}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        *headers,
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode() + body


def get(path: str, *headers: str) -> bytes:
    """The same without a body."""
    return "".join(f"{line}\r\n" for line in (f"GET {path} HTTP/1.1", f"Host: {HOST}", *headers, "")).encode()


_GREETING = get("/healthz")


@dataclass(slots=True)
class Loaded:
    """What became of a load."""

    answered: dict[int, list[float]] = field(default_factory=dict)  # seconds of each request since it was due, by status
    seconds: float = 0.0
    # Of the generator itself: from when a request was due to when it was sent, where a connection was free.
    late_s: list[float] = field(default_factory=list)
    # Of an open loop: what was answered while requests were still coming, by status, and how long they came.
    in_time: Counter[int] = field(default_factory=Counter)
    due_s: float = 0.0

    def add(self, status: int, seconds: float) -> None:
        self.answered.setdefault(status, []).append(seconds)

    def rate(self, status: int = 200) -> float:
        """Requests a second answered with `status`."""
        return len(self.answered.get(status, ())) / self.seconds

    def rate_under_load(self, status: int = 200) -> float:
        """The same of an open loop, without the time after its last request."""
        return self.in_time[status] / self.due_s

    def percentile(self, percent: float, status: int = 200) -> float:
        """Seconds within which `percent` of the requests answered with `status` were answered; 0 if none was."""
        return percentile(self.answered.get(status, ()), percent)

    @property
    def counts(self) -> Counter[int]:
        return Counter({status: len(times) for status, times in self.answered.items()})

    def check(self, *allowed: int) -> None:
        """Nothing but these, or the numbers mean nothing."""
        wrong = {status: count for status, count in self.counts.items() if status not in allowed}
        if wrong:
            raise RuntimeError(
                f"answers that should not be: {wrong}, besides {self.counts.total() - sum(wrong.values())} others"
            )


class _Connection:
    """One HTTP connection with one request under way at most."""

    __slots__ = ("due", "is_busy", "is_open", "number", "received", "socket", "unsent", "wanted")

    def __init__(self, number: int, port: int) -> None:
        self.number = number
        self.socket = socket.socket()
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.bind((f"127.0.0.{2 + number // _PER_ADDRESS}", 0))
        self.socket.connect((HOST, port))
        self.socket.setblocking(False)
        self.received = b""
        self.wanted = 0  # bytes of the answer, once its head is there
        self.unsent = memoryview(b"")
        self.due = 0.0
        self.is_busy = False
        self.is_open = True


class Answer(NamedTuple):
    """One request that was answered."""

    connection: _Connection
    status: int
    seconds: float


class Connections:
    """All connections of a load."""

    def __init__(self, port: int, count: int) -> None:
        self._epoll = select.epoll()
        self.all = [_Connection(number, port) for number in range(count)]
        self._by_fd = {connection.socket.fileno(): connection for connection in self.all}
        for fd in self._by_fd:
            self._epoll.register(fd, select.EPOLLIN)

    def close(self) -> None:
        self._epoll.close()
        for connection in self.all:
            connection.socket.close()

    def greet(self) -> None:
        """Have each of them served once: a load begins on connections that stand, as those of clients do."""
        for connection in self.all:
            self.send(connection, _GREETING, time.perf_counter())
        waiting = len(self.all)
        while waiting:
            waiting -= sum(1 for _ in self.wait(1.0))

    def send(self, connection: _Connection, request: bytes, due: float) -> None:
        """Send it; the answer comes out of `wait`."""
        connection.due, connection.is_busy = due, True
        try:
            sent = connection.socket.send(request)
        except BlockingIOError:
            sent = 0
        except OSError:  # closed by the server meanwhile: `wait` finds out
            return
        if sent < len(request):
            connection.unsent = memoryview(request)[sent:]
            self._epoll.modify(connection.socket.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def wait(self, timeout_s: float) -> Iterator[Answer]:
        """What is answered within `timeout_s`: all that is there, as soon as something is."""
        if timeout_s > 0:  # a wait on the epoll itself would be in whole milliseconds
            select.select([self._epoll], [], [], timeout_s)
        for fd, event in self._epoll.poll(0):
            connection = self._by_fd[fd]
            if event & select.EPOLLOUT:
                self._send_more(connection)
            if event & ~select.EPOLLOUT:
                status = self._receive(connection)
                if status is not None:
                    connection.is_busy = False
                    yield Answer(connection, status, time.perf_counter() - connection.due)

    def _send_more(self, connection: _Connection) -> None:
        try:
            connection.unsent = connection.unsent[connection.socket.send(connection.unsent) :]
        except OSError:
            return
        if not connection.unsent:
            self._epoll.modify(connection.socket.fileno(), select.EPOLLIN)

    def _receive(self, connection: _Connection) -> int | None:
        """The status of a whole answer, or None while it is not there."""
        try:
            data = connection.socket.recv(1 << 20)
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        if not data:
            self._epoll.unregister(connection.socket.fileno())
            connection.is_open = False
            return BROKEN if connection.is_busy else None
        received = connection.received + data if connection.received else data
        if not connection.wanted:
            head, found, _ = received.partition(b"\r\n\r\n")
            if found:
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                connection.wanted = len(head) + 4 + int(length)
        if not connection.wanted or len(received) < connection.wanted:
            connection.received = received
            return None
        connection.received, connection.wanted = b"", 0
        return int(received[9:12])


@contextmanager
def connected(server: Server, count: int) -> Iterator[Connections]:
    """`count` connections, closed at the end of the block."""
    connections = Connections(server.port, count)
    try:
        connections.greet()
        yield connections
    finally:
        connections.close()


def closed_loop(
    server: Server,
    request_of: RequestOf,
    connections: int,
    *,
    seconds: float | None = None,
    count: int | None = None,
    on_answer: OnAnswer | None = None,
) -> Loaded:
    """As many requests as get answered one after the other on each connection, for `seconds` or until `count` were sent.

    `request_of` is given the number of the connection that is free.
    """
    loaded = Loaded()
    with connected(server, connections) as opened:
        started = time.perf_counter()
        ends = started + (seconds if seconds is not None else float("inf"))
        sent = under_way = 0
        for connection in opened.all if count is None else opened.all[:count]:
            opened.send(connection, request_of(connection.number), time.perf_counter())
            sent += 1
            under_way += 1
        while under_way:
            for connection, status, took in opened.wait(1.0):
                loaded.add(status, took)
                if on_answer is not None:
                    on_answer(connection.number, status, took)
                now = time.perf_counter()
                if connection.is_open and now < ends and (count is None or sent < count):
                    opened.send(connection, request_of(connection.number), now)
                    sent += 1
                else:
                    under_way -= 1
        loaded.seconds = time.perf_counter() - started
    return loaded


def poisson(rate: float, seconds: float, seed: int = 0) -> list[float]:
    """When requests are due, in seconds from the start, as strangers send them: at random, `rate` a second on average."""
    count = max(1, int(rate * seconds))
    gaps = np.random.default_rng(seed).exponential(1 / rate, count)
    return [at for at in np.cumsum(gaps).tolist() if at < seconds] or [0.0]


def evenly(rate: float, seconds: float) -> list[float]:
    """The same at equal distances."""
    return [number / rate for number in range(int(rate * seconds))]


def open_loop(
    server: Server,
    request_of: RequestOf,
    due: Sequence[float],
    connections: int,
    *,
    grace_s: float = 1.0,
    in_turn: bool = False,
    on_answer: OnAnswer | None = None,
) -> Loaded:
    """Requests at the moments `due`, in seconds from the start, over whatever connection is free; when none is they grow old.

    `in_turn`: each belongs to the connection whose turn it is, and waits for that one. Answers are waited for until `grace_s`
    after the last moment; what is still missing then counts as UNANSWERED, at the age that it has.
    """
    with connected(server, connections) as opened:
        return _OpenLoop(opened, request_of, due, grace_s, in_turn, on_answer).run()


class _OpenLoop:
    """An open loop that goes on."""

    def __init__(
        self,
        opened: Connections,
        request_of: RequestOf,
        due: Sequence[float],
        grace_s: float,
        in_turn: bool,
        on_answer: OnAnswer | None,
    ) -> None:
        self._opened = opened
        self._request_of = request_of
        self._due = due
        self._in_turn = in_turn
        self._on_answer = on_answer
        self._loaded = Loaded(due_s=due[-1] or 1e-3)  # a single request is due at once
        self._free = deque(opened.all)
        # Requests that are due and for which no connection is free: of each connection, or of all.
        self._old: list[deque[float]] = [deque() for _ in opened.all] if in_turn else [deque()]
        self._number = 0  # of the next request
        self._under_way = 0
        self._started = time.perf_counter()
        self._last = self._started + due[-1]
        self._until = self._last + grace_s

    def run(self) -> Loaded:
        """To its end."""
        while (wait_s := self._send_due()) is not None:
            for answer in self._opened.wait(wait_s):
                self._take(answer)
        return self._end()

    def _send_due(self) -> float | None:
        """Send what is due; return for how long to wait for answers before the next is, None at the end."""
        now = time.perf_counter()
        while self._number < len(self._due):
            at = self._started + self._due[self._number]
            if at > now:
                return max(0.0, at - now - _EARLY_S)
            self._begin(at, now)
            self._number += 1
            now = time.perf_counter()
        return self._until - now if self._under_way and now <= self._until else None

    def _begin(self, at: float, now: float) -> None:
        if self._in_turn:
            connection = self._opened.all[self._number % len(self._opened.all)]
            is_free = connection.is_open and not connection.is_busy
        else:
            is_free = bool(self._free)
            connection = self._free.popleft() if is_free else self._opened.all[0]
        if is_free:
            self._loaded.late_s.append(now - at)
            self._send(connection, at)
        else:
            self._waiting_for(connection).append(at)

    def _waiting_for(self, connection: _Connection) -> deque[float]:
        return self._old[connection.number if self._in_turn else 0]

    def _send(self, connection: _Connection, at: float) -> None:
        self._under_way += 1
        self._opened.send(connection, self._request_of(connection.number), at)

    def _take(self, answer: Answer) -> None:
        connection, status, took = answer
        self._under_way -= 1
        self._loaded.add(status, took)
        if connection.due + took <= self._last:
            self._loaded.in_time[status] += 1
        if self._on_answer is not None:
            self._on_answer(connection.number, status, took)
        if not connection.is_open:
            return
        waiting = self._waiting_for(connection)
        if waiting:
            self._send(connection, waiting.popleft())
        elif not self._in_turn:
            self._free.append(connection)

    def _end(self) -> Loaded:
        """What is left counts as unanswered."""
        now = time.perf_counter()
        for at in (at for waiting in self._old for at in waiting):
            self._loaded.add(UNANSWERED, now - at)
        for connection in self._opened.all:
            if connection.is_busy:
                self._loaded.add(UNANSWERED, now - connection.due)
        self._loaded.seconds = max(now, self._last) - self._started
        return self._loaded
