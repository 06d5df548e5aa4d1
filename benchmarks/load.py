"""What the benchmarks of a loaded bridge share: the bridge as a process that can be watched, and connections that cost little.

The load comes from the same machine, so it has to be light: an asyncio protocol a connection, requests as ready bytes, of an
answer only its status and its length. Times are taken from when a request was due, not from when a connection was free for it:
otherwise a server that stalls would slow the load down and look quick.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
import urllib.request
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import uvloop

from benchmarks.post import free_port

T = TypeVar("T")

HOST = "127.0.0.1"
UNSENT = -1  # stands for a status: it waited for a free connection to the end
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Bridge(NamedTuple):
    """A bridge that runs as a process of its own."""

    port: int
    process: subprocess.Popen[bytes]
    logdir: Path

    @property
    def memory_bytes(self) -> int:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * _PAGE_BYTES

    @property
    def most_memory_bytes(self) -> int:
        """The most that it ever held."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024

    @property
    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    @property
    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def metrics(self) -> dict[str, float]:
        """What /metrics says now, by name and labels as they stand there."""
        with urllib.request.urlopen(f"http://{HOST}:{self.port}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


@contextmanager
def bridge(logdir: Path, *flags: str) -> Iterator[Bridge]:
    """`tbbridge serve` on a free port, from when it takes points until the end of the block."""
    port = free_port()
    command = [sys.executable, "-m", "tbbridge.cli", "serve", "--logdir", str(logdir), "--port", str(port)]
    process = subprocess.Popen([*command, "--log-level", "warning", *flags], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        if not process.stdout.readline():  # the line that says where it listens
            raise RuntimeError("the bridge ended at once; its log above says why")
        yield Bridge(port, process, logdir)
    finally:
        process.terminate()
        process.wait(30)


def post(body: bytes, content_type: str, path: str = "/api/v1/write") -> bytes:
    """A whole request."""
    head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Answered(NamedTuple):
    """One request that was answered (or not: status 0 is a connection that broke)."""

    status: int
    seconds: float  # since it was due


class Connection(asyncio.Protocol):
    """One HTTP connection with one request under way at most."""

    def __init__(self, done: Callable[[Connection, Answered], None]) -> None:
        self._done = done
        self._received = b""
        self._due = 0.0
        self._is_busy = False
        self.is_open = True
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self.transport = transport  # type: ignore[assignment] # uvloop's is one without saying so

    def send(self, request: bytes, due: float) -> None:
        self._due, self._is_busy = due, True
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) >= length:
            status = int(head[9:12])
            self._received = b""
            self._finish(status)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        self.is_open = False
        if self._is_busy:
            self._finish(0)

    def _finish(self, status: int) -> None:
        self._is_busy = False
        self._done(self, Answered(status, time.perf_counter() - self._due))


async def connect(bridge: Bridge, done: Callable[[Connection, Answered], None], address: str = HOST) -> Connection:
    """`address`: whose connection it is; any of 127.0.0.0/8, of which each is an address of its own to the bridge."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(lambda: Connection(done), HOST, bridge.port, local_addr=(address, 0))
    return connection


class Loaded(NamedTuple):
    """What became of a load."""

    answered: dict[int, list[float]]  # seconds of each request, by status
    seconds: float

    def rate(self, status: int) -> float:
        """Requests a second answered with `status`."""
        return len(self.answered.get(status, ())) / self.seconds

    def percentile(self, status: int, percent: float) -> float:
        """Seconds within which `percent` of the requests answered with `status` were answered; 0 if none was."""
        times = sorted(self.answered.get(status, ()))
        return times[min(len(times) - 1, int(len(times) * percent / 100))] if times else 0.0

    @property
    def counts(self) -> Counter[int]:
        return Counter({status: len(times) for status, times in self.answered.items()})


async def closed_loop(bridge: Bridge, request: bytes, connections: int, seconds: float) -> Loaded:
    """As many requests as `connections` get answered one after the other: the most that the bridge can do."""
    answered: dict[int, list[float]] = {}
    ends = time.perf_counter() + seconds
    left = connections
    over = asyncio.Event()

    def done(connection: Connection, answer: Answered) -> None:
        nonlocal left
        answered.setdefault(answer.status, []).append(answer.seconds)
        now = time.perf_counter()
        if now < ends and connection.is_open:
            connection.send(request, now)
        else:
            left -= 1
            if not left:
                over.set()

    opened = [await connect(bridge, done) for _ in range(connections)]
    started = time.perf_counter()
    ends = started + seconds
    for connection in opened:
        connection.send(request, started)
    await over.wait()
    took = time.perf_counter() - started
    for connection in opened:
        connection.transport.close()
    return Loaded(answered, took)


async def open_loop(bridge: Bridge, request: bytes, rate: float, connections: int, seconds: float) -> Loaded:
    """`rate` requests a second whatever the bridge does, over at most `connections`; when none is free they wait, and grow old.

    The connections are of several addresses, as those of many machines would be.
    """
    answered: dict[int, list[float]] = {}
    free: deque[Connection] = deque()
    waiting: deque[float] = deque()  # when each was due

    def done(connection: Connection, answer: Answered) -> None:
        answered.setdefault(answer.status, []).append(answer.seconds)
        if not connection.is_open:
            return
        if waiting:
            connection.send(request, waiting.popleft())
        else:
            free.append(connection)

    opened = [await connect(bridge, done, f"127.0.0.{2 + number // 500}") for number in range(connections)]
    free.extend(opened)
    started = time.perf_counter()
    sent = 0
    while (now := time.perf_counter()) < started + seconds:
        due = int((now - started) * rate)
        for number in range(sent, due):
            at = started + number / rate
            if free:
                free.popleft().send(request, at)
            else:
                waiting.append(at)
        sent = due
        await asyncio.sleep(0.001)
    took = time.perf_counter() - started
    result = Loaded({status: list(times) for status, times in answered.items()}, took)
    if waiting:
        result.answered[UNSENT] = [time.perf_counter() - due for due in waiting]
    for connection in opened:
        connection.transport.abort()
    return result


def run_loop(work: Coroutine[Any, Any, T]) -> T:
    """`work` on the quickest loop there is: what measures must not be what is measured."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
